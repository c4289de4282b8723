"""``model-discovery discover``: one campaign from a sentence to a leaderboard."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from model_discovery.cli.options import (
    DEFAULT_DB,
    AgentSpec,
    ApiBase,
    AsJson,
    BlimpDir,
    Corpus,
    Db,
    Debug,
    Flow,
    Model,
    Quiet,
    Suites,
    Track,
    Workers,
    print_json,
    refuse_with_resume,
)
from model_discovery.errors import EXIT_INTERRUPTED, UserError

_Number = TypeVar("_Number", int, float)

Instruction = Annotated[str | None, typer.Argument(help="What to look for, in one sentence.")]
Preset = Annotated[str | None, typer.Option(help="demo (unless told), laptop, gpu, paper or baselines.")]
Resume = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Go on with a campaign that was stopped; --api-base: its models' server moved."
    ),
]
Name = Annotated[str | None, typer.Option(help="Name of the campaign; made from the preset unless told.")]
Seed = Annotated[int | None, typer.Option(help="Seed of every random draw.")]
Recipe = Annotated[str | None, typer.Option(help="grammar (made on the spot) or text (needs --corpus).")]
Selector = Annotated[str | None, typer.Option(help="posterior, quadrant, greedy or random.")]
Designer = Annotated[
    str | None, typer.Option(help="genetic (unless told) or agentic: designs by language models.")
]
Designers = Annotated[
    str | None,
    typer.Option(metavar="NAME=SHARE,…", help="Several designers, such as agentic=0.7,genetic=0.3."),
]
MaxDollars = Annotated[
    float | None, typer.Option(help="What the whole campaign may spend on models, in US dollars.")
]
MaxTokens = Annotated[int | None, typer.Option(help="Tokens, in and out, that its models may use in all.")]
DesignBudget = Annotated[int | None, typer.Option(help="How many designs may be made.")]
VerifyBudget = Annotated[
    str | None, typer.Option(metavar="SCALE=N,…", help="Runs per scale, such as 0.1M=12,0.4M=3.")
]
Assign = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Any other key of the configuration.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be spent, then stop.")]


def discover(
    context: typer.Context,
    instruction: Instruction = None,
    preset: Preset = None,
    resume: Resume = None,
    name: Name = None,
    seed: Seed = None,
    recipe: Recipe = None,
    corpus: Corpus = None,
    suite: Suites = None,
    blimp_dir: BlimpDir = None,
    selector: Selector = None,
    designer: Designer = None,
    designers: Designers = None,
    model: Model = None,
    api_base: ApiBase = None,
    agent_spec: AgentSpec = None,
    flow: Flow = None,
    max_dollars: MaxDollars = None,
    max_llm_tokens: MaxTokens = None,
    design_budget: DesignBudget = None,
    verify_budget: VerifyBudget = None,
    assign: Assign = None,
    workers: Workers = None,
    track: Track = None,
    db: Db = DEFAULT_DB,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a campaign: check, train, score and evolve designs, then print what was found."""
    from model_discovery.system import BuildSystem

    progress = not (quiet or as_json)
    if resume is not None:
        refuse_with_resume(context, "api_base")
        system = BuildSystem(db=db, workers=workers, track=track, progress=progress)
        result = system.resume(resume, api_base=api_base)
    else:
        system = BuildSystem(
            preset or "demo", db=db, seed=seed, recipe=recipe, corpus=corpus,
            suites=tuple(suite) if suite else None, blimp_dir=blimp_dir, selector=selector,
            designer=designer, designers=_shares(designers), model=model, api_base=api_base,
            agent_spec=agent_spec, flow=flow, max_dollars=max_dollars, max_llm_tokens=max_llm_tokens,
            designs=design_budget, runs=_runs(verify_budget), workers=workers, track=track,
            overrides=assign or (), progress=progress,
        )  # fmt: skip
        if dry_run:
            typer.echo(system.plan())
            return
        result = system(instruction or "", name=name)
    if as_json:
        print_json(result.to_dict())
    else:
        result.show()
    if result.waiting:  # work in flight was left for a resume
        raise typer.Exit(EXIT_INTERRUPTED)


def _runs(text: str | None) -> dict[str, int] | None:
    """``0.1M=12,0.4M=3`` as a mapping."""
    return None if text is None else _pairs(text, int, "--verify-budget", "SCALE=N", "0.1M=12,0.4M=3")


def _shares(text: str | None) -> dict[str, float] | None:
    """``agentic=0.7,genetic=0.3`` as a mapping."""
    example = "agentic=0.7,genetic=0.3"
    return None if text is None else _pairs(text, float, "--designers", "NAME=SHARE", example)


def _pairs(
    text: str, number: Callable[[str], _Number], option: str, form: str, example: str
) -> dict[str, _Number]:
    pairs: dict[str, _Number] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        try:
            pairs[name.strip()] = number(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UserError(f"{option}: '{part}' is not {form}.", hint=f"for example {example}")
    return pairs
