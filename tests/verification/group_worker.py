"""Trainings that one process and two do alike; as a program, one process of a group that does them all.

``python group_worker.py RANK SIZE FOLDER``: what comes out lies in ``FOLDER/NAME-RANK.pt``.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from small_training import CONTEXT, VOCABULARY, Interrupted, SmallModel, plan
from torch import nn

from model_discovery.blocks import LanguageModel, Node, UnitTree, get_seed_design, seed_units
from model_discovery.verification.group import ALONE, Group, LostProcess
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.streams import IGNORED, Batch
from model_discovery.verification.trainer import TrainPlan, train, window_losses

PLAN = replace(plan(steps=12), learning_rate=1e-3, clip=0.05, checkpoint_seconds=1e9)
Training = tuple[Callable[[], nn.Module], int, TrainPlan]


def design(tree: UnitTree) -> LanguageModel:
    return LanguageModel(tree, vocab_size=VOCABULARY, width=16, n_blocks=2, seed=0)


def mixture() -> LanguageModel:
    """Of experts, with a balancing loss that is no mean over tokens."""
    unit = seed_units()["TopKMixture"]
    part = UnitTree(root=Node(unit=unit.id), units={unit.id: unit})
    return design(get_seed_design("min_gru").tree.graft("ffn", part))


def without_dropout() -> SmallModel:
    model = SmallModel()
    model.drop.p = 0.0
    return model


def partly_unused() -> nn.Module:
    """Has parameters that no token reaches: they get no gradient, and no decay."""
    model = without_dropout()
    model.unused = nn.Linear(3, 3)
    return model


# Name: the model, rows of a batch, the plan. Rows of a pass are few, so that passes accumulate.
TRAININGS: dict[str, Training] = {
    "a design, five rows": (
        lambda: design(get_seed_design("min_gru").tree),
        5,
        replace(PLAN, micro_rows=2),
    ),
    "a mixture of experts": (mixture, 8, replace(PLAN, micro_rows=2)),
    "fewer rows than processes": (partly_unused, 1, PLAN),
    "in float64, for long": (
        lambda: without_dropout().double(),
        3,
        replace(PLAN, steps=60, learning_rate=1e-2, micro_rows=1),
    ),
    "with dropout": (SmallModel, 4, PLAN),
}


def batch_at(step: int, rows: int) -> Batch:
    """A batch whose rows count differently many of their labels."""
    draw = np.random.Generator(np.random.PCG64(step))
    ids = np.cumsum(draw.integers(1, 4, size=(rows, CONTEXT + 1)), axis=1) % VOCABULARY
    labels = ids[:, 1:].copy()
    for row in range(rows):
        labels[row, : (5 * row + step) % 11] = IGNORED
    return Batch(ids[:, :-1].copy(), labels)


def run(name: str, folder: Path, group: Group = ALONE, *, stop_at: int | None = None) -> dict[str, Any]:
    """One of `TRAININGS`: its record, and the weights afterwards."""
    make, rows, the_plan = TRAININGS[name]
    model = make()
    folder.mkdir(parents=True, exist_ok=True)

    def batches(step: int) -> Batch:
        if step == stop_at:
            raise Interrupted
        return batch_at(step, rows)

    def held_out() -> float:
        return window_losses(model, [batch_at(10_000, 2)])[0][0]

    if stop_at is not None:
        the_plan = replace(the_plan, checkpoint_seconds=0.0)
    result = train(model, batches, the_plan, folder=folder, held_out=held_out, group=group)
    assert result.status == "ok", result
    weights = {key: value.detach().clone() for key, value in model.named_parameters()}
    return {"record": asdict(result.record), "weights": weights}


def main(rank: int, size: int, folder: Path) -> None:
    dist.init_process_group(
        "gloo",
        store=dist.FileStore(str(folder / "store"), size),
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=60),
    )
    group = Group(rank, size)
    own = folder / f"rank-{rank}"  # only the first one's holds checkpoints

    def keep(name: str, value: object) -> None:
        torch.save(value, folder / f"{name}-{rank}.pt")

    for name in TRAININGS:
        keep(name, run(name, own / name, group))
    for name in ("with dropout", "a design, five rows"):
        try:
            run(name, own / "cut off" / name, group, stop_at=7)
        except Interrupted:
            dist.barrier()
    keep("gone on", run("with dropout", own / "cut off" / "with dropout", group))
    try:
        group.same("request", f"rank {rank}")
    except VerificationFailure as failure:
        keep("differ", str(failure))
    group.same("request", "one")
    if rank == 1:
        os._exit(9)
    try:
        run("a mixture of experts", own / "lost", group)
    except LostProcess as error:
        keep("lost", str(error))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    os._exit(0)
