"""arXiv's own interface: search, and papers by id."""

import re
from xml.etree import ElementTree

from model_discovery.library.found import Found
from model_discovery.library.identifiers import Identifier, recognise
from model_discovery.library.services import Answers, Service
from model_discovery.library.types import Paper

_ATOM = "{http://www.w3.org/2005/Atom}"
_OWN = "{http://arxiv.org/schemas/atom}"
_INTERVAL = 3.0  # seconds between requests, as arXiv asks
_EVERY = 5  # up to so many words, a paper must have them all
_STOP = {"a", "an", "and", "are", "as", "at", "by", "for", "from", "in", "is", "of", "on", "or", "that",
         "the", "this", "to", "using", "we", "with"}  # fmt: skip


class Arxiv:
    """Asks arXiv.

    Parameters
    ----------
    answers
        Where answers are kept.
    base_url
        The address, or that of a mirror.
    """

    def __init__(
        self, answers: Answers, base_url: str = "https://export.arxiv.org", *, interval: float = _INTERVAL
    ) -> None:
        self.service = Service("arXiv", answers, interval=interval)
        self._url = base_url.rstrip("/") + "/api/query"

    def search(self, query: str, k: int) -> list[Found]:
        """At most ``k`` papers, the most relevant first."""
        words = [word for word in re.findall(r"[^\W_]+(?:-[^\W_]+)*", query) if word.lower() not in _STOP]
        if not words:
            return []
        joint = " AND " if len(words) <= _EVERY else " OR "
        asked = joint.join(f"all:{word}" for word in words[:20])
        params = {"search_query": asked, "start": "0", "max_results": str(k), "sortBy": "relevance"}
        return self.service.ask(self._url, params, read_feed)[:k]

    def paper(self, identifier: Identifier) -> Found | None:
        """The paper of an arXiv id; None when there is none."""
        found = self.service.ask(self._url, {"id_list": identifier.value, "max_results": "1"}, read_feed)
        return found[0] if found else None


def read_feed(body: bytes) -> list[Found]:
    """Papers of an Atom feed; what is no feed raises ValueError."""
    if b"<!DOCTYPE" in body[:4096] or b"<!ENTITY" in body:
        raise ValueError("no Atom feed")  # a feed declares nothing; entities could grow without bound
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML: {error}") from None
    if root.tag != f"{_ATOM}feed":
        raise ValueError("no Atom feed")
    return [found for entry in root.iter(f"{_ATOM}entry") if (found := _read_entry(entry)) is not None]


def _read_entry(entry: ElementTree.Element) -> Found | None:
    """One paper; None for an entry that tells of an error."""
    identifier = recognise(_text(entry, f"{_ATOM}id"))
    title = _text(entry, f"{_ATOM}title")
    if identifier is None or identifier.kind != "arxiv" or not title:
        return None
    published = _text(entry, f"{_ATOM}published")[:4]
    names = (_text(author, f"{_ATOM}name") for author in entry.iter(f"{_ATOM}author"))
    links = (link.get("href", "") for link in entry.iter(f"{_ATOM}link") if link.get("title") == "pdf")
    paper = Paper(
        id=identifier.paper_id,
        title=title,
        authors=tuple(name for name in names if name),
        year=int(published) if published.isdigit() else None,
        venue=_text(entry, f"{_OWN}journal_ref"),
        arxiv=identifier.value,
        doi=_text(entry, f"{_OWN}doi").lower(),
        source="arxiv",
    )
    return Found(paper, _text(entry, f"{_ATOM}summary"), next(links, ""))


def _text(entry: ElementTree.Element, tag: str) -> str:
    return " ".join((entry.findtext(tag) or "").split())
