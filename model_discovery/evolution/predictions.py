"""Predictions against measurements: right, wrong or open, and the numbers that say so."""

from dataclasses import dataclass

import numpy as np

from model_discovery.designers.knowledge import Prediction, Verdict
from model_discovery.evolution.fitness import best_mean
from model_discovery.evolution.scoreboard import Scoreboard
from model_discovery.evolution.significance import needed_gain
from model_discovery.evolution.state import Estimate

_ERROR_RATE = 0.025  # on each side of a difference


@dataclass(frozen=True)
class Judged:
    """What came of a prediction, and why in words."""

    verdict: Verdict
    evidence: str


def verdict_of(prediction: Prediction, difference: Estimate, sure: float = 2.0) -> Verdict:
    """Whether a measured difference bears a prediction out.

    Right when all of its interval lies on the predicted side and at least ``amount`` away; wrong when none of
    it does; open otherwise.

    Parameters
    ----------
    difference
        The design's value less that of what it is compared with, in the metric's own unit.
    sure
        Standard errors on each side of the interval; more than 2 while the noise itself is hardly known.
    """
    sign = -1.0 if prediction.direction == "lower" else 1.0
    gained, least = sign * difference.value, max(0.0, prediction.amount)
    if gained - sure * difference.stderr >= least and gained > 0:
        return "right"
    return "wrong" if gained + sure * difference.stderr < least else "open"


def judge(board: Scoreboard, index: int) -> Judged | None:
    """What is known of the prediction of a design; None where it made none.

    Of several parents the one with the lowest loss counts. Without a parent, the comparison is with the best
    baseline. Without a scale in the prediction, the lowest at which both were measured counts.
    """
    design = board.state.designs[index]
    prediction = design.prediction
    if prediction is None:
        return None
    state = board.state
    if prediction.metric != "loss" and prediction.metric not in state.config.suites:
        return Judged("open", f"nothing here measures '{prediction.metric}'")
    if prediction.scale and prediction.scale not in state.scales:
        return Judged("open", f"nothing is run at '{prediction.scale}'")
    scales = [state.scales.index(prediction.scale)] if prediction.scale else range(len(state.scales))
    for scale in scales:
        rival = _rival(board, index, prediction, scale)
        if rival is not None:
            difference = board.difference(prediction.metric, scale, index, rival)
            if difference is not None:
                sure = needed_gain(1, board.degrees_of_freedom(scale), _ERROR_RATE)
                verdict = verdict_of(prediction, difference, sure)
                return Judged(verdict, _words(board, prediction, scale, index, rival, difference))
    if design.runs and all(run.loss is None for run in design.runs):
        last = design.runs[-1]
        why = f": {last.error}" if last.error else ""
        return Judged("open", f"{last.status} at {state.scales[last.scale]}{why}")
    where = f" at {prediction.scale}" if prediction.scale else ""
    return Judged("open", f"not measured on both sides{where} yet")


def _rival(board: Scoreboard, index: int, prediction: Prediction, scale: int) -> int | None:
    parents = board.state.designs[index].parents
    if prediction.against == "best_baseline" or not parents:
        return board.rival(scale)
    return best_parent(board, index, scale)


def best_parent(board: Scoreboard, index: int, scale: int) -> int | None:
    """Of a design's parents the one with the lowest loss at a scale; None where none was measured there."""
    parents = np.array(board.state.designs[index].parents, dtype=np.intp)
    return best_mean(board.state.evidence, scale, parents)


def _words(
    board: Scoreboard, prediction: Prediction, scale: int, index: int, rival: int, difference: Estimate
) -> str:
    state = board.state
    side = "higher" if difference.value > 0 else "lower"
    seeds = [int(state.evidence.count[each, scale]) for each in (index, rival)]
    return (
        f"{prediction.metric} {side} than {state.designs[rival].name}'s by "
        f"{abs(difference.value):.4f} ± {difference.stderr:.4f} at {state.scales[scale]}, "
        f"{seeds[0]} against {seeds[1]} seed{'' if seeds[1] == 1 else 's'}"
    )
