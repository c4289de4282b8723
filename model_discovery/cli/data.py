"""Commands about data sets."""

from typing import Annotated

import typer

from model_discovery.cli.options import Corpus, Debug
from model_discovery.errors import UserError

app = typer.Typer(help="Prepare data sets.", no_args_is_help=True)


@app.command("prepare")
def prepare(
    recipe: Annotated[str, typer.Argument(help="grammar or text.")] = "grammar",
    scale: Annotated[list[str] | None, typer.Option(help="Prepare for this scale; may be repeated.")] = None,
    corpus: Corpus = None,
    debug: Debug = False,
) -> None:
    """Make a recipe's token streams; what cannot be had here is named with how to get it."""
    from model_discovery.system.data import prepare_data

    if recipe == "text" and corpus is None:
        raise UserError("The text recipe needs your text.", hint="add --corpus FOLDER_OR_FILE")
    for line in prepare_data(recipe, scales=tuple(scale or ("0.1M", "0.4M")), corpus=corpus):
        typer.echo(line)
