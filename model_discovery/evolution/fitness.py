"""What a design is worth at the target scale, from runs at all scales: a hierarchical model in closed form.

    loss(d, s, seed) = level(s) - quality(d) - shift(d, s) + noise(s, seed)

``quality`` is what a design keeps from scale to scale (variance ``spread``), ``shift`` what one scale shows
of it alone (variance ``interaction``: ranks move with scale), ``noise`` the luck of a seed (variance
``seed_noise``, one per scale). Levels have a flat prior and come from generalised least squares, so that a
scale which only the best were allowed to reach is not mistaken for an easy one. Variances come from moments
with weak priors, which makes everything defined for no design, one, ties, and a single seed each.
"""

from dataclasses import dataclass

import numpy as np

from model_discovery.evolution.evidence import Counts, Evidence, Floats, Indices

# Priors in nats per token, from trials of a dozen architectures with three seeds each at 0.1M to 1M
# parameters: seeds of one design differ by 0.002 to 0.010, sensible designs by about 0.03, ranks correlate at
# 0.8 over scales.
_SEED_NOISE, _SEED_NOISE_WEIGHT = 0.004**2, 2.0
_SPREAD, _SPREAD_WEIGHT = 0.03**2, 2.0
_INTERACTION_SHARE, _INTERACTION_WEIGHT = 0.2, 4.0
_LEAST_SPREAD_SHARE = 0.1
_QUARTILE_SAMPLE = 1024  # values that are enough for quartiles
_ROBUST_FROM = 8  # designs from which the quartiles, not the variance, say how far designs lie apart


@dataclass(frozen=True)
class Variances:
    """How far runs of equal designs differ, and why.

    Attributes
    ----------
    seed_noise
        ``(S,)``: between seeds of one design.
    spread, interaction
        Between designs, and between the scales of one design.
    spare_runs
        ``(S,)``: runs beyond the first of their design, the data behind ``seed_noise``.
    """

    seed_noise: Floats
    spread: float
    interaction: float
    spare_runs: Counts

    def precision(self, count: Counts) -> Floats:
        """How much the runs at a scale say about quality, ``(N, S)``; 0 without a run."""
        return np.where(count > 0, 1 / (self.interaction + self.seed_noise / np.maximum(count, 1)), 0.0)

    def own_share(self, runs: Counts) -> Floats:
        """How far a design's ``runs`` at the target decide its shift there, ``(N,)`` in ``[0, 1)``."""
        noise = self.seed_noise[-1] / np.maximum(runs, 1)
        return np.where(runs > 0, self.interaction / (self.interaction + noise), 0.0)

    def sd(self, precision: Floats, own_share: Floats) -> Floats:
        """Standard deviation of belief at the target, ``(N,)``."""
        quality = 1 / (1 / self.spread + precision.sum(axis=1))
        open_share = 1 - own_share
        sd: Floats = np.sqrt(open_share * (open_share * quality + self.interaction))
        return sd


@dataclass(frozen=True)
class Posterior:
    """Belief about every design, in nats per token below the level of the target scale (higher is better).

    Attributes
    ----------
    mean, sd
        ``(N,)``: of ``quality + shift`` at the target scale. A design without runs has the population's.
    level
        ``(S,)``: loss of an average design; NaN where nothing ran.
    """

    mean: Floats
    sd: Floats
    level: Floats
    variances: Variances

    def sd_after(self, count: Counts) -> Floats:
        """Standard deviation at the target if the rows of ``count`` ``(K, S)`` were all runs made;
        ``(K,)``.
        """
        return self.variances.sd(self.variances.precision(count), self.variances.own_share(count[:, -1]))


def fit(evidence: Evidence, variances: Variances | None = None) -> Posterior:
    """The posterior at the highest scale; O(designs), closed form.

    Parameters
    ----------
    variances
        Those of the evidence unless told.
    """
    known = variances or estimate_variances(evidence)
    count, observed = evidence.count, evidence.count > 0
    precision, own_share = known.precision(count), known.own_share(count[:, -1])
    level = _levels(evidence.mean, precision, known.spread)
    gained = np.where(observed, level - evidence.mean, 0.0)
    quality = (precision * gained).sum(axis=1) / (1 / known.spread + precision.sum(axis=1))
    return Posterior(
        mean=quality + own_share * (gained[:, -1] - quality),
        sd=known.sd(precision, own_share),
        level=np.where(observed.any(axis=0), level, np.nan),
        variances=known,
    )


