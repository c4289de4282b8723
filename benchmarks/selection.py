"""Selectors compared in the simulated world: what the design they end with is truly worth.

Every selector gets the same worlds (human designs, seeds, noise). Reported are means over campaigns with
standard errors, in thousandths of a nat per token at the top scale: how far the final choice truly lies
below the best human design; and how often "better" was said, and how often it was said wrongly.

    python benchmarks/selection.py [--campaigns 100] [--preset laptop] [--set PATH=VALUE]
"""

import argparse
import math
import statistics
import time

from model_discovery.config import CampaignConfig, load_config
from model_discovery.evolution import make_leaderboard, selector_names
from model_discovery.evolution.landscape import Landscape
from model_discovery.evolution.rehearsal import Rehearsal
from model_discovery.evolution.simulator import World


def outcome(config: CampaignConfig) -> tuple[float, bool, bool]:
    """True gain of the final choice, whether it was called better, and whether that was wrong."""
    done = Rehearsal(config, World(landscape=Landscape(seed=config.seed))).run()
    state, top = done.state, len(done.state.scales) - 1
    board = make_leaderboard(state)
    if board.best is None or board.baseline is None:
        return 0.0, False, False
    chosen = state.index[board.best.design]
    gained = min(done.true_loss(index, top) for index in state.baselines) - done.true_loss(chosen, top)
    scale = state.scales.index(board.best.scale)
    rival = state.index[board.baseline.design]
    wrong = done.true_loss(chosen, scale) >= done.true_loss(rival, scale)
    return gained, board.beats_baselines, board.beats_baselines and wrong


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, default=100)
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    given = parser.parse_args()
    print(f"{'selector':10} {'gain, mnat':>14} {'called better':>14} {'wrongly':>8} {'s/campaign':>11}")
    for selector in selector_names():
        begun = time.process_time()
        configs = (
            load_config(given.preset, given.overrides, selector=selector, seed=seed)
            for seed in range(given.campaigns)
        )
        gains, better, wrong = zip(*(outcome(config) for config in configs), strict=True)
        error = statistics.stdev(gains) / math.sqrt(len(gains))
        seconds = (time.process_time() - begun) / given.campaigns
        mean = f"{1000 * statistics.fmean(gains):.1f} ± {1000 * error:.1f}"
        print(f"{selector:10} {mean:>14} {sum(better):>14} {sum(wrong):>8} {seconds:>11.2f}")


if __name__ == "__main__":
    main()
