"""Checkpoints of a training run: everything it needs to go on as if it had never stopped.

One safetensors file with weights, optimiser state, random state, the run's own record, and a checksum over
all of it. It is written aside and renamed, and the one before is kept: a file damaged at any byte is found,
named in the report, and the run goes on from the one before, or from the start.
"""

import hashlib
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

from model_discovery.verification.device import device_of, random_states, set_random_states

CURRENT = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"
_CHECKSUM, _RECORD, _RANDOM, _CARD_RANDOM = "checksum", "record", "random", "card_random"


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be used; the message says why."""


@dataclass(frozen=True)
class Snapshot:
    """A state of training: tensors of model and optimiser, random states of CPU and GPU, the run's record."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    random: Tensor
    record: dict[str, Any]
    card_random: Tensor | None = None


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
        tensors = _unshared({f"model.{name}": tensor for name, tensor in model.state_dict().items()})
        tensors |= _unshared({f"optimizer.{name}": tensor for name, tensor in _flat(optimizer).items()})
        tensors[_RANDOM], card_random = random_states(device_of(model))
        if card_random is not None:
            tensors[_CARD_RANDOM] = card_random
        tensors[_RECORD] = _bytes(stored)
        tensors[_CHECKSUM] = _checksum(tensors)
        part = self._folder / f"{CURRENT}.part"
        try:
            with part.open("wb") as file:
                file.write(save(tensors))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            part.unlink(missing_ok=True)  # half of one is worth nothing, and the room may be wanted
            raise
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
            tensors = load(file.read_bytes())
        except (OSError, SafetensorError) as error:
            raise DamagedCheckpoint(str(error)) from error
        checksum = tensors.pop(_CHECKSUM, torch.empty(0, dtype=torch.uint8))
        if not torch.equal(checksum, _checksum(tensors)):
            raise DamagedCheckpoint("its checksum does not fit its content")
        record = json.loads(bytes(tensors.pop(_RECORD).tolist()))
        if record.pop("identity") != self._identity:
            raise DamagedCheckpoint("it is of another design, recipe or data")
        parts = _part(tensors, "model."), _part(tensors, "optimizer.")
        return Snapshot(*parts, tensors[_RANDOM], record, tensors.get(_CARD_RANDOM))


def restore(snapshot: Snapshot, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put model, optimiser and random numbers back to where they were."""
    model.load_state_dict(snapshot.model)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in snapshot.optimizer.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    set_random_states((snapshot.random, snapshot.card_random), device_of(model))


def _flat(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors by ``index.key``."""
    return {
        f"{index}.{key}": tensor
        for index, state in optimizer.state_dict()["state"].items()
        for key, tensor in state.items()
    }


def _unshared(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in the CPU's memory, none on top of another: tied weights are stored under each name."""
    seen: set[int] = set()
    apart: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        here = tensor.detach().cpu().contiguous()
        place = here.untyped_storage().data_ptr()
        apart[name] = here.clone() if place in seen else here
        seen.add(place)
    return apart


def _checksum(tensors: Mapping[str, Tensor]) -> Tensor:
    """SHA-256 over names, types, shapes and bytes, tensor by tensor: none is in memory twice at a time."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(save({name: tensors[name]}))
    return _bytes(digest.digest())


def _bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
