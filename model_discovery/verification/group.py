"""Processes that train one model together: each takes its part of every batch, all take the same steps.

The gradients and the loss of a step are summed in one all-reduce, so every process sees the same loss, clips
by the same norm, and comes to the same decisions without asking. Not `DistributedDataParallel`: its averaging
is by process and not by target, it wants as many backward passes from each, and a parameter that no token
reached in this step (an expert of a mixture) must keep having no gradient, as with one process.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor, nn

from model_discovery.seeds import derive
from model_discovery.verification.checkpoints import Snapshot
from model_discovery.verification.outcome import VerificationFailure

BUCKET = 1 << 24  # numbers in one all-reduce: 64 MB of fp32


@dataclass(frozen=True)
class Group:
    """The processes of one training, as one of them sees them; `ALONE` where there is only this one.

    Attributes
    ----------
    rank, size
        Which process this is, from 0, and how many there are.
    device
        Where the tensors that are exchanged have to lie.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process keeps the checkpoints and saves the model."""
        return self.rank == 0

    def portions(self, rows: int, micro: int) -> list[tuple[int, int]]:
        """This process's micro-batches as ``(first row, row after the last)``; there may be none.

        Whole micro-batches of about ``micro`` rows are dealt out: where they can be dealt evenly they are
        those of one process, so that a loss that is no mean over tokens (a mixture's balance) is the same.
        """
        count = -(-rows // micro)
        if self.size > 1:
            count = -(-count // self.size) * self.size
        size = -(-rows // count)
        starts = range(0, rows, micro if self.size == 1 else size)
        mine = starts[self.rank * len(starts) // self.size : (self.rank + 1) * len(starts) // self.size]
        return [(first, min(first + starts.step, rows)) for first in mine]

    def seed_step(self, seed: int, step: int) -> None:
        """Random numbers of a step: of this process alone, whoever trained the steps before."""
        if self.size > 1:
            torch.manual_seed(derive(seed, "training", step, self.rank))

    def sum_gradients(self, model: nn.Module, loss: Tensor) -> float:
        """Add up the gradients of all processes; the sum of their losses.

        A parameter that has a gradient nowhere has none afterwards.
        """
        if self.size == 1:
            return float(loss)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        told = [float(parameter.grad is not None) for parameter in parameters] + [float(loss)]
        reached = self._sum(torch.tensor(told, dtype=torch.float64))
        for parameter, count in zip(parameters, reached[:-1].tolist(), strict=True):
            if count and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            _exchange(dist.all_reduce, flat)
            for gradient, part in zip(bucket, torch.split(flat, [g.numel() for g in bucket]), strict=True):
                gradient.copy_(part.view_as(gradient))
        return float(reached[-1])

    def least(self, value: int) -> int:
        """The smallest of the processes' values."""
        return -int(self._sum(torch.tensor(-value), dist.ReduceOp.MAX)) if self.size > 1 else value

    def same(self, what: str, value: str) -> None:
        """All processes have the same ``value``.

        Raises
        ------
        VerificationFailure
            ``failed``, in every process.
        """
        if self.size == 1:
            return
        mine = torch.tensor(derive(0, value))
        highest = int(self._sum(mine, dist.ReduceOp.MAX))
        lowest = -int(self._sum(-mine, dist.ReduceOp.MAX))
        if highest != lowest:
            raise VerificationFailure("failed", f"the {self.size} processes have not the same {what}")

    def same_start(self, snapshot: Snapshot | None) -> Snapshot | None:
        """The first process's checkpoint, in every process."""
        if self.size == 1:
            return snapshot
        content = b"" if snapshot is None else _packed(snapshot)
        length = torch.tensor(len(content) if self.first else 0)
        length = self._sum(length)
        if not int(length):
            return None
        sent = torch.zeros(int(length), dtype=torch.uint8, device=self.device)
        if self.first:
            sent.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        _exchange(dist.broadcast, sent, 0)
        return snapshot if self.first else _unpacked(sent.cpu().numpy().tobytes())

    def note_change(self, before: int, step: int) -> list[str]:
        """What to say where training goes on with another number of processes than ``before``."""
        if before == self.size:
            return []
        return [f"from step {step} on by {_processes(self.size)}, before by {_processes(before)}"]

    def _sum(self, values: Tensor, operation: Any = None) -> Tensor:
        values = values.to(self.device, copy=True)  # the caller keeps its own
        _exchange(dist.all_reduce, values, operation or dist.ReduceOp.SUM)
        return values.cpu()


ALONE = Group()


class LostProcess(Exception):
    """Another process of the group ended, or its machine did: whoever sees this is not at fault."""


def _exchange(collective: Callable[..., Any], *arguments: Any) -> None:
    try:
        collective(*arguments)
    except RuntimeError as error:
        raise LostProcess(str(error)) from error


def _processes(count: int) -> str:
    return f"{count} process{'es' * (count > 1)}"


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, about `BUCKET` numbers together."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        full = sum(held.numel() for held in bucket) + tensor.numel() > BUCKET
        if bucket and (full or bucket[0].dtype != tensor.dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


def _packed(snapshot: Snapshot) -> bytes:
    tensors = {f"model.{name}": tensor for name, tensor in snapshot.model.items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in snapshot.optimizer.items()}
    return bytes(save(tensors | {"random": snapshot.random}, {"record": json.dumps(snapshot.record)}))


def _unpacked(content: bytes) -> Snapshot:
    tensors = load(content)
    length = int.from_bytes(content[:8], "little")
    record = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["record"])
    parts = {
        part: {
            name.removeprefix(f"{part}."): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{part}.")
        }
        for part in ("model", "optimizer")
    }
    return Snapshot(parts["model"], parts["optimizer"], tensors["random"], record)
