"""A finished verification done again: the same bits, or what is not the same and why."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_discovery.blocks import get_seed_design
from model_discovery.errors import UserError
from model_discovery.system import verify as verifying
from model_discovery.system.reproduce import Reproduction, reproduce
from model_discovery.verification import VerificationReport, VerifyRequest, get_recipe
from model_discovery.verification.reproduce import compare_runs

GRAMMAR = get_recipe("grammar", tokens={"0.1M": 10_240})
RECIPE = GRAMMAR.model_copy(
    update={
        "grammar": GRAMMAR.grammar.model_copy(update={"pairs_per_set": 5}),
        "batch_tokens": {"0.1M": 512},
        "learning_rates": {"0.1M": 1e-2},
        "eval_tokens": 4_096,
    }
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduce")


@pytest.fixture(scope="module")
def finished(home: Path) -> Path:
    """The folder of a finished run."""
    request = VerifyRequest(
        design="min_gru",
        unit_tree=get_seed_design("min_gru").tree,
        scale="0.1M",
        recipe=RECIPE,
        seed=3,
        suites=("minimal-pairs",),
        data_dir=str(home / "data"),
    )
    settings: dict[str, Any] = {"track": "none", "track_dir": home / "tracking"}
    report = verifying.run_all([request], home / "checkpoints" / "verify", 1, False, **settings)[0]
    assert report.ok, report.error
    return Path(report.artefacts["folder"])


@pytest.fixture
def folder(finished: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, for a program that stands in the same place."""
    monkeypatch.chdir(home)
    return Path(shutil.copytree(finished, tmp_path / "run"))


def again(run: Path | str, **changes: Any) -> Reproduction:
    return reproduce(str(run), **({"db": "tree.db", "campaign": None, "progress": False} | changes))


def change(file: Path, update: dict[str, Any]) -> None:
    stored = json.loads(file.read_text())
    for key, value in update.items():
        *way, last = key.split(".")
        place = stored
        for part in way:
            place = place[part]
        place[last] = value
    file.write_text(json.dumps(stored))


def test_what_was_stored_is_enough_for_the_same_bits(folder: Path, home: Path) -> None:
    done = again(folder)
    agreement = done.agreement
    assert agreement.agrees and agreement.exact and agreement.exact_expected, str(agreement)
    assert (agreement.problems, agreement.environment, agreement.standard_errors) == ((), (), 0.0)
    assert (done.now.held_out, done.now.scores, done.now.curve) == (
        done.then.held_out, done.then.scores, done.then.curve
    )  # fmt: skip
    assert Path(done.now.artefacts["folder"]).parent == home / "checkpoints" / "reproduce" / "1"
    assert json.loads(json.dumps(done.to_dict()))["verdict"] == "It agrees to the bit: the same weights."


@pytest.mark.slow
def test_command_and_exit_codes(folder: Path, home: Path) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "model_discovery", "verify", *arguments]
        return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=120)

    change(folder / "report.json", {"held_out.value": 1.0})
    done = run("--reproduce", str(folder))
    assert done.returncode == 1 and "does not agree: held out: 1.000000 then" in done.stdout
    told = run("--reproduce", str(folder), "--scale", "0.4M")
    assert told.returncode == 2 and "--scale cannot change it" in told.stderr
    assert run().returncode == 2


def report_of(folder: Path) -> VerificationReport:
    return VerificationReport.model_validate_json((folder / "report.json").read_bytes())


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"held_out.value": 4.0}, "held out: 4.000000 then"),
        ({"bits_per_byte.value": 0.5}, "bits per byte: 0.500000 then"),
        ({"scores.minimal-pairs.value": 0.99}, "scores: "),
        ({"curve": [[512, 3.0]]}, "curve: "),
        ({"evidence.weights_hash": "0" * 64}, "the weights were 000000000000, they are"),
        ({"evidence.code_hash": "0" * 64}, "the code of the design was 0000000000000000, it is"),
        ({"evidence.data_checksum": "0" * 64}, "the data was 0000000000000000, it is"),
        ({"status": "diverged"}, "it ended as diverged, now as ok"),
    ],
)
def test_a_tampered_report_disagrees(folder: Path, update: dict[str, Any], words: str) -> None:
    true = report_of(folder)
    assert compare_runs(true, true).agrees
    change(folder / "report.json", update)
    found = compare_runs(report_of(folder), true)
    assert not found.agrees and words in "; ".join(found.problems) and words in str(found)


