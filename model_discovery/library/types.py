"""What the paper library holds and finds."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Source = Literal["cards", "papers", "semantic-scholar", "arxiv"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Paper(_Data):
    """A paper as the library lists it.

    ``id`` is a card's id or ``sha256:…`` of a file; ``implemented_by`` are class names of units,
    ``builds_on`` ids of other papers.
    """

    id: str
    title: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    venue: str = ""
    arxiv: str = ""
    doi: str = ""
    s2: str = ""
    tags: tuple[str, ...] = ()
    builds_on: tuple[str, ...] = ()
    implemented_by: tuple[str, ...] = ()
    source: Source = "cards"


class Passage(_Data):
    """A piece of a paper: its section, the page it begins on (from 1; None for cards), its text."""

    section: str
    text: str
    page: int | None = None


class Hit(_Data):
    """A passage that answers a query; higher scores are better, and compare within one search only."""

    paper: Paper
    passage: str
    section: str
    page: int | None = None
    score: float
    source: Source


class Stats(_Data):
    """What a library holds, and what its index is made of.

    ``passages`` counts by source; ``size`` in bytes on disk; ``dollars`` spent on embeddings, None where
    they cost nothing.
    """

    folder: str
    papers: dict[str, int]
    passages: dict[str, int]
    embedder: str
    dimensions: int
    index: str
    size: int
    dollars: float | None = None
