"""A world in which whole campaigns take seconds: designs are numbers, training is a draw with realistic
noise.

Everything but the work is real: the controller, the tree, the requests and reports, the selectors.
Selectors are compared here, budgets planned, and crashes tested by the thousand. All draws derive from what
is drawn, so a campaign in this world is as repeatable as a real one.
"""

import importlib
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_discovery.blocks.seed_designs import SeedDesign
from model_discovery.blocks.unit_data import ConfigField, Node, Unit
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.designers.requests import Attempt, DesignOutcome, DesignRequest, Proposal
from model_discovery.engine import Job, JobProgress, JobResult
from model_discovery.errors import UserError
from model_discovery.evolution.controller import WorkFunctions
from model_discovery.evolution.landscape import Genes, Landscape
from model_discovery.seeds import derive
from model_discovery.verification.report import (
    Cost,
    Evidence,
    Measure,
    Score,
    Size,
    VerificationReport,
    VerifyRequest,
)

_LANDSCAPE = Landscape()


@dataclass(frozen=True)
class World:
    """Facts of the simulated world, in nats per token; the defaults are near those of real small trainings.

    Attributes
    ----------
    landscape
        What designs are worth.
    shift
        What one scale shows of a design alone (ranks move with scale).
    noise
        Between seeds.
    abandoned, untrainable
        Probability that a design job brings nothing, and that a design diverges.
    level, level_step
        Loss of an average design at 0.1M, and by how much ten times the parameters lower it.
    rungs
        Shares of a training; by how much the loss still falls from there, and how that differs over designs.
    """

    landscape: Landscape = _LANDSCAPE
    shift: float = 0.010
    noise: float = 0.004
    abandoned: float = 0.08
    untrainable: float = 0.03
    level: float = 3.2
    level_step: float = 0.25
    rungs: tuple[tuple[float, float, float], ...] = (
        (0.25, 0.38, 0.05),
        (0.5, 0.17, 0.02),
        (0.75, 0.06, 0.007),
    )


WORLD = World()
FUNCTIONS = WorkFunctions(
    design="model_discovery.evolution.simulator:run_design",
    verify="model_discovery.evolution.simulator:run_verify",
)
_MIXERS = ("SimAttention", "SimRetention", "SimStateSpace", "SimDeltaRule", "SimRecurrence", "SimConvolution")


# -- designs


def simulated_seeds(count: int, world: World = WORLD) -> Mapping[str, SeedDesign]:
    """Human designs of the simulated world, ``human_0`` onwards."""
    designs = {}
    for number in range(count):
        name, tree = f"human_{number}", simulated_tree(world.landscape.human(number))
        designs[name] = SeedDesign(name, f"Human {number}", (), "a simulated human design", tree)
    return designs


def simulated_tree(genes: Genes) -> UnitTree:
    """A unit tree that carries its genes; the first one names its only unit."""
    mixer = _MIXERS[genes[0] % len(_MIXERS)]
    fields = {"genes": ConfigField(kind="str", default="")}
    unit = Unit(id=f"{mixer}_00000000", name=mixer, role="block", source="", fields=fields)
    config = {"genes": " ".join(map(str, genes))}
    return UnitTree(root=Node(unit=unit.id, config=config), units={unit.id: unit})


def genes_of(unit_tree: UnitTree) -> Genes:
    """The genes of a simulated design."""
    return tuple(int(gene) for gene in str(unit_tree.root.config["genes"]).split())


def run_design(request: dict[str, Any], context: object) -> dict[str, Any]:
    """The simulated designer; an engine function."""
    asked = DesignRequest.model_validate(request)
    rng = np.random.default_rng(asked.seed)
    parents = tuple(genes_of(parent.unit_tree) for parent in asked.parents)
    attempts: list[Attempt] = []
    for _ in range(asked.limits.max_attempts):
        tree = simulated_tree(WORLD.landscape.child(parents, rng))
        good = tree.structure_hash not in asked.avoid and rng.random() >= WORLD.abandoned**0.25
        attempts.append(Attempt(structure_hash=tree.structure_hash, ok=good))
        if good:
            proposal = Proposal(title="a simulated design", summary="", operator=asked.operator)
            return DesignOutcome(
                status="valid", proposal=proposal, unit_tree=tree, structure_hash=tree.structure_hash,
                attempts=tuple(attempts),
            ).model_dump(mode="json")  # fmt: skip
    return DesignOutcome(status="abandoned", attempts=tuple(attempts)).model_dump(mode="json")


# -- verifications


