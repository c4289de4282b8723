"""GPUs of this machine, as NVIDIA's own tool tells of them; torch is not loaded for it."""

import os
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ASK = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total,memory.free", "--format=csv,noheader,nounits")
_PATIENCE = 20.0  # seconds; the driver of a machine that has just started takes its time
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU: its name for ``CUDA_VISIBLE_DEVICES``, its model, its memory and what is free, in bytes."""

    id: str
    name: str
    total: int
    free: int


def list_cards() -> tuple[Card, ...]:
    """The GPUs that this process may use: none without a driver, or where torch was built without CUDA.

    ``CUDA_VISIBLE_DEVICES`` chooses among them, by number or name; empty, it leaves none.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible == "" or not _torch_has_cuda():
        return ()
    try:
        told = subprocess.run(_ASK, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [[field.strip() for field in line.split(",")] for line in told.splitlines()]
    found = {
        row[0]: _card(*row[1:]) for row in rows if len(row) == 5 and row[3].isdigit() and row[4].isdigit()
    }
    return tuple(found.values()) if visible is None else _chosen(visible, found)


def card_devices() -> list[Path]:
    """Device files of the GPUs' driver, which a sandbox has to let through; none where there is none."""
    return sorted(path for path in Path("/dev").glob("nvidia*") if path.is_char_device())


def _card(uuid: str, name: str, total: str, free: str) -> Card:
    return Card(uuid, name, int(total) * _MIB, int(free) * _MIB)


def _chosen(visible: str, found: dict[str, Card]) -> tuple[Card, ...]:
    """As CUDA reads it: in this order, up to the first name that is none."""
    chosen: list[Card] = []
    for name in visible.split(","):
        wanted = name.strip()
        card = next(
            (c for n, c in found.items() if n == wanted or (wanted and c.id.startswith(wanted))), None
        )
        if card is None:
            break
        chosen.append(card)
    return tuple(chosen)


def _torch_has_cuda() -> bool:
    """As its version says, without loading it: ``2.13.0+cpu`` has none."""
    try:
        return not version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False
