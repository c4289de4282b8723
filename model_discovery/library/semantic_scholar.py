"""Semantic Scholar: search, and papers by any id."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, quote

from model_discovery.library.found import Found
from model_discovery.library.identifiers import Identifier, recognise
from model_discovery.library.services import Answers, NotThere, Service, ServiceDown
from model_discovery.library.types import Paper

_FIELDS = ["title", "abstract", "authors", "year", "venue", "externalIds", "openAccessPdf"]
_INTERVAL = 1.1  # seconds between requests: with a key, one a second is allowed
_BATCH = 500


class SemanticScholar:
    """Asks Semantic Scholar through its client library.

    Parameters
    ----------
    answers
        Where answers are kept.
    base_url
        The address, or that of a mirror.
    key
        Optional; without one, all users of the world share one limit.
    """

    def __init__(
        self,
        answers: Answers,
        base_url: str = "https://api.semanticscholar.org",
        *,
        key: str | None = None,
        interval: float = _INTERVAL,
    ) -> None:
        self.service = Service("Semantic Scholar", answers, interval=interval)
        self._url = base_url.rstrip("/")
        self._key = key

    def search(self, query: str, k: int) -> list[Found]:
        """At most ``k`` papers, the most relevant first."""
        words = " ".join(query.split())
        if not words:
            return []
        # The library writes the query into an address as it stands.
        with self._unread():
            results = self._client().search_paper(quote(words), fields=_FIELDS, limit=min(k, 100))
            return [found for facts in results.raw_data if (found := _read(facts)) is not None][:k]

    def paper(self, identifier: Identifier) -> Found | None:
        """The paper of an id; None when there is none."""
        try:
            with self._unread():
                name = quote(identifier.at_semantic_scholar, safe=":/")
                return _read(self._client().get_paper(name, fields=_FIELDS).raw_data)
        except NotThere:
            return None

    def papers(self, identifiers: Sequence[Identifier]) -> dict[Identifier, Found]:
        """The papers of many ids, with one request for each 500; those unknown are left out."""
        known: dict[Identifier, Found] = {}
        for begin in range(0, len(identifiers), _BATCH):
            some = identifiers[begin : begin + _BATCH]
            asked = [identifier.at_semantic_scholar for identifier in some]
            facts = self.service.ask(
                f"{self._url}/graph/v1/paper/batch",
                {"fields": ",".join(_FIELDS)},
                _read_list,
                headers=self._headers(),
                post={"ids": asked},
            )
            for identifier, each in zip(some, facts, strict=False):
                if each and (found := _read(each)) is not None:
                    known[identifier] = found
        return known

    @contextmanager
    def _unread(self) -> Iterator[None]:
        """Records of another shape than they should have are an answer of no use."""
        try:
            yield
        except (TypeError, KeyError, AttributeError) as error:
            why = f"{self.service.name} sent an answer that cannot be read ({type(error).__name__}: {error})"
            raise ServiceDown(why) from None

    def _headers(self) -> dict[str, str]:
        return {"x-api-key": self._key} if self._key else {}

    def _client(self) -> Any:
        """The library's client, asking through our service: its own requests neither wait their turn nor
        tell an answer from status 503.
        """
        import semanticscholar
        from semanticscholar.ApiRequester import ApiRequester

        service = self.service

        class Requester(ApiRequester):  # type: ignore[misc]
            async def get_data_async(
                self, url: str, parameters: str, headers: Mapping[str, str], payload: object = None
            ) -> dict[str, Any]:
                params = dict(parse_qsl(parameters.lstrip("&"), keep_blank_values=True))
                return service.ask(url, params, _read_object, headers=headers, post=payload)

        with _logging_as_it_is():
            client = semanticscholar.SemanticScholar(api_key=self._key, api_url=self._url, retry=False)
        client._AsyncSemanticScholar._requester = Requester(timeout=30, retry=False)
        return client


def _read_object(body: bytes) -> dict[str, Any]:
    value = _read_json(body)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    cleaned: dict[str, Any] = _without_nulls(value)  # the library takes a null for a list or a record
    return cleaned


def _read_list(body: bytes) -> list[Any]:
    value = _read_json(body)
    if not isinstance(value, list):
        raise ValueError("no JSON list")
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value if each is not None]
    return value


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError("no JSON") from None


def _read(facts: Mapping[str, Any]) -> Found | None:
    """A paper of the service's record; None when it has no id or title."""
    if not isinstance(facts, Mapping) or not facts.get("paperId") or not facts.get("title"):
        return None
    names = facts.get("externalIds") or {}
    arxiv = recognise(f"arXiv:{names['ArXiv']}") if names.get("ArXiv") else None
    doi = str(names.get("DOI") or "").lower()
    best = arxiv or (recognise(doi) if doi else None) or Identifier("s2", str(facts["paperId"]))
    year = facts.get("year")
    paper = Paper(
        id=best.paper_id,
        title=" ".join(str(facts["title"]).split()),
        authors=tuple(str(author["name"]) for author in facts.get("authors") or () if author.get("name")),
        year=year if isinstance(year, int) else None,
        venue=str(facts.get("venue") or ""),
        arxiv=arxiv.value if arxiv else "",
        doi=doi,
        s2=str(facts["paperId"]),
        source="semantic-scholar",
    )
    pdf = facts.get("openAccessPdf") or {}
    return Found(paper, " ".join(str(facts.get("abstract") or "").split()), str(pdf.get("url") or ""))


@contextmanager
def _logging_as_it_is() -> Iterator[None]:
    """The library's constructor sets up the root logger; that is not for it to decide."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
