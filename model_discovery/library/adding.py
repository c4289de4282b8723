"""Papers of one's own, taken from files, folders, BibTeX and ids, and added to a library."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model_discovery.errors import UserError
from model_discovery.library.bibtex import Entry, read_bibtex
from model_discovery.library.found import Found
from model_discovery.library.identifiers import Identifier, recognise
from model_discovery.library.library import PaperLibrary
from model_discovery.library.online import Online
from model_discovery.library.pdf import UnreadableFile, file_id, read_pdf
from model_discovery.library.services import ServiceDown
from model_discovery.library.types import Paper, Passage

Status = Literal["added", "already there", "not added"]


@dataclass(frozen=True)
class Added:
    """What became of one file, entry or id.

    Attributes
    ----------
    what
        The file, the entry as ``refs.bib: key``, or the id as it was given.
    why
        Why it was not added.
    notes
        What could not be read as it should, and what it takes the place of.
    """

    what: str
    status: Status
    paper: str = ""
    title: str = ""
    passages: int = 0
    why: str = ""
    notes: tuple[str, ...] = ()


def add_papers(
    library: PaperLibrary, what: Sequence[str], online: Online, *, pdf: bool = False, abstracts: bool = False
) -> Iterator[Added]:
    """Add papers one by one, and say of each what became of it.

    Parameters
    ----------
    what
        PDF files, BibTeX files, folders of them, arXiv ids, DOIs, ids of Semantic Scholar.
    pdf
        Fetch and read the PDF of an id, where anyone may have it.
    abstracts
        Look up the abstracts of BibTeX entries that have none.

    Raises
    ------
    UserError
        Something is none of these, or a folder holds none; before anything is added.
    """
    items: list[Path | Identifier] = [item for text in what for item in _items(text)]
    for item in items:
        if isinstance(item, Identifier):
            yield _add_identifier(library, item, online, pdf=pdf)
        elif item.suffix.lower() == ".bib":
            yield from _add_bibtex(library, item, online if abstracts else None)
        else:
            yield _add_file(library, item)


def _items(text: str) -> list[Path | Identifier]:
    path = Path(text).expanduser()
    if path.is_dir():
        # Folders that may not be read, or are gone meanwhile, are passed over.
        inside = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
        files = sorted(file for file in inside if file.suffix.lower() in (".pdf", ".bib"))
        if not files:
            raise UserError(f"The folder {path} holds no PDF and no BibTeX file.", hint="name another folder")
        return [*files]
    if path.exists():
        return [path]
    if identifier := recognise(text):
        return [identifier]
    raise UserError(
        f"There is no file {text}, and it is no arXiv id, DOI or id of Semantic Scholar.",
        hint="for example: paper.pdf, papers/, refs.bib, 2312.00752, 10.1162/tacl_a_00321, CorpusId:258",
    )


def _add_file(library: PaperLibrary, path: Path) -> Added:
    try:
        if known := library.paper(file_id(path)):
            return Added(str(path), "already there", known.id, known.title)
        read = read_pdf(path)
    except UnreadableFile as error:
        return Added(str(path), "not added", why=f"{error}")
    if twin := _same_text(library, read.paper, read.passages):
        return Added(
            str(path), "already there", twin.id, twin.title, notes=("the same text is in another file",)
        )
    paper, notes, before = read.paper, list(read.notes), ""
    if paper.arxiv and (older := library.paper(f"arxiv:{paper.arxiv}")) and _is_brief(library, older):
        paper, before = older.model_copy(update={"id": paper.id, "source": "papers"}), older.id
        notes.append(f"takes the place of {older.id}, of which the abstract was there")
    return _store(library, str(path), paper, read.passages, notes, instead_of=before)


def _add_identifier(library: PaperLibrary, identifier: Identifier, online: Online, *, pdf: bool) -> Added:
    known = _by_identifier(library, identifier)
    if known and not (pdf and _is_brief(library, known)):
        return Added(str(identifier), "already there", known.id, known.title)
    try:
        found = online.paper(identifier)
    except UserError as error:
        return Added(str(identifier), "not added", why=error.message)
    passages, notes = found.passages(), [] if found.abstract else ["no abstract is known"]
    if pdf:
        passages, of_pdf = _with_pdf(found, online)
        notes += of_pdf
    notes += [f"card {card.id} tells of it too" for card in _cards(library, found.paper)]
    return _store(library, str(identifier), found.paper, passages, notes)


def _with_pdf(found: Found, online: Online) -> tuple[list[Passage], list[str]]:
    """Passages of a paper's PDF, or of its abstract and why there is no more."""
    before = len(online.notes)
    body = online.pdf(found)
    if body is None:
        return found.passages(), online.notes[before:]
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(body)
        file.flush()
        try:
            read = read_pdf(Path(file.name))
        except UnreadableFile as error:
            return found.passages(), [str(error).replace(file.name, found.pdf)]
    if found.abstract and not any(passage.section == "Abstract" for passage in read.passages):
        return [*found.passages(), *read.passages], read.notes
    return read.passages, read.notes


