"""One verification, as an engine runs it: train, save, load in a new process, prove, score, report."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.blocks.seed_designs import all_shipped
from model_discovery.engine import JobContext, card_devices
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.sandbox import Sandbox
from model_discovery.verification.contamination import check_contamination, item_texts, task_texts
from model_discovery.verification.data import prepare
from model_discovery.verification.energy import EnergyMeter
from model_discovery.verification.evaluator import TextCoder, score_suites, text_coder
from model_discovery.verification.evidence import Findings, Setting, make_report
from model_discovery.verification.folder import (
    SCRATCH,
    Training,
    find_report,
    find_training,
    place_model,
    write_report,
    write_training,
)
from model_discovery.verification.guard import Reloaded, Trained, check_files, check_reload
from model_discovery.verification.item_sets import ItemSet
from model_discovery.verification.manifest import DataManifest
from model_discovery.verification.measures import mean_over_windows
from model_discovery.verification.memory import check_fits
from model_discovery.verification.orders import (
    MODEL_FOLDER,
    HeldOutOrder,
    ServeOrder,
    TrainAnswer,
    TrainOrder,
)
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.report import Cost, Measure, VerificationReport, VerifyRequest
from model_discovery.verification.request_cache import RequestCache
from model_discovery.verification.runner import (
    PRELOAD,
    KilledFromOutside,
    Runner,
    serving_limits,
    training_limits,
)
from model_discovery.verification.suites import SuiteSource, check_suites, load_suites, load_tasks

if TYPE_CHECKING:
    from model_discovery.verification.task_suites import TaskSuite

PROBE_TOKENS = (
    8192  # of held-out text: for the losses during training, and to compare before and after reloading
)

__all__ = ["VerificationReport", "VerifyRequest", "run_verify"]


def run_verify(
    request: dict[str, Any], context: JobContext, make_runner: Callable[[Sandbox, Path], Runner] = Runner
) -> dict[str, Any]:
    """Verify one design: the engine's function, from a `VerifyRequest` to a `VerificationReport`.

    A report of this request that lies in the job's folder is returned at once; a training that was cut off
    goes on from its checkpoint, a scoring from the trained model.

    Raises
    ------
    UserError
        What is no fault of the design: an unknown scale or suite, damaged data, a full disk, a sandbox that
        cannot start. Nothing is recorded then.
    """
    asked = VerifyRequest.model_validate(request)
    check_suites(asked.suites, recipe=asked.recipe, folders=asked.suite_dirs, data_dir=asked.data_dir)
    report = find_report(context.folder, asked)
    if report is None:
        try:
            report = _verify(asked, context, make_runner)
            write_report(context.folder, asked, report)
        except OSError as error:
            raise UserError(
                f"{error.filename or context.folder} cannot be read or written: {error.strerror or error}.",
                hint="free some space or mend its rights, then run it again",
                exit_code=EXIT_FAILED,
            ) from error
    return report.model_dump(mode="json")


def _verify(
    asked: VerifyRequest, context: JobContext, make_runner: Callable[[Sandbox, Path], Runner]
) -> VerificationReport:
    wall, cpu, meter = time.monotonic(), time.process_time(), EnergyMeter()
    check_fits(asked.recipe, asked.scale, card=context.slot.card)
    data = prepare(asked.recipe, asked.scale, asked.data_dir)
    items = _items(asked, data)
    sandbox = _sandbox(asked, context)
    runner = make_runner(sandbox, context.folder / SCRATCH)
    found = Findings(
        artefacts={"folder": str(context.folder)},
        contamination=check_contamination(data, item_texts(items.sets) | task_texts(items.tasks)),
    )
    failure: VerificationFailure | None = None
    try:
        answer = _train(asked, data, runner, context, found, meter)
        try:
            _prove_and_score(asked, data, items, answer, runner, context, found)
        except KilledFromOutside:
            _prove_and_score(asked, data, items, answer, runner, context, found)
    except VerificationFailure as error:
        data.verify()  # else the data was at fault, and this raises
        failure = error
    meter.sample()
    cost = Cost(
        train_seconds=found.answer.seconds if found.answer else None,
        tokens_per_second=_speed(found.answer),
        cpu_seconds=runner.cpu_seconds + time.process_time() - cpu,
        wall_seconds=time.monotonic() - wall,
        peak_memory_mb=runner.peak_memory_mb,
        flops=found.answer.flops if found.answer else None,
        card_memory_mb=found.answer.card_memory_mb if found.answer else None,
        package_joules=meter.joules,
    )
    setting = Setting(runner.level or sandbox.level, context.threads, runner.notes)
    return make_report(asked, data, found, failure, cost, setting)


def _train(
    asked: VerifyRequest,
    data: DataManifest,
    runner: Runner,
    context: JobContext,
    found: Findings,
    meter: EnergyMeter,
) -> TrainAnswer:
    """Train, or take up what an earlier sitting had trained; the answer of a training that ended well."""
    limits = training_limits(asked, data, context.slot)
    order = TrainOrder(
        tree=asked.unit_tree.to_json(),
        scale=asked.scale,
        recipe=asked.recipe,
        data=str(data.folder.resolve()),
        seed=asked.seed,
        identity=f"{asked.hash}-{data.checksum}",
        probe_tokens=_probe_tokens(asked),
        rungs=asked.rungs,
        memory_mb=limits.memory_mb,
        programs=_compiles(asked, context),
        **_card(context),
    )
    training = find_training(context.folder, order.identity)
    if training is not None:
        runner.peak_memory_mb = training.peak_memory_mb
        found.answer = training.answer
        return training.answer
    answer = found.answer = runner.train(order, limits, _progress_to(context, meter))
    _trained(answer)
    write_training(
        context.folder,
        Training(identity=order.identity, answer=answer, peak_memory_mb=runner.peak_memory_mb),
    )
    return answer


def _trained(answer: TrainAnswer) -> Trained:
    """What a training that ended well says of its weights."""
    if answer.status != "ok" or answer.probe_loss is None:
        raise VerificationFailure(answer.status if answer.status != "ok" else "failed", answer.error)
    return Trained(answer.weights_hash, answer.probe_loss)


def _prove_and_score(
    asked: VerifyRequest,
    data: DataManifest,
    items: "_Items",
    answer: TrainAnswer,
    runner: Runner,
    context: JobContext,
    found: Findings,
) -> None:
    """Load what was saved in a new process, prove that it is what was trained, score it."""
    recipe = asked.recipe
    context.report(tokens=answer.tokens, doing="proving")
    saved = context.folder / SCRATCH / "train" / MODEL_FOLDER
    trained = _trained(answer)
    check_files(saved, asked.unit_tree, trained)
    limits = serving_limits(asked, data, recipe.eval_tokens + items.tokens, context.slot)
    served = ServeOrder(model=str(saved.resolve()), data=str(data.folder.resolve()), **_card(context))
    with runner.serve(served, limits) as model:
        rows = recipe.batch_size_for(asked.scale)
        windows = model.held_out(HeldOutOrder(context=recipe.context, tokens=recipe.eval_tokens, rows=rows))
        found.held_out = _mean(windows.losses, windows.counts)
        first = -(-_probe_tokens(asked) // recipe.context)
        probe = _mean(windows.losses[:first], windows.counts[:first])
        check_reload(trained, Reloaded(probe.value, found.held_out.value), data.unigram_loss)
        context.report(tokens=answer.tokens, loss=found.held_out.value, doing="scoring")
        planner = context.keep("requests", RequestCache).planner(items.coder.encoder, data.tokenizer)
        found.scored = score_suites(items.sets, items.tasks, model, items.coder, planner)
    found.artefacts["model"] = str(place_model(saved, data.tokenizer, context.folder))


def _sandbox(asked: VerifyRequest, context: JobContext) -> Sandbox:
    """The worker's sandbox: one server for all verifications whose folders lie side by side."""
    root, data = context.folder.resolve().parent, Path(asked.data_dir).resolve()

    def start() -> Sandbox:
        return Sandbox(
            writable=root,
            readable=[data],
            level=asked.sandbox,
            preload=PRELOAD,
            threads=context.threads,
            devices=[] if context.slot.card is None else card_devices(),
        )

    return context.keep(f"verification sandbox {asked.sandbox} {root} {data}", start)


