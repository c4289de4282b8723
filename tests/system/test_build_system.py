"""A whole small campaign through the real thing: engine, sandbox, training, lm-eval, evolution."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.torch import load_file

from model_discovery import BuildSystem, DiscoveryResult
from model_discovery.cli import main
from model_discovery.errors import UserError
from model_discovery.evolution import Leaderboard, LeaderboardRow
from model_discovery.evolution.state import Estimate
from model_discovery.system.export import export
from model_discovery.system.result import LeaderboardTable

SMALL = (
    "tokens.0.1M=40960",
    "seed_designs=[min_gru, short_conv]",
    "budget.runs={0.1M: 5}",
    "budget.designs=2",
    "ladder.seeds={}",
    "design.crossover_from=1",
    "design.seeds_only_until=0",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("campaign")


@pytest.fixture(scope="module")
def result(folder: Path) -> DiscoveryResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        system = BuildSystem(db="tree.db", seed=3, workers=2, overrides=SMALL, progress=False)
        return system("discover me a new model")


def test_a_campaign_ends_with_evidence_for_every_design(result: DiscoveryResult) -> None:
    assert result.state == "finished"
    rows = result.leaderboard().records()
    assert {"min_gru", "short_conv"} < {row["design"] for row in rows}
    assert len(rows) == 4
    for row in rows:
        assert row["parameters"] > 0
        assert row["tokens"] == 40960
        assert row["loss"] > 1 and row["loss_stderr"] > 0
        assert row["bits_per_byte"] > 0
        assert 0 <= row["minimal-pairs"] <= 1


def test_the_best_design_is_not_human_and_says_what_it_was_compared_with(result: DiscoveryResult) -> None:
    assert result.best is not None
    assert result.best.evidence.origin == "genetic"
    assert result.best.baseline is not None and result.best.baseline.origin == "seed"
    assert result.best.gain is not None
    assert result.best.beats_baselines == (not result.status.startswith("Nothing beat the baselines"))
    assert result.best.name in result.status
    assert Path(result.best.checkpoint or "").is_dir()


def test_tables_for_terminal_notebook_and_json(result: DiscoveryResult) -> None:
    assert "nats/token" in str(result.leaderboard())
    assert result.leaderboard()._repr_html_().count("<tr>") == 5
    json.dumps(result.to_dict(), allow_nan=False)
    assert result.best is not None
    assert f"tree show {result.best.name}" in result.commands["look"]


def test_the_exported_block_runs_where_only_torch_is(result: DiscoveryResult, tmp_path: Path) -> None:
    path = result.export(tmp_path / "block.py", format="torch")
    code = (
        "import sys, runpy\n"
        "sys.modules['model_discovery'] = None\n"
        f"import torch; GAB = runpy.run_path({str(path)!r})['GAB']\n"
        "y = GAB(64)(torch.randn(2, 9, 64)); assert y.shape == (2, 9, 64), y.shape\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with pytest.raises(UserError, match="Unknown format"):
        result.export(tmp_path / "x", format="onnx")


def test_the_exported_model_has_the_trained_weights_and_the_evidence(
    result: DiscoveryResult, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert result.best is not None
    name = result.best.name
    path = result.export(tmp_path / "model", format="hf")
    trained = load_file(Path(result.best.checkpoint or "") / "model.safetensors")
    exported = load_file(path / "model.safetensors")
    assert {key.replace(".block.", ".", 1) for key in exported} == trained.keys()
    assert exported["embedding.weight"].equal(trained["embedding.weight"])
    card = (path / "README.md").read_text()
    for words in (
        name,
        str(result.best.words),
        result.status,
        result.lineage_hash,
        f"{result.best.evidence.loss.value:.4f} ± {result.best.evidence.loss.stderr:.4f}",
        "| these |",
        "40,960 in windows of 128",
        "'discover me a new model' --preset demo",
        "--set 'budget.runs={\"0.1M\": 5}'",
    ):
        assert words in card
    again = BuildSystem(db="tree.db", progress=False).resume(result.campaign)
    other = again.export(tmp_path / "again", format="hf")
    from_command = export(name, tmp_path / "third", format="hf", db="tree.db")
    assert from_command == [f"wrote {tmp_path / 'third'}"]
    for file in path.iterdir():
        assert file.read_bytes() == (other / file.name).read_bytes()
        assert file.read_bytes() == (tmp_path / "third" / file.name).read_bytes()


def test_a_human_design_of_a_campaign_takes_its_weights_along(
    result: DiscoveryResult, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    export("min_gru", tmp_path / "model", format="hf", db="tree.db")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "A human design." in card and "| these |" in card
    with pytest.raises(UserError, match="no trained weights of hyena"):
        export("hyena", tmp_path / "hyena", format="hf", db="tree.db")


def test_resuming_a_finished_campaign_changes_nothing(
    result: DiscoveryResult, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    again = BuildSystem(db="tree.db", progress=False).resume(result.campaign)
    assert again.lineage_hash == result.lineage_hash
    assert again.leaderboard().records() == result.leaderboard().records()


def test_the_command_line_sees_the_same(result: DiscoveryResult, folder: Path) -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "model_discovery", *arguments, "--db", "tree.db"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = json.loads(run("tree", "list", "--json"))
    assert [row["design"] for row in listed][:2] == ["min_gru", "short_conv"]
    assert result.best is not None
    name = result.best.name
    shown = json.loads(run("tree", "show", name, "--json"))
    assert shown["verifications"] and shown["map"]
    assert name in run("tree", "show", name)
    run("tree", "export", "campaign.json")
    assert json.loads((folder / "campaign.json").read_text())["lineage_hash"] == result.lineage_hash
    run("export", name, "taken.py")
    assert "class GAB" in (folder / "taken.py").read_text()


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("tree campaigns", "campaign"),
        ("tree diff min_gru short_conv", "changed"),
        ("design diff min_gru short_conv", "code"),
        ("baselines show", "agreement"),
        ("baselines run --resume demo-1", "scales"),
        ("discover --resume demo-1", "leaderboard"),
    ],
)
def test_json_has_standard_output_for_itself(
    command: str,
    key: str,
    result: DiscoveryResult,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert result.campaign == "demo-1"
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["model-discovery", *command.split(), "--db", "tree.db", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    found = json.loads(capfd.readouterr().out)
    assert key in (found[0] if isinstance(found, list) else found)


def test_nothing_is_written_elsewhere(result: DiscoveryResult, folder: Path) -> None:
    found = {path.name for path in folder.iterdir()}
    assert found <= {
        "tree.db", "tree.db-wal", "tree.db-shm", "data", "checkpoints", "campaign.json", "taken.py", "locks",
    } | {name for name in found if name.endswith(".lock")}  # fmt: skip


def test_a_name_that_is_taken_is_refused(
    result: DiscoveryResult, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    system = BuildSystem(db="tree.db", overrides=SMALL, progress=False)
    with pytest.raises(UserError, match=f"--resume {result.campaign}"):
        system("again", name=result.campaign)


def test_the_plan_says_what_would_be_spent() -> None:
    plan = BuildSystem(overrides=SMALL, workers=1).plan()
    assert "up to 5 runs of 40,960 tokens, 204,800 in all" in plan
    assert "2 human baselines, up to 2 designs" in plan


def test_no_name_is_cut_short_in_the_leaderboard() -> None:
    """Names are typed again after `tree show`: a long one stays whole where the table is too wide."""
    name, parents = "stick_breaking_attention_mamba2_2495", ("stick_breaking_attention_362a", "mamba2")
    row = LeaderboardRow(
        rank=1, design=name, origin="genetic", operator="crossover", parents=parents, scale="0.1M", seeds=1,
        enough_seeds=True, parameters=123_060, non_embedding=1, tokens=199_680, loss=Estimate(2.4612, 0.0175),
        bits_per_byte=None, scores={}, gain=None, score_gains={},
    )  # fmt: skip
    table = LeaderboardTable(Leaderboard((row,), None, None, False, 0, 1, None, ""))
    console = Console(width=150, no_color=True)
    with console.capture() as capture:
        console.print(table)
    assert name in capture.get()
    assert "2.4612 ± 0.0175" in capture.get()
