"""``model-discovery tree``: look at what campaigns have grown."""

from pathlib import Path
from typing import Annotated

import typer

from model_discovery.cli.options import DEFAULT_DB, AsJson, Campaign, Db, Debug, Scores, show_facts

app = typer.Typer(help="Look at designs, their ancestry and their evidence.", no_args_is_help=True)

Design = Annotated[str, typer.Argument(help="Name of a design, as `tree list` prints it.")]


@app.command("campaigns")
def campaigns(db: Db = DEFAULT_DB, as_json: AsJson = False, debug: Debug = False) -> None:
    """List the campaigns of a tree."""
    from model_discovery.system import views

    rows = views.campaigns(db)
    show_facts(rows, as_json, views.print_table)


@app.command("list")
def list_designs(
    campaign: Campaign = None, db: Db = DEFAULT_DB, as_json: AsJson = False, debug: Debug = False
) -> None:
    """List the designs of a campaign with their best evidence."""
    from model_discovery.system import views

    rows = views.designs(db, campaign)
    show_facts(rows, as_json, views.print_table)


@app.command("show")
def show(
    design: Design,
    campaign: Campaign = None,
    db: Db = DEFAULT_DB,
    scores: Scores = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show one design: its map, its proposal, its parents and every verification."""
    from model_discovery.system import views

    facts = views.design(db, campaign, design)
    show_facts(facts, as_json, views.print_design_scores if scores else views.print_design)


@app.command("diff")
def diff(
    design: Design,
    other: Annotated[
        str | None, typer.Argument(help="Compare with this design; its first parent unless told.")
    ] = None,
    campaign: Campaign = None,
    db: Db = DEFAULT_DB,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what differs between two designs, slot by slot and by code."""
    from model_discovery.system import differences

    facts = differences.in_tree(db, campaign, design, other)
    show_facts(facts, as_json, differences.print_difference)


@app.command("export")
def export(
    path: Annotated[Path, typer.Argument(help="JSON file to write.")],
    campaign: Campaign = None,
    db: Db = DEFAULT_DB,
    debug: Debug = False,
) -> None:
    """Write a whole campaign (designs, parents, verifications, decisions) as one JSON file."""
    from model_discovery.system import views

    typer.echo(views.export_campaign(db, campaign, path))
