"""A verification done again: whether the second agrees with the first, and how closely it had to."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from model_discovery.verification.guard import TOLERANCE
from model_discovery.verification.report import Evidence, Measure, Score, VerificationReport

MOST_ERRORS = 2.0  # standard errors that two runs on different machines may lie apart
_SAME_RUN = {
    "structure_hash": "structure of the design",
    "code_hash": "code of the design",
    "recipe_hash": "recipe",
    "data_checksum": "data",
    "seed": "seed",
}
_SAME_NUMBERS = ("size", "unigram", "held_out", "bits_per_byte", "scores", "curve", "held_out_curve")


@dataclass(frozen=True)
class Difference:
    """A part of the environment that is another one now; empty where a report does not tell."""

    what: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: {self.then or 'unknown'} then, {self.now or 'unknown'} now"


@dataclass(frozen=True)
class Agreement:
    """What came of doing a verification again.

    Attributes
    ----------
    agrees
        No problem was found.
    exact
        The trained weights are the same to the bit.
    exact_expected
        They had to be: one thread of a processor, and nothing known of the environment differs.
    standard_errors
        How far the held-out losses lie apart; ``None`` where one of them is missing.
    problems
        What does not agree, in words.
    environment
        What is another machine or version now.
    """

    agrees: bool
    exact: bool
    exact_expected: bool
    standard_errors: float | None
    problems: tuple[str, ...]
    environment: tuple[Difference, ...]

    def __str__(self) -> str:
        if not self.agrees:
            return f"It does not agree: {'; '.join(self.problems)}."
        if self.exact:
            return "It agrees to the bit: the same weights."
        if self.standard_errors is None:
            return "It agrees: it ended in the same way."
        return (
            f"It agrees within the noise, not to the bit: the held-out losses lie "
            f"{self.standard_errors:.1f} standard errors apart."
        )


def compare_runs(then: VerificationReport, now: VerificationReport, noise: float | None = None) -> Agreement:
    """Compare a verification with its repetition.

    Parameters
    ----------
    noise
        Standard deviation of the held-out loss between seeds at this scale, where it is known. Else the
        standard error over evaluation windows stands for it.
    """
    environment = tuple(_differences(then.evidence, now.evidence))
    exact = bool(then.evidence.weights_hash) and then.evidence.weights_hash == now.evidence.weights_hash
    expected = not environment and now.evidence.device.startswith("cpu") and now.evidence.machine.threads == 1
    apart = _standard_errors(then.held_out, now.held_out, noise)
    problems = list(_other_runs(then, now))
    if not problems:
        if expected:
            problems = list(_not_the_same(then, now))
        elif exact:
            problems = list(_beyond_rounding(then, now))
        else:
            problems = list(_beyond_noise(then, now, apart))
    return Agreement(not problems, exact, expected, apart, tuple(problems), environment)


def _other_runs(then: VerificationReport, now: VerificationReport) -> Iterator[str]:
    for name, words in _SAME_RUN.items():
        before, after = getattr(then.evidence, name), getattr(now.evidence, name)
        if before != after:
            yield f"the {words} was {str(before)[:16]}, it is {str(after)[:16]}"
    if then.status != now.status:
        yield f"it ended as {then.status}, now as {now.status}{f' ({now.error})' if now.error else ''}"


def _not_the_same(then: VerificationReport, now: VerificationReport) -> Iterator[str]:
    """Of two runs that had to be equal to the last bit."""
    if then.evidence.weights_hash != now.evidence.weights_hash:
        before, after = then.evidence.weights_hash[:12], now.evidence.weights_hash[:12]
        yield f"the weights were {before}, they are {after}, though nothing of the environment differs"
    for name in _SAME_NUMBERS:
        before, after = getattr(then, name), getattr(now, name)
        if before != after:
            yield f"{name.replace('_', ' ')}: {_short(before)} then, {_short(after)} now"


def _beyond_rounding(then: VerificationReport, now: VerificationReport) -> Iterator[str]:
    """Of the same weights, evaluated by another machine or version."""
    if then.held_out and now.held_out and not abs(then.held_out.value - now.held_out.value) <= TOLERANCE:
        yield (
            f"the same weights had a held-out loss of {then.held_out.value:.4f}, now {now.held_out.value:.4f}"
        )
    yield from _other_scores(then, now)


def _beyond_noise(then: VerificationReport, now: VerificationReport, apart: float | None) -> Iterator[str]:
    if apart is not None and then.held_out and now.held_out and not apart <= MOST_ERRORS:
        yield (
            f"the held-out loss was {then.held_out.value:.4f}, it is {now.held_out.value:.4f}: "
            f"{apart:.1f} standard errors apart"
        )
    yield from _other_scores(then, now)


def _other_scores(then: VerificationReport, now: VerificationReport) -> Iterator[str]:
    """Suites, not their sets: of many sets some are always far off."""
    for suite in sorted({name for name in (*then.scores, *now.scores) if "/" not in name}):
        before, after = then.scores.get(suite), now.scores.get(suite)
        if before is None or after is None:
            yield f"{suite} was scored only {'then' if before else 'now'}"
            continue
        apart = _standard_errors(before, after, None)
        if apart is not None and not apart <= MOST_ERRORS:
            both = f"{before.value:.4f} then, {after.value:.4f} now"
            yield f"{suite}: {both}, {apart:.1f} standard errors apart"


def _standard_errors(
    then: Measure | Score | None, now: Measure | Score | None, noise: float | None
) -> float | None:
    """How far two numbers lie apart; ``None`` without both, or without any measure of their noise."""
    if then is None or now is None:
        return None
    if then.value == now.value:
        return 0.0
    errors = (noise, noise) if noise else (then.stderr, now.stderr)
    known = [error for error in errors if error]
    return abs(then.value - now.value) / math.hypot(*known) if known else None


def _differences(then: Evidence, now: Evidence) -> Iterator[Difference]:
    """Parts of the environment that decide the last bits."""
    for name in sorted({*then.versions, *now.versions}):
        before, after = then.versions.get(name, ""), now.versions.get(name, "")
        if before != after:
            yield Difference(name, before, after)
    for what, before, after in (
        ("code of the package", then.machine.package[:16], now.machine.package[:16]),
        ("device", then.device, now.device),
        ("precision", then.precision, now.precision),
        ("compiled block", str(then.compiled), str(now.compiled)),
        ("rows of a forward pass", str(then.micro_rows or ""), str(now.micro_rows or "")),
    ):
        if before != after:
            yield Difference(what, before, after)


def _short(value: object) -> str:
    if isinstance(value, Measure | Score):
        return f"{value.value:.6f}"
    text = str(value)
    return text if len(text) <= 60 else "another"
