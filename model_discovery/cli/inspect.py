"""Commands about one design or one machine: verify, check, export, doctor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from model_discovery.cli.options import (
    DEFAULT_DB,
    AgentSpec,
    ApiBase,
    AsJson,
    BlimpDir,
    Campaign,
    Corpus,
    Db,
    Debug,
    Model,
    RecipeName,
    SandboxLevel,
    Scores,
    Suites,
    Track,
    Workers,
    print_json,
)
from model_discovery.cli.together import refuse_several_processes
from model_discovery.errors import EXIT_BAD_INPUT, EXIT_FAILED, UserError


def verify(
    design: Annotated[
        str | None,
        typer.Argument(help="A design of the tree, a human design by name, a folder or a unit tree file."),
    ] = None,
    scale: Annotated[str | None, typer.Option(help="0.1M (unless told), 0.4M, 1.5M, 5M, …")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many seeds; 1 unless told.")] = None,
    reproduce: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Do a finished run again and compare: DESIGN/SCALE/SEED of a campaign, or its folder.",
        ),
    ] = None,
    recipe: RecipeName = None,
    corpus: Corpus = None,
    compile_: Annotated[
        Literal["auto", "on", "off"] | None,
        typer.Option(
            "--compile",
            help="Compile blocks of the package's own units; auto: on a GPU. As the recipe says unless told.",
        ),
    ] = None,
    suite: Suites = None,
    blimp_dir: BlimpDir = None,
    workers: Workers = None,
    track: Track = None,
    campaign: Campaign = None,
    db: Db = DEFAULT_DB,
    scores: Scores = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train and score one design with several seeds, outside a campaign. Exit code 1 if a run failed.

    With --reproduce: do a finished run again from what is stored of it. Exit code 1 if it does not agree.
    """
    from model_discovery.system import verify as verifying

    if reproduce is not None:
        refuse_several_processes("verify --reproduce")
        given = {
            "DESIGN": design, "--scale": scale, "--seeds": seeds, "--recipe": recipe, "--suite": suite,
            "--compile": compile_, "--blimp-dir": blimp_dir, "--workers": workers, "--track": track,
        }  # fmt: skip
        _reproduce(reproduce, given, corpus=corpus, campaign=campaign, db=db, as_json=as_json)
        return
    if design is None:
        raise UserError("verify needs a design.", hint="name one, or a finished run with --reproduce")
    reports = verifying.verify(
        design,
        scale=scale or "0.1M",
        seeds=seeds or 1,
        recipe=recipe or ("text" if corpus else "grammar"),
        corpus=corpus,
        suites=tuple(suite) if suite else None,
        blimp_dir=None if blimp_dir is None else str(blimp_dir),
        workers=workers,
        campaign=campaign,
        db=db,
        progress=not as_json,
        track=track or "none",
        compile_=compile_,
    )
    if not reports:  # a process of torchrun's that trained along; the first one speaks for all
        return
    if as_json:
        print_json([report.model_dump(mode="json") for report in reports])
    else:
        verifying.print_reports(design, reports, parts=scores)
    if any(report.status != "ok" for report in reports):
        raise typer.Exit(EXIT_FAILED)


def _reproduce(
    run: str,
    given: Mapping[str, object],
    *,
    corpus: str | None,
    campaign: str | None,
    db: str,
    as_json: bool,
) -> None:
    from model_discovery.system import reproduce as reproducing

    if named := [name for name, value in given.items() if value not in (None, [])]:
        raise UserError(
            f"--reproduce does what is stored of {run}; {named[0]} cannot change it.", hint="leave it out"
        )
    done = reproducing.reproduce(run, db=db, campaign=campaign, corpus=corpus, progress=not as_json)
    if as_json:
        print_json(done.to_dict())
    else:
        reproducing.print_reproduction(done)
    if not done.agreement.agrees:
        raise typer.Exit(EXIT_FAILED)


def check(
    file: Annotated[Path, typer.Argument(help="A unit (.py), a unit tree (.json) or a design folder.")],
    scale: Annotated[
        list[str] | None, typer.Option(help="Scale it must be sizable at; may be repeated.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Train small models too: learning, cost, probes.")
    ] = False,
    sandbox: SandboxLevel = "auto",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check a design: contract, shapes, causality, gradients, stability. Exit code 2 if refused."""
    from model_discovery.system import check as checking

    report = checking.check(file, scales=tuple(scale or ("0.1M",)), level=sandbox, full=full)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        checking.print_check(file, report)
    if not report.ok:
        raise typer.Exit(EXIT_BAD_INPUT)


def export(
    design: Annotated[str, typer.Argument(help="A design of the tree, a human design by name, or a folder.")],
    path: Annotated[
        Path | None, typer.Argument(help="Where to write; DESIGN.py or the folder DESIGN-hf unless told.")
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            help="torch: one Python file that needs only torch. hf: a folder with weights for transformers."
        ),
    ] = "torch",
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="hf: these weights, a folder of verify; the best that are known unless told."),
    ] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="hf: random weights of --scale.")] = False,
    scale: Annotated[str | None, typer.Option(help="hf: size of --untrained, such as 0.1M.")] = None,
    push: Annotated[
        str | None, typer.Option(metavar="USER/NAME", help="hf: upload to the hub; needs HF_TOKEN.")
    ] = None,
    campaign: Campaign = None,
    db: Db = DEFAULT_DB,
    debug: Debug = False,
) -> None:
    """Take a design away: its block as one file, or a trained model as a folder for transformers."""
    from model_discovery.system import export as exporting

    lines = exporting.export(
        design,
        path,
        format=format,
        campaign=campaign,
        db=db,
        checkpoint=checkpoint,
        untrained=untrained,
        scale=scale,
        push=push,
    )
    for line in lines:
        typer.echo(line)


def doctor(
    llm: Annotated[
        bool, typer.Option("--llm", help="Ask each configured language model one tiny question instead.")
    ] = False,
    model: Model = None,
    api_base: ApiBase = None,
    agent_spec: AgentSpec = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say what this machine can do, and what to do for more; with --llm, what its language models can."""
    from model_discovery.system import doctor as examination

    if llm or model or api_base or agent_spec:
        from model_discovery.system.doctor_models import examine_models

        findings = examine_models(model, api_base, agent_spec)
    else:
        findings = examination.examine()
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        examination.print_findings(findings)
