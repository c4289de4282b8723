"""Early rungs: a run that lies among the worst at a quarter or at half of its tokens is not finished.

Asynchronous successive halving inside a run (Li et al., 2018, arXiv 1810.05934), with the quantile taken over
all designs that were run at the scale before, so that the limits are known when a request is made: a run
stays a pure function of its request, and a campaign of its seed.
"""

import bisect
import math
from collections.abc import Sequence

from model_discovery.config import LadderConfig
from model_discovery.verification.report import Rung

LAST_RUNG = 0.5  # share of the tokens after which a run is finished in any case


class RungLosses:
    """Held-out losses of the first run of every design, by scale and tokens seen, in order."""

    def __init__(self, ladder: LadderConfig) -> None:
        self._ladder = ladder
        self._losses: dict[tuple[int, int], list[float]] = {}
        self._designs: dict[int, int] = {}

    def observe(self, scale: int, curve: Sequence[tuple[int, float]]) -> None:
        """A design's first run at a scale has ended, early or not, with this curve of ``(tokens, loss)``."""
        if not curve:
            return
        self._designs[scale] = self._designs.get(scale, 0) + 1
        for tokens, loss in curve:
            bisect.insort(self._losses.setdefault((scale, tokens), []), loss)

    def limits(self, scale: int, run_tokens: int) -> tuple[Rung, ...]:
        """Losses above which a run of ``run_tokens`` is stopped: those of the worst ``stop_worst`` designs.

        Designs that were stopped before a rung count as worse there. None until ``stop_from`` designs have
        run.
        """
        designs, ladder = self._designs.get(scale, 0), self._ladder
        if designs < ladder.stop_from or not ladder.stop_worst:
            return ()
        place = math.ceil(designs * (1 - ladder.stop_worst)) - 1
        at_scale = sorted(tokens for found, tokens in self._losses if found == scale)
        return tuple(
            Rung(tokens=tokens, limit=losses[place])
            for tokens in at_scale
            if tokens <= LAST_RUNG * run_tokens * 1.01 and len(losses := self._losses[scale, tokens]) > place
        )
