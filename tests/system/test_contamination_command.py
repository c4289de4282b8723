"""Contamination as people ask for it: a recipe, suites, and what was found in words and as facts."""

import json
from pathlib import Path

import pytest

from model_discovery.errors import UserError
from model_discovery.system.contamination import find_contamination, print_contamination
from model_discovery.verification.blimp_sets import BLIMP_SETS


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three hundred paragraphs, one sentence of BLiMP's making in each tenth."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(300):
        words = " ".join(f"word{number * place % 997}" for place in range(1, 60))
        planted = f" Nobody sees cat {number}." if number % 10 == 0 else ""
        (folder / f"{number}.txt").write_text(f"{words}.{planted}")
    return folder


@pytest.fixture
def blimp(tmp_path: Path) -> Path:
    """BLiMP's sixty-seven sets, of which one was planted into the corpus."""
    folder = tmp_path / "blimp"
    folder.mkdir()
    for name in BLIMP_SETS:
        sentence = "Nobody sees cat {}." if name == "npi_present_1" else "Somebody sees dog {}."
        rows = [
            {"sentence_good": sentence.format(n), "sentence_bad": "Nobody see."} for n in range(0, 300, 10)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_planted_items_are_found(corpus: Path, blimp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = find_contamination(
        "text",
        scale="0.1M",
        suites=[f"blimp={blimp}"],
        corpus=str(corpus),
        progress=False,
    )
    assert json.loads(json.dumps(found)) == found
    assert found["blimp"]["items"] == 67 * 30
    assert 20 <= found["blimp"]["found"] <= 30  # the others are held out
    assert found["blimp"]["by_set"] == {"npi_present_1": found["blimp"]["found"]}
    print_contamination(found)
    said = capsys.readouterr().out
    assert f"blimp: {found['blimp']['found']} of 2,010 items" in said
    assert "npi_present_1" in said and "Nobody sees cat" in said


def test_the_grammar_is_asked_about_its_own_pairs() -> None:
    found = find_contamination("grammar", scale="0.1M", suites=[], progress=False)
    assert list(found) == ["minimal-pairs"]
    assert found["minimal-pairs"]["items"] == 2400
    assert found["minimal-pairs"]["share"] < 0.05


def test_a_recipe_without_suites_asks_for_one(corpus: Path) -> None:
    with pytest.raises(UserError, match="no suite"):
        find_contamination("text", scale="0.1M", suites=[], corpus=str(corpus), progress=False)
