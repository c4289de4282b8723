"""How many workers a machine has room for, and on which GPU each computes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from model_discovery.engine.cards import Card, list_cards
from model_discovery.errors import UserError

WORKER_BYTES = 1_200_000_000  # torch, a sandbox with torch, a small model in training
CARD_SHARE = 0.9  # of a GPU's free memory that trainings may fill; the rest is for what nobody foresees
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Slot:
    """What one worker computes on: a GPU and the share of its memory it may take, or the CPU (no card)."""

    card: Card | None = None
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Places:
    """A number of workers, why so many, and the slot of each."""

    workers: int
    reason: str
    slots: tuple[Slot, ...]


def choose_places(
    workers: int | None,
    *,
    worker_bytes: int = WORKER_BYTES,
    card_bytes: int | None = None,
    cores: int | None = None,
    memory: int | None = None,
    cards: Sequence[Card] | None = None,
) -> Places:
    """As many workers as were asked for; else as many as GPUs have room for, or without a GPU one a core.

    Fewer where memory is short.

    Parameters
    ----------
    workers
        The wish; None leaves it to the machine.
    worker_bytes
        Memory of the machine that one worker needs.
    card_bytes
        Memory of a GPU that one worker needs; where None each GPU takes one.
    cores, memory, cards
        What the machine has (memory in bytes); measured when None.
    """
    if workers is not None and workers < 1:
        raise UserError(f"{workers} workers can do no work.", hint="one or more")
    cards = list_cards() if cards is None else cards
    cores = available_cores() if cores is None else cores
    rooms = [_room(card, card_bytes) for card in cards]
    most, what = (sum(rooms), _on_cards(cards, rooms)) if cards else (cores, "one a core")
    if workers is not None:
        return Places(workers, f"{_count(workers, 'worker')}, as asked for", _slots(workers, cards, rooms))
    memory = available_memory() if memory is None else memory
    need = max(worker_bytes, WORKER_BYTES)
    fit = most if memory is None else max(1, memory // need)
    if fit < most:
        free = f"{(memory or 0) / 1e9:.1f} GB of memory are free, a worker needs {need / 1e9:.1f} GB"
        place = what if cards else f"on {_count(cores, 'core')}"
        return Places(fit, f"{_count(fit, 'worker')} {place}: {free}", _slots(fit, cards, rooms))
    return Places(most, f"{_count(most, 'worker')}{'' if cards else ','} {what}", _slots(most, cards, rooms))


def _room(card: Card, need: int | None) -> int:
    """Trainings that fit on a GPU at once, one at least: whether that one fits is for the training to say."""
    return 1 if need is None else max(1, int(CARD_SHARE * card.free // need))


def _on_cards(cards: Sequence[Card], rooms: Sequence[int]) -> str:
    free = min(card.free for card in cards) / 1e9
    most = "" if max(rooms) == 1 else f", up to {max(rooms)} on one with {free:.1f} GB free"
    return f"on {_count(len(cards), 'GPU')} ({cards[0].name}){most}"


def _slots(workers: int, cards: Sequence[Card], rooms: Sequence[int]) -> tuple[Slot, ...]:
    """Workers dealt out to the GPUs in turn, each up to its room; more than fit only where asked for.

    Those on one GPU share its memory evenly, so that none can starve the others.
    """
    if not cards:
        return (Slot(),) * workers
    turns = [
        card for turn in range(max(rooms)) for card, room in zip(cards, rooms, strict=True) if room > turn
    ]
    dealt = list(islice(cycle(turns), workers))
    return tuple(Slot(card, 1 / dealt.count(card)) for card in dealt)


def available_cores() -> int:
    """Cores this process may use: its affinity, and the share of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_cores()
    return cores if quota is None else max(1, min(cores, int(quota)))


def available_memory() -> int | None:
    """Bytes that can be used without swapping, here and in the container; None where nobody says."""
    return _smallest(_system_memory("MemAvailable"), *_cgroup_rooms(used=True))


def total_memory() -> int | None:
    """Bytes of memory that this machine or container has, used or not; None where nobody says."""
    return _smallest(_system_memory("MemTotal"), *_cgroup_rooms(used=False))


def _smallest(*amounts: int | None) -> int | None:
    return min((amount for amount in amounts if amount is not None), default=None)


def _system_memory(kind: str) -> int | None:
    for line in _read(Path("/proc/meminfo")).splitlines():
        name, _, rest = line.partition(":")
        if name == kind:
            return int(rest.split()[0]) * 1024
    return None


def _cgroup_cores() -> float | None:
    """The smallest CPU quota above this process, in cores."""
    quotas = []
    for folder in _cgroup_folders(""):
        words = _read(folder / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            quotas.append(int(words[0]) / int(words[1]))
    for folder in _cgroup_folders("cpu"):
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota is not None and quota > 0 and period:
            quotas.append(quota / period)
    return min(quotas, default=None)


def _cgroup_rooms(*, used: bool) -> list[int]:
    """Memory limits above this process, in bytes; less what is used below each, if ``used``."""
    rooms = []
    names = (
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    )
    for controller, limit_name, used_name in names:
        for folder in _cgroup_folders(controller):
            limit, held = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and held is not None and limit < 1 << 60:
                cache = _statistic(folder / "memory.stat", "inactive_file")
                rooms.append(max(0, limit - held + cache) if used else limit)
    return rooms


def _cgroup_folders(controller: str) -> list[Path]:
    """Folders of this process's group and of those above it; ``""`` is the unified hierarchy."""
    folders: list[Path] = []
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, names, inside = line.split(":", 2)
        if controller in names.split(","):
            root = CGROUPS / controller
            path = Path(inside)
            folders += [root / part.relative_to("/") for part in (path, *path.parents)]
            # In a container the path of the host may not exist; the root is then the container's own group.
            folders.append(root)
    return list(dict.fromkeys(folders))


def _statistic(path: Path, name: str) -> int:
    for line in _read(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
