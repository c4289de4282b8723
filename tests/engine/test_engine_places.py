"""How many workers a machine has room for."""

from pathlib import Path

import pytest

from model_discovery.engine import available_cores, available_memory, choose_places, places
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
    chosen = choose_places(None, cores=cores, memory=memory)
    assert (chosen.workers, chosen.reason) == (workers, reason)


def test_a_wish_is_followed() -> None:
    assert choose_places(5, cores=1, memory=GB).workers == 5
    with pytest.raises(UserError):
        choose_places(-1)


def test_this_machine() -> None:
    assert available_cores() >= 1
    memory = available_memory()
    assert memory is None or memory > 1_000_000


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
    assert places._cgroup_cores() is None and places._cgroup_memory() is None
    write(tmp_path / "a" / "cpu.max", "150000 100000")
    write(tmp_path / "a" / "b" / "cpu.max", "max 100000")
    assert places._cgroup_cores() == 1.5
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", "50000")
    write(tmp_path / "cpu" / "cpu.cfs_period_us", "100000")
    assert places._cgroup_cores() == 0.5
    write(tmp_path / "a" / "memory.max", "3000")
    write(tmp_path / "a" / "memory.current", "2500")
    write(tmp_path / "a" / "memory.stat", "anon 1000\ninactive_file 400\n")
    assert places._cgroup_memory() == 900
    write(tmp_path / "memory" / "x" / "memory.limit_in_bytes", str(2**63 - 4096))
    write(tmp_path / "memory" / "x" / "memory.usage_in_bytes", "1")
    assert places._cgroup_memory() == 900
