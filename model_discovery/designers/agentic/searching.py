"""Reading before arguing: rounds of search, of which only the notes stay."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from model_discovery.blocks.seed_designs import seed_units
from model_discovery.designers.agentic.asking import Desk
from model_discovery.designers.agentic.schemas import SearchNote
from model_discovery.designers.requests import DesignRequest
from model_discovery.library.types import Hit

_MOST_KEYWORDS = 5
_ARXIV = re.compile(r"^(?:arxiv:\s*)?(\d{4}\.\d{4,5})(?:v\d+)?$", re.IGNORECASE)


@dataclass
class Reading:
    """What a role has read.

    ``notes`` stay; ``hits`` are those of the last search, dropped when a note was made of them. ``shown``
    maps every id of a paper that was shown to the one it is kept by: its arXiv id if it has one.
    """

    notes: list[str] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)


def read_up(desk: Desk, role: str, reading: Reading, rounds: int, least: int = 0, **variables: Any) -> None:
    """At most ``rounds`` rounds of note and search, at least ``least``: then a role may say it has enough.

    Parameters
    ----------
    reading
        What the role has read already; it is added to.
    variables
        What the prompt wants besides: the reviewer's ``proposal``.
    """
    for number in range(1, rounds + 1 if desk.config.search else 1):
        with desk.journal.step(f"search {number}"):
            desk.report("search", attempt=number, of=rounds)
            note = desk.ask_again(
                role, "search", SearchNote, notes=list(reading.notes), hits=list(reading.hits),
                round=number, rounds=rounds, **variables,
            )  # fmt: skip
            if note is None:
                return
            if note.note.strip():
                reading.notes.append(note.note.strip())
            reading.hits = []
            if note.enough and number > least:
                return
            if note.query.strip() or note.keywords:
                reading.hits = desk.search(note.query.strip(), note.keywords[:_MOST_KEYWORDS])
                reading.shown |= shown_by(reading.hits)
            if note.enough and number == least:
                return


def shown_by(hits: Iterable[Hit]) -> dict[str, str]:
    """Every id of the papers, with the one to keep."""
    shown: dict[str, str] = {}
    for hit in hits:
        paper = hit.paper
        for name in (paper.id, paper.arxiv, paper.doi, paper.s2):
            if name:
                shown[name] = paper.arxiv or paper.id
    return shown


def kept_as(name: str, shown: Mapping[str, str]) -> str | None:
    """The id that a paper is kept by, named by any id it was shown with; ``None`` for one never shown."""
    for form in (name, _ARXIV.sub(r"\1", name.strip())):
        if form in shown:
            return shown[form]
    return None


def known_papers(request: DesignRequest) -> dict[str, str]:
    """Papers that a prompt may name without a search: of the request, the unit library and the parents."""
    units = [*seed_units().values(), *(u for one in request.parents for u in one.unit_tree.units.values())]
    return {name: name for name in (*request.references, *(paper for unit in units for paper in unit.papers))}
