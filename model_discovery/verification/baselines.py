"""Baselines and noise: how far repeated seeds of one design lie apart, and comparisons in standard errors.

"Better" without a number of standard errors is not said anywhere.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model_discovery.errors import UserError
from model_discovery.verification.metrics import Metric, get_metric, suite_metric
from model_discovery.verification.report import VerificationReport

_ROBUST_FROM = 8


@dataclass(frozen=True)
class Noise:
    """Standard deviation between seeds of one design, pooled over designs, from ``freedom`` spare runs."""

    deviation: float
    freedom: int


@dataclass(frozen=True)
class Comparison:
    """One design against another at one scale.

    Attributes
    ----------
    gain
        How much better the mean of the first is, in the metric's unit; negative when it is worse.
    stderr
        Of the gain, from the noise of the scale and the runs of both.
    """

    metric: Metric
    gain: float
    stderr: float

    @property
    def standard_errors(self) -> float:
        """The gain in standard errors."""
        return self.gain / self.stderr

    def __str__(self) -> str:
        word = "better" if self.gain >= 0 else "worse"
        errors = f"{abs(self.standard_errors):.1f} standard errors"
        return f"{abs(self.gain):.4g} {self.metric.unit} {word} ({errors})"


def value_of(report: VerificationReport, metric: str) -> float | None:
    """A report's number for a metric; ``None`` where it was not measured or the verification failed."""
    if not report.ok:
        return None
    if metric in report.scores:
        return report.scores[metric].value
    if metric in ("held_out", "bits_per_byte"):
        measure = getattr(report, metric)
        return None if measure is None else float(measure.value)
    if get_metric(metric).group == "cost":
        cost: float | None = getattr(report.cost, metric)
        return cost
    return None


def pool_noise(reports: Iterable[VerificationReport], metric: str = "held_out") -> dict[str, Noise]:
    """Noise of each scale where some design ran with more than one seed.

    Reports of other data or recipes at the same scale are refused: their difference is no noise.
    """
    by_scale: dict[str, list[VerificationReport]] = {}
    for report in reports:
        by_scale.setdefault(report.scale, []).append(report)
    noises = {}
    for scale, group in by_scale.items():
        _check_comparable(group)
        if (noise := pooled_noise(_by_design(group, metric).values())) is not None:
            noises[scale] = noise
    return noises


def pooled_noise(values_by_design: Iterable[Sequence[float]]) -> Noise | None:
    """The spread between seeds, pooled over designs; ``None`` where none has two.

    From `_ROBUST_FROM` such designs on it is that of the middle one: the seeds of a design that hardly
    trains lie far apart, and would make the error of all others look like theirs.
    """
    spreads = [
        (statistics.variance(values), len(values) - 1) for values in values_by_design if len(values) > 1
    ]
    freedom = sum(spare for _, spare in spreads)
    if not freedom:
        return None
    if len(spreads) >= _ROBUST_FROM:
        # The median of a chi-squared variable over its mean, after Wilson and Hilferty.
        variance = statistics.median(found / (1 - 2 / (9 * spare)) ** 3 for found, spare in spreads)
    else:
        variance = sum(found * spare for found, spare in spreads) / freedom
    return Noise(math.sqrt(variance), freedom)


def compare(
    one: Sequence[VerificationReport],
    other: Sequence[VerificationReport],
    noise: Noise,
    metric: str = "held_out",
) -> Comparison:
    """Runs of one design against runs of another, at one scale under one recipe.

    Raises
    ------
    UserError
        Other scales, recipes or data; or no finished run on one side.
    """
    _check_comparable([*one, *other])
    means, weight = [], 0.0
    for runs in (one, other):
        values = [value for report in runs if (value := value_of(report, metric)) is not None]
        if not values:
            names = ", ".join(sorted({report.design for report in runs})) or "one side"
            raise UserError(f"There is nothing to compare: {names} has no finished run with '{metric}'.")
        means.append(sum(values) / len(values))
        weight += 1 / len(values)
    found = suite_metric(metric)
    gain = means[0] - means[1] if found.direction == "higher" else means[1] - means[0]
    return Comparison(found, gain, noise.deviation * math.sqrt(weight))


def _by_design(reports: Iterable[VerificationReport], metric: str) -> dict[str, list[float]]:
    """Values by structure; a seed that was run twice counts once."""
    values: dict[str, dict[int, float]] = {}
    for report in reports:
        value = value_of(report, metric)
        if value is not None:
            values.setdefault(report.evidence.structure_hash, {})[report.evidence.seed] = value
    return {design: list(by_seed.values()) for design, by_seed in values.items()}


def _check_comparable(reports: Sequence[VerificationReport]) -> None:
    for what, found in (
        ("scales", {report.scale for report in reports}),
        ("recipes", {report.evidence.recipe_hash for report in reports}),
        ("data", {report.evidence.data_checksum for report in reports if report.evidence.data_checksum}),
    ):
        if len(found) > 1:
            raise UserError(
                f"Runs of different {what} cannot be compared: {', '.join(sorted(found))}.",
                hint="verify both under the same recipe and scale",
            )
