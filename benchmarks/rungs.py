"""How often early rungs stop a design that would have ended among the best, on runs that were all finished.

    model-discovery baselines run --scale 0.1M,0.4M --seeds 3
    .venv/bin/python benchmarks/rungs.py [--db model_discovery.db] [--campaign NAME] [--orders 2000]

The finished runs of a campaign are shown to the rule of `model_discovery.evolution.rungs` in random orders,
one seed a design, as a campaign would meet them. A false stop is a design of the final best quarter that was
not finished; the best quarter may climb, so it is what a stop can cost.
"""

import argparse
import statistics

import numpy as np

from model_discovery.config import LadderConfig
from model_discovery.design_tree import DesignTree, VerificationRow
from model_discovery.evolution.rungs import RungLosses

Curve = list[tuple[int, float]]


def curves_by_design(rows: list[VerificationRow], scale: str) -> list[list[Curve]]:
    """Held-out curves of all designs with a finished run at a scale, one a seed."""
    found: dict[int, list[Curve]] = {}
    for row in rows:
        if row.scale == scale and row.status == "ok":
            found.setdefault(row.design_id, []).append(row.environment["held_out_curve"])
    return list(found.values())


def one_order(curves: list[Curve], ladder: LadderConfig) -> tuple[float, float, float]:
    """Share of designs stopped, share of the best quarter stopped, share of tokens saved."""
    losses = RungLosses(ladder)
    finals = [curve[-1][1] for curve in curves]
    best = set(np.argsort(finals, kind="stable")[: max(1, len(curves) // 4)].tolist())
    stopped, false, saved = 0, 0, 0.0
    for number, curve in enumerate(curves):
        whole = curve[-1][0]
        at = dict(curve)
        end = next((r.tokens for r in losses.limits(0, whole) if at[r.tokens] > r.limit), whole)
        losses.observe(0, [point for point in curve if point[0] <= end])
        if end < whole:
            stopped, false = stopped + 1, false + (number in best)
            saved += 1 - end / whole
    return stopped / len(curves), false / len(best), saved / len(curves)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--db", default="model_discovery.db")
    parser.add_argument("--campaign", default=None)
    parser.add_argument("--orders", type=int, default=2000)
    arguments = parser.parse_args()
    with DesignTree(arguments.db) as tree:
        campaign = tree.campaign(arguments.campaign) if arguments.campaign else tree.campaigns()[-1]
        rows = list(tree.verifications(campaign.id))
    rng = np.random.default_rng(0)
    for scale in dict.fromkeys(row.scale for row in rows):
        designs = curves_by_design(rows, scale)
        print(f"{scale}: {len(designs)} designs, {arguments.orders} orders")
        for worst in (0.1, 0.25, 0.4, 0.5):
            figures = []
            for _ in range(arguments.orders):
                order = rng.permutation(len(designs))
                curves = [designs[i][rng.integers(len(designs[i]))] for i in order]
                figures.append(one_order(curves, LadderConfig(stop_worst=worst)))
            stopped, false, saved = (statistics.fmean(column) for column in zip(*figures, strict=True))
            print(
                f"  stop_worst {worst:.2f}: {stopped:.1%} of designs stopped, {saved:.1%} of tokens saved, "
                f"{false:.2%} of the best quarter stopped"
            )


if __name__ == "__main__":
    main()
