"""Orders to the sandboxed process, within limits; its endings as statuses with names."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from model_discovery.blocks.scales import get_scale
from model_discovery.engine import Slot
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.sandbox import Limits, Outcome, Sandbox, SandboxFailure, Session
from model_discovery.verification.manifest import DataManifest
from model_discovery.verification.memory import training_need
from model_discovery.verification.orders import (
    GenerateAnswer,
    HeldOutAnswer,
    HeldOutOrder,
    ScoreAnswer,
    ServeOrder,
    TrainAnswer,
    TrainOrder,
)
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.report import VerificationStatus, VerifyRequest

PRELOAD = ("torch", "model_discovery.verification.child")
_CHILD = "model_discovery.verification.child"

# A design may take this many times the memory and disk of a plain Transformer.
_ROOM = 2
# Of one core: seconds a token of training takes a plain Transformer, by parameters and vocabulary.
_SECONDS_A_TOKEN, _A_PARAMETER, _A_WORD = 1.5e-5, 1.4e-10, 7e-9
_SLACK = 6.0  # how many times slower a design or a machine may be
_START_SECONDS = 30.0
_COMPILE_SECONDS = 120.0  # of compilers, which count together with the training
# Of the slowest GPUs that have bfloat16: operations a second that a training reaches, seconds a step takes at
# least, and until the first one, with the trial of sizes and the compiler. Not measured.
_CARD_OPERATIONS, _CARD_STEP, _CARD_START_SECONDS = 1e13, 0.1, 600.0

A = TypeVar("A", bound=BaseModel)


def seconds_expected(scale: str, vocab_size: int, tokens: int) -> float:
    """CPU seconds that training on ``tokens`` takes a plain Transformer."""
    return tokens * (_SECONDS_A_TOKEN + _A_PARAMETER * get_scale(scale).target + _A_WORD * vocab_size)


def seconds_expected_on_card(request: VerifyRequest, vocab_size: int) -> float:
    """Wall seconds that the training takes a plain Transformer on a slow GPU that it has for itself."""
    scale, recipe = get_scale(request.scale), request.recipe
    tokens, steps = recipe.tokens_for(scale.name), recipe.steps_for(scale.name)
    operations = 6 * (scale.target + vocab_size * scale.width) * tokens
    return operations / _CARD_OPERATIONS + steps * _CARD_STEP


def training_limits(request: VerifyRequest, data: DataManifest, slot: Slot) -> Limits:
    """What a training may use: by its scale and tokens, or as the request says.

    On a CPU time is processor time, so that a busy machine does not decide which design is too slow. On a GPU
    it is wall time, longer where designs share it.
    """
    need = training_need(request.scale, request.recipe.context, data.vocab_size)
    megabytes = get_scale(request.scale).target * 4 // 10**6  # of the weights in fp32
    file_mb = max(256 + 16 * megabytes, _ROOM * need.disk // 2**20)
    tokens = request.recipe.tokens_for(request.scale)
    cpu = request.cpu_seconds
    if slot.card is not None and cpu is None:
        expected = seconds_expected_on_card(request, data.vocab_size) / slot.share
        wall = _CARD_START_SECONDS + _SLACK * expected
        return Limits(wall_seconds=wall, cpu_seconds=2 * wall, memory_mb=request.memory_mb, file_mb=file_mb)
    if cpu is None:
        cpu = _START_SECONDS + _SLACK * seconds_expected(request.scale, data.vocab_size, tokens)
        cpu += _COMPILE_SECONDS if request.recipe.compile == "on" else 0.0
    return Limits(
        wall_seconds=10 * cpu,
        cpu_seconds=cpu,
        memory_mb=request.memory_mb or max(2048 + 40 * megabytes, _ROOM * need.training // 2**20),
        file_mb=file_mb,
    )


def serving_limits(request: VerifyRequest, data: DataManifest, tokens: int, slot: Slot) -> Limits:
    """What evaluating and scoring about ``tokens`` may use."""
    cpu = _START_SECONDS + _SLACK * seconds_expected(request.scale, data.vocab_size, tokens)
    megabytes = get_scale(request.scale).target * 4 // 10**6
    memory = request.memory_mb or (2048 + 8 * megabytes if slot.card is None else None)
    return Limits(wall_seconds=10 * cpu, cpu_seconds=cpu, memory_mb=memory)


class KilledFromOutside(VerificationFailure):
    """It may be the machine's doing, so whoever meets it tries once more."""

    def __init__(self) -> None:
        super().__init__("memory", "killed twice from outside, as a machine without memory does")