def seed_noises(
    count: Counts, squares: Floats, prior: float = _SEED_NOISE, weight: float = _SEED_NOISE_WEIGHT
) -> tuple[Floats, Counts]:
    """Variance between seeds at each scale, drawn to the pooled one, and the spare runs behind it; both
    ``(S,)``.

    Parameters
    ----------
    count, squares
        ``(N, S)``: runs of each design, and their squared deviations from its mean.
    prior, weight
        Variance believed before any design had two seeds, and how many spare runs that belief is worth.
    """
    spare = np.maximum(count - 1, 0).sum(axis=0)
    scatter = squares.sum(axis=0)
    pooled = (weight * prior + scatter.sum()) / (weight + spare.sum())
    return (weight * pooled + scatter) / (weight + spare), spare


def _levels(mean: Floats, precision: Floats, spread: float) -> Floats:
    """Generalised least squares for the level of each scale; 0 where nothing ran."""
    shrink = 1 / (1 / spread + precision.sum(axis=1))
    weighted = precision * mean
    normal = np.diag(precision.sum(axis=0)) - (precision * shrink[:, None]).T @ precision
    right = weighted.sum(axis=0) - precision.T @ (shrink * weighted.sum(axis=1))
    level = np.zeros(mean.shape[1])
    ran = np.flatnonzero(precision.any(axis=0))
    if len(ran):
        level[ran] = np.linalg.solve(normal[np.ix_(ran, ran)], right[ran])
    return level


def estimate_variances(evidence: Evidence) -> Variances:
    """Variances from moments with weak priors."""
    observed = evidence.count > 0
    seed_noise, spare = seed_noises(evidence.count, evidence.squares)
    busiest = int(observed.sum(axis=0).argmax())
    at = np.flatnonzero(observed[:, busiest])
    luck = seed_noise[None, :] / np.maximum(evidence.count, 1)
    total, weight = _SPREAD, float(len(at) - 1)
    if weight > 0:
        total = (_SPREAD_WEIGHT * _SPREAD + weight * _robust_variance(evidence.mean[at, busiest])) / (
            _SPREAD_WEIGHT + weight
        )
    estimates, weights = [_INTERACTION_SHARE * total], [_INTERACTION_WEIGHT]
    for scale in range(observed.shape[1]):
        both = np.flatnonzero(observed[:, scale] & observed[:, busiest])
        if scale != busiest and len(both) > 1:
            change = evidence.mean[both, scale] - evidence.mean[both, busiest]
            by_luck = float((luck[both, scale] + luck[both, busiest]).mean())
            estimates.append(max(0.0, (float(change.var(ddof=1)) - by_luck) / 2))
            weights.append(len(both) - 1.0)
    interaction = float(np.average(estimates, weights=weights))
    noise = float(luck[at, busiest].mean()) if len(at) else 0.0
    spread = max(total - interaction - noise, _LEAST_SPREAD_SHARE * total)
    return Variances(seed_noise, spread, interaction, spare)


def _robust_variance(values: Floats) -> float:
    """Variance that a few broken designs do not blow up: from the quartiles once there are enough values."""
    if len(values) < _ROBUST_FROM:
        return float(values.var(ddof=1))
    sample = values[:: max(1, len(values) // _QUARTILE_SAMPLE)]
    low, high = np.percentile(sample, [25, 75])
    return float(((high - low) / 1.349) ** 2)


def best_mean(evidence: Evidence, scale: int, among: Indices) -> int | None:
    """Index of the design with the lowest mean loss at a scale, the earliest of ties; None when none ran
    there.
    """
    ran = among[evidence.count[among, scale] > 0]
    if not len(ran):
        return None
    return int(ran[evidence.mean[ran, scale].argmin()])


def gain(evidence: Evidence, seed_noise: Floats, scale: int, design: int, baseline: int) -> float | None:
    """How far a design's loss lies below a baseline's at a scale, in standard errors of the difference.

    Both see the same held-out tokens, so the luck of the seeds is the error, not the sampling of windows.
    None where one of them has no run, or they are the same.
    """
    runs = evidence.count[[design, baseline], scale]
    if not runs.all() or design == baseline:
        return None
    difference = evidence.mean[baseline, scale] - evidence.mean[design, scale]
    return float(difference / np.sqrt((seed_noise[scale] / runs).sum()))
