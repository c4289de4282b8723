"""Training by two processes against one, on one machine: tokens a second, and what working together costs.

    .venv/bin/python benchmarks/distributed.py [--scale 1.5M] [--rounds 5] [--steps 8]

Both ways take turns in the same two processes, one thread each: in a round the first one trains alone while
the other waits, then both train the same batches together. Beside wall time, which other load on the machine
distorts, stands processor time a token of both together: its ratio is what exchanging gradients and doing the
optimiser's step twice cost.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
VOCABULARY, ROWS, CONTEXT = 4096, 16, 256


def train(options: argparse.Namespace, folder: Path, rank: int, size: int) -> tuple[float, float]:
    """Wall seconds of the steps, and processor seconds of this process."""
    import numpy as np

    from model_discovery.blocks import LanguageModel, get_scale, get_seed_design, size_block
    from model_discovery.verification.group import Group
    from model_discovery.verification.streams import Batch
    from model_discovery.verification.trainer import TrainPlan, train

    tree = get_seed_design(options.design).tree
    sizing = size_block(tree, get_scale(options.scale))
    model = LanguageModel(tree, vocab_size=VOCABULARY, width=sizing.width, n_blocks=sizing.n_blocks)
    plan = TrainPlan(
        steps=options.steps, step_tokens=ROWS * CONTEXT, learning_rate=1e-3, checkpoint_seconds=1e9
    )

    def batch_at(step: int) -> Batch:
        ids = np.random.Generator(np.random.PCG64(step)).integers(VOCABULARY, size=(ROWS, CONTEXT + 1))
        return Batch(ids[:, :-1].copy(), ids[:, 1:].copy())

    place = folder / f"{size}-{rank}-{time.time()}"
    place.mkdir()
    began = time.process_time()
    result = train(model, batch_at, plan, folder=place, held_out=lambda: 1.0, group=Group(rank, size))
    return result.record.seconds, time.process_time() - began


def process(rank: int, options: argparse.Namespace, folder: Path) -> None:
    import torch
    import torch.distributed as dist

    from model_discovery.verification.settle import settle

    settle()
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=dist.FileStore(str(folder / "store"), 2), rank=rank, world_size=2)
    tokens = options.steps * ROWS * CONTEXT
    speedups, costs, speeds = [], [], []
    for _ in range(options.rounds + 1):  # the first one warms up
        alone = train(options, folder, 0, 1) if rank == 0 else (0.0, 0.0)
        dist.barrier()
        wall, cpu = train(options, folder, rank, 2)
        spent = torch.tensor([cpu])
        dist.all_reduce(spent)
        speedups.append(alone[0] / wall)
        costs.append(float(spent) / alone[1] if rank == 0 else 0.0)
        speeds.append((tokens / max(alone[0], 1e-9), tokens / wall))
    if rank == 0:
        one, two = (statistics.median(pair[which] for pair in speeds[1:]) for which in (0, 1))
        print(
            f"{options.design} at {options.scale}, {ROWS} x {CONTEXT} tokens a step,",
            f"load {os.getloadavg()[0]:.1f}",
        )
        print(f"one process {one:,.0f} tokens/s, two {two:,.0f}")
        for name, values in (("speed-up", speedups[1:]), ("processor time a token", costs[1:])):
            low, high = min(values), max(values)
            print(f"{name}: {statistics.median(values):.2f} times ({low:.2f} to {high:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="1.5M")
    parser.add_argument("--design", default="transformer_pp")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        processes = [context.Process(target=process, args=(rank, options, Path(folder))) for rank in range(2)]
        for each in processes:
            each.start()
        for each in processes:
            each.join()


if __name__ == "__main__":
    main()
