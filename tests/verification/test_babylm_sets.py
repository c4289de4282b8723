"""BabyLM's data is found in every layout it was published in, whole or not at all."""

import json
from pathlib import Path

import pytest

from model_discovery.errors import UserError
from model_discovery.verification.babylm_sets import (
    PHENOMENON_SETS,
    SUPPLEMENT_SETS,
    babylm_missing,
    load_babylm,
)
from model_discovery.verification.blimp_sets import BLIMP_SETS

PARTS = {"blimp": BLIMP_SETS, "supplement": SUPPLEMENT_SETS}


def write(place: Path, names: tuple[str, ...], end: str = ".jsonl") -> None:
    place.mkdir(parents=True)
    for name in names:
        row = {"sentence_good": f"A: {name}?\nB: Yes.", "sentence_bad": f"A: {name}?\nB: Blue.", "row": 3}
        (place / f"{name}{end}").write_text(json.dumps(row) + "\n")


def release(root: Path, year: str) -> Path:
    """An archive of that year, unpacked, with the files that it also has, and those that macOS adds."""
    write(root / "__MACOSX/evaluation_data/blimp_filtered", ("._causative",))
    write(root / "__MACOSX/evaluation_data/supplement_filtered", ("._hypernym",))
    if year == "2023":
        write(root / "filter-data/blimp_filtered", PHENOMENON_SETS, ".json")
        write(root / "filter-data/supplement_filtered", SUPPLEMENT_SETS, ".json")
        write(root / "filter-data/glue_filtered/cola", ("cola.train",), ".json")
    else:
        inner = root / "evaluation_data" / ("full_eval" if year == "2025" else "")
        for part, names in PARTS.items():
            write(inner / f"{part}_filtered", names)
        write(inner / "ewok_filtered", ("agent-properties",))
    if year == "2025":
        for part, names in PARTS.items():
            write(root / f"evaluation_data/fast_eval/{part}_fast", names)
    return root


@pytest.mark.parametrize("year", ["2023", "2024", "2025"])
def test_every_release_is_found(tmp_path: Path, year: str) -> None:
    root = release(tmp_path / "unpacked", year)
    assert babylm_missing(root) is None
    sets = load_babylm(root)
    blimp = PHENOMENON_SETS if year == "2023" else BLIMP_SETS
    expected = [("blimp", name) for name in blimp] + [("supplement", name) for name in SUPPLEMENT_SETS]
    assert [(one.group, one.name) for one in sets] == expected
    assert len({one.name for one in sets} | {"blimp", "supplement"}) == len(sets) + 2  # names of scores
    assert {one.suite for one in sets} == {"babylm"}
    assert sets[-1].pairs == (("A: turn_taking?\nB: Yes.", "A: turn_taking?\nB: Blue."),)


def test_full_goes_before_fast_and_fast_can_be_asked_for(tmp_path: Path) -> None:
    root = release(tmp_path / "unpacked", "2025") / "evaluation_data"
    fast = root / "fast_eval/blimp_fast/causative.jsonl"
    fast.write_text(json.dumps({"sentence_good": "fast", "sentence_bad": "fast"}) + "\n")
    causative = BLIMP_SETS.index("causative")
    assert load_babylm(root)[causative].pairs[0][0] != "fast"
    assert load_babylm(root / "fast_eval")[causative].pairs[0][0] == "fast"


def refusal(folder: Path | None) -> str:
    problem = babylm_missing(folder)
    assert problem is not None
    with pytest.raises(UserError) as caught:
        load_babylm(folder)
    assert str(caught.value) == str(problem)
    return f"{problem}"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    assert "needs its data" in refusal(None)
    assert "There is no folder" in refusal(tmp_path / "nowhere")
    assert "it has nothing" in refusal(tmp_path)
    write(tmp_path / "unpacked/blimp_filtered", BLIMP_SETS)
    assert "it has blimp_filtered." in refusal(tmp_path / "unpacked")


def test_all_sets_or_none(tmp_path: Path) -> None:
    root = release(tmp_path / "unpacked", "2024") / "evaluation_data"
    (root / "supplement_filtered/hypernym.jsonl").rename(root / "supplement_filtered/hypernyms.jsonl")
    message = refusal(root)
    assert "supplement_filtered lacks 1 of its 5 sets, hypernym.jsonl first." in message
    assert "Did you mean 'hypernyms'" in message


def test_two_releases_below_one_folder(tmp_path: Path) -> None:
    release(tmp_path / "one", "2023")
    release(tmp_path / "two", "2024")
    assert "2 times" in refusal(tmp_path)


def test_a_missing_column_has_its_file_and_line(tmp_path: Path) -> None:
    root = release(tmp_path / "unpacked", "2024")
    file = root / "evaluation_data/supplement_filtered/turn_taking.jsonl"
    file.write_text(file.read_text() + json.dumps({"sentence_good": "a", "sentence_bda": "b"}) + "\n")
    with pytest.raises(UserError, match=r"turn_taking.jsonl, line 2 has no column 'sentence_bad'") as caught:
        load_babylm(root)
    assert "Did you mean 'sentence_bda'?" in str(caught.value)
