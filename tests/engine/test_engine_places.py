"""How many workers a machine has room for."""

from pathlib import Path

import pytest

from model_discovery.engine import (
    Card,
    available_cores,
    available_memory,
    cards,
    choose_places,
    list_cards,
    places,
    total_memory,
)
from model_discovery.errors import UserError

GB = 10**9


@pytest.mark.parametrize(
    ("cores", "memory", "workers", "reason"),
    [
        (2, 24 * GB, 2, "2 workers, one a core"),
        (1, 24 * GB, 1, "1 worker, one a core"),
        (8, 4 * GB, 3, "3 workers on 8 cores: 4.0 GB of memory are free, a worker needs 1.2 GB"),
        (2, GB // 2, 1, "1 worker on 2 cores: 0.5 GB of memory are free, a worker needs 1.2 GB"),
    ],
)
def test_cores_and_memory_decide(cores: int, memory: int, workers: int, reason: str) -> None:
    chosen = choose_places(None, cores=cores, memory=memory, cards=())
    assert (chosen.workers, chosen.reason) == (workers, reason)
    assert [slot.card for slot in chosen.slots] == [None] * workers


def test_a_worker_may_need_more() -> None:
    chosen = choose_places(None, worker_bytes=9 * GB, cores=8, memory=20 * GB, cards=())
    words = "2 workers on 8 cores: 20.0 GB of memory are free, a worker needs 9.0 GB"
    assert (chosen.workers, chosen.reason) == (2, words)


def card(number: int, free: int = 80 * GB) -> Card:
    return Card(f"GPU-{number}", "NVIDIA A100", 80 * GB, free)


@pytest.mark.parametrize(
    ("need", "cards", "memory", "expected", "reason"),
    [
        (None, [card(0)], 99 * GB, [("GPU-0", 1.0)], "1 worker on 1 GPU (NVIDIA A100)"),
        (
            30 * GB,
            [card(0), card(1, free=40 * GB)],
            99 * GB,
            [("GPU-0", 0.5), ("GPU-1", 1.0), ("GPU-0", 0.5)],
            "3 workers on 2 GPUs (NVIDIA A100), up to 2 on one with 40.0 GB free",
        ),
        (
            30 * GB,
            [card(0), card(1)],
            3 * GB,
            [("GPU-0", 1.0), ("GPU-1", 1.0)],
            "2 workers on 2 GPUs (NVIDIA A100), up to 2 on one with 80.0 GB free: "
            "3.0 GB of memory are free, a worker needs 1.2 GB",
        ),
        (500 * GB, [card(0)], 99 * GB, [("GPU-0", 1.0)], "1 worker on 1 GPU (NVIDIA A100)"),
    ],
)
def test_gpus_decide(need: int | None, cards: list[Card], memory: int, expected: list, reason: str) -> None:
    chosen = choose_places(None, card_bytes=need, cores=4, memory=memory, cards=cards)
    assert [(slot.card and slot.card.id, slot.share) for slot in chosen.slots] == expected
    assert (chosen.workers, chosen.reason) == (len(expected), reason)


def test_more_than_fit_share_what_there_is() -> None:
    chosen = choose_places(5, card_bytes=50 * GB, cards=[card(0), card(1)])
    assert [slot.card and slot.card.id for slot in chosen.slots] == [
        "GPU-0",
        "GPU-1",
        "GPU-0",
        "GPU-1",
        "GPU-0",
    ]
    assert [slot.share for slot in chosen.slots] == [1 / 3, 1 / 2, 1 / 3, 1 / 2, 1 / 3]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["GPU-aa", "GPU-bb"]),
        ("1", ["GPU-bb"]),
        ("1,0", ["GPU-bb", "GPU-aa"]),
        ("GPU-b", ["GPU-bb"]),
        ("", []),
        ("-1", []),
        ("0,7,1", ["GPU-aa"]),
    ],
)
def test_gpus_are_listed_as_the_driver_tells(
    visible: str | None, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in the place of nvidia-smi, which this machine may not have."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho '0, GPU-aa, NVIDIA T4, 15360, 15000'\necho '1, GPU-bb, NVIDIA T4, 15360, 9'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(cards, "version", lambda _: "2.13.0+cu130")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = list_cards()
    assert [card.id for card in found] == expected
    assert all(card.total == 15360 * 2**20 and card.name == "NVIDIA T4" for card in found)
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    assert list_cards() == ()
    monkeypatch.setattr(cards, "version", lambda _: "2.13.0+cpu")
    assert list_cards() == ()


def test_a_wish_is_followed() -> None:
    assert choose_places(5, cores=1, memory=GB).workers == 5
    with pytest.raises(UserError):
        choose_places(-1)


def test_this_machine() -> None:
    assert available_cores() >= 1
    memory = available_memory()
    assert memory is None or memory > 1_000_000
    assert (total_memory() or memory) == total_memory()
    assert memory is None or memory <= total_memory()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_limits_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The strictest limit of the group and of those above it counts, in both versions of cgroups."""
    monkeypatch.setattr(places, "CGROUPS", tmp_path)
    groups = "0::/a/b\n3:cpu,cpuacct:/x\n4:memory:/x\n"
    real = places._read
    monkeypatch.setattr(
        places, "_read", lambda path: groups if path == Path("/proc/self/cgroup") else real(path)
    )
    assert places._cgroup_cores() is None and places._cgroup_rooms(used=True) == []
    write(tmp_path / "a" / "cpu.max", "150000 100000")
    write(tmp_path / "a" / "b" / "cpu.max", "max 100000")
    assert places._cgroup_cores() == 1.5
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", "50000")
    write(tmp_path / "cpu" / "cpu.cfs_period_us", "100000")
    assert places._cgroup_cores() == 0.5
    write(tmp_path / "a" / "memory.max", "3000")
    write(tmp_path / "a" / "memory.current", "2500")
    write(tmp_path / "a" / "memory.stat", "anon 1000\ninactive_file 400\n")
    assert places._cgroup_rooms(used=True) == [900] and places._cgroup_rooms(used=False) == [3000]
    write(tmp_path / "memory" / "x" / "memory.limit_in_bytes", str(2**63 - 4096))
    write(tmp_path / "memory" / "x" / "memory.usage_in_bytes", "1")
    assert places._cgroup_rooms(used=True) == [900]
