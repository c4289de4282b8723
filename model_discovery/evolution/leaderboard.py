"""What a campaign found, in numbers that say how far they can be trusted."""

from dataclasses import dataclass, replace

import numpy as np

from model_discovery.evolution.fitness import best_mean
from model_discovery.evolution.predictions import judge
from model_discovery.evolution.scoreboard import LeaderboardRow, Scoreboard
from model_discovery.evolution.significance import needed_gain
from model_discovery.evolution.state import CampaignState


@dataclass(frozen=True)
class Leaderboard:
    """Rows by rank, and what may be said of them.

    Attributes
    ----------
    best
        The best design that is not human, among those with enough seeds at the highest scale where there is
        one; None without any. ``beats_baselines`` says whether it may be called better.
    baseline
        What it was compared with.
    compared, tried
        Designs compared at that scale; designs that were made.
    needed
        Standard errors the best of ``compared`` designs has to gain: 5 % one-sided, corrected for their
        number.
    status
        One or two sentences that say all this.
    """

    rows: tuple[LeaderboardRow, ...]
    best: LeaderboardRow | None
    baseline: LeaderboardRow | None
    beats_baselines: bool
    compared: int
    tried: int
    needed: float | None
    status: str


def make_leaderboard(state: CampaignState) -> Leaderboard:
    """The leaderboard of a campaign as it stands."""
    board = Scoreboard(state)
    rows = tuple(
        _row(board, index, scale, rank) for rank, (index, scale) in enumerate(board.order(), start=1)
    )
    made = np.flatnonzero(~state.baseline)
    for scale in range(len(state.scales) - 1, -1, -1):
        seeds = state.evidence.count[made, scale]
        if (seeds >= state.seeds_needed(scale)).any():
            enough = made[seeds >= state.seeds_needed(scale)]
            return _with_best(state, board, rows, scale, enough, int((seeds > 0).sum()))
    status = (
        f"No design was compared with the baselines ({len(made)} {'was' if len(made) == 1 else 'were'} made)."
    )
    return Leaderboard(rows, None, None, False, 0, len(made), None, status)


def _row(board: Scoreboard, index: int, scale: int, rank: int) -> LeaderboardRow:
    judged = judge(board, index)
    return replace(board.row(index, scale, rank), verdict=judged.verdict if judged else None)


def _with_best(
    state: CampaignState,
    board: Scoreboard,
    rows: tuple[LeaderboardRow, ...],
    scale: int,
    enough: "np.ndarray[tuple[int, ...], np.dtype[np.intp]]",
    compared: int,
) -> Leaderboard:
    """The leaderboard whose best is chosen among ``enough`` at ``scale``."""
    ranks = {row.design: row.rank for row in rows}
    tried = int((~state.baseline).sum())
    index = best_mean(state.evidence, scale, enough)
    assert index is not None
    best = _row(board, index, scale, ranks[state.designs[index].name])
    rival = board.rival(scale)
    if rival is None:
        status = f"{best.design} is the best design at {best.scale}; no baseline has a loss there."
        return Leaderboard(rows, best, None, False, compared, tried, None, status)
    baseline = _row(board, rival, scale, ranks[state.designs[rival].name])
    needed = needed_gain(compared, board.degrees_of_freedom(scale))
    better = best.gain is not None and best.gain >= needed
    status = _sentences(best, baseline, better, f"{compared} of the {tried} designs made", needed)
    return Leaderboard(rows, best, baseline, better, compared, tried, needed, status)


def _sentences(
    best: LeaderboardRow, baseline: LeaderboardRow, better: bool, compared: str, needed: float
) -> str:
    gained = best.gain or 0.0
    seeds = f"{best.seeds} against {baseline.seeds} seed{'' if baseline.seeds == 1 else 's'}"
    losses = f"{best.loss.value:.4f} against {baseline.loss.value:.4f} nats per token"
    where = f"at {best.scale} ({losses}, {seeds})"
    honest = f"Compared there: {compared}; the best of so many needs {needed:.1f} standard errors."
    if better:
        by = f"by {gained:.1f} standard errors"
        result = f"{best.design} beats the best baseline, {baseline.design}, {by} {where}."
    else:
        side = "ahead of" if gained > 0 else "behind"
        result = (
            f"Nothing beat the baselines: the best design, {best.design}, is "
            f"{abs(gained):.1f} standard errors "
            f"{side} {baseline.design} {where}."
        )
    return f"{result} {honest}"
