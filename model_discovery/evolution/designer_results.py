"""Who made what: designers of one campaign side by side, with the errors that a comparison needs."""

import math
from collections import Counter
from dataclasses import dataclass

from model_discovery.designers.requests import Spending
from model_discovery.evolution.predictions import best_parent, judge
from model_discovery.evolution.recording import origin_of
from model_discovery.evolution.scoreboard import LeaderboardRow, Scoreboard
from model_discovery.evolution.sessions import Tally
from model_discovery.evolution.significance import share_interval
from model_discovery.evolution.state import CampaignState, Estimate


@dataclass(frozen=True)
class DesignerResult:
    """What one designer did in a campaign.

    Attributes
    ----------
    sessions, designs, attempts
        Design jobs that ended, those that brought a design, and the drafts that were checked.
    valid
        Share of the sessions that brought a design, those left out that a limit of the campaign ended;
        ``valid_low`` and ``valid_high`` bound it at 95 %. None without a session, as for a person's designs.
    verified
        Its designs with a loss.
    best
        Its first row in the leaderboard; None without a loss.
    over_parent
        Mean over its designs of how far the loss lies below that of the best parent, at the lowest scale, in
        nats per token; the standard error is that of designs and seeds together, the seeds of parents that
        several share included. None with fewer than two such designs. ``over_parent_of`` is their number.
    right, wrong, open
        Predictions by what came of them.
    spending
        On language models, as the results of its jobs say.
    """

    designer: str
    sessions: int
    designs: int
    attempts: int
    valid: float | None
    valid_low: float | None
    valid_high: float | None
    verified: int
    best: LeaderboardRow | None
    over_parent: Estimate | None
    over_parent_of: int
    right: int
    wrong: int
    open: int
    spending: Spending


def by_designer(state: CampaignState) -> tuple[DesignerResult, ...]:
    """All that were asked, in the order of the configuration, and people whose designs were added."""
    board = Scoreboard(state)
    names = [name for name, share in state.config.designers.items() if share > 0]
    origins = {origin_of(name) for name in names}
    if any(design.origin == "external" for design in state.designs) and "external" not in origins:
        names.append("external")
    return tuple(_result(board, name) for name in names)


def _result(board: Scoreboard, name: str) -> DesignerResult:
    state, origin = board.state, origin_of(name)
    own = [index for index, design in enumerate(state.designs) if design.origin == origin]
    tally = state.sessions.tallies.get(name, Tally())
    tried = tally.sessions - tally.cut_short
    interval = share_interval(tally.designs, tried) if tried else (None, None)
    ranked = [
        board.row(index, scale, rank)
        for rank, (index, scale) in enumerate(board.order(), start=1)
        if state.designs[index].origin == origin
    ]
    verdicts = [found.verdict for index in own if (found := judge(board, index)) is not None]
    gains = [gain for index in own if (gain := _gain_over_parent(board, index)) is not None]
    return DesignerResult(
        designer=name, sessions=tally.sessions, designs=len(own), attempts=tally.attempts,
        valid=tally.designs / tried if tried else None,
        valid_low=interval[0], valid_high=interval[1],
        verified=len(ranked), best=ranked[0] if ranked else None,
        over_parent=_mean(gains), over_parent_of=len(gains),
        right=verdicts.count("right"), wrong=verdicts.count("wrong"), open=verdicts.count("open"),
        spending=tally.spending,
    )  # fmt: skip


@dataclass(frozen=True)
class _Gain:
    """How far a loss lies below that of the best parent, whose own mean has the variance ``luck``."""

    gain: Estimate
    parent: int
    luck: float


def _gain_over_parent(board: Scoreboard, index: int) -> _Gain | None:
    parent = best_parent(board, index, scale=0)
    difference = None if parent is None else board.difference("loss", 0, index, parent)
    if parent is None or difference is None:
        return None
    luck = float(board.variances.seed_noise[0] / board.state.evidence.count[parent, 0])
    return _Gain(Estimate(-difference.value, difference.stderr), parent, luck)


def _mean(gains: list[_Gain]) -> Estimate | None:
    """Mean with the error that the spread of the gains shows, never less than the luck of the seeds alone.

    What the seeds gave a parent stands in the gains of all its children: it does not average out over them,
    nor does their spread show it.
    """
    count = len(gains)
    if count < 2:
        return None
    mean = math.fsum(one.gain.value for one in gains) / count
    spread = math.fsum((one.gain.value - mean) ** 2 for one in gains) / (count - 1)
    luck = math.fsum(one.gain.stderr**2 for one in gains) / count
    children = Counter(one.parent for one in gains)
    shared = math.fsum((children[one.parent] - 1) * one.luck for one in gains) / count**2
    return Estimate(mean, math.sqrt(max(spread, luck) / count + shared))
