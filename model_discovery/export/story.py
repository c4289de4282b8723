"""What a model card is told about a design: where it comes from, how it was trained, what was measured."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model_discovery.evolution import Description, LeaderboardRow
    from model_discovery.verification import Recipe, VerificationReport


@dataclass(frozen=True)
class Origin:
    """The campaign that found a design: what has to be typed to run it again, and its lineage hash."""

    campaign: str
    instruction: str
    command: str
    lineage_hash: str


@dataclass(frozen=True)
class Story:
    """What is known of a design beside its code; all of it may be missing.

    Attributes
    ----------
    report
        Of the very weights that are exported.
    runs
        All trainings of the design with the same recipe at the same scale.
    recipe
        What they were trained with.
    description
        Ancestors, and what changed against the first parent.
    board, verdict
        The design and the baseline it was compared with, and the sentence that says the outcome.
    origin
        The campaign.
    human
        Title and summary of a human design.
    """

    report: "VerificationReport | None" = None
    runs: "tuple[VerificationReport, ...]" = ()
    recipe: "Recipe | None" = None
    description: "Description | None" = None
    board: "tuple[LeaderboardRow, ...]" = ()
    verdict: str = ""
    origin: Origin | None = None
    human: str = ""

    @property
    def own_text(self) -> bool:
        """Whether the weights were trained on a text or data sets that have a licence of their own."""
        return self.recipe is not None and self.recipe.kind != "grammar"
