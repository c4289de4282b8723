"""``model-discovery baselines``: the human designs with error bars."""

from typing import Annotated

import typer

from model_discovery.cli.options import (
    DEFAULT_DB,
    AsJson,
    BlimpDir,
    Campaign,
    Corpus,
    Db,
    Debug,
    Quiet,
    RecipeName,
    Suites,
    Track,
    Workers,
    print_json,
    refuse_with_resume,
    show_facts,
)

app = typer.Typer(help="Run the human designs with several seeds, and compare them.", no_args_is_help=True)


@app.command("run")
def run(
    context: typer.Context,
    designs: Annotated[
        list[str] | None, typer.Argument(help="Human designs by name; all unless told.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(metavar="SCALE,…", help="Scales; 0.1M,0.4M unless told.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds a design and scale; 3 unless told.")] = None,
    recipe: RecipeName = None,
    corpus: Corpus = None,
    suite: Suites = None,
    blimp_dir: BlimpDir = None,
    name: Annotated[str | None, typer.Option(help="Name of the campaign that keeps the runs.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="NAME", help="Go on with a run that was stopped.")
    ] = None,
    workers: Workers = None,
    track: Track = None,
    db: Db = DEFAULT_DB,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train and score human designs with several seeds, into the tree; can be stopped and resumed."""
    from model_discovery.system import BuildSystem, baselines

    progress = not (quiet or as_json)
    if resume is not None:
        refuse_with_resume(context)
        result = BuildSystem(db=db, workers=workers, track=track, progress=progress).resume(resume)
    else:
        result = baselines.run(
            scales=tuple(part.strip() for part in (scale or "0.1M,0.4M").split(",") if part.strip()),
            seeds=seeds or 3,
            designs=tuple(designs or ()),
            recipe=recipe,
            corpus=corpus,
            suites=tuple(suite) if suite else None,
            blimp_dir=None if blimp_dir is None else str(blimp_dir),
            name=name,
            workers=workers,
            track=track,
            db=db,
            progress=progress,
        )
    ended = {"campaign": result.campaign, "state": result.state, "reason": result.reason}
    found = (
        baselines.measure(db, result.campaign)
        if result.leaderboard().rows
        else {"scales": [], "agreement": []}
    )
    if as_json:
        print_json(ended | found)
    else:
        typer.echo(f"{result.state}: {result.reason}")
        baselines.print_measure(found)


@app.command("show")
def show(
    campaign: Campaign = None, db: Db = DEFAULT_DB, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Print the standings by scale with standard errors, the noise, and how far rankings agree."""
    from model_discovery.system import baselines

    found = baselines.measure(db, campaign)
    show_facts(found, as_json, baselines.print_measure)
