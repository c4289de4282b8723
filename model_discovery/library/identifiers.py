"""Names under which papers are known: arXiv ids, DOIs, ids of Semantic Scholar."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

_NEW = r"\d{2}(?:0[1-9]|1[0-2])\.\d{4,5}"
_OLD = r"[a-z][a-z-]*(?:\.[A-Za-z]{2})?/\d{2}(?:0[1-9]|1[0-2])\d{3}"
_ARXIV = re.compile(
    rf"(?:arxiv:\s*|(?:https?://)?(?:\w+\.)?(?:arxiv\.org/(?:abs|pdf|html|e-print)/"
    rf"|huggingface\.co/papers/|ar5iv\.org/(?:abs|html)/|alphaxiv\.org/abs/))?({_NEW}|{_OLD})(?:v\d+)?(?:\.pdf)?/?",
    re.IGNORECASE,
)
_DOI = re.compile(r"(?:doi:\s*|(?:https?://)?(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_ARXIV_DOI = re.compile(rf"10\.48550/arxiv\.({_NEW}|{_OLD})", re.IGNORECASE)
_S2 = re.compile(
    r"(?:s2:|(?:https?://)?(?:www\.|api\.)?semanticscholar\.org/(?:paper/)?(?:[^\s/]+/)?)?([0-9a-f]{40})/?",
    re.IGNORECASE,
)
_CORPUS = re.compile(
    r"(?:s2:|(?:https?://)?(?:www\.|api\.)?semanticscholar\.org/)?corpus_?id:\s*(\d+)/?", re.IGNORECASE
)


@dataclass(frozen=True)
class Identifier:
    """A paper's name in one of the catalogues."""

    kind: Literal["arxiv", "doi", "s2"]
    value: str

    @property
    def paper_id(self) -> str:
        """Id of the paper in the library."""
        return f"{self.kind}:{self.value}"

    @property
    def at_semantic_scholar(self) -> str:
        """How Semantic Scholar is asked for it."""
        return self.value if self.kind == "s2" else f"{self.kind.upper()}:{self.value}"

    def __str__(self) -> str:
        return {"arxiv": "arXiv ", "doi": "DOI ", "s2": "Semantic Scholar "}[self.kind] + self.value


def recognise(text: str) -> Identifier | None:
    """The identifier that a text is, also as an address on the web; None when it is none.

    >>> recognise("https://arxiv.org/pdf/2312.00752v2")
    Identifier(kind='arxiv', value='2312.00752')
    """
    text = unquote(text.strip()).split("?")[0].split("#")[0]
    if found := _ARXIV.fullmatch(text):
        return Identifier("arxiv", _lower_archive(found[1]))
    if found := _DOI.fullmatch(text):
        doi = found[1].rstrip(".,;").lower()
        if of_arxiv := _ARXIV_DOI.fullmatch(doi):
            return Identifier("arxiv", _lower_archive(of_arxiv[1]))
        return Identifier("doi", doi)
    if found := _CORPUS.fullmatch(text):
        return Identifier("s2", f"CorpusId:{found[1]}")
    if found := _S2.fullmatch(text):
        return Identifier("s2", found[1].lower())
    return None


def _lower_archive(value: str) -> str:
    """``math.GT/0309136`` and ``math/0309136`` are one paper."""
    archive, slash, number = value.partition("/")
    return f"{archive.lower().split('.')[0]}/{number}" if slash else value
