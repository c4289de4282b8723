"""BibTeX files as people have them: read into papers, and written from them."""

import re
import unicodedata
from collections.abc import Iterable

from model_discovery.library.types import Paper


def write_bibtex(papers: Iterable[Paper]) -> str:
    """BibTeX of papers, one entry each, in LaTeX's own spelling of accents; keys are readable and unique."""
    import bibtexparser
    from bibtexparser import middlewares as m
    from bibtexparser.model import Entry, Field

    library = bibtexparser.Library()
    keys: set[str] = set()
    for paper in papers:
        key = _key(paper, keys)
        keys.add(key)
        fields = [Field(name, value) for name, value in _fields(paper).items() if value]
        library.add(Entry("misc" if paper.arxiv or not paper.venue else "article", key, fields))
    return str(
        bibtexparser.write_string(library, prepend_middleware=[m.LatexEncodingMiddleware(keep_math=True)])
    )


def _fields(paper: Paper) -> dict[str, str]:
    return {
        "title": paper.title,
        "author": " and ".join(paper.authors),
        "year": str(paper.year or ""),
        "journal": paper.venue,
        "doi": paper.doi,
        "eprint": paper.arxiv,
        "archiveprefix": "arXiv" if paper.arxiv else "",
    }


def _key(paper: Paper, taken: set[str]) -> str:
    """Name of the first author, year, first word of the title: ``gu2023mamba``."""
    name = paper.authors[0].split()[-1] if paper.authors and paper.authors[0].split() else "anonymous"
    word = next((word for word in re.findall(r"\w+", paper.title) if len(word) > 3), "")
    plain = unicodedata.normalize("NFKD", f"{name}{paper.year or ''}{word}".lower())
    key = re.sub(r"[^a-z0-9]", "", plain) or "paper"
    while key in taken:
        key += "x"
    return key
