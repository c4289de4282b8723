"""``discover`` with language models: what is missing is said in one line, before anything is made."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from model_discovery.cli.app import app
from model_discovery.system.build_system import BuildSystem

LOCAL = ("--model", "openai/mine", "--api-base", "http://127.0.0.1:8000/v1")


def discover(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command on a machine without keys."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = [sys.executable, "-m", "model_discovery", "discover", "x", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--designer", "agentic"], ["No language model is configured", "set ANTHROPIC_API_KEY"]),
        (["--designers", "agentic:1"], ["'agentic:1' is not NAME=SHARE", "agentic=0.7,genetic=0.3"]),
        (["--resume", "demo-1", *LOCAL], ["INSTRUCTION cannot change it"]),
    ],
)  # fmt: skip
def test_one_line_and_nothing_made(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    done = discover(tmp_path, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    for word in words:
        assert word in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2 and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("waiting", "code"), [(0, 0), (2, 130)])
def test_a_campaign_that_left_work_behind_says_so_by_its_exit_code(
    waiting: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first Ctrl-C waits for the work in flight, a second one leaves it."""
    result = SimpleNamespace(waiting=waiting, show=lambda: None)
    monkeypatch.setattr(BuildSystem, "resume", lambda self, name, **_: result)
    assert CliRunner().invoke(app, ["discover", "--resume", "demo-1"]).exit_code == code


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ([], ""),
        (["--api-base", "http://127.0.0.1:9000/v1", "--workers", "1", "--quiet"], ""),
        (["--seed", "0"], "--seed"),
        (["--dry-run"], "--dry-run"),
        (["--set", "in_flight=1"], "--set"),
        (["--model", "openai/mine"], "--model"),
    ],
)
def test_a_resume_takes_where_the_server_is_and_nothing_that_changes_the_campaign(
    arguments: list[str], refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str | None] = []

    def resume(self: BuildSystem, name: str, *, api_base: str | None) -> SimpleNamespace:
        told.append(api_base)
        return SimpleNamespace(waiting=0, show=lambda: None)

    monkeypatch.setattr(BuildSystem, "resume", resume)
    done = CliRunner().invoke(app, ["discover", "--resume", "demo-1", *arguments])
    if refused:
        assert f"{refused} cannot change it" in str(done.exception) and told == []
    else:
        assert told == ["http://127.0.0.1:9000/v1" if arguments else None]


@pytest.mark.slow
def test_a_dry_run_says_what_models_may_spend(tmp_path: Path) -> None:
    done = discover(tmp_path, *LOCAL, "--dry-run", "--max-dollars", "2.5", "--max-llm-tokens", "1000")
    assert done.returncode == 0, done.stderr
    assert "language models: openai/mine" in done.stdout
    assert "the whole campaign at most $2.50, 1,000 tokens" in done.stdout
    assert list(tmp_path.iterdir()) == []
