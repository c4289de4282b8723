"""What `data prepare` and `data list` say, from a person's side: made, kept, interrupted, refused."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_discovery.errors import UserError
from model_discovery.system.data import PrepareOptions, list_data, prepare_data
from model_discovery.verification import get_recipe, load_manifest


def write_set(folder: Path, documents: int, field: str = "text") -> Path:
    """JSONL of made-up words, no document like another."""
    draw = random.Random(documents)
    words = ["".join(draw.choices("aeioulmnrst", k=5)) for _ in range(500)]
    folder.mkdir()
    rows = [json.dumps({field: " ".join(draw.choices(words, k=60))}) for _ in range(documents)]
    for part in range(4):
        (folder / f"{part}.jsonl").write_text("\n".join(rows[part::4]) + "\n")
    return folder


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_options_leave_a_recipe_that_finds_the_same_data(data_dir: Path, tmp_path: Path) -> None:
    write_set(tmp_path / "mine", 300, field="body")
    options = PrepareOptions(scales=["0.1M"], tokens=9000, text_field="body")
    made, kept = prepare_data("./mine", options)
    folder = Path(made.rsplit(" in ", 1)[1])
    assert load_manifest(folder).train_documents > 200
    recipe = get_recipe(kept.rsplit("--recipe ", 1)[1])
    assert folder.name == f"mine-{recipe.data_key('0.1M')}"
    assert recipe.tokens_for("0.1M") == 9000


def test_what_is_there_is_listed(data_dir: Path) -> None:
    assert not any(one.folders for one in list_data())
    list(prepare_data("grammar", PrepareOptions(scales=["0.1M"], tokens=20_000)))
    found = {one.name: one for one in list_data()}
    assert [len(found[name].folders) for name in ("grammar", "text", "babylm")] == [1, 0, 0]
    assert "no network" in found["grammar"].what
    for name in ("babylm", "babylm-100m", "smollm", "blimp", "core"):
        assert "about" in found[name].what and "needs network" in found[name].what


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        pytest.param(  # looks through lm-eval's tasks
            "gramar",
            PrepareOptions(),
            "Unknown data set 'gramar'. Did you mean 'grammar'",
            marks=pytest.mark.slow,
        ),
        ("text", PrepareOptions(), "needs your text"),
        ("grammar", PrepareOptions(source="x"), "--source belongs to a suite"),
        ("text", PrepareOptions(corpus="x", tokenizer="bpe"), "has a tokenizer trained on it"),
        ("grammar", PrepareOptions(scales=["0.1M"], tokens=5), "fewer than one step"),
        ("grammar", PrepareOptions(scales=["0.1"]), r"Did you mean '0\.1M'"),
        ("./nowhere", PrepareOptions(), "There is no data set at"),
    ],
)
def test_what_does_not_fit_is_refused(
    data_dir: Path, name: str, options: PrepareOptions, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        list(prepare_data(name, options))


def test_ctrl_c_says_how_to_go_on_and_it_does(data_dir: Path, tmp_path: Path) -> None:
    write_set(tmp_path / "mine", 6_000)
    command = [sys.executable, "-m", "model_discovery", "data", "prepare", "./mine", "--scale", "0.1M"]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"DATA_DIR": str(data_dir)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while child.poll() is None and not list(data_dir.glob(".mine-*.draft/work/state.json")):
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=120)
    assert child.returncode == 130, said
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    (draft,) = data_dir.glob(".mine-*.draft")
    assert (draft / "work" / "state.json").exists()
    (made,) = prepare_data("./mine", PrepareOptions(scales=["0.1M"]))
    data = load_manifest(Path(made.rsplit(" in ", 1)[1]))
    assert data.train_documents + data.held_out_documents == 6_000
    assert not draft.exists()
