"""The local engine: what comes back from workers, well or badly ended."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_discovery.engine import Card, Job, JobProgress, JobResult, LocalEngine, places
from model_discovery.engine.worker import LOG_NAME
from model_discovery.errors import UserError


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalEngine]:
    """One worker for the tests that leave it as it was."""
    with LocalEngine(workers=1) as engine:
        yield engine


class Runner:
    """Submits with rising ids and waits for one result."""

    def __init__(self, engine: LocalEngine, folder: Path) -> None:
        self.engine, self.folder, self.count = engine, folder, 0
        self.heard: list[JobResult] = []

    def submit(self, name: str, **request: Any) -> int:
        self.count += 1
        function = f"engine_work:{name}"
        self.engine.submit(Job(self.count, function, request, self.folder / f"job-{self.count}"))
        return self.count

    def result(self, seconds: float = 30) -> JobResult:
        end = time.monotonic() + seconds
        while not self.heard and time.monotonic() < end:  # two jobs may end at once
            self.heard += [
                message for message in self.engine.wait(timeout=1) if isinstance(message, JobResult)
            ]
        if self.heard:
            return self.heard.pop(0)
        raise AssertionError("no result came")

    def run(self, name: str, **request: Any) -> JobResult:
        number = self.submit(name, **request)
        result = self.result()
        assert result.id == number
        return result


@pytest.fixture
def runner(shared: LocalEngine, tmp_path: Path) -> Runner:
    return Runner(shared, tmp_path)


def test_value_comes_back(runner: Runner) -> None:
    result = runner.run("echo", text="héllo", numbers=[1, 2.5, None])
    assert (result.status, result.error, result.traceback) == ("done", "", "")
    assert result.value is not None
    assert result.value["request"] == {"text": "héllo", "numbers": [1, 2.5, None]}
    assert Path(result.value["folder"]) == runner.folder / "job-1"
    assert result.seconds >= 0


def test_worker_lives_on(runner: Runner) -> None:
    first, second = runner.run("echo"), runner.run("echo")
    assert first.value is not None and second.value is not None
    assert first.value["pid"] == second.value["pid"]


def test_nothing_to_wait_for(shared: LocalEngine) -> None:
    assert shared.wait(timeout=None) == []
    assert shared.unfinished == 0


def test_threads_are_set_before_torch_loads(tmp_path: Path) -> None:
    with LocalEngine(workers=1, threads=2) as engine:
        runner = Runner(engine, tmp_path)
        names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED"]
        value = runner.run("environment", names=names).value
        assert value == {"variables": dict(zip(names, ["2", "2", "0"], strict=True)), "torch": False}
        assert runner.run("torch_threads").value == {"threads": 2}


def test_each_worker_has_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the one that takes the place of a worker that was killed."""
    cards = [Card(f"GPU-{n}", "NVIDIA A100", 80 * 10**9, 80 * 10**9) for n in range(2)]
    monkeypatch.setattr(places, "list_cards", lambda: cards)
    with LocalEngine(workers=3) as engine:
        runner = Runner(engine, tmp_path)
        _, killed, _ = [runner.submit("slot", seconds=0.3) for _ in range(3)]
        assert engine.cancel(killed)
        runner.submit("slot", seconds=0.0)
        found: list[Any] = []
        while len(found) < 3:
            found += [message.value for message in engine.wait(timeout=5) if isinstance(message, JobResult)]
        assert found[0] == {"visible": "GPU-1", "card": "GPU-1", "share": 1.0}
        assert found[1:] == [{"visible": "GPU-0", "card": "GPU-0", "share": 0.5}] * 2


def test_progress_comes_in_order_before_the_result(runner: Runner) -> None:
    number = runner.submit("report", steps=50)
    seen: list[Any] = []
    while not any(isinstance(message, JobResult) for message in seen):
        seen += runner.engine.wait(timeout=5)
    assert seen[:-1] == [JobProgress(number, {"step": step, "loss": float(step)}) for step in range(50)]
    assert isinstance(seen[-1], JobResult)


