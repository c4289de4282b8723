"""Checkpoints of a training run: everything it needs to go on as if it had never stopped.

One safetensors file with weights, optimiser state, random state, the run's own record, and a checksum over
all of it. It is written aside and renamed, and the one before is kept: a file damaged at any byte is found,
named in the report, and the run goes on from the one before, or from the start.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from model_discovery.verification.weights import hash_tensors

CURRENT = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"
_CHECKSUM, _RECORD, _RANDOM = "checksum", "record", "random"


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be used; the message says why."""


@dataclass(frozen=True)
class Snapshot:
    """A state of training: tensors of model and optimiser, random state, and the run's record as JSON."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    random: Tensor
    record: dict[str, Any]


class CheckpointStore:
    """The checkpoints of one run, in one folder.

    Parameters
    ----------
    folder
        Must exist.
    identity
        Of what is trained on what; a checkpoint of anything else is not used.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = identity

    def write(self, model: nn.Module, optimizer: torch.optim.Optimizer, record: Mapping[str, Any]) -> None:
        """Store the state of training; the last one becomes the previous one."""
        stored = json.dumps({"identity": self._identity, **record}).encode()
        tensors = {f"model.{name}": _own(tensor) for name, tensor in model.state_dict().items()}
        tensors |= {f"optimizer.{name}": _own(tensor) for name, tensor in _flat(optimizer).items()}
        tensors[_RANDOM] = torch.get_rng_state()
        tensors[_RECORD] = _bytes(stored)
        tensors[_CHECKSUM] = _bytes(bytes.fromhex(hash_tensors(save(tensors))))
        part = self._folder / f"{CURRENT}.part"
        with part.open("wb") as file:
            file.write(save(tensors))
            file.flush()
            os.fsync(file.fileno())
        current = self._folder / CURRENT
        if current.exists():
            current.replace(self._folder / PREVIOUS)
        part.replace(current)

    def read(self, note: Callable[[str], None]) -> Snapshot | None:
        """The latest state that is whole, ``None`` where none is; ``note`` hears of every one that is not."""
        for name in (CURRENT, PREVIOUS):
            file = self._folder / name
            if not file.exists():
                continue
            try:
                return self._read(file)
            except DamagedCheckpoint as damage:
                note(f"{name} was set aside: {damage}")
                file.unlink()
        return None

    def _read(self, file: Path) -> Snapshot:
        try:
            content = file.read_bytes()
            tensors = load(content)
        except (OSError, SafetensorError) as error:
            raise DamagedCheckpoint(str(error)) from error
        checksum = tensors.pop(_CHECKSUM, torch.empty(0, dtype=torch.uint8))
        if bytes(checksum.tolist()).hex() != hash_tensors(content, without=[_CHECKSUM]):
            raise DamagedCheckpoint("its checksum does not fit its content")
        record = json.loads(bytes(tensors.pop(_RECORD).tolist()))
        if record.pop("identity") != self._identity:
            raise DamagedCheckpoint("it is of another design, recipe or data")
        return Snapshot(_part(tensors, "model."), _part(tensors, "optimizer."), tensors[_RANDOM], record)


def restore(snapshot: Snapshot, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put model, optimiser and random numbers back to where they were."""
    model.load_state_dict(snapshot.model)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in snapshot.optimizer.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    torch.set_rng_state(snapshot.random)


def _flat(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors by ``index.key``."""
    return {
        f"{index}.{key}": tensor
        for index, state in optimizer.state_dict()["state"].items()
        for key, tensor in state.items()
    }


def _own(tensor: Tensor) -> Tensor:
    """A copy that shares its memory with nothing: tied weights are stored under each of their names."""
    return tensor.detach().cpu().contiguous().clone()


def _bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