def _add_bibtex(library: PaperLibrary, path: Path, online: Online | None) -> Iterator[Added]:
    try:
        entries = read_bibtex(path)
    except UserError as error:
        yield Added(str(path), "not added", why=error.message)
        return
    abstracts, notes = _abstracts(entries, online)
    new: dict[str, tuple[Paper, Sequence[Passage]]] = {}
    for entry in entries:
        found = abstracts.get(entry.key, entry.found)
        if found and library.paper(found.paper.id) is None:
            new.setdefault(found.paper.id, (found.paper, found.passages()))
    library.add_all(new.values())  # at once: each addition alone brings the index up to date
    for entry in entries:
        what = f"{path}: {entry.key}"
        found = abstracts.get(entry.key, entry.found)
        if found is None:
            yield Added(what, "not added", why=entry.why)
            continue
        paper = found.paper
        about = tuple(notes if found.abstract else [*notes, "without abstract: only its title is searched"])
        notes = []
        if new.pop(paper.id, None):
            yield Added(what, "added", paper.id, paper.title, len(found.passages()), notes=about)
        else:
            yield _store(library, what, paper, found.passages(), about)


def _abstracts(entries: Sequence[Entry], online: Online | None) -> tuple[dict[str, Found], list[str]]:
    """Entries with the abstracts that Semantic Scholar has, by key; and why there are none."""
    asked = {}
    for entry in entries:
        if entry.found and not entry.found.abstract and (identifier := recognise(entry.found.paper.id)):
            asked[entry.key] = identifier
    if online is None or not asked:
        return {}, []
    try:
        known = online.semantic_scholar.papers(sorted(set(asked.values()), key=str))
    except ServiceDown as error:
        return {}, [error.message]
    papers = {entry.key: entry.found.paper for entry in entries if entry.found}
    return {
        key: Found(papers[key], known[identifier].abstract)
        for key, identifier in asked.items()
        if identifier in known
    }, []


def _store(
    library: PaperLibrary, what: str, paper: Paper, passages: Sequence[Passage], notes: Sequence[str],
    *, instead_of: str = "",
) -> Added:  # fmt: skip
    """Add a paper; one that is there with its abstract or title only makes room for more text."""
    if older := library.paper(paper.id):
        if not _is_brief(library, older) or _words(passages) <= _words(library.passages(older.id)):
            return Added(what, "already there", older.id, older.title)
        instead_of, notes = older.id, [*notes, "takes the place of what was there of it"]
    paper = paper.model_copy(update={"source": "papers"})
    replaced = instead_of and library.replace(instead_of, paper, passages)
    if not (replaced or library.add(paper, passages)):
        return Added(what, "already there", paper.id, paper.title)  # another process was quicker
    return Added(what, "added", paper.id, paper.title, len(passages), notes=tuple(notes))


def _by_identifier(library: PaperLibrary, identifier: Identifier) -> Paper | None:
    """A paper of one's own that has this id; Semantic Scholar's ids stand beside another."""
    if known := library.paper(identifier.paper_id):
        return known
    own = (paper for paper in library.papers() if paper.source == "papers")
    return next((paper for paper in own if getattr(paper, identifier.kind) == identifier.value), None)


def _same_text(library: PaperLibrary, paper: Paper, passages: Sequence[Passage]) -> Paper | None:
    """A paper of the same title and words."""
    alike = (each for each in library.papers() if each.title == paper.title)
    return next((each for each in alike if library.passages(each.id) == list(passages)), None)


def _cards(library: PaperLibrary, paper: Paper) -> list[Paper]:
    return [
        card
        for card in library.papers()
        if card.source == "cards"
        and ((paper.arxiv and card.arxiv == paper.arxiv) or (paper.doi and card.doi.lower() == paper.doi))
    ]


def _is_brief(library: PaperLibrary, paper: Paper) -> bool:
    """Whether the library has no more than the abstract or the title of one's own paper."""
    passages = library.passages(paper.id)
    return paper.source == "papers" and all(passage.page is None for passage in passages)


def _words(passages: Sequence[Passage]) -> int:
    return sum(len(passage.text.split()) for passage in passages)
