"""A paper as a service knows it."""

from dataclasses import dataclass

from model_discovery.library.types import Hit, Paper, Passage


@dataclass(frozen=True)
class Found:
    """A paper, its abstract, and the address of its PDF where anyone may have it; both may be ``""``."""

    paper: Paper
    abstract: str = ""
    pdf: str = ""

    def hit(self, rank: int) -> Hit:
        """As an answer to a query; services tell ranks, no scores, so the score is ``1 / rank``."""
        section, text = ("Abstract", self.abstract) if self.abstract else ("Title", self.paper.title)
        return Hit(
            paper=self.paper, passage=text, section=section, score=1.0 / rank, source=self.paper.source
        )

    def passages(self) -> list[Passage]:
        """What the library keeps of it; without an abstract, the title."""
        if self.abstract:
            return [Passage(section="Abstract", text=self.abstract)]
        return [Passage(section="Title", text=self.paper.title)]