def run_verify(request: dict[str, Any], context: object) -> dict[str, Any]:
    """The simulated trainer; an engine function."""
    asked = VerifyRequest.model_validate(request)
    structure = asked.unit_tree.structure_hash
    tokens = asked.recipe.tokens_for(asked.scale)
    evidence = Evidence(
        request_hash=asked.hash, structure_hash=structure, code_hash=structure, recipe_hash=asked.recipe.hash,
        seed=asked.seed, tokens=tokens,
    )  # fmt: skip
    if draw(0, structure, "diverges").random() < WORLD.untrainable:
        return VerificationReport(
            status="diverged", error="loss rose above its start", design=asked.design, scale=asked.scale,
            evidence=evidence,
        ).model_dump(mode="json")  # fmt: skip
    loss = simulated_loss(asked.unit_tree, asked.scale, asked.seed)
    curve = _held_out_curve(structure, asked, tokens, loss)
    for rung in asked.rungs:
        for seen, at_rung in curve:
            if seen == rung.tokens and at_rung > rung.limit:
                return VerificationReport(
                    status="stopped", error="hopeless", design=asked.design, scale=asked.scale,
                    evidence=evidence, held_out_curve=tuple(point for point in curve if point[0] <= seen),
                ).model_dump(mode="json")  # fmt: skip
    million = float(asked.scale.removesuffix("M"))
    size = Size(total=int(1.5e6 * million), non_embedding=int(1e6 * million), width=64, n_blocks=2)
    accuracy = min(0.99, max(0.0, 0.7 + 2 * (WORLD.level - loss)))
    accuracy += 0.01 * draw(0, structure, asked.scale, asked.seed, "accuracy").standard_normal()
    return VerificationReport(
        status="ok", design=asked.design, scale=asked.scale, size=size, evidence=evidence,
        held_out=Measure(value=loss, stderr=0.012), bits_per_byte=Measure(value=loss / 3, stderr=0.004),
        scores={suite: Score(value=accuracy, stderr=0.01, n=2400, chance=0.5) for suite in asked.suites},
        cost=Cost(train_seconds=20.0 * million), curve=((tokens // 2, loss + 0.5), (tokens, loss)),
        held_out_curve=curve,
    ).model_dump(mode="json")  # fmt: skip


def _held_out_curve(
    structure: str, asked: VerifyRequest, tokens: int, loss: float
) -> tuple[tuple[int, float], ...]:
    points = []
    for share, falls, spread in WORLD.rungs:
        luck = draw(0, structure, asked.scale, asked.seed, f"rung {share}").standard_normal()
        points.append((int(share * tokens), loss + falls + spread * float(luck)))
    return (*points, (tokens, loss))


def simulated_loss(unit_tree: UnitTree, scale: str, seed: int | None) -> float:
    """Held-out nats per token of one training, or its mean over seeds for ``seed=None``."""
    structure = unit_tree.structure_hash
    million = float(scale.removesuffix("M"))
    shift = WORLD.shift * float(draw(0, structure, scale, "shift").standard_normal())
    noise = 0.0 if seed is None else float(draw(0, structure, scale, seed, "noise").standard_normal())
    level = WORLD.level - WORLD.level_step * math.log10(million / 0.1)
    return level - WORLD.landscape.quality(genes_of(unit_tree)) - shift + WORLD.noise * noise


def draw(seed: int, *names: str | int) -> np.random.Generator:
    """The generator of one thing in a simulated world."""
    return np.random.default_rng(derive(seed, "simulated world", *names))


# -- engine


class InlineEngine:
    """Runs jobs in this process, some ``places`` at a time, and lets them finish in a random order.

    Parameters
    ----------
    places
        How many jobs are running; the others wait.
    seed
        Of the order of completion, which must change nothing.
    lose
        Whether a job's worker dies, from the job and how often it did already; for tests.
    """

    def __init__(
        self, places: int = 1, seed: int = 0, lose: Callable[[Job, int], bool] | None = None
    ) -> None:
        self.places = places
        self._rng = np.random.default_rng(seed)
        self._queue: deque[Job] = deque()
        self._lose = lose or (lambda job, times: False)
        self._lost: dict[int, int] = {}

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._queue.append(job)

    def wait(self, timeout: float | None = None) -> list[JobResult | JobProgress]:
        """Results of the jobs that end now: none or one when polled (``timeout=0``), else one while any
        runs.
        """
        if not self._queue or (timeout == 0 and self._rng.random() < 0.5):
            return []
        position = int(self._rng.integers(min(self.places, len(self._queue))))
        job = self._queue[position]
        del self._queue[position]
        return [self._finish(job)]

    def _finish(self, job: Job) -> JobResult:
        times = self._lost.get(job.id, 0)
        if self._lose(job, times):
            self._lost[job.id] = times + 1
            return JobResult(id=job.id, status="lost", value=None, error="killed", traceback="", seconds=0.0)
        module, _, name = job.function.partition(":")
        function = getattr(importlib.import_module(module), name)
        try:
            value = function(job.request, None)
        except UserError as error:
            return JobResult(job.id, "refused", None, str(error), traceback="", seconds=0.0)
        except Exception as error:  # the boundary that a worker process is elsewhere: recorded and named
            message = f"{type(error).__name__}: {error}"
            return JobResult(id=job.id, status="failed", value=None, error=message, traceback="", seconds=0.0)
        return JobResult(id=job.id, status="done", value=value, error="", traceback="", seconds=0.0)

    def close(self, kill: bool = False) -> None:
        """Forget what is queued."""
        self._queue.clear()
