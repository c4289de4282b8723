"""BibTeX files as people have them: read into papers, and written from them."""

import hashlib
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.library.found import Found
from model_discovery.library.identifiers import Identifier, recognise
from model_discovery.library.types import Paper

_ARXIV_FIELDS = ("eprint", "url", "journal", "volume", "note", "howpublished", "doi")
_ARXIV_INSIDE = re.compile(
    r"(?:arxiv[:.]\s*|arxiv\.org/\w+/|\babs/)([a-z-]*/?\d{4}\.?\d{3,5})", re.IGNORECASE
)


@dataclass(frozen=True)
class Entry:
    """An entry of a file: its key, and the paper it names; ``why`` says why it names none."""

    key: str
    found: Found | None
    why: str = ""


def read_bibtex(path: Path) -> list[Entry]:
    """The entries of a BibTeX file; broken ones say what is wrong, with their line.

    Raises
    ------
    UserError
        The file cannot be read, or holds no entry at all.
    """
    import bibtexparser

    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.", exit_code=EXIT_FAILED) from None
    logging.getLogger("bibtexparser").setLevel(logging.ERROR)  # what it warns of is in its failed blocks
    library = bibtexparser.parse_string(text)
    strings = {name.lower(): string.value for name, string in library.strings_dict.items()}
    entries = {entry.key: _plain_fields(entry, strings) for entry in library.entries}
    found = [
        _entry(key, fields, entries) for key, fields in entries.items() if _is_paper(fields, key, entries)
    ]
    for block in library.failed_blocks:
        line = (block.start_line or 0) + 1
        said = getattr(block.error, "abort_reason", None) or str(block.error).split(" Note:")[0]
        key = re.match(r"\s*@\w+\s*[{(]\s*([^,\s]*)", block.raw or "")
        found.append(
            Entry(key[1] if key else f"line {line}", None, f"line {line}: {' '.join(said.split())[:160]}")
        )
    if not found:
        raise UserError(f"{path} has no BibTeX entry.", exit_code=EXIT_FAILED)
    return found


def _plain_fields(entry: Any, strings: Mapping[str, str]) -> dict[str, str]:
    """Fields in plain letters; authors joined by line ends."""
    fields = {}
    for field in entry.fields:
        value, key = _concatenated(str(field.value), field.enclosing, strings), field.key.lower()
        if key == "author":
            fields[key] = "\n".join(filter(None, map(_name, _split_names(value))))
        else:
            fields[key] = _plain(value)
    return fields


def _split_names(text: str) -> list[str]:
    """Authors, separated by ``and`` outside of braces; the library's own splitter drops accents after it."""
    names, depth = [""], 0
    for piece in re.split(r"([{}]|\s+and\s+)", text):
        depth += {"{": 1, "}": -1}.get(piece, 0)
        if depth == 0 and piece.strip() == "and":
            names.append("")
        else:
            names[-1] += piece
    return names


def _concatenated(value: str, enclosing: str | None, strings: Mapping[str, str]) -> str:
    """``icml # ", vol. 2"`` with the strings put in; other values as they are."""
    if enclosing != "no-enclosing" or "#" not in value:
        return strings.get(value.lower(), value) if enclosing == "no-enclosing" else value
    parts = (part.strip() for part in value.split("#"))
    return "".join(strings.get(part.lower(), part.strip('{}"')) for part in parts)


def _plain(text: str) -> str:
    if not re.search(r"[\\{}~$%]|--|``|''", text):
        return " ".join(text.split())
    return " ".join(str(_decoder().latex_to_text(text)).split())


@cache
def _decoder() -> Any:
    """Made once: it reads a table of all macros."""
    from pylatexenc.latex2text import LatexNodes2Text

    return LatexNodes2Text(math_mode="verbatim", keep_comments=True)


def _name(text: str) -> str:
    """``Last, Jr, First`` as ``First Last Jr``."""
    parts = [part.strip() for part in _plain(text).split(",")]
    if parts == ["others"] or "{" in text[:1]:
        return "" if parts == ["others"] else _plain(text)
    return " ".join(filter(None, [parts[-1], *parts[:-1]])) if len(parts) > 1 else parts[0]


