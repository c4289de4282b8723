"""Stopping: by hand (once drains, twice stops) or by the clock; it ends a campaign's sitting, never changes
it.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
