"""Paper services on the web, beside the library: searched together, each left out when it is down."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from model_discovery.config import Settings
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.library.arxiv import Arxiv
from model_discovery.library.found import Found
from model_discovery.library.identifiers import Identifier
from model_discovery.library.opening import obstacle
from model_discovery.library.semantic_scholar import SemanticScholar
from model_discovery.library.services import Answers, NotThere, Service, ServiceDown
from model_discovery.library.types import Hit

PDF_INTERVAL = 3.0  # seconds between two files of one host


class Online:
    """Semantic Scholar and arXiv. ``notes`` say, a line each, which of them did not answer and why."""

    def __init__(self, semantic_scholar: SemanticScholar, arxiv: Arxiv, answers: Answers) -> None:
        self.semantic_scholar = semantic_scholar
        self.arxiv = arxiv
        self._answers = answers
        self.notes: list[str] = []

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """With this machine's key, addresses, and folder for answers.

        Where the library's folder cannot be written to, answers are kept among the user's caches.
        """
        folder = settings.library_dir
        if folder.is_dir() and obstacle(folder / "online.db"):
            folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-discovery"
        answers = Answers(folder / "online.db")
        key = settings.s2_api_key.get_secret_value() if settings.s2_api_key else None
        semantic_scholar = SemanticScholar(answers, settings.s2_api_url, key=key)
        return cls(semantic_scholar, Arxiv(answers, settings.arxiv_api_url), answers)

    def search(self, keywords: str | Sequence[str], k: int = 10) -> list[Hit]:
        """At most ``k`` papers, those of both services first by rank; trouble on the network is a note."""
        query = keywords if isinstance(keywords, str) else " ".join(keywords)
        lists = [self._try(client.search, query, k) or [] for client in (self.semantic_scholar, self.arxiv)]
        best: dict[str, Found] = {}
        scores: dict[str, float] = {}
        for found in lists:
            for rank, one in enumerate(found):
                id = one.paper.id
                scores[id] = scores.get(id, 0.0) + 1.0 / (60 + rank)
                best[id] = one if id not in best or not best[id].abstract else best[id]
        order = sorted(best, key=lambda id: -scores[id])[:k]
        return [best[id].hit(rank) for rank, id in enumerate(order, start=1)]

    def paper(self, identifier: Identifier) -> Found:
        """The paper of an id.

        Raises
        ------
        UserError
            No service has it, or none that could have it answers.
        """
        clients = (
            (self.arxiv, self.semantic_scholar) if identifier.kind == "arxiv" else (self.semantic_scholar,)
        )
        down: list[str] = []
        for client in clients:
            try:
                found = client.paper(identifier)
            except ServiceDown as error:
                down.append(error.message)
                continue
            if found is not None:
                return found
        if down:
            raise UserError(f"{identifier} could not be looked up: {'; '.join(down)}.", exit_code=EXIT_FAILED)
        names = " and ".join(client.service.name for client in clients)
        raise UserError(f"{identifier} is not known to {names}.", exit_code=EXIT_FAILED)

    def pdf(self, found: Found) -> bytes | None:
        """The PDF of a paper that anyone may have; None where there is none to be had, with a note."""
        if not found.pdf.startswith(("https://", "http://")):
            self.notes.append(f"{found.paper.id}: no PDF that anyone may have is known")
            return None
        host = urlsplit(found.pdf).hostname or "an address without host"
        try:
            return Service(host, self._answers, interval=PDF_INTERVAL).fetch(found.pdf)
        except (ServiceDown, NotThere) as error:
            why = error.message if isinstance(error, ServiceDown) else "not there"
            self.notes.append(f"{found.paper.id}: its PDF {found.pdf} was not fetched: {why}")
            return None

    def _try(self, search: Callable[[str, int], list[Found]], query: str, k: int) -> list[Found] | None:
        try:
            return search(query, k)
        except ServiceDown as error:
            note = f"{error.message}; searched without it"
        except NotThere:
            note = "a service has no search at its address; searched without it"
        if note not in self.notes:
            self.notes.append(note)
        return None
