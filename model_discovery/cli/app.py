"""The commands and how they hang together."""

from typing import Annotated

import typer

from model_discovery.cli import (
    agents,
    baselines,
    blocks,
    data,
    design,
    discover,
    inspect,
    library,
    mcp,
    plot,
    session,
    tree,
)
from model_discovery.cli.together import refuse_several_processes

app = typer.Typer(
    name="model-discovery",
    help="Discovers new language-model architectures: one sentence and a budget in, a verified block out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from model_discovery import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand not in (None, "verify"):
        refuse_several_processes(context.invoked_subcommand)


app.command("discover")(discover.discover)
app.command("verify")(inspect.verify)
app.command("check")(inspect.check)
app.command("export")(inspect.export)
app.command("doctor")(inspect.doctor)
app.command("mcp")(mcp.mcp)
app.add_typer(tree.app, name="tree")
app.add_typer(blocks.app, name="blocks")
app.add_typer(design.app, name="design")
app.add_typer(baselines.app, name="baselines")
app.add_typer(plot.app, name="plot")
app.add_typer(data.app, name="data")
app.add_typer(library.app, name="library")
app.add_typer(agents.app, name="agents")
app.add_typer(session.app, name="session")
