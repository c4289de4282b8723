"""A design's numbers at a scale, each with a standard error that contains the luck of the seed."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from model_discovery.designers.knowledge import Verdict
from model_discovery.evolution.fitness import best_mean, estimate_variances, gain, seed_noises
from model_discovery.evolution.state import CampaignState, Design, Estimate, Run
from model_discovery.verification.metrics import suite_metric

_SCORE_NOISE = 0.015**2  # variance of an accuracy between seeds, before any design had two
_PRIOR_RUNS = 2  # what the prior of the seed noise is worth in spare runs, see `fitness`


@dataclass(frozen=True)
class LeaderboardRow:
    """One design at one scale.

    Attributes
    ----------
    rank
        From 1: higher scales first, lower mean loss first within a scale.
    scale
        The highest at which the design has a loss.
    seeds, enough_seeds
        Trainings behind the numbers; whether they are as many as the scale asks for.
    parameters, non_embedding, tokens
        Size of the model and length of its training; None when not reported.
    loss, bits_per_byte
        Held-out, mean over seeds; the standard error is that of seeds and of evaluation windows together.
    scores
        By suite, likewise.
    gain, score_gains
        Over the best baseline at the same scale in standard errors, positive is better. The luck of the
        seeds is the error, since both see the same held-out text. None for that baseline itself, or where
        there is none.
    title, verdict
        Of its proposal; and what came of the proposal's prediction, where it made one.
    """

    rank: int
    design: str
    origin: str
    operator: str | None
    parents: tuple[str, ...]
    scale: str
    seeds: int
    enough_seeds: bool
    parameters: int | None
    non_embedding: int | None
    tokens: int | None
    loss: Estimate
    bits_per_byte: Estimate | None
    scores: dict[str, Estimate]
    gain: float | None
    score_gains: dict[str, float]
    title: str = ""
    verdict: Verdict | None = None


class Scoreboard:
    """Makes rows; what several rows need is worked out once."""

    def __init__(self, state: CampaignState) -> None:
        self.state = state
        baselines = np.flatnonzero(state.baseline)
        scales = range(len(state.scales))
        self._rivals = [best_mean(state.evidence, scale, baselines) for scale in scales]
        self.variances = estimate_variances(state.evidence)
        self._noise = {suite: _score_noise(state, suite) for suite in state.config.suites}

    def rival(self, scale: int) -> int | None:
        """Index of the best baseline at a scale."""
        return self._rivals[scale]

    def degrees_of_freedom(self, scale: int) -> int:
        """What the seed noise at a scale was estimated from: spare runs, and the prior's worth of them."""
        return int(self.variances.spare_runs[scale]) + _PRIOR_RUNS

    def order(self) -> list[tuple[int, int]]:
        """``(design, highest scale)`` by rank."""
        evidence = self.state.evidence
        ran = np.flatnonzero(evidence.count.any(axis=1))
        highest = [(int(index), int(np.flatnonzero(evidence.count[index])[-1])) for index in ran]
        return sorted(highest, key=lambda pair: (-pair[1], float(evidence.mean[pair]), pair[0]))

    def row(self, index: int, scale: int, rank: int) -> LeaderboardRow:
        """A design at a scale where it has a loss."""
        state = self.state
        design, rival = state.designs[index], self._rivals[scale]
        runs = runs_at(design, scale)
        noise = float(self.variances.seed_noise[scale])
        loss = _mean((run.held_out for run in runs), noise)
        assert loss is not None
        bits = _mean((run.bits_per_byte for run in runs), 0.0)
        if bits is not None:  # the same luck in another unit
            bits = _mean((run.bits_per_byte for run in runs), noise * (bits.value / loss.value) ** 2)
        seed_noise = self.variances.seed_noise
        gained = None if rival is None else gain(state.evidence, seed_noise, scale, index, rival)
        last = runs[-1]
        return LeaderboardRow(
            rank=rank, design=design.name, origin=design.origin, operator=design.operator,
            parents=tuple(state.designs[parent].name for parent in design.parents), scale=state.scales[scale],
            seeds=len(runs), enough_seeds=len(runs) >= state.seeds_needed(scale), parameters=last.parameters,
            non_embedding=last.non_embedding, tokens=last.tokens, loss=loss, bits_per_byte=bits,
            scores=self._scores(runs, scale),
            gain=gained,
            score_gains=self._score_gains(index, scale),
            title=design.title,
        )  # fmt: skip

    def _scores(self, runs: list[Run], scale: int) -> dict[str, Estimate]:
        means = {
            suite: _mean((run.scores.get(suite) for run in runs), noise[scale])
            for suite, noise in self._noise.items()
        }
        return {suite: mean for suite, mean in means.items() if mean is not None}

    def _score_gains(self, index: int, scale: int) -> dict[str, float]:
        rival = self._rivals[scale]
        if rival is None or rival == index:
            return {}
        gains = {}
        for suite in self._noise:
            if (difference := self.difference(suite, scale, index, rival)) is not None:
                sign = 1 if suite_metric(suite).direction == "higher" else -1
                gains[suite] = sign * difference.value / difference.stderr
        return gains

    def difference(self, metric: str, scale: int, one: int, other: int) -> Estimate | None:
        """By how much ``one`` lies above ``other`` in ``loss`` or in a suite; None where a run is missing.

        Both are measured on the same text and items: the luck of the seeds is the error.
        """
        if metric == "loss":
            count, mean = self.state.evidence.count, self.state.evidence.mean
            runs, noise = (int(count[one, scale]), int(count[other, scale])), self.variances.seed_noise[scale]
            value = float(mean[one, scale] - mean[other, scale])
        else:
            found = [_values(runs_at(self.state.designs[each], scale), metric) for each in (one, other)]
            runs, noise = (len(found[0]), len(found[1])), self._noise.get(metric, [0.0] * (scale + 1))[scale]
            value = math.fsum(found[0]) / max(1, runs[0]) - math.fsum(found[1]) / max(1, runs[1])
        if one == other or not all(runs) or not noise:
            return None
        return Estimate(value, math.sqrt(float(noise) * (1 / runs[0] + 1 / runs[1])))


def runs_at(design: Design, scale: int) -> list[Run]:
    """A design's runs at a scale that gave a loss."""
    return [run for run in design.runs if run.scale == scale and run.loss is not None]


def _values(runs: list[Run], suite: str) -> list[float]:
    return [run.scores[suite].value for run in runs if suite in run.scores]


def _mean(estimates: Iterable[Estimate | None], seed_noise: float) -> Estimate | None:
    """Mean over runs; its standard error is of seeds and of the measurement, which all runs share."""
    known = [estimate for estimate in estimates if estimate is not None]
    if not known:
        return None
    measurement = max(estimate.stderr for estimate in known)
    value = math.fsum(estimate.value for estimate in known) / len(known)
    return Estimate(value, math.sqrt(seed_noise / len(known) + measurement**2))


def _score_noise(state: CampaignState, suite: str) -> list[float]:
    """Variance of a suite's score between seeds at each scale, pooled over designs."""
    shape = len(state.designs), len(state.scales)
    count, squares = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    for index, design in enumerate(state.designs):
        for scale in {run.scale for run in design.runs}:
            values = _values(runs_at(design, scale), suite)
            count[index, scale] = len(values)
            squares[index, scale] = np.var(values) * len(values) if values else 0.0
    variances, _ = seed_noises(count, squares, prior=_SCORE_NOISE)
    return [float(variance) for variance in variances]
