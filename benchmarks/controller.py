"""CPU milliseconds per step of the controller, on a real SQLite file, as a tree grows.

A step is one job: decided, written, handed over, its result kept and applied. The work itself is simulated
and its time is taken off, as it is spent in workers otherwise.

    python benchmarks/controller.py [--designs 10000] [--selector posterior] [--profile]
"""

import argparse
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

from model_discovery.config import CampaignConfig, parse_config
from model_discovery.design_tree import DesignTree
from model_discovery.engine import Job, JobResult
from model_discovery.evolution import Controller, RequestMaker, begin_campaign, simulator
from model_discovery.evolution.controller import CampaignEvent
from model_discovery.verification.recipes import get_recipe

WINDOW = 200  # steps measured around each size
SEEDS = 8


class TimedEngine(simulator.InlineEngine):
    """Knows how long the simulated work took."""

    work_seconds = 0.0

    def _finish(self, job: Job) -> JobResult:
        begun = time.process_time()
        result = super()._finish(job)
        self.work_seconds += time.process_time() - begun
        return result


class Meter:
    """CPU seconds of the loop alone, read whenever a job is submitted."""

    def __init__(self, engine: TimedEngine) -> None:
        self._engine = engine
        self.designs = SEEDS
        self.readings: list[tuple[int, float]] = []

    def __call__(self, event: CampaignEvent) -> None:
        self.designs += event.kind == "designed"
        if event.kind == "submitted":
            self.readings.append((self.designs, time.process_time() - self._engine.work_seconds))

    def milliseconds_at(self, designs: int) -> float:
        """Per step, over the window that ends when the tree has this many designs."""
        last = next(
            (i for i, (size, _) in enumerate(self.readings) if size >= designs), len(self.readings) - 1
        )
        first = max(0, last - WINDOW)
        return 1000 * (self.readings[last][1] - self.readings[first][1]) / (last - first)


def configuration(designs: int, selector: str) -> CampaignConfig:
    """A pyramid over three scales."""
    return parse_config(
        {
            "preset": "benchmark", "selector": selector, "tokens": {"0.1M": 300_000},
            "seed_designs": list(simulator.simulated_seeds(SEEDS)),
            "budget": {
                "designs": designs,
                "runs": {"0.1M": 2 * designs, "0.4M": max(4, designs // 4), "1.5M": max(2, designs // 16)},
            },
        }
    )  # fmt: skip


def measure(designs: int, selector: str, folder: Path) -> Meter:
    """Run a campaign until its tree has ``designs`` designs."""
    config = configuration(designs, selector)
    seeds = simulator.simulated_seeds(SEEDS)
    engine = TimedEngine(places=4)
    meter = Meter(engine)
    with DesignTree(folder / "tree.db") as tree:
        campaign = begin_campaign(
            tree, "benchmark", instruction="be fast", config=config, seeds=seeds, versions={}
        )
        requests = RequestMaker(tree, campaign.instruction, get_recipe("grammar"), folder)
        controller = Controller(
            tree, campaign, engine, requests, folder=folder, functions=simulator.FUNCTIONS, on_event=meter
        )
        stop_when_full(controller, meter, designs)
        controller.run()
        begun = time.process_time()
        Controller(tree, campaign, engine, requests, folder=folder, functions=simulator.FUNCTIONS)._open()
        print(f"opening again (resume): {time.process_time() - begun:.2f} s of CPU")
    size = sum(file.stat().st_size for file in folder.glob("tree.db*"))
    print(f"{len(meter.readings)} steps, {size / 2**20:.0f} MiB on disk")
    return meter


def stop_when_full(controller: Controller, meter: Meter, designs: int) -> None:
    """End the sitting once the tree has its size: the rest of the campaign would only repeat it."""
    inner = controller._on_event

    def watch(event: CampaignEvent) -> None:
        inner(event)
        if meter.designs >= designs:
            controller.stop.stop("measured")

    controller._on_event = watch


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--designs", type=int, default=10_000)
    parser.add_argument("--selector", default="posterior")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        if given.profile:
            profile.enable()
        meter = measure(given.designs, given.selector, Path(folder))
        profile.disable()
    if given.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
    print(f"{'designs':>8} {'ms/step':>8}   (CPU, selector {given.selector})")
    for designs in (100, 300, 1000, 3000, 10_000, 30_000):
        if designs <= given.designs:
            print(f"{designs:8} {meter.milliseconds_at(designs):8.2f}")


if __name__ == "__main__":
    main()
