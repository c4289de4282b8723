"""No worker outlives its controller, and Ctrl-C is the controller's alone."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_discovery.engine import Job, JobProgress, JobResult, LocalEngine

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

CONTROLLER = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from model_discovery.engine import Job, LocalEngine

engine = LocalEngine(workers=2)
for number in range(2):
    engine.submit(Job(number, "engine_work:{function}", {{}}, Path({folder!r})))
seen = 0
while True:
    for message in engine.wait(timeout=0.2):
        print(message.fields["pid"], flush=True)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: list[int], seconds: float) -> list[int]:
    end = time.monotonic() + seconds
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def start_controller(folder: Path, function: str = "sleep") -> "subprocess.Popen[str]":
    code = CONTROLLER.format(here=str(HERE), folder=str(folder), function=function)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_killed_controller_leaves_no_worker(tmp_path: Path) -> None:
    controller = start_controller(tmp_path)
    assert controller.stdout is not None
    pids = [int(controller.stdout.readline()) for _ in range(2)]
    controller.kill()
    controller.wait()
    assert wait_until_gone(pids, 3) == []
    controller.stdout.close()


def test_controller_killed_while_its_workers_start(tmp_path: Path) -> None:
    """At any instant of a worker's start, also before it could ask the kernel to die with its parent."""
    marker = f"engine-survival-{os.getpid()}"
    for delay in (0.15, 0.18, 0.21, 0.25, 0.3):
        environment = {**os.environ, "MARKER": marker}
        code = CONTROLLER.format(here=str(HERE), folder=str(tmp_path), function="sleep")
        controller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
        time.sleep(delay)
        controller.kill()
        controller.wait()
        assert controller.stdout is not None
        controller.stdout.close()
        assert wait_until_gone(marked(marker), 3) == []


def marked(marker: str) -> list[int]:
    """Processes with this value in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARKER={marker}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """All processes below a process."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(words[1]), []).append(int(stat.parent.name))
    found, border = [], [pid]
    while border:
        border = [child for parent in border for child in parents.get(parent, [])]
        found += border
    return found


def test_killed_controller_leaves_no_sandbox(tmp_path: Path) -> None:
    controller = start_controller(tmp_path, "sandboxed")
    assert controller.stdout is not None
    for _ in range(2):
        controller.stdout.readline()
    pids = descendants(controller.pid)
    assert len(pids) >= 6  # two workers, their servers, the servers' children
    controller.kill()
    controller.wait()
    assert wait_until_gone(pids, 3) == []
    controller.stdout.close()


def test_close_with_kill_leaves_no_sandbox(tmp_path: Path) -> None:
    engine = LocalEngine(workers=1)
    engine.submit(Job(0, "engine_work:sandboxed", {}, tmp_path))
    (message,) = engine.wait(timeout=30)
    assert isinstance(message, JobProgress)
    worker = message.fields["pid"]
    pids = [worker, *descendants(worker)]
    assert len(pids) >= 3
    engine.close(kill=True)
    assert wait_until_gone(pids, 3) == []


def test_interrupt_reaches_the_controller_only(tmp_path: Path) -> None:
    with LocalEngine(workers=1) as engine:
        engine.submit(Job(0, "engine_work:sleep", {"seconds": 0.5}, tmp_path))
        (message,) = engine.wait(timeout=30)
        assert isinstance(message, JobProgress)
        pid = message.fields["pid"]
        assert os.getpgid(pid) != os.getpgid(0)
        os.kill(pid, signal.SIGINT)
        (result,) = engine.wait(timeout=30)
        assert isinstance(result, JobResult) and result.status == "done"


def test_close_with_kill_ends_grandchildren(tmp_path: Path) -> None:
    engine = LocalEngine(workers=1)
    engine.submit(Job(0, "engine_work:grandchild", {}, tmp_path))
    (message,) = engine.wait(timeout=30)
    assert isinstance(message, JobProgress)
    pids = [message.fields["pid"], message.fields["child"]]
    assert all(alive(pid) for pid in pids)
    engine.close(kill=True)
    assert wait_until_gone(pids, 3) == []


def test_lost_job_ends_grandchildren(tmp_path: Path) -> None:
    with LocalEngine(workers=1) as engine:
        engine.submit(Job(0, "engine_work:grandchild", {}, tmp_path))
        (message,) = engine.wait(timeout=30)
        assert isinstance(message, JobProgress)
        # The grandchild holds the worker's end of no pipe, and its log: neither hides the worker's death.
        os.kill(message.fields["pid"], signal.SIGKILL)
        (result,) = engine.wait(timeout=30)
        assert isinstance(result, JobResult) and result.status == "lost"
        assert wait_until_gone([message.fields["child"]], 3) == []


def test_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from pathlib import Path\n"
        "from model_discovery.engine import Job, LocalEngine\n"
        "print('once')\n"
        "engine = LocalEngine(workers=1)\n"
        f"engine.submit(Job(0, 'engine_work:echo', {{}}, Path({str(tmp_path)!r})))\n"
        "print(engine.wait(30)[0].status)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["once", "done"]


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_no_descriptor_or_process_stays(tmp_path: Path) -> None:
    before = open_files()
    with LocalEngine(workers=1) as engine:
        for number in range(3):
            engine.submit(Job(number, "engine_work:leave", {"status": 1}, tmp_path))
            assert engine.wait(timeout=30)
        engine.submit(Job(9, "engine_work:echo", {}, tmp_path))
        assert engine.wait(timeout=30)
    assert open_files() == before
