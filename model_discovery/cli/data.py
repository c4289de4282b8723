"""Commands about data sets."""

from typing import Annotated

import typer

from model_discovery.cli.options import AsJson, BlimpDir, Corpus, Debug, Suites, print_json, show_facts

app = typer.Typer(help="Prepare data sets.", no_args_is_help=True)


@app.command("prepare")
def prepare(
    name: Annotated[
        str,
        typer.Argument(
            help="A recipe (grammar, text, babylm, babylm-100m, smollm, or its YAML file), a data set "
            "(owner/name of the hub, or a local folder), or a suite's data (blimp, babylm-eval, core, or a "
            "task of lm-eval)."
        ),
    ] = "grammar",
    scale: Annotated[list[str] | None, typer.Option(help="Prepare for this scale; may be repeated.")] = None,
    corpus: Corpus = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Training tokens, in place of the recipe's.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="In place of the recipe's: bpe, a name on the hub, a tokenizer.json or its folder."
        ),
    ] = None,
    config: Annotated[str | None, typer.Option(help="Config of a data set.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of a data set; train unless told.")] = None,
    text_field: Annotated[
        str | None, typer.Option(help="Column of a data set with the text; text unless told.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Where a suite's data lies already: a folder or an archive.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Make a recipe's token streams, or store a suite's items; goes on where it was interrupted."""
    from model_discovery.system.data import PrepareOptions, prepare_data

    options = PrepareOptions(
        scales=tuple(scale or ()),
        corpus=corpus,
        tokens=tokens,
        tokenizer=tokenizer,
        config=config,
        split=split,
        text_field=text_field,
        source=source,
    )
    for line in prepare_data(name, options):
        typer.echo(line)


@app.command("list")
def list_(as_json: AsJson = False, debug: Debug = False) -> None:
    """List what can be prepared by name, how big it is, and what is prepared already."""
    from model_discovery.system.data import list_data, print_data

    found = list_data()
    if as_json:
        print_json([vars(one) for one in found])
    else:
        print_data(found)


@app.command("contamination")
def contamination(
    recipe: Annotated[
        str, typer.Argument(help="A recipe or data set, as for prepare; prepared where it is not.")
    ] = "grammar",
    scale: Annotated[str, typer.Option(help="Look at the text this scale trains on.")] = "0.1M",
    corpus: Corpus = None,
    suite: Suites = None,
    blimp_dir: BlimpDir = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Look for the items of suites in the training text: whole sentences, or thirteen words in a row."""
    from model_discovery.system.contamination import find_contamination, print_contamination

    found = find_contamination(
        recipe,
        scale=scale,
        suites=suite or (),
        corpus=corpus,
        blimp_dir=None if blimp_dir is None else str(blimp_dir),
        progress=not as_json,
    )
    show_facts(found, as_json, print_contamination)
