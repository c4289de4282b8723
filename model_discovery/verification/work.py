"""One verification, as an engine runs it: train, save, load in a new process, prove, score, report."""

import hashlib
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.engine import JobContext
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.sandbox import Sandbox
from model_discovery.verification.data import prepare
from model_discovery.verification.evaluator import score_sets
from model_discovery.verification.folder import SCRATCH, find_report, place_model, write_report
from model_discovery.verification.guard import Reloaded, Trained, check_files, check_reload
from model_discovery.verification.manifest import DataManifest
from model_discovery.verification.measures import mean_over_windows
from model_discovery.verification.orders import (
    MODEL_FOLDER,
    HeldOutOrder,
    ServeOrder,
    TrainAnswer,
    TrainOrder,
)
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.report import (
    Cost,
    Evidence,
    Measure,
    Score,
    VerificationReport,
    VerifyRequest,
)
from model_discovery.verification.runner import PRELOAD, Runner, serving_limits, training_limits
from model_discovery.verification.suites import PairSet, SuiteSource, check_suites, load_suites

PROBE_TOKENS = (
    8192  # of held-out text: for the losses during training, and to compare before and after reloading
)

__all__ = ["VerificationReport", "VerifyRequest", "run_verify"]


def run_verify(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Verify one design: the engine's function, from a `VerifyRequest` to a `VerificationReport`.

    A report of this request that lies in the job's folder is returned at once; a training that was cut off
    goes on from its checkpoint.

    Raises
    ------
    UserError
        What is no fault of the design: an unknown scale or suite, damaged data, a full disk.
    """
    asked = VerifyRequest.model_validate(request)
    check_suites(asked.suites, recipe=asked.recipe, blimp_dir=asked.blimp_dir)
    report = find_report(context.folder, asked)
    if report is None:
        try:
            report = _verify(asked, context)
            write_report(context.folder, report)
        except OSError as error:
            raise UserError(
                f"{context.folder} cannot be written: {error.strerror or error}.",
                hint="free some space or mend the folder, then resume",
                exit_code=EXIT_FAILED,
            ) from error
    return report.model_dump(mode="json")


@dataclass
class _Findings:
    """What is known so far; whatever happens next, it is reported."""

    answer: TrainAnswer | None = None
    held_out: Measure | None = None
    scores: dict[str, Score] = field(default_factory=dict)
    artefacts: dict[str, str] = field(default_factory=dict)


def _verify(asked: VerifyRequest, context: JobContext) -> VerificationReport:
    wall, cpu = time.monotonic(), time.process_time()
    data = prepare(asked.recipe, asked.scale, asked.data_dir)
    sets = load_suites(asked.suites, _source(asked, data))
    sandbox = _sandbox(asked, context)
    runner = Runner(sandbox, context.folder / SCRATCH)
    found = _Findings(artefacts={"folder": str(context.folder)})
    failure: VerificationFailure | None = None
    try:
        _train_and_score(asked, data, sets, runner, context, found)
    except VerificationFailure as error:
        failure = error
    cost = Cost(
        train_seconds=found.answer.seconds if found.answer else None,
        tokens_per_second=_speed(found.answer),
        cpu_seconds=runner.cpu_seconds + time.process_time() - cpu,
        wall_seconds=time.monotonic() - wall,
        peak_memory_mb=runner.peak_memory_mb,
        flops=found.answer.flops if found.answer else None,
    )
    return _report(asked, data, found, failure, cost, sandbox.level, context.threads)


def _train_and_score(
    asked: VerifyRequest,
    data: DataManifest,
    sets: list[PairSet],
    runner: Runner,
    context: JobContext,
    found: _Findings,
) -> None:
    """The whole way; stops at the first `VerificationFailure`."""
    recipe = asked.recipe
    order = TrainOrder(
        tree=asked.unit_tree.to_json(),
        scale=asked.scale,
        recipe=recipe,
        data=str(data.folder.resolve()),
        seed=asked.seed,
        identity=f"{asked.hash}-{data.checksum}",
        probe_tokens=min(PROBE_TOKENS, recipe.eval_tokens),
        rungs=asked.rungs,
    )
    answer = runner.train(order, training_limits(asked, data), _progress_to(context))
    found.answer = answer
    if answer.status != "ok" or answer.probe_loss is None:
        raise VerificationFailure(answer.status if answer.status != "ok" else "failed", answer.error)
    saved = context.folder / SCRATCH / "train" / MODEL_FOLDER
    trained = Trained(answer.weights_hash, answer.probe_loss)
    check_files(saved, asked.unit_tree, trained)
    limits = serving_limits(asked, data, recipe.eval_tokens + _tokens_about(sets))
    with runner.serve(ServeOrder(model=str(saved.resolve()), data=order.data), limits) as model:
        rows = recipe.batch_size_for(asked.scale)
        windows = model.held_out(HeldOutOrder(context=recipe.context, tokens=recipe.eval_tokens, rows=rows))
        found.held_out = _mean(windows.losses, windows.counts)
        first = -(-order.probe_tokens // recipe.context)
        probe = _mean(windows.losses[:first], windows.counts[:first])
        check_reload(trained, Reloaded(probe.value, found.held_out.value), data.unigram_loss)
        context.report(tokens=answer.tokens, loss=found.held_out.value, doing="scoring")
        found.scores = score_sets(
            sets,
            lambda batch: model.score(batch.rows, batch.starts),
            tokenizer=data.tokenizer,
            max_length=recipe.context,
        )
    found.artefacts["model"] = str(place_model(saved, data.tokenizer, context.folder))


def _report(
    asked: VerifyRequest,
    data: DataManifest,
    found: _Findings,
    failure: VerificationFailure | None,
    cost: Cost,
    level: str,
    threads: int,
) -> VerificationReport:
    """Everything that was found; of a failed verification no scores, and no loss that was not proved."""
    answer = found.answer
    proved = failure is None or failure.status == "untrained"
    held_out = found.held_out if proved else None
    return VerificationReport(
        status="ok" if failure is None else failure.status,
        error="" if failure is None else failure.error,
        design=asked.design,
        scale=asked.scale,
        size=answer.size if answer else None,
        held_out=held_out,
        bits_per_byte=_bits_per_byte(held_out, data),
        unigram=data.unigram_loss,
        curve=answer.curve if answer else (),
        held_out_curve=answer.held_out_curve if answer else (),
        scores=found.scores if failure is None else {},
        cost=cost,
        evidence=_evidence(asked, data, answer, level, threads),
        artefacts=found.artefacts,
    )


def _evidence(
    asked: VerifyRequest, data: DataManifest, answer: TrainAnswer | None, level: str, threads: int
) -> Evidence:
    return Evidence(
        request_hash=asked.hash,
        structure_hash=asked.unit_tree.structure_hash,
        code_hash=_code_hash(asked.unit_tree),
        recipe_hash=asked.recipe.hash,
        seed=asked.seed,
        data_checksum=data.checksum,
        weights_hash=answer.weights_hash if answer else "",
        tokens=answer.tokens if answer else 0,
        precision=answer.precision if answer else "",
        device=f"{_device()}, {threads} thread{'s' * (threads > 1)}",
        sandbox=level,
        versions=_versions(),
        resumed_at=answer.resumed_at if answer else (),
        notes=(*data.notes, *(answer.notes if answer else ())),
    )


def _sandbox(asked: VerifyRequest, context: JobContext) -> Sandbox:
    """The worker's sandbox: one server for all verifications whose folders lie side by side."""
    root, data = context.folder.resolve().parent, Path(asked.data_dir).resolve()

    def start() -> Sandbox:
        return Sandbox(
            writable=root, readable=[data], level=asked.sandbox, preload=PRELOAD, threads=context.threads
        )

    return context.keep(f"verification sandbox {asked.sandbox} {root} {data}", start)


def _progress_to(context: JobContext) -> Callable[[dict[str, Any]], None]:
    """Hands on the numbers of an event of untrusted code, and nothing else of it."""

    def hear(event: dict[str, Any]) -> None:
        numbers = {name: event.get(name) for name in ("tokens", "of", "loss", "tokens_per_second")}
        context.report(**{name: value for name, value in numbers.items() if isinstance(value, int | float)})

    return hear


def _source(asked: VerifyRequest, data: DataManifest) -> SuiteSource:
    blimp = None if asked.blimp_dir is None else Path(asked.blimp_dir)
    return SuiteSource(scale=asked.scale, pairs=data.pairs, blimp=blimp)


def _tokens_about(sets: list[PairSet]) -> int:
    """Tokens of all sentences with their padding, from above: a token is rarely shorter than two letters."""
    return sum(len(good) + len(bad) for pairs in sets for good, bad in pairs.pairs)


def _mean(losses: tuple[float, ...], counts: tuple[int, ...]) -> Measure:
    value, stderr = mean_over_windows(losses, counts)
    return Measure(value=value, stderr=stderr)


def _bits_per_byte(loss: Measure | None, data: DataManifest) -> Measure | None:
    if loss is None:
        return None
    factor = 1 / (math.log(2) * data.bytes_per_token)
    return Measure(value=loss.value * factor, stderr=None if loss.stderr is None else loss.stderr * factor)


def _speed(answer: TrainAnswer | None) -> float | None:
    return answer.tokens / answer.seconds if answer is not None and answer.seconds > 0 else None


def _code_hash(tree: UnitTree) -> str:
    """Of the units' sources to the letter."""
    text = "\x1f".join(tree.units[name].source for name in sorted(tree.units))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _versions() -> dict[str, str]:
    packages = ("model-discovery", "torch", "numpy", "tokenizers", "safetensors", "lm-eval")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


@cache
def _device() -> str:
    for line in _cpuinfo():
        if line.startswith("model name"):
            return f"cpu: {line.partition(':')[2].strip()}"
    return f"cpu: {platform.machine()}"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
