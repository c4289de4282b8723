"""``model-discovery library``: papers to search, for people and for LLM designers."""

from pathlib import Path
from typing import Annotated

import typer

from model_discovery.cli.options import AsJson, Debug, print_json, show_facts
from model_discovery.errors import EXIT_FAILED

app = typer.Typer(help="Search papers, and add your own.", no_args_is_help=True)

Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source", help="cards (they ship) or papers (your own); both unless told; may be repeated."
    ),
]


@app.command("add")
def add(
    what: Annotated[
        list[str],
        typer.Argument(help="PDF and BibTeX files, folders of them, arXiv ids, DOIs, Semantic Scholar ids."),
    ],
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Fetch the PDF of an id too, where anyone may have it.")
    ] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Look up abstracts that BibTeX entries lack; needs network.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Add papers of your own; says of each what became of it."""
    from model_discovery.system import library

    added = library.tell_added(library.add(what, pdf=pdf, abstracts=online), quiet=as_json)
    if as_json:
        print_json(added)
    if library.nothing_there(added):
        raise typer.Exit(EXIT_FAILED)


@app.command("search")
def search(
    query: Annotated[str, typer.Argument(help="Keywords, a question or a sentence.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many hits.")] = 10,
    source: Sources = None,
    online: Annotated[
        bool, typer.Option("--online", help="Ask Semantic Scholar and arXiv too; needs network.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Search the passages of all papers; best first."""
    from model_discovery.system import library

    show_facts(library.search(query, k, source or (), online=online), as_json, library.print_hits)


@app.command("show")
def show(
    paper: Annotated[
        str, typer.Argument(help="Id of a paper, as search prints it; an arXiv id or a DOI will do.")
    ],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show one paper: what it is, what it builds on, which units implement it, its passages."""
    from model_discovery.system import library

    show_facts(library.describe(paper), as_json, library.print_paper)


@app.command("stats")
def stats(as_json: AsJson = False, debug: Debug = False) -> None:
    """Say what the library holds, where, and what its index is made with."""
    from model_discovery.system import library

    show_facts(library.stats(), as_json, library.print_stats)


@app.command("export")
def export(
    path: Annotated[Path, typer.Argument(help="File to write: .jsonl (papers and passages) or .bib.")],
    source: Sources = None,
    debug: Debug = False,
) -> None:
    """Write all papers to a file: JSON lines with their passages, or BibTeX."""
    from model_discovery.system import library

    typer.echo(library.export(path, source or ()))