def test_on_another_machine_noise_is_allowed_and_named(folder: Path) -> None:
    true = report_of(folder)
    assert true.held_out is not None and true.held_out.stderr is not None

    def elsewhere(errors: float) -> VerificationReport:
        other = {"evidence.versions.torch": "2.99", "evidence.weights_hash": "0" * 64}
        loss = true.held_out.value + errors * 2**0.5 * true.held_out.stderr
        change(folder / "report.json", {**other, "held_out.value": loss})
        return report_of(folder)

    close = compare_runs(true, elsewhere(1.5))
    assert close.agrees and not close.exact and not close.exact_expected
    assert close.standard_errors == pytest.approx(1.5)
    assert "within the noise, not to the bit" in str(close) and "1.5 standard errors" in str(close)
    assert [str(part) for part in close.environment] == [
        f"torch: {true.evidence.versions['torch']} then, 2.99 now"
    ]
    far = compare_runs(true, elsewhere(2.5))
    assert not far.agrees and "2.5 standard errors apart" in str(far)
    assert not compare_runs(true, elsewhere(1.5), noise=true.held_out.stderr / 2).agrees


@pytest.mark.parametrize(
    ("file", "update", "words"),
    [
        (
            "report.json",
            {"evidence.recipe_hash": "0123456789abcdef"},
            "recipe 'grammar' 0123456789abcdef; what",
        ),
        ("request.json", {"recipe.clip": 2.0}, "what is stored of it is"),
        (
            "request.json",
            {"recipe.wind": 2.0},
            "request.json is damaged, or of another version: 'recipe.wind'",
        ),
        ("request.json", {"seed": 4}, "is not the one of its report"),
        ("request.json", None, "request.json is damaged"),
        ("report.json", None, "report.json is damaged"),
    ],
)
def test_what_cannot_be_repeated_is_named(
    folder: Path, file: str, update: dict[str, Any] | None, words: str
) -> None:
    if update is None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: len(content) // 2])
    else:
        change(folder / file, update)
    with pytest.raises(UserError) as caught:
        again(folder)
    assert words in caught.value.message and caught.value.hint


def test_another_version_of_the_grammar_is_named(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    change(folder / "request.json", {"recipe.grammar.version": request["recipe"]["grammar"]["version"] - 1})
    asked = VerifyRequest.model_validate_json((folder / "request.json").read_bytes())
    update = {"evidence.recipe_hash": asked.recipe.hash, "evidence.request_hash": asked.hash}
    change(folder / "report.json", update)
    with pytest.raises(UserError, match="of the grammar; this program has version"):
        again(folder)


def test_data_that_is_another_is_an_error_before_training(folder: Path) -> None:
    change(folder / "report.json", {"evidence.data_checksum": "0" * 64})
    with pytest.raises(UserError, match=r"data of .* cannot be made again: its checksum was 000000000000"):
        again(folder)
    (folder / "report.json").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        again(folder)


TEXT = "\n\n".join(
    f"The {n}th paragraph tells of {n} dogs and the {n % 7} cats they met." for n in range(900)
)


def test_a_corpus_that_moved_or_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is never made: only whether its data can be had again is looked at."""
    monkeypatch.chdir(tmp_path)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(TEXT)
    recipe = get_recipe("text", corpus=corpus, tokens={"0.1M": 10_240})
    asked = VerifyRequest.model_validate_json((folder / "request.json").read_bytes())
    asked = asked.model_copy(update={"recipe": recipe, "suites": ()})
    (folder / "request.json").write_text(asked.model_dump_json())
    update = {"evidence.recipe_hash": recipe.hash, "evidence.request_hash": asked.hash}
    change(folder / "report.json", {**update, "evidence.data_checksum": "0" * 64})
    moved = corpus.rename(tmp_path / "elsewhere.txt")
    with pytest.raises(UserError, match=r"corpus\.txt.*--corpus"):
        again(folder)
    moved.write_text(TEXT + "\n\nOne more.")
    with pytest.raises(UserError, match="changed since the recipe was made"):
        again(folder, corpus=str(moved))


@pytest.mark.slow
def test_runs_of_a_tree(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from model_discovery import BuildSystem

    monkeypatch.chdir(tmp_path)
    small = ("tokens.0.1M=10240", "seed_designs=[min_gru]", "budget.runs={0.1M: 1}", "budget.designs=0")
    system = BuildSystem("baselines", db="tree.db", overrides=small, suites=(), workers=1, progress=False)
    system("Measure.")
    done = again("min_gru/0.1M/0")
    assert done.agreement.agrees and done.agreement.exact, str(done.agreement)
    for run, words in (
        ("min_gru/0.1M/7", "has no run 0.1M/7. Did you mean '0.1M/0'"),
        ("min_gri/0.1M/0", "Did you mean 'min_gru'"),
        ("min_gru", "There is no run 'min_gru'"),
    ):
        with pytest.raises(UserError, match=words.replace(".", r"\.").replace("?", r"\?")):
            again(run)