def _is_paper(fields: Mapping[str, str], key: str, entries: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether an entry is a paper of its own: proceedings that others refer to are not."""
    return "author" in fields or not any(other.get("crossref") == key for other in entries.values())


def _entry(key: str, fields: dict[str, str], entries: Mapping[str, Mapping[str, str]]) -> Entry:
    above = entries.get(fields.get("crossref", ""), {})
    fields = {
        **{k: v for k, v in above.items() if k != "title"},
        "booktitle": above.get("title", ""),
        **fields,
    }
    if not fields.get("title"):
        return Entry(key, None, "it has no title")
    identifier = _identifier(fields)
    year = re.search(r"\b(\d{4})\b", fields.get("year") or fields.get("date", ""))
    paper = Paper(
        id=identifier.paper_id if identifier else _title_id(fields["title"]),
        title=fields["title"],
        authors=tuple(filter(None, fields.get("author", "").split("\n"))),
        year=int(year[1]) if year else None,
        venue=fields.get("journal") or fields.get("journaltitle") or fields["booktitle"],
        arxiv=identifier.value if identifier and identifier.kind == "arxiv" else "",
        doi=fields.get("doi", "").lower().removeprefix("https://doi.org/"),
        source="papers",
    )
    return Entry(key, Found(paper, fields.get("abstract", "")))


def _identifier(fields: Mapping[str, str]) -> Identifier | None:
    prefix = (fields.get("archiveprefix") or fields.get("eprinttype", "")).lower()
    if prefix == "arxiv" and (found := recognise(fields.get("eprint", ""))):
        return found
    for name in _ARXIV_FIELDS:
        if (inside := _ARXIV_INSIDE.search(fields.get(name, ""))) and (found := recognise(inside[1])):
            return found
    return recognise(fields.get("doi", "")) if fields.get("doi") else None


def _title_id(title: str) -> str:
    """Id of a paper that has a title only."""
    letters = re.sub(r"\W+", " ", title.casefold()).strip()
    return f"title:{hashlib.sha256(letters.encode()).hexdigest()[:24]}"


def write_bibtex(papers: Iterable[Paper]) -> str:
    """BibTeX of papers, one entry each, in LaTeX's own spelling of accents; keys are readable and unique."""
    import bibtexparser
    from bibtexparser.model import Entry as BibEntry
    from bibtexparser.model import Field

    library = bibtexparser.Library()
    keys: Counter[str] = Counter()
    for paper in papers:
        key = _key(paper)
        keys[key] += 1
        if keys[key] > 1:
            key = f"{key}-{keys[key]}"
        fields = [Field(name, value) for name, value in _fields(paper).items() if value]
        library.add(BibEntry("misc" if paper.arxiv or not paper.venue else "article", key, fields))
    return str(bibtexparser.write_string(library))


def _latex_name(name: str) -> str:
    return f"{{{_latex(name)}}}" if " and " in name else _latex(name)


def _latex(text: str) -> str:
    """Accents and signs as LaTeX writes them; mathematics between dollars stays."""
    parts = re.split(r"(\$[^$]*\$)", text)
    keep = (part.startswith("$") and len(part) > 1 for part in parts)
    return "".join(part if kept else _encoder()(part) for part, kept in zip(parts, keep, strict=True))


@cache
def _encoder() -> Callable[[str], str]:
    from pylatexenc.latexencode import UnicodeToLatexEncoder

    encode: Callable[[str], str] = UnicodeToLatexEncoder(unknown_char_policy="keep").unicode_to_latex
    return encode


def _fields(paper: Paper) -> dict[str, str]:
    # A card's year is that of the first version, and its venue took it later.
    later = paper.venue if paper.source == "cards" and paper.arxiv else ""
    return {
        "title": _latex(paper.title),
        "author": " and ".join(map(_latex_name, paper.authors)),
        "year": str(paper.year or ""),
        "journal": "" if later else _latex(paper.venue),
        "note": f"First version; then {_latex(later)}" if later not in ("", "arXiv") else "",
        "doi": paper.doi,
        "eprint": paper.arxiv,
        "archiveprefix": "arXiv" if paper.arxiv else "",
    }


def _key(paper: Paper) -> str:
    """Name of the first author, year, first word of the title: ``gu2023mamba``."""
    name = paper.authors[0].split()[-1] if paper.authors and paper.authors[0].split() else "anonymous"
    word = next((word for word in re.findall(r"\w+", paper.title) if len(word) > 3), "")
    plain = unicodedata.normalize("NFKD", f"{name}{paper.year or ''}{word}".lower())
    return re.sub(r"[^a-z0-9]", "", plain) or "paper"