def test_output_goes_to_the_job_folder(runner: Runner, capfd: pytest.CaptureFixture[str]) -> None:
    assert runner.run("say").status == "done"
    log = (runner.folder / "job-1" / "job.log").read_text()
    assert sorted(log.splitlines()) == ["from a child", "from python", "from the descriptor"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("user", "refused", "The corpus is empty. (give a folder with text)"),
        ("exit", "failed", "SystemExit: 3"),
        ("value", "failed", "ValueError: two lines"),
    ],
)
def test_failure_is_one_line_and_a_traceback(runner: Runner, kind: str, status: str, error: str) -> None:
    result = runner.run("fail", kind=kind)
    assert (result.status, result.value, result.error) == (status, None, error)
    assert "engine_work.py" in result.traceback


@pytest.mark.parametrize(
    ("what", "said"),
    [("nan", "losses.held_out is nan"), ("object", "path is of type PosixPath"), ("list", "returned list")],
)
def test_results_that_are_no_json_fail_by_name(runner: Runner, what: str, said: str) -> None:
    result = runner.run("give", what=what)
    assert result.status == "failed"
    assert said in result.error and "\n" not in result.error


def test_large_results_and_requests(runner: Runner) -> None:
    assert runner.run("give", what="big").value == {"text": "x" * 3_000_000}
    value = runner.run("echo", text="y" * 3_000_000).value
    assert value is not None and len(value["request"]["text"]) == 3_000_000


@pytest.mark.parametrize("function", ["engine_work:nothing", "engine_work"])
def test_unknown_function_fails(shared: LocalEngine, tmp_path: Path, function: str) -> None:
    shared.submit(Job(99, function, {}, tmp_path))
    result = Runner(shared, tmp_path).result()
    assert result.status == "failed" and result.error


def test_a_missing_library_is_no_failure_of_the_work(shared: LocalEngine, tmp_path: Path) -> None:
    shared.submit(Job(99, "no_such_module_at_all:f", {}, tmp_path))
    result = Runner(shared, tmp_path).result()
    assert result.status == "refused" and "No module named 'no_such_module_at_all'" in result.error


def test_request_that_is_no_json_is_refused_at_once(shared: LocalEngine, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"request\.x is inf"):
        shared.submit(Job(1, "engine_work:echo", {"x": float("inf")}, tmp_path))
    assert shared.unfinished == 0


def test_folder_that_cannot_be_written_is_no_failure_of_the_work(shared: LocalEngine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / LOG_NAME).mkdir(parents=True)
    for folder, why in (
        (tmp_path / "file" / "job", "Not a directory"),
        (tmp_path / "folder", "Is a directory"),
    ):
        shared.submit(Job(5, "engine_work:echo", {}, folder))
        result = Runner(shared, tmp_path).result()
        assert (result.status, f"{folder}, cannot be written: {why}" in result.error) == ("refused", True)


def test_resources_live_as_long_as_the_worker(tmp_path: Path) -> None:
    path = tmp_path / "note"
    with LocalEngine(workers=1) as engine:
        runner = Runner(engine, tmp_path)
        assert runner.run("keep", path=str(path)).value == {"uses": 1}
        assert runner.run("keep", path=str(path)).value == {"uses": 2}
        assert runner.run("keep", path=str(path), fail="user").status == "refused"
        assert not path.exists()
        assert runner.run("keep", path=str(path)).value == {"uses": 4}
        assert runner.run("keep", path=str(path), fail="hard").status == "failed"
        assert path.read_text() == "closed after 5"
        assert runner.run("keep", path=str(path)).value == {"uses": 1}
    assert path.read_text() == "closed after 1"


def test_lost_worker_is_named_and_replaced(tmp_path: Path) -> None:
    with LocalEngine(workers=1) as engine:
        runner = Runner(engine, tmp_path)
        for name in ("SIGKILL", "SIGSEGV"):
            result = runner.run("die", signal=name)
            assert (result.status, result.value) == ("lost", None)
            assert f"was killed by {name}" in result.error and "\n" not in result.error
            assert "last words" in result.traceback
        assert "Segmentation fault" in result.traceback
        assert "exited with status 7" in runner.run("leave", status=7).error
        assert runner.run("echo").status == "done"


