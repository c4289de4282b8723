"""Sandboxes at every level that works here, and a folder for each test."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from model_discovery.sandbox import Limits, Outcome, Sandbox
from model_discovery.sandbox.levels import builder_failure

ATTACKS = Path(__file__).parent
QUICK = Limits(wall_seconds=20, memory_mb=200, file_mb=8, output_kb=64)

Call = Callable[..., Outcome]


@pytest.fixture(scope="session", params=["plain", "bwrap", "unshare"])
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A server without torch at each level and by each builder that works on this machine."""
    variant = request.param
    if variant != "plain" and (failure := builder_failure(variant)):
        pytest.skip(failure)
    os.environ["SECRET_KEY"] = f"SECRET{os.urandom(8).hex()}"
    with Sandbox(
        writable=tmp_path_factory.mktemp(f"writable-{variant}"),
        level="plain" if variant == "plain" else "namespaces",
        builder="auto" if variant == "plain" else variant,
        preload=(),
        import_paths=(ATTACKS,),
    ) as made:
        yield made
    del os.environ["SECRET_KEY"]


@pytest.fixture(scope="session")
def torch_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A server with torch, at the highest level."""
    with Sandbox(writable=tmp_path_factory.mktemp("writable-torch"), import_paths=(ATTACKS,)) as made:
        yield made


_numbers = count()


def caller(sandbox: Sandbox) -> Call:
    """Runs ``sandbox_attacks.ENTRY`` in a fresh folder, then an honest call: the server must be healthy."""

    assert sandbox.walls is not None  # the server is ready

    def run(entry: str, limits: Limits = QUICK, programs: bool = False, **request: Any) -> Outcome:
        folder = sandbox.writable / f"call{next(_numbers)}"
        before = processes_of(sandbox.writable)
        outcome = sandbox.call(
            f"sandbox_attacks.{entry}", request, folder=folder, limits=limits, programs=programs
        )
        after = sandbox.call("sandbox_attacks.endings:echo", {"a": 1}, folder=folder, limits=QUICK)
        assert after.status == "ok", f"after {entry}: {after}"
        assert after.cpu_seconds < 0.5, f"after {entry}: {after}"
        assert processes_of(sandbox.writable) == before, "the server was replaced, or something was left"
        return outcome

    return run


@pytest.fixture
def call(sandbox: Sandbox) -> Call:
    return caller(sandbox)


@pytest.fixture
def torch_call(torch_sandbox: Sandbox) -> Call:
    return caller(torch_sandbox)


def processes_of(writable: Path) -> list[int]:
    """Everything that a sandbox with this writable folder has started: its home says so."""
    mark = f"HOME={writable.resolve()}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)
