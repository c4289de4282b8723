"""What a second worker is worth: the same verifications through the real engine, with one and with two.

    .venv/bin/python benchmarks/workers.py [--jobs 6] [--rounds 2] [--tokens 60000]

Time is by the clock, from the first job's start to the last report, so this needs a machine with nothing else
to do: the load before each run is printed beside it. Workers and their sandboxes are warm, as they are in a
campaign after its first minute. With ``--first`` it says instead how long a verification takes from the start
of the program to its first report of a training step.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
DESIGN, SCALE = "min_gru", "0.1M"
WORK = "model_discovery.verification.work:run_verify"


def request(tokens: int, seed: int, data: Path) -> dict[str, Any]:
    from model_discovery.blocks import get_seed_design
    from model_discovery.verification import VerifyRequest, get_recipe

    asked = VerifyRequest(
        design=DESIGN,
        unit_tree=get_seed_design(DESIGN).tree,
        scale=SCALE,
        recipe=get_recipe("grammar", tokens={SCALE: tokens}),
        seed=seed,
        suites=("minimal-pairs",),
        data_dir=str(data),
    )
    return asked.model_dump(mode="json")


class Workers:
    """An engine that has done a job with every worker, so that all of them are warm."""

    def __init__(self, number: int, tokens: int, folder: Path) -> None:
        from model_discovery.engine import LocalEngine

        self.engine = LocalEngine(workers=number)
        self.tokens, self.folder, self.submitted = tokens, folder, 0
        self.run(number)

    def run(self, jobs: int) -> float:
        """Seconds by the clock for so many verifications."""
        from model_discovery.engine import Job, JobResult

        start = time.monotonic()
        for _ in range(jobs):
            number = self.submitted = self.submitted + 1
            asked = request(self.tokens, number, self.folder.parent / "data")
            self.engine.submit(Job(number, WORK, asked, self.folder / str(number)))
        while jobs:
            for message in self.engine.wait():
                if isinstance(message, JobResult):
                    jobs -= 1
                    if message.status != "done" or (message.value or {})["status"] != "ok":
                        raise SystemExit(f"job {message.id}: {message}")
        return time.monotonic() - start


def compare(jobs: int, rounds: int, tokens: int) -> None:
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        pairs = {number: Workers(number, tokens, Path(folder) / str(number)) for number in (1, 2)}
        for _ in range(rounds):
            seconds = {}
            for number, workers in pairs.items():
                load = os.getloadavg()[0]
                seconds[number] = workers.run(jobs)
                print(f"{number} worker(s): {jobs} jobs in {seconds[number]:.1f} s, load before {load:.1f}")
            ratios.append(seconds[1] / seconds[2])
        for workers in pairs.values():
            workers.engine.close()
    print(
        f"two workers are {statistics.median(ratios):.2f} times one ({', '.join(f'{r:.2f}' for r in ratios)})"
    )


FIRST = """
import sys, time; begun = time.monotonic()
from pathlib import Path
from benchmarks.workers import WORK, processor_seconds, request
from model_discovery.engine import Job, JobProgress, LocalEngine
folder, number = Path(sys.argv[1]), int(sys.argv[2])
engine = LocalEngine(workers=1)
engine.submit(Job(number, WORK, request(60_000, number, folder / "data"), folder / str(number)))
heard = []
while not any(isinstance(message, JobProgress) and "loss" in message.fields for message in heard):
    heard = engine.wait()
print(processor_seconds(), time.monotonic() - begun)
engine.close(kill=True)
"""


def first_step(rounds: int) -> None:
    """A program that imports, starts everything and trains, up to the first word about a loss."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            command = [sys.executable, "-c", FIRST, folder, str(number)]
            root = Path(__file__).resolve().parents[1]
            run = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
            spent, seconds = map(float, run.stdout.split())
            what = "data there" if number else "data made too"
            print(
                f"{what}: {spent:.1f} s of processor, {seconds:.1f} s, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def processor_seconds() -> float:
    """Of this process and all that came of it, living or dead."""
    parents, spent = {}, {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # has just ended
            continue
        parents[int(entry.parent.name)] = int(fields[1])
        spent[int(entry.parent.name)] = sum(map(int, fields[11:15]))
    mine = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return float(sum(spent[process] for process in mine)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=60_000)
    parser.add_argument("--first", action="store_true")
    arguments = parser.parse_args()
    if arguments.first:
        first_step(arguments.rounds)
    else:
        compare(arguments.jobs, arguments.rounds, arguments.tokens)


if __name__ == "__main__":
    main()
