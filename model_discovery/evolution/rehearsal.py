"""A campaign without a tree, an engine or requests: the same decisions on the same state, in milliseconds.

For comparing selectors over many seeds, planning budgets, and testing laws of the policy.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from model_discovery.config import CampaignConfig
from model_discovery.evolution.landscape import Genes
from model_discovery.evolution.policy import DesignStep, RunStep, decide
from model_discovery.evolution.selectors import get_selector
from model_discovery.evolution.sessions import Session
from model_discovery.evolution.simulator import WORLD, World, draw
from model_discovery.evolution.state import CampaignState, Design, Estimate, Run

_ATTEMPTS = 4


@dataclass
class Rehearsal:
    """A rehearsed campaign.

    Attributes
    ----------
    state
        At its end.
    genes
        What each design is, by index.
    steps
        Every step that was taken, in order.
    """

    config: CampaignConfig
    world: World = WORLD
    state: CampaignState = field(init=False)
    genes: list[Genes] = field(default_factory=list)
    steps: list[DesignStep | RunStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = CampaignState(self.config)
        for number, name in enumerate(self.config.seed_designs):
            self._enter(name, "seed", None, (), self.world.landscape.human(number))

    def run(self) -> "Rehearsal":
        """Go on to the end."""
        selector = get_selector(self.config.selector)
        pending: deque[DesignStep | RunStep] = deque()
        while True:
            if len(pending) < self.config.in_flight:
                decision = decide(self.state, selector, len(self.steps))
                if decision is not None:
                    self._reserve(decision.step)
                    pending.append(decision.step)
                    continue
            if not pending:
                return self
            self._settle(pending.popleft(), len(self.steps) - len(pending) - 1)

    def true_loss(self, design: int, scale: int) -> float:
        """Mean loss over all seeds."""
        level = self.world.level - self.world.level_step * scale
        shift = self.world.shift * float(self._draw("shift", design, scale).standard_normal())
        return level - self.world.landscape.quality(self.genes[design]) - shift

    def _reserve(self, step: DesignStep | RunStep) -> None:
        self.steps.append(step)
        if isinstance(step, RunStep):
            self.state.reserve_run(step.design, step.scale)
        else:
            self.state.reserve_design(step.operator, step.designer, step.parents)

    def _settle(self, step: DesignStep | RunStep, number: int) -> None:
        if isinstance(step, RunStep):
            self.state.settle_run(step.design, self._run(step))
            return
        rng = self._draw("design", number)
        genes = self._new_genes(tuple(self.genes[parent] for parent in step.parents), rng)
        session = Session(designer=step.designer, fruitful=genes is not None)
        self.state.settle_design(session, job=number, operator=step.operator, parents=step.parents)
        if genes is not None:
            self._enter(f"design_{number}", "genetic", step.operator, step.parents, genes)

    def _new_genes(self, parents: tuple[Genes, ...], rng: np.random.Generator) -> Genes | None:
        if rng.random() < self.world.abandoned:
            return None
        drafts = (self.world.landscape.child(parents, rng) for _ in range(_ATTEMPTS))
        return next((genes for genes in drafts if str(genes) not in self.state.hashes), None)

    def _enter(
        self, name: str, origin: str, operator: str | None, parents: tuple[int, ...], genes: Genes
    ) -> None:
        self.genes.append(genes)
        family = f"{genes[0]}"
        self.state.add_design(Design(len(self.genes), name, origin, operator, str(genes), parents, family))

    def _run(self, step: RunStep) -> Run:
        if self._draw("diverges", step.design).random() < self.world.untrainable:
            return Run(step.scale, step.seed, "diverged")
        noise = self._draw("noise", step.design, step.scale, step.seed).standard_normal()
        loss = self.true_loss(step.design, step.scale) + self.world.noise * float(noise)
        return Run(step.scale, step.seed, "ok", Estimate(loss, 0.012))

    def _draw(self, *names: str | int) -> np.random.Generator:
        return draw(self.config.seed, *names)
