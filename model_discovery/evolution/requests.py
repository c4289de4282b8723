"""The requests that workers get, from a step and what the tree holds."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.config.agents import LLM_DESIGNERS, AgentsConfig
from model_discovery.design_tree import DesignTree
from model_discovery.designers.requests import DesignLimits, DesignRequest, ParentDesign
from model_discovery.evolution.knowledge import KnowledgeMaker
from model_discovery.evolution.policy import DesignStep, RunStep
from model_discovery.evolution.state import CampaignState
from model_discovery.seeds import derive
from model_discovery.verification.recipes import Recipe
from model_discovery.verification.report import VerifyRequest

_MOST_EACH = 100  # children of a parent, and newest designs, whose structures a request names
_MOST_TREES = 64


class RequestMaker:
    """Builds requests of one campaign.

    Parameters
    ----------
    recipe
        Data, optimiser and length of every training.
    data_dir
        Where prepared data lies or is made.
    """

    def __init__(self, tree: DesignTree, instruction: str, recipe: Recipe, data_dir: Path) -> None:
        self.recipe = recipe
        self._tree = tree
        self._instruction = instruction
        self._data_dir = str(data_dir)
        self._knowledge = KnowledgeMaker(tree)
        self._unit_trees: OrderedDict[int, UnitTree] = OrderedDict()

    def keep(self, design_id: int, unit_tree: UnitTree) -> None:
        """Remember the tree of a design that will soon be asked for again."""
        self._unit_trees[design_id] = unit_tree
        self._unit_trees.move_to_end(design_id)
        if len(self._unit_trees) > _MOST_TREES:
            self._unit_trees.popitem(last=False)

    def design(self, state: CampaignState, step: DesignStep, number: int) -> dict[str, Any]:
        """The request for decision ``number``, as JSON."""
        config = state.config
        chosen = (state.designs[index] for index in step.parents)
        parents = tuple(ParentDesign(name=one.name, unit_tree=self._unit_tree(one.id)) for one in chosen)
        request = DesignRequest(
            designer=step.designer,
            instruction=self._instruction,
            operator=step.operator,
            parents=parents,
            limits=DesignLimits(
                scales=config.scales, max_attempts=config.design.max_attempts, sandbox=config.sandbox
            ),
            seed=derive(config.seed, "design", number),
            avoid=structures_to_avoid(state, step.parents),
        )
        if step.designer in LLM_DESIGNERS:
            request = self._with_knowledge(request, state, step)
        return request.model_dump(mode="json")

    def _with_knowledge(
        self, request: DesignRequest, state: CampaignState, step: DesignStep
    ) -> DesignRequest:
        """What only designers with language models read."""
        held = step.unfinished
        return request.model_copy(
            update={
                "agents": state.config.agents,
                "knowledge": self._knowledge.of(state, step),
                "unfinished": None if held is None else state.sessions.proposal(held),
            }
        )

    def verify(self, state: CampaignState, step: RunStep) -> dict[str, Any]:
        """The request for one training and scoring, as JSON."""
        config, design = state.config, state.designs[step.design]
        scale = state.scales[step.scale]
        first = step.seed == 0 and not design.baseline
        request = VerifyRequest(
            design=design.name,
            unit_tree=self._unit_tree(design.id),
            scale=scale,
            recipe=self.recipe,
            seed=step.seed,
            suites=config.suites,
            data_dir=self._data_dir,
            suite_dirs=config.suite_dirs,
            sandbox=config.sandbox,
            rungs=state.rung_losses.limits(step.scale, self.recipe.tokens_for(scale)) if first else (),
        )
        return request.model_dump(mode="json")

    def _unit_tree(self, design_id: int) -> UnitTree:
        unit_tree = self._unit_trees.get(design_id)
        if unit_tree is None:
            unit_tree = UnitTree.model_validate(self._tree.unit_tree(design_id))
        self.keep(design_id, unit_tree)
        return unit_tree


def readdressed(request: dict[str, Any], agents: AgentsConfig) -> dict[str, Any]:
    """A request that may have been written before the models' server moved, with its address of now."""
    if not request.get("agents"):
        return request
    return {**request, "agents": {**request["agents"], "api_base": agents.api_base}}


def structures_to_avoid(state: CampaignState, parents: tuple[int, ...]) -> tuple[str, ...]:
    """Structures that a new design should not repeat: the parents' own and their children's, then the newest.

    Bounded, so that a request does not grow with the tree; what slips through is found when the design
    enters.
    """
    family = [
        *parents,
        *(child for parent in parents for child in state.designs[parent].children[-_MOST_EACH:]),
    ]
    newest = range(max(0, len(state.designs) - _MOST_EACH), len(state.designs))
    return tuple(state.designs[index].structure_hash for index in dict.fromkeys([*family, *newest]))
