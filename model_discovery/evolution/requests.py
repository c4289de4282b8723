"""The requests that workers get, from a step and what the tree holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_discovery.design_tree import DesignTree
from model_discovery.designers.requests import DesignLimits, DesignRequest, ParentDesign
from model_discovery.evolution.policy import DesignStep, RunStep
from model_discovery.evolution.state import CampaignState
from model_discovery.seeds import derive
from model_discovery.verification.recipes import Recipe
from model_discovery.verification.report import VerifyRequest

_MOST_TO_AVOID = 256


@dataclass(frozen=True)
class RequestMaker:
    """Builds requests of one campaign.

    Parameters
    ----------
    recipe
        Data, optimiser and length of every training.
    data_dir
        Where prepared data lies or is made.
    """

    tree: DesignTree
    instruction: str
    recipe: Recipe
    data_dir: Path

    def design(self, state: CampaignState, step: DesignStep, number: int) -> dict[str, Any]:
        """The request for decision ``number``, as JSON."""
        config = state.config
        parents = tuple(
            ParentDesign(
                name=state.designs[index].name, unit_tree=self.tree.unit_tree(state.designs[index].id)
            )
            for index in step.parents
        )
        request = DesignRequest(
            designer=step.designer,
            instruction=self.instruction,
            operator=step.operator,
            parents=parents,
            limits=DesignLimits(
                scales=config.scales, max_attempts=config.design.max_attempts, sandbox=config.sandbox
            ),
            seed=derive(config.seed, "design", number),
            avoid=structures_to_avoid(state, step.parents),
        )
        return request.model_dump(mode="json")

    def verify(self, state: CampaignState, step: RunStep) -> dict[str, Any]:
        """The request for one training and scoring, as JSON."""
        config, design = state.config, state.designs[step.design]
        request = VerifyRequest(
            design=design.name,
            unit_tree=self.tree.unit_tree(design.id),
            scale=state.scales[step.scale],
            recipe=self.recipe,
            seed=step.seed,
            suites=config.suites,
            data_dir=str(self.data_dir),
            blimp_dir=config.blimp_dir,
            sandbox=config.sandbox,
        )
        return request.model_dump(mode="json")


def structures_to_avoid(state: CampaignState, parents: tuple[int, ...]) -> tuple[str, ...]:
    """Structures that a new design should not repeat: the parents' own and their children's, then the newest.

    Bounded, so that a request does not grow with the tree; what slips through is found when the design
    enters.
    """
    family = [*parents, *(child for parent in parents for child in reversed(state.designs[parent].children))]
    newest = range(len(state.designs) - 1, max(-1, len(state.designs) - 1 - _MOST_TO_AVOID), -1)
    indices = dict.fromkeys([*family[:_MOST_TO_AVOID], *newest])
    return tuple(state.designs[index].structure_hash for index in list(indices)[:_MOST_TO_AVOID])
