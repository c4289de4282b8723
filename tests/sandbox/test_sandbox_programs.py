"""A call that may start programs: they run, within the walls and limits of the call, and end with it."""

import os

import pytest
from conftest import QUICK

from model_discovery.errors import UserError
from model_discovery.sandbox import Limits, landlock, seccomp

needs_filter = pytest.mark.skipif(not seccomp.supported(), reason="system calls cannot be filtered here")
needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="files cannot be guarded here")


@needs_filter
def test_only_a_call_that_says_so_starts_programs(call):
    assert call("processes:start", way="subprocess").status == "fork"
    assert call("processes:start", programs=True, way="subprocess").status == "ok"


@needs_filter
@needs_landlock
def test_around_programs_the_other_walls_stand(call, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    outcome = call("processes:programs", programs=True, secret=str(secret), caller=os.getpid())
    assert outcome.status == "ok", outcome
    assert outcome.value["said"] == "started\n"
    assert [name for name, code in outcome.value["codes"].items() if code == 0] == []
    assert "SECRET" not in outcome.value["environment"]
    assert [file.name for file in tmp_path.iterdir()] == ["secret.txt"]


@pytest.mark.parametrize("orphan", [False, True])
def test_no_program_outlives_its_call(call, orphan):
    """`call` itself looks for what is left of the sandbox's processes."""
    outcome = call("processes:leave_programs", programs=True, orphan=orphan)
    assert outcome.status == ("fork" if orphan else "ok"), outcome


@pytest.mark.parametrize(("what", "status"), [("time", "timeout"), ("memory", "memory")])
def test_programs_count_together_with_the_child(call, what, status):
    limits = Limits(wall_seconds=30, cpu_seconds=1.5, memory_mb=150)
    outcome = call("processes:burn_in_a_program", limits, programs=True, what=what)
    assert outcome.status == status, outcome
    assert outcome.wall_seconds < 20


def test_too_many_programs_are_a_bomb(call):
    outcome = call("processes:many_programs", programs=True)
    assert outcome.status == "fork", outcome


def test_connections_and_programs_exclude_each_other(tmp_path):
    from model_discovery.sandbox import Sandbox

    with (
        Sandbox(writable=tmp_path, preload=(), network=True) as sandbox,
        pytest.raises(UserError, match="either opens connections or starts programs"),
    ):
        sandbox.call("a:b", {}, folder=tmp_path / "c", limits=QUICK, connect="a:c", programs=True)