def _compiles(asked: VerifyRequest, context: JobContext) -> bool:
    """Whether a compiler may be started: where one is wanted, by code that is this package's own."""
    wanted = asked.recipe.compiles(on_gpu=context.slot.card is not None)
    return wanted and all_shipped(asked.unit_tree)


def _card(context: JobContext) -> dict[str, Any]:
    """What the orders say of the worker's GPU."""
    slot = context.slot
    return {} if slot.card is None else {"card": slot.card.id, "card_share": slot.share}


def _progress_to(context: JobContext, meter: EnergyMeter) -> Callable[[dict[str, Any]], None]:
    """Hands on the numbers of an event of untrusted code, and nothing else of it."""

    def hear(event: dict[str, Any]) -> None:
        meter.sample()
        numbers = {name: event.get(name) for name in ("tokens", "of", "loss", "tokens_per_second")}
        context.report(**{name: value for name, value in numbers.items() if isinstance(value, int | float)})

    return hear


@dataclass(frozen=True)
class _Items:
    """What is scored, read and tried before anything is trained; ``tokens`` is about what it costs."""

    sets: list[ItemSet]
    tasks: "list[TaskSuite]"
    coder: TextCoder
    tokens: int


def _items(asked: VerifyRequest, data: DataManifest) -> _Items:
    context = asked.recipe.context
    source = SuiteSource(
        asked.scale, data.pairs, asked.suite_dirs, Path(asked.data_dir), data.folder, context
    )
    coder = text_coder(data.tokenizer, context, data.separator_id)
    sets, tasks = load_suites(asked.suites, source), load_tasks(asked.suites, source, coder.encoder)
    return _Items(sets, tasks, coder, _tokens_about(sets) + sum(suite.tokens for suite in tasks))


def _probe_tokens(asked: VerifyRequest) -> int:
    return min(PROBE_TOKENS, asked.recipe.eval_tokens)


def _tokens_about(sets: list[ItemSet]) -> int:
    """Tokens of all sentences with their padding, from above: a token is rarely shorter than two letters."""
    return sum(
        len(item.context) + len(choice) for one in sets for item in one.items for choice in item.choices
    )


def _mean(losses: tuple[float, ...], counts: tuple[int, ...]) -> Measure:
    value, stderr = mean_over_windows(losses, counts)
    return Measure(value=value, stderr=stderr)


def _speed(answer: TrainAnswer | None) -> float | None:
    return answer.tokens / answer.seconds if answer is not None and answer.seconds > 0 else None
