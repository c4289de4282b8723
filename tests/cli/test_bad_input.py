"""Bad input gets one clear line and exit code 2, before anything is trained."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_discovery.cli import main

ROOT = Path(__file__).parents[2]
UNIT = '''
import torch
from torch import nn
from model_discovery.blocks import GAU, UnitConfig, UnitContext


class Peek(GAU):
    """y = mean of everything, the future too.  Source: none.  Cost: O(T d)."""

    role = "sequence_mixer"

    class Config(UnitConfig):
        pass

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.out = nn.Linear(ctx.width, ctx.width, bias=False)

    def forward(self, x, z):
        BODY
'''


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model_discovery", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["discover", ""], ["instruction", "empty"]),
        (["discover", "x", "--preset", "dmo"], ["Unknown preset 'dmo'", "Did you mean 'demo'?"]),
        (["discover", "x", "--recipe", "gramar"], ["Unknown recipe 'gramar'", "grammar"]),
        (["discover", "x", "--suite", "blmp"], ["Unknown suite 'blmp'", "blimp"]),
        (["discover", "x", "--suite", "blimp"], ["blimp", "--blimp-dir"]),
        (["discover", "x", "--selector", "posteror"], ["Unknown selector 'posteror'", "posterior"]),
        (["discover", "x", "--verify-budget", "0.2M=3"], ["Unknown scale '0.2M'", "0.1M"]),
        (["discover", "x", "--verify-budget", "lots"], ["--verify-budget", "0.1M=12"]),
        (["discover", "x", "--verify-budget", "0.1M=0"], ["budget.runs.0.1M", "greater than 0"]),
        (["discover", "x", "--design-budget", "-3"], ["budget.designs", "greater than or equal to 0"]),
        (["discover", "x", "--set", "budget.desings=3"], ["budget.desings", "Did you mean 'designs'"]),
        (["discover", "x", "--set", "seed_designs=[retnett]"], ["retnett", "Did you mean 'retnet'"]),
        (["discover", "x", "--corpus", "missing"], ["missing"]),
        (["discover", "x", "--name", "a/b"], ["'a/b'", "name"]),
        (["discover", "--resume", "demo-9"], ["model_discovery.db"]),
        (["discover", "--resume", "demo-9", "--preset", "laptop"], ["--resume", "--preset cannot change"]),
        (["discover", "--resume", "demo-9", "--seed", "0"], ["--seed cannot change"]),
        (["discover", "--resume", "demo-9", "--dry-run"], ["--dry-run cannot change"]),
        (["discover", "x", "--track", "wndb"], ["'track'", "'wandb'", "'wndb'"]),
        (["baselines", "run", "--resume", "baselines-9", "--seeds", "2"], ["--seeds cannot change"]),
        (["baselines", "run", "--resume", "baselines-9", "gpt2"], ["DESIGNS cannot change"]),
        (["baselines", "run", "--scale", ","], ["--scale names no scale", "0.1M,0.4M"]),
        (["baselines", "run", "retnett"], ["Unknown human design 'retnett'", "retnet"]),
        (["baselines", "show"], ["model_discovery.db", "discover"]),
        (["plot", "ladder"], ["model_discovery.db", "discover"]),
        (["blocks", "show", "grifin"], ["Unknown unit or design 'grifin'", "griffin"]),
        (["verify", "retnett"], ["Unknown design 'retnett'", "retnet"]),
        (["verify", "retnet", "--scale", "1M"], ["Unknown scale '1M'"]),
        (["verify", "retnet", "--recipe", "gramar"], ["Unknown recipe 'gramar'", "Did you mean 'grammar'"]),
        (["verify"], ["needs a design", "--reproduce"]),
        (["verify", "retnet", "--reproduce", "retnet/0.1M/0"], ["DESIGN cannot change it"]),
        (["verify", "--reproduce", "retnet"], ["There is no run 'retnet'", "DESIGN/SCALE/SEED"]),
        (["verify", "--reproduce", "retnet/0.1M/0"], ["model_discovery.db"]),
        (["verify", "--reproduce", str(ROOT)], ["report.json cannot be read", "No such file"]),
        (["export", "retnet", "--format", "onnx"], ["Unknown format 'onnx'", "torch"]),
        (["check", "missing.py"], ["missing.py"]),
        (["check", str(ROOT / "README.md")], ["README.md is neither a unit (.py)", "design folder"]),
        (["verify", str(ROOT / "README.md")], ["README.md is neither a design folder", "name a design"]),
        (["tree", "list"], ["model_discovery.db", "discover"]),
    ],
)
def test_one_clear_error_and_exit_code_two(
    arguments: list[str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["model-discovery", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    for word in words:
        assert word in said
    assert len(said.strip().splitlines()) <= 2
    assert not (tmp_path / "model_discovery.db").exists()


@pytest.mark.parametrize("arguments", [["discover", ""], ["verify"], ["tree", "list"]])
def test_a_process_of_its_own_ends_alike(arguments: list[str], tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize("variable", ["DATA_DIR", "CKPT_DIR"])
def test_a_folder_that_cannot_be_made_is_named_before_work_begins(variable: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / ".env").write_text(f"{variable}=file/below\n")
    done = run("discover", "x", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "file/below" in done.stderr and "DATA_DIR" in done.stderr
    assert not (tmp_path / "model_discovery.db").exists()


@pytest.mark.parametrize("kind", ["empty", "binary", "small"])
def test_a_corpus_that_cannot_be_used_is_refused(kind: str, tmp_path: Path) -> None:
    contents = {"empty": b"", "binary": bytes(range(256)) * 100, "small": b"A few words only.\n"}
    (tmp_path / "text.txt").write_bytes(contents[kind])
    done = run("discover", "x", "--corpus", "text.txt", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "text.txt" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("source", "check"),
    [
        ("def broken(:\n", "source"),
        ("import os\n" + UNIT.replace("BODY", "return x"), "source"),
        (UNIT.replace("BODY", "return self.out(x.mean(1, keepdim=True).expand_as(x))"), "causality"),
    ],
)
def test_a_block_file_that_breaks_a_rule_is_refused(source: str, check: str, tmp_path: Path) -> None:
    (tmp_path / "unit.py").write_text(source)
    done = run("check", "unit.py", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"error {check}" in done.stdout or check == "source"
    assert "Traceback" not in done.stderr
    assert done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "check"),
    [
        ("\n        while True: pass", "timeout"),
        ("blob = [torch.ones(2**28) for _ in range(10**6)]; return x + blob[0].sum()", "memory"),
    ],
)
def test_a_block_file_that_eats_the_machine_is_refused(body: str, check: str, tmp_path: Path) -> None:
    (tmp_path / "unit.py").write_text(UNIT.replace("BODY", body))
    done = run("check", "unit.py", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"error {check}" in done.stdout


def test_a_reader_that_leaves_early_sees_no_error(tmp_path: Path) -> None:
    """``model-discovery blocks list | head -1``"""
    command = [sys.executable, "-u", "-m", "model_discovery", "blocks", "list"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


def test_ctrl_c_ends_with_one_line_and_its_own_exit_code(tmp_path: Path) -> None:
    """While the sandbox counts what a design costs."""
    command = [sys.executable, "-m", "model_discovery", "blocks", "show", "griffin"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
    )  # fmt: skip
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and not children.read_text():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
