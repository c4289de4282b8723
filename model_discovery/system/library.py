"""The paper library as people use it: add, search, look, export."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.errors import EXIT_FAILED, UserError, nearest, unknown
from model_discovery.system.progress import make_console, program
from model_discovery.system.views import Facts

if TYPE_CHECKING:
    from rich.console import Console

    from model_discovery.library import Paper, PaperLibrary, Source
    from model_discovery.library.adding import Added

_SOURCES: "tuple[Source, ...]" = ("cards", "papers")
_STATUSES = ("added", "already there", "not added")
_SHOWN = 280  # characters of a passage in a list of hits


@contextmanager
def open_library() -> "Iterator[PaperLibrary]":
    """The library in this machine's folder, made where there is none; says what was found damaged."""
    from model_discovery.config import Settings
    from model_discovery.library import PaperLibrary

    settings = Settings()
    library = PaperLibrary.open(settings.library_dir, embedder=settings.library_embedder)
    try:
        yield library
    finally:
        for note in library.notes:
            make_console(stderr=True).print(note, markup=False, soft_wrap=True)
        library.close()


def add(what: Sequence[str], *, pdf: bool = False, abstracts: bool = False) -> "Iterator[Added]":
    """Add files, folders and ids; yields what became of each when it is done."""
    from model_discovery.config import Settings
    from model_discovery.library.adding import add_papers
    from model_discovery.library.online import Online

    with open_library() as library:
        library.require_writable()
        yield from add_papers(library, what, Online.from_settings(Settings()), pdf=pdf, abstracts=abstracts)


