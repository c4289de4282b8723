"""agents list, show and render, as people and programs call them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model_discovery.blocks.seed_designs import seed_designs
from model_discovery.cli import main
from model_discovery.cli.app import app
from model_discovery.designers.agentic.steps import ROLES
from model_discovery.shipped import shipped_folder


def _run(*words: str) -> str:
    done = CliRunner().invoke(app, ["agents", *words])
    assert done.exit_code == 0, done.output
    return done.output


def _facts(*words: str) -> Any:
    return json.loads(_run(*words, "--json"))


def test_list_and_show() -> None:
    assert [row["role"] for row in _facts("list")] == list(ROLES)
    assert "the campaign's" in _run("list")
    shown = _run("show", "coder")
    assert (shipped_folder("etc/agent_spec") / "coder.yaml").read_text("utf-8").strip() in shown
    assert "retry: answers UnitCode, may use brief, path, tried" in shown
    assert _facts("show", "planner")["steps"]["plan"]["answers"] == "Plan"


@pytest.mark.parametrize(("role", "step"), [(role, step) for role, steps in ROLES.items() for step in steps])
def test_every_step_can_be_rendered(role: str, step: str) -> None:
    for operator in ("scratch", "mutation", "crossover"):
        facts = _facts("render", role, "--step", step, "--operator", operator)
        assert facts["answers"] == ROLES[role][step].answer.__name__
        assert facts["messages"][0]["role"] == "system" and facts["tokens"] > 300


def test_render_shows_the_designs_that_are_named(tmp_path: Path) -> None:
    text = _run("render", "coder", "--design", "griffin", "--design", "gla", "--schema-mode", "fenced")
    for name in ("griffin", "gla"):
        for unit in seed_designs()[name].tree.units.values():
            assert f"class {unit.name}(GAU)" in text
    assert "crossover of griffin, gla" in text and "```json" in text
    assert "```json" not in _run("render", "coder")
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(seed_designs()["lru"].tree.to_json()), "utf-8")
    assert _facts("render", "proposer", "--design", str(file))["parents"] == ["mine"]


def test_render_with_specs_of_ones_own(tmp_path: Path) -> None:
    shutil.copy(shipped_folder("etc/agent_spec") / "observer.yaml", tmp_path)
    file = tmp_path / "observer.yaml"
    file.write_text(file.read_text("utf-8").replace("You read code", "You read poems"), "utf-8")
    assert "You read poems" in _run("render", "observer", "--agent-spec", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "codr"], "Unknown role 'codr'. Did you mean 'coder'?"),
        (["render", "coder", "--step", "retri"], "Unknown step of the coder 'retri'. Did you mean 'retry'?"),
        (["render", "coder", "--operator", "crossover", "--design", "gla"], "A crossover takes 2 designs"),
        (["render", "coder", "--design", "gle"], "Unknown design 'gle'"),
        (["list", "--agent-spec", "nowhere"], "There is no folder nowhere of agent specs."),
        (["bench", "--n", "0"], "Nothing to run."),
        (["bench", "--flow", "unit"], "Unknown flow 'unit'. Did you mean 'units'?"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["model-discovery", "agents", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert said in lines[0] and len(lines) <= 2