def test_idle_worker_that_died_costs_no_job(tmp_path: Path) -> None:
    with LocalEngine(workers=1) as engine:
        runner = Runner(engine, tmp_path)
        value = runner.run("echo").value
        assert value is not None
        signal_and_wait(value["pid"])
        assert runner.run("echo").status == "done"


def signal_and_wait(pid: int) -> None:
    import os

    os.kill(pid, signal.SIGKILL)
    stat = Path(f"/proc/{pid}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)


def test_jobs_run_side_by_side_and_queue(tmp_path: Path) -> None:
    with LocalEngine(workers=2) as engine:
        runner = Runner(engine, tmp_path)
        numbers = [runner.submit("sleep", seconds=0.2) for _ in range(5)]
        assert (engine.places, engine.unfinished, len(engine.running)) == (2, 5, 2)
        with pytest.raises(ValueError, match="already"):
            engine.submit(Job(1, "engine_work:echo", {}, tmp_path))
        results = [runner.result() for _ in numbers]
        assert sorted(result.id for result in results) == numbers
        assert len({(result.value or {})["pid"] for result in results}) == 2
        assert engine.wait(timeout=0) == []


def test_timeout_is_kept(tmp_path: Path) -> None:
    with LocalEngine(workers=1) as engine:
        runner = Runner(engine, tmp_path)
        runner.submit("sleep")
        while not engine.wait(timeout=5):
            pass
        began = time.monotonic()
        assert engine.wait(timeout=0.3) == []
        assert 0.25 < time.monotonic() - began < 2
        began = time.monotonic()
        engine.close()
        assert time.monotonic() - began < 2
        with pytest.raises(RuntimeError, match="closed"):
            runner.submit("echo")


def test_cancel(tmp_path: Path) -> None:
    with LocalEngine(workers=1) as engine:
        runner = Runner(engine, tmp_path)
        running, queued = runner.submit("sleep"), runner.submit("sleep")
        last = runner.submit("echo")
        assert engine.cancel(queued) and engine.cancel(running)
        assert not engine.cancel(running)
        assert runner.result().id == last


def test_bad_numbers() -> None:
    with pytest.raises(UserError, match="0 workers"):
        LocalEngine(workers=0)
    with pytest.raises(UserError, match="0 threads"):
        LocalEngine(workers=1, threads=0)


def test_every_job_gives_one_result_whatever_happens(tmp_path: Path) -> None:
    """Random ends, workers killed from outside, a few jobs taken back."""
    dice = random.Random(0)
    ways = [dice.choice(["die", "fail", "done", "done", "done"]) for _ in range(40)]
    expected = {"die": "lost", "fail": "failed", "done": "done"}
    with LocalEngine(workers=3) as engine:
        runner = Runner(engine, tmp_path)
        for way in ways:
            runner.submit("sometimes", way=way, seconds=dice.uniform(0, 0.02))
        cancelled = {number for number in (7, 23, 31) if engine.cancel(number)}
        results: list[JobResult] = []
        while engine.unfinished:
            results += [message for message in engine.wait(timeout=30) if isinstance(message, JobResult)]
    assert sorted(result.id for result in results) == sorted(set(range(1, 41)) - cancelled)
    assert all(result.status == expected[ways[result.id - 1]] for result in results)


def test_a_job_that_waits_for_others_holds_nobody_up(tmp_path: Path) -> None:
    with LocalEngine(workers=1, waiting=1) as engine:
        function = "engine_work:slot"
        for number, seconds, waits in ((1, 60.0, True), (2, 0.0, True), (3, 0.0, False), (4, 0.0, False)):
            engine.submit(Job(number, function, {"seconds": seconds}, tmp_path / f"{number}", waits=waits))
        done: list[int] = []
        while len(done) < 2:
            done += [message.id for message in engine.wait(30) if isinstance(message, JobResult)]
        assert done == [3, 4]
        assert engine.running == (1,)
        assert engine.unfinished == 2
        assert engine.cancel(2)
        assert engine.cancel(1)
        assert engine.unfinished == 0


def test_without_places_for_them_waiting_jobs_take_the_others(runner: Runner, tmp_path: Path) -> None:
    runner.engine.submit(Job(77, "engine_work:echo", {}, tmp_path / "77", waits=True))
    assert runner.result().id == 77
