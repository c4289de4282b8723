"""One design trained and scored outside a campaign."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from model_discovery.errors import EXIT_FAILED, EXIT_INTERRUPTED, UserError
from model_discovery.system.designs import find_design, refuse_bad_sources
from model_discovery.system.folders import folder_or_error
from model_discovery.system.progress import Display, make_console
from model_discovery.system.scores import headline, print_scores
from model_discovery.system.tracking import check_choice, track_report, tracking

if TYPE_CHECKING:
    from model_discovery.engine import LocalEngine
    from model_discovery.verification import VerificationReport, VerifyRequest


def verify(
    design: str,
    *,
    scale: str,
    seeds: int,
    recipe: str,
    corpus: str | None,
    suites: tuple[str, ...] | None,
    blimp_dir: str | None,
    workers: int | None,
    campaign: str | None,
    db: str,
    progress: bool,
    track: str = "none",
    compile_: Literal["auto", "on", "off"] | None = None,
) -> "list[VerificationReport]":
    """Train and score one design with seeds ``0 … seeds - 1``; finished runs are not repeated.

    Under ``torchrun`` its processes train each seed together; all but the first answer with nothing.
    """
    from model_discovery.blocks import get_scale
    from model_discovery.config import Settings
    from model_discovery.engine import list_cards
    from model_discovery.verification import (
        VerifyRequest,
        check_fits,
        check_suites,
        default_suites,
        get_recipe,
        name_suites,
        prepare,
    )
    from model_discovery.verification.distributed import follow, launched

    settings = Settings()
    launch = launched()
    if launch is not None and launch.follows:
        follow(launch, seeds)
        return []
    if launch is not None and workers not in (None, 1):
        raise UserError(
            "Under torchrun all processes train one design at a time.", hint="leave out --workers"
        )
    check_choice(track)
    found, recipe_ = get_scale(scale), get_recipe(recipe, corpus=corpus)
    if compile_ is not None:
        recipe_ = recipe_.model_copy(update={"compile": compile_})
    names, folders = name_suites(suites or (), blimp_dir)
    names = names or default_suites(recipe_, folders)
    check_suites(names, recipe=recipe_, folders=folders, data_dir=settings.data_dir)
    name, unit_tree = find_design(design, db=db, campaign=campaign)
    refuse_bad_sources(name, unit_tree)
    data_dir = folder_or_error(settings.data_dir).resolve()
    folder = folder_or_error(settings.ckpt_dir / "verify").resolve()
    check_fits(recipe_, found.name, card=next(iter(list_cards()), None))
    prepare(recipe_, found.name, data_dir)
    requests = [
        VerifyRequest(
            design=name,
            unit_tree=unit_tree,
            scale=found.name,
            recipe=recipe_,
            seed=seed,
            suites=names,
            data_dir=str(data_dir),
            suite_dirs=folders,
        )
        for seed in range(seeds)
    ]
    return run_all(requests, folder, workers, progress, track=track, track_dir=settings.track_dir)


def run_all(
    requests: "Sequence[VerifyRequest]",
    folder: Path,
    workers: int | None,
    progress: bool,
    *,
    threads: int | None = None,
    track: str,
    track_dir: Path,
) -> "list[VerificationReport]":
    """Run verifications on workers of this machine, each in its own folder below ``folder``."""
    from model_discovery.engine import Job, JobResult, LocalEngine
    from model_discovery.verification import VerificationReport, largest_need
    from model_discovery.verification.distributed import explaining_the_end, launched

    launch = launched()
    work = f"model_discovery.verification.{'distributed' if launch else 'work'}:run_verify"
    need = largest_need(requests[0].recipe, [request.scale for request in requests])
    engine = LocalEngine(
        1 if launch else workers,
        launch.threads if launch else threads,
        worker_bytes=need.process,
        card_bytes=need.card,
    )
    results: dict[int, VerificationReport] = {}
    with (
        explaining_the_end() if launch else _saying_how_to_go_on(),
        closing_engine(engine, lambda: len(results) < len(requests)),
        Display(enabled=progress) as display,
        tracking(track, track_dir, display.plain) as tracker,
    ):
        for number, request in enumerate(requests):
            place = folder / f"{request.design}-{request.scale}-{request.recipe.hash}-{request.seed}"
            engine.submit(Job(number, work, request.model_dump(mode="json"), place))
        while len(results) < len(requests):
            for message in engine.wait(timeout=0.5):
                if not isinstance(message, JobResult):
                    display.job(
                        f"{requests[message.id].design} seed {requests[message.id].seed}", message.fields
                    )
                elif message.value is None:
                    what = "" if message.status == "refused" else "A verification failed: "
                    raise UserError(f"{what}{message.error}", exit_code=EXIT_FAILED)
                else:
                    results[message.id] = VerificationReport.model_validate(message.value)
                    if tracker:
                        track_report(tracker, results[message.id], requests[message.id].recipe.name)
            if tracker:
                tracker.poll()
    return [results[number] for number in range(len(requests))]


@contextmanager
def _saying_how_to_go_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise UserError(
            "Stopped.",
            hint="the same command goes on from the last checkpoint",
            exit_code=EXIT_INTERRUPTED,
        ) from None


@contextmanager
def closing_engine(engine: "LocalEngine", unfinished: Callable[[], bool]) -> Iterator[None]:
    """Close an engine at the end of the block, killing its workers where work is left."""
    try:
        yield
    finally:
        engine.close(kill=unfinished())


def print_reports(design: str, reports: "Sequence[VerificationReport]", *, parts: bool = False) -> None:
    """One line a seed: status, losses, scores, cost; with ``parts`` every score in a table below."""
    from rich.table import Table

    table = Table(title=design, box=None, title_justify="left")
    for title in ("seed", "status", "held-out nats/token", "bits/byte", "scores", "tokens/s", "folder"):
        table.add_column(title, overflow="fold")
    for report in reports:
        table.add_row(
            str(report.evidence.seed),
            report.status if not report.error else f"{report.status}: {report.error}",
            _measure(report.held_out),
            _measure(report.bits_per_byte),
            ", ".join(f"{name} {_measure(score)}" for name, score in headline(report.scores).items()),
            "-" if report.cost.tokens_per_second is None else f"{report.cost.tokens_per_second:,.0f}",
            report.artefacts.get("folder", ""),
        )
    console = make_console()
    console.print(table)
    for line in _facts(reports):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    for report in reports if parts else ():
        if report.scores:
            scores = {name: score.model_dump() for name, score in report.scores.items()}
            print_scores(f"\n{design}, seed {report.evidence.seed}", scores)


def _facts(reports: "Sequence[VerificationReport]") -> Iterator[str]:
    """What the numbers stand on and what they cost, in a few lines."""
    evidence = reports[0].evidence
    weights = ", ".join(report.evidence.weights_hash[:12] or "none" for report in reports)
    yield f"recipe {evidence.recipe_hash}, data {evidence.data_checksum[:12]}, weights {weights}"
    torch = f"torch {evidence.versions.get('torch', 'unknown')}"
    yield ", ".join(filter(None, (evidence.device, evidence.precision, torch, f"sandbox {evidence.sandbox}")))
    costs = {
        "CPU seconds": _total(report.cost.cpu_seconds for report in reports),
        "counted FLOPs": _total(report.cost.flops for report in reports),
        "joules of the processors": _total(report.cost.package_joules for report in reports),
    }
    yield ", ".join(f"{value:,.4g} {what}" for what, value in costs.items() if value is not None)
    for suite, found in evidence.contamination.items():
        if found.found:
            yield f"{suite}: {found.found} of {found.items} items stand in the training text"


def _total(values: Iterable[float | None]) -> float | None:
    """Of all, or nothing where one is not known."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def _measure(measure: object) -> str:
    value, stderr = getattr(measure, "value", None), getattr(measure, "stderr", None)
    if value is None:
        return "-"
    return f"{value:.4f}" if stderr is None else f"{value:.4f} ± {stderr:.4f}"
