"""``model-discovery discover``: one campaign from a sentence to a leaderboard."""

from typing import Annotated

import typer

from model_discovery.cli.options import (
    DEFAULT_DB,
    AsJson,
    BlimpDir,
    Corpus,
    Db,
    Debug,
    Suites,
    Track,
    Workers,
    print_json,
    refuse_with_resume,
)
from model_discovery.errors import UserError


def discover(
    instruction: Annotated[str | None, typer.Argument(help="What to look for, in one sentence.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="demo (unless told), laptop, gpu, paper or baselines.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="NAME", help="Go on with a campaign that was stopped.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the campaign; made from the preset unless told.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="grammar (made on the spot) or text (needs --corpus).")
    ] = None,
    corpus: Corpus = None,
    suite: Suites = None,
    blimp_dir: BlimpDir = None,
    selector: Annotated[str | None, typer.Option(help="posterior, quadrant, greedy or random.")] = None,
    design_budget: Annotated[int | None, typer.Option(help="How many designs may be made.")] = None,
    verify_budget: Annotated[
        str | None, typer.Option(metavar="SCALE=N,…", help="Runs per scale, such as 0.1M=12,0.4M=3.")
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Any other key of the configuration."),
    ] = None,
    workers: Workers = None,
    track: Track = None,
    db: Db = DEFAULT_DB,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be spent, then stop.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a campaign: check, train, score and evolve designs, then print what was found."""
    from model_discovery.system import BuildSystem

    if resume is not None:
        refuse_with_resume({
            "an instruction": instruction, "--preset": preset, "--name": name, "--seed": seed,
            "--recipe": recipe, "--corpus": corpus, "--suite": suite, "--blimp-dir": blimp_dir,
            "--selector": selector, "--design-budget": design_budget, "--verify-budget": verify_budget,
            "--set": assign, "--dry-run": dry_run,
        })  # fmt: skip
        system = BuildSystem(db=db, workers=workers, track=track, progress=not (quiet or as_json))
        result = system.resume(resume)
    else:
        system = BuildSystem(
            preset or "demo",
            db=db,
            seed=seed,
            recipe=recipe,
            corpus=corpus,
            suites=tuple(suite) if suite else None,
            blimp_dir=None if blimp_dir is None else str(blimp_dir),
            selector=selector,
            designs=design_budget,
            runs=_runs(verify_budget),
            workers=workers,
            track=track,
            overrides=assign or (),
            progress=not (quiet or as_json),
        )
        if dry_run:
            typer.echo(system.plan())
            return
        result = system(instruction or "", name=name)
    if as_json:
        print_json(result.to_dict())
    else:
        result.show()


def _runs(text: str | None) -> dict[str, int] | None:
    """``0.1M=12,0.4M=3`` as a mapping."""
    if text is None:
        return None
    runs: dict[str, int] = {}
    for part in text.split(","):
        scale, equals, count = part.partition("=")
        try:
            runs[scale.strip()] = int(count)
        except ValueError:
            equals = ""
        if not equals:
            raise UserError(f"--verify-budget: '{part}' is not SCALE=N.", hint="for example 0.1M=12,0.4M=3")
    return runs
