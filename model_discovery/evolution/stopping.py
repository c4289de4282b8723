"""Stopping: by hand (once drains, twice stops) or by the clock, which ends a campaign's sitting and never
changes it; or at one of its bounds, and which that was.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from model_discovery.evolution.state import CampaignState


class StopFlag:
    """Asks the loop to stop.

    Attributes
    ----------
    reason
        Why, in words; ``""`` while nobody asked.
    now
        Not even work in flight is waited for.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.now = False

    @property
    def draining(self) -> bool:
        """No new work; what is in flight is finished and recorded."""
        return bool(self.reason)

    def drain(self, reason: str) -> None:
        """Start nothing more. The first reason stays."""
        self.reason = self.reason or reason

    def stop(self, reason: str) -> None:
        """Leave at once; work in flight is taken up again by a resume."""
        self.drain(reason)
        self.now = True


@contextmanager
def stop_on_signals(flag: StopFlag) -> Iterator[StopFlag]:
    """While the block runs, the first SIGINT drains and the second stops; SIGTERM stops.

    Outside the main thread (a notebook's worker) signals are left alone, since Python delivers none there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def interrupted(number: int, frame: FrameType | None) -> None:
        if flag.draining:
            flag.stop(flag.reason)
        else:
            flag.drain("stopped by Ctrl-C")

    def terminated(number: int, frame: FrameType | None) -> None:
        flag.stop("stopped by SIGTERM")

    before = signal.signal(signal.SIGINT, interrupted), signal.signal(signal.SIGTERM, terminated)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def why_finished(state: CampaignState) -> str:
    """Which bound ended a campaign."""
    runs = list(zip(state.scales, state.budgets.spent(), strict=True))
    spent = ", ".join(f"{used} of {limit} at {scale}" for scale, (used, limit) in runs)
    designs = f"{state.budgets.designs.used} of {state.budgets.designs.limit} designs"
    if state.patience_lost:
        return f"patience: {state.since_best} designs without a better one ({designs}, runs {spent})"
    if state.sessions.limit and not state.designers_left:
        return f"LLM budget spent ({state.sessions.limit}): {designs}, runs {spent}"
    if state.budgets.fruitless.left <= 0:
        return (
            f"fruitless: {state.budgets.fruitless.used} attempts brought no design ({designs}, runs {spent})"
        )
    if all(used >= limit for _, (used, limit) in runs):
        return f"verify_bound: every run is used ({designs}, runs {spent})"
    if state.budgets.designs.left <= 0:
        return f"design_bound: every design is made and run ({designs}, runs {spent})"
    return f"verify_bound: no run is open ({designs}, runs {spent})"