class Runner:
    """The sandboxed process of one verification, and what it has cost so far.

    Parameters
    ----------
    sandbox
        With `PRELOAD` loaded.
    folder
        Below the sandbox's writable folder.

    Attributes
    ----------
    level, notes
        Where a training ran in another sandbox than this one: its level; and what the reader should know.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self.cpu_seconds = 0.0
        self.peak_memory_mb: float | None = None
        self.level = ""
        self.notes: tuple[str, ...] = ()
        self._written_mb = Limits.file_mb  # what the latest call might write

    def train(
        self, order: TrainOrder, limits: Limits, on_event: Callable[[dict[str, Any]], None]
    ) -> TrainAnswer:
        """Train. A process killed from outside is started once more and goes on from its checkpoint."""
        request = order.model_dump(mode="json")
        self._written_mb = limits.file_mb
        for last in (False, True):
            outcome = self._sandbox.call(
                f"{_CHILD}:train",
                request,
                folder=self._folder / "train",
                limits=limits,
                on_event=on_event,
                programs=order.programs,
            )
            self._count(outcome)
            self.peak_memory_mb = outcome.peak_memory_mb
            if outcome.ok:
                return validated(TrainAnswer, outcome.value)
            if last or not killed_from_outside(outcome):
                break
        raise self._failure(outcome)

    def serve(self, order: ServeOrder, limits: Limits) -> "ServedModel":
        """A new process with the saved model loaded."""
        session = self._sandbox.open(
            f"{_CHILD}:serve",
            order.model_dump(mode="json"),
            folder=self._folder / "serve",
            limits=limits,
            readable=[Path(order.model)],
        )
        return ServedModel(session, self)

    def _count(self, outcome: Outcome) -> None:
        self.cpu_seconds += outcome.cpu_seconds or 0.0

    def _failure(self, outcome: Outcome) -> Exception:
        """The design's failure by name, or the machine's, which is no result."""
        if outcome.status == "disk" and shutil.disk_usage(self._folder).free < self._written_mb * 2**20:
            return UserError(
                f"The disk is full: {self._folder} could not be written.",
                hint="free some space and resume; nothing that is finished is lost",
                exit_code=EXIT_FAILED,
            )
        if killed_from_outside(outcome):
            return KilledFromOutside()
        status: VerificationStatus = "failed"
        if outcome.status in ("timeout", "memory"):
            status = outcome.status
        where = "" if status == outcome.status else f"{outcome.status}: "
        return VerificationFailure(status, f"{where}{outcome.error}")


class ServedModel:
    """A saved model in its own sandboxed process; a context manager."""

    def __init__(self, session: Session, runner: Runner) -> None:
        self._session = session
        self._runner = runner

    def held_out(self, order: HeldOutOrder) -> HeldOutAnswer:
        """Its held-out loss, window by window."""
        answer = self._ask(HeldOutAnswer, {"held_out": order.model_dump()})
        if not answer.losses or len(answer.losses) != len(answer.counts):
            raise VerificationFailure("failed", "the held-out losses and their counts do not fit together")
        return answer

    def score(self, rows: tuple[tuple[int, ...], ...], starts: tuple[int, ...]) -> list[tuple[float, bool]]:
        """Log-likelihood of each row from its start on, and whether it was the first choice."""
        answer = self._ask(ScoreAnswer, {"rows": rows, "starts": starts})
        if not len(answer.sums) == len(answer.greedy) == len(rows):
            raise VerificationFailure("failed", f"{len(answer.sums)} answers to {len(rows)} rows")
        return list(zip(answer.sums, answer.greedy, strict=True))

    def generate(self, rows: tuple[tuple[int, ...], ...], most: int) -> list[tuple[int, ...]]:
        """The ``most`` most likely tokens after each row."""
        answer = self._ask(GenerateAnswer, {"generate": rows, "most": most})
        if [len(tokens) for tokens in answer.tokens] != [most] * len(rows):
            raise VerificationFailure("failed", f"not {most} tokens after each of {len(rows)} rows")
        return list(answer.tokens)

    def _ask(self, kind: type[A], message: dict[str, Any]) -> A:
        try:
            return validated(kind, self._session.ask(message))
        except SandboxFailure as failure:
            raise self._runner._failure(failure.outcome) from failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner._count(self._session.close() if error is None else self._session.kill())


def validated(kind: type[A], answer: dict[str, Any] | None) -> A:
    """What untrusted code returned, if it is what was asked for; numbers that are not finite have a name."""
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "finite_number":
            raise VerificationFailure("non_finite", f"'{where}' is {first['input']}") from error
        raise VerificationFailure("failed", f"an answer that cannot be: '{where}': {first['msg']}") from error


def killed_from_outside(outcome: Outcome) -> bool:
    """By the kernel out of memory, by a person, or with the sandbox's server."""
    return outcome.status == "signal" and ("SIGKILL" in outcome.error or "server ended" in outcome.error)