def tell_added(added: "Iterable[Added]", *, quiet: bool = False) -> list[Facts]:
    """Say what became of each paper as it comes, and how many of each kind at the end; returns the facts."""
    console = make_console(quiet=quiet)
    rows: list[Facts] = []
    try:
        for one in added:
            rows.append(asdict(one))
            console.print(_added_line(one), markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        told = "stopped; what was added stays, and the same command goes on with the rest"
        make_console(stderr=True).print(told, markup=False)
        raise
    counts = Counter(row["status"] for row in rows)
    if len(rows) > 1:
        total = ", ".join(f"{counts[status]:,} {status}" for status in _STATUSES if counts[status])
        console.print(total, markup=False)
    return rows


def nothing_there(added: Sequence[Facts]) -> bool:
    """Whether the library has none of what was to be added."""
    return all(row["status"] == "not added" for row in added)


def _added_line(one: "Added") -> str:
    if one.status == "not added":
        return f"not added: {one.what}: {one.why}" if one.what not in one.why else f"not added: {one.why}"
    size = f", {one.passages:,} passage{'s'[: one.passages > 1]}" if one.passages else ""
    notes = f" ({'; '.join(one.notes)})" if one.notes else ""
    return f"{one.status}: {one.title} [{one.paper}{size}]{notes}"


def search(query: str, k: int, sources: Sequence[str] = (), *, online: bool = False) -> Facts:
    """``hits`` of a query, best first, and ``notes`` on services that did not answer.

    With ``online``, hits of Semantic Scholar and arXiv follow those of the library.
    """
    if not query.strip():
        raise UserError("The query is empty.", hint='for example: library search "gated linear attention"')
    wanted = _sources(sources)
    with open_library() as library:
        hits = library.search(query, k, wanted)
        papers = library.papers() if online else []
    notes: list[str] = []
    if online:
        from model_discovery.config import Settings
        from model_discovery.library.online import Online

        services = Online.from_settings(Settings())
        found = services.search(query, k)
        own = {name for paper in papers for name in (paper.id, paper.arxiv, paper.doi) if name}
        hits += [hit for hit in found if not {hit.paper.id, hit.paper.arxiv, hit.paper.doi} & own]
        notes = services.notes
    return {"query": query, "hits": [hit.model_dump() for hit in hits], "notes": notes}


def print_hits(facts: Facts) -> None:
    """Title, id and where it stands, the passage; what to do with an id, and notes, last."""
    console = make_console()
    for hit in facts["hits"]:
        paper = hit["paper"]
        console.print(f"[bold]{_escape(paper['title'])}[/bold]", soft_wrap=True)
        place = [hit["section"], f"page {hit['page']}" if hit["page"] else ""]
        about = [paper["id"], _authors(paper), str(paper["year"] or ""), hit["source"], *place]
        _say(console, " · ".join(filter(None, about)), 2, style="dim")
        _say(console, _brief(hit["passage"]), 2)
    if not facts["hits"]:
        console.print("nothing found", markup=False)
    for do, why in (("show", "to read one"), ("add", "to keep one of the others")):
        if any((hit["source"] in _SOURCES) == (do == "show") for hit in facts["hits"]):
            _say(console, f"{why}: {program()} library {do} ID")
    for note in facts["notes"]:
        console.print(note, markup=False, soft_wrap=True)


def describe(name: str) -> Facts:
    """A paper by its id, arXiv id or DOI: its record, passages, links, and the papers that build on it."""
    with open_library() as library:
        papers = library.papers()
        paper = _named(name, papers)
        passages = library.passages(paper.id)
    return {
        "paper": paper.model_dump(),
        "links": links(paper),
        "built_upon_by": [each.id for each in papers if paper.id in each.builds_on],
        "passages": [passage.model_dump() for passage in passages],
    }


def _named(name: str, papers: "Sequence[Paper]") -> "Paper":
    from model_discovery.library.identifiers import recognise

    name = name.strip()
    for paper in papers:
        if name == paper.id:
            return paper
    if identifier := recognise(name):
        for paper in papers:
            if getattr(paper, identifier.kind).lower() == identifier.value.lower():
                return paper
    begins = [paper for paper in papers if len(name) >= 12 and paper.id.startswith(name)]
    if len(begins) != 1:
        near = nearest(name, [paper.id for paper in papers])
        raise UserError(
            f"Unknown paper '{name}'.{near}",
            hint="search finds papers by what is in them, and says their ids",
        )
    return begins[0]


def links(paper: "Paper") -> list[str]:
    """Where a paper is found on the web."""
    return [
        prefix + name
        for prefix, name in (
            ("https://arxiv.org/abs/", paper.arxiv),
            ("https://doi.org/", paper.doi),
            ("https://www.semanticscholar.org/paper/", paper.s2),
        )
        if name
    ]


def print_paper(facts: Facts) -> None:
    """The record, then section by section."""
    console = make_console()
    paper = facts["paper"]
    console.print(f"[bold]{_escape(paper['title'])}[/bold]", soft_wrap=True)
    rows = {
        "id": paper["id"],
        "authors": ", ".join(paper["authors"]),
        "first version" if paper["source"] == "cards" else "year": str(paper["year"] or ""),
        "venue": paper["venue"],
        "links": " ".join(facts["links"]),
        "tags": ", ".join(paper["tags"]),
        "builds on": ", ".join(paper["builds_on"]),
        "built upon by": ", ".join(facts["built_upon_by"]),
        "implemented by": ", ".join(paper["implemented_by"]),
    }
    for name, value in rows.items():
        if value:
            _say(console, f"{name}: {value}", 2)
    section = None
    for passage in facts["passages"]:
        if passage["section"] != section:
            section = passage["section"]
            page = f" (page {passage['page']})" if passage["page"] else ""
            console.print(f"\n[bold]{_escape(section)}[/bold]{page}", soft_wrap=True)
        _say(console, passage["text"])


def stats() -> Facts:
    """What the library holds."""
    with open_library() as library:
        return library.stats().model_dump()


def print_stats(facts: Facts) -> None:
    """A line for each fact."""
    console = make_console()
    for name, value in facts.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{count:,} {kind}" for kind, count in value.items())
        if name == "size":
            value = f"{value / 1e6:,.1f} MB"
        if value is None:
            continue
        console.print(f"{name.replace('_', ' ')}: {value}", markup=False, soft_wrap=True)


def export(path: Path, sources: Sequence[str] = ()) -> str:
    """Write papers to a ``.jsonl`` or ``.bib`` file; returns a line about it."""
    if path.suffix not in (".jsonl", ".bib"):
        raise UserError(f"{path} is neither .jsonl nor .bib.", hint="the ending says what is written")
    wanted = _sources(sources)
    with open_library() as library:
        papers = [paper for paper in library.papers() if paper.source in wanted]
        if path.suffix == ".bib":
            from model_discovery.library.bibtex import write_bibtex

            text = write_bibtex(papers)
        else:
            text = "".join(_json_lines(library, papers))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.", exit_code=EXIT_FAILED) from None
    return f"{len(papers):,} papers in {path}"


def _json_lines(library: "PaperLibrary", papers: "Iterable[Paper]") -> Iterator[str]:
    from model_discovery.strict_json import dump_json

    for paper in papers:
        passages = [passage.model_dump() for passage in library.passages(paper.id)]
        yield dump_json({"paper": paper.model_dump(mode="json"), "passages": passages}) + "\n"


def _sources(names: Sequence[str]) -> "tuple[Source, ...]":
    for name in names:
        if name not in _SOURCES:
            raise unknown("source", name, _SOURCES)
    return tuple(source for source in _SOURCES if not names or source in names)


def _authors(paper: Mapping[str, Any]) -> str:
    names = paper["authors"]
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


def _say(console: "Console", text: str, indent: int = 0, *, style: str = "") -> None:
    """A paragraph: broken between words on a terminal, one line where a program may read it."""
    from rich.padding import Padding
    from rich.text import Text

    if console.is_terminal:
        console.print(Padding(Text(text, style=style), (0, 0, 0, indent), expand=False))
    else:
        console.print(f"{' ' * indent}{text}", markup=False, soft_wrap=True)


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN].rsplit(' ', 1)[0]} …"


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
