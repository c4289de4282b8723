"""Contamination: what counts as an item that was trained on, and that nobody has to look twice."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.errors import UserError
from model_discovery.verification import contamination
from model_discovery.verification.contamination import (
    Contamination,
    SuiteTexts,
    check_contamination,
    item_texts,
    task_texts,
)
from model_discovery.verification.evaluator import text_coder
from model_discovery.verification.item_sets import Choice, ChoiceSet, PairSet
from model_discovery.verification.manifest import TOKENIZER, DataManifest, files_checksum, list_files
from model_discovery.verification.streams import token_dtype, write_stream
from model_discovery.verification.suites import SuiteSource, load_tasks
from model_discovery.verification.tokenizers import train_bpe

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"


def prepared(folder: Path, documents: Sequence[str], separator: int = 0) -> DataManifest:
    """A folder of prepared data whose training text is ``documents``."""
    folder.mkdir(exist_ok=True)
    tokenizer = train_bpe([" ".join(documents)], 300)
    tokenizer.save(str(folder / TOKENIZER))
    size = tokenizer.get_vocab_size()
    encoded = [tokenizer.encode(document, add_special_tokens=False).ids for document in documents]
    tokens, count = write_stream(folder / "train.bin", encoded, size, separator)
    files = list_files(folder)
    return DataManifest(
        folder=folder,
        key="key",
        vocab_size=size,
        dtype=token_dtype(size),
        train_tokens=tokens,
        held_out_tokens=2,
        train_documents=count,
        held_out_documents=1,
        bytes_per_token=1.0,
        unigram_loss=1.0,
        phenomena=(),
        files=files,
        checksum=files_checksum(files),
        separator_id=separator,
    )


def suite(**sets: list[str]) -> SuiteTexts:
    """A suite of these texts."""
    return SuiteTexts(repr(sets), lambda: sets)


def look(data: DataManifest, *items: str) -> list[str]:
    """Those of the items that are found."""
    found = check_contamination(data, {item: suite(only=[item]) for item in items})
    return [item for item in items if found[item].found]


def test_a_sentence_is_found_however_it_is_written(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["Well!  THE CAT, sat\ton it? Yes", "She said: “dogs bark”\nand left"])
    items = ["the cat sat on it.", "Dogs bark.", "Yes.", "and left"]
    assert look(data, *items, "The cat sat.", "sat on it", "Yes she said", "cat dogs", "", "...") == items


@pytest.mark.parametrize("separator", [0, 5])
def test_words_of_two_documents_are_no_sentence(tmp_path: Path, separator: int) -> None:
    data = prepared(tmp_path, ["the cat", "sat there."], separator)
    assert look(data, "the cat sat there", "the cat") == ["the cat"]


def test_thirteen_words_in_a_row_betray_a_long_item(tmp_path: Path) -> None:
    words = LONG.split()
    data = prepared(tmp_path, [f"so {' '.join(words[1:14])} and more", f"x {' '.join(words[3:])} y"])
    assert look(data, LONG, f"zero {LONG}") == [LONG, f"zero {LONG}"]
    data = prepared(tmp_path, [f"so {' '.join(words[1:13])} and", " ".join(words[3:])])
    assert look(data, LONG) == []
    assert look(data, " ".join(words[:13]), " ".join(words[3:])) == [" ".join(words[3:])]


TEXTS = st.lists(st.lists(st.sampled_from(["a", "b", ".", "C"]), max_size=40).map(" ".join), max_size=4)


@settings(deadline=None, max_examples=50)
@given(
    documents=TEXTS, items=st.lists(st.lists(st.sampled_from("abc"), max_size=16).map(" ".join), max_size=9)
)
def test_equals_the_definition(
    tmp_path_factory: pytest.TempPathFactory, documents: list[str], items: list[str]
) -> None:
    data = prepared(tmp_path_factory.mktemp("data"), [*documents, "the end"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contamination, "_CHUNK", 7)
        found = check_contamination(data, {"suite": suite(only=items)})["suite"]
    seen = [item for item in items if _seen(item, documents)]
    by_set = {"only": len(seen)} if seen else {}
    examples = tuple(dict.fromkeys(seen))[:5]
    assert found == Contamination(items=len(items), found=len(seen), by_set=by_set, examples=examples)


def _seen(item: str, documents: list[str]) -> bool:
    words = item.split()
    if len(words) <= 13:
        parts = [[part.split() for part in document.lower().split(".")] for document in documents]
        spans = [
            [word for part in some[a:b] for word in part]
            for some in parts
            for a in range(len(some))
            for b in range(a, len(some) + 1)
        ]
        return bool(words) and words in spans
    texts = [" " + " ".join(re.findall("[a-z]+", document.lower())) + " " for document in documents]
    runs = [" " + " ".join(words[at : at + 13]) + " " for at in range(len(words) - 12)]
    return any(run in text for run in runs for text in texts)


def test_equal_hashes_alone_are_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prepared(tmp_path, ["Cats sleep. Dogs bark."])
    monkeypatch.setattr(
        contamination,
        "hash_runs",
        lambda hashes, longest: (np.zeros_like(hashes[n:]) for n in range(longest)),
    )
    assert look(data, "dogs bark") == ["dogs bark"]
    assert look(data, "cats bark") == []


def test_found_items_are_counted_by_suite_and_set(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["Cats sleep. Dogs bark. The sky is blue."])
    sets = [
        PairSet("blimp", "agreement", (("Cats sleep.", "Cats sleeps."), ("Dogs bark.", "Dogs barks."))),
        PairSet("blimp", "islands", (("Who left?", "Left who?"),)),
        ChoiceSet("quiz", "colours", (Choice("The sky is", ("green.", "blue."), 1), Choice("", ("cats",)))),
        ChoiceSet("endings", "recall", (Choice("", ("Cats", "Dogs"), 1, "bark."),)),
    ]
    found = check_contamination(data, item_texts(sets))
    assert found["blimp"].by_set == {"agreement": 2}
    assert (found["blimp"].items, found["blimp"].found) == (3, 2)
    assert found["blimp"].share == pytest.approx(2 / 3)
    assert found["quiz"].examples == ("The sky is blue.",)
    assert found["endings"].examples == ("Dogs bark.",)
    assert Contamination(items=0, found=0).share == 0


@pytest.mark.slow
def test_items_of_lm_eval_are_read_as_they_are_asked(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    common = ["dataset_path: json", "dataset_kwargs: {data_files: {test: rows.jsonl}}", "test_split: test"]
    quiz = [
        "task: quiz",
        "output_type: multiple_choice",
        'doc_to_text: "{{q}}"',
        "doc_to_choice: [red, blue]",
    ]
    cloze = [
        "task: cloze",
        "output_type: loglikelihood",
        'doc_to_text: "{{q}}"',
        'doc_to_target: " {{word}}"',
    ]
    (folder / "quiz.yaml").write_text("\n".join([*quiz, 'doc_to_target: "{{label}}"', *common]))
    (folder / "cloze.yaml").write_text("\n".join([*cloze, *common]))
    rows = [{"q": "The sky is", "label": 1, "word": "high"}, {"q": "A rose is", "label": 0, "word": "red"}]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = prepared(tmp_path / "data", ["The sky is blue. A rose is blue. A rose is red."])

    def texts() -> dict[str, SuiteTexts]:
        source = SuiteSource("0.1M", folders={"mine": folder}, data_dir=tmp_path)
        return task_texts(load_tasks(["mine"], source, text_coder(data.tokenizer, 128).encoder))

    found = check_contamination(data, texts())["mine"]
    assert (found.items, found.found, found.by_set) == (4, 3, {"quiz": 2, "cloze": 1})
    assert texts()["mine"].checksum == texts()["mine"].checksum
    before = texts()["mine"].checksum
    (folder / "rows.jsonl").write_text(
        json.dumps({**rows[0], "label": 0}) + "\n" + json.dumps(rows[1]) + "\n"
    )
    assert texts()["mine"].checksum != before


def test_the_second_time_nothing_is_read(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["Cats sleep.", "Dogs bark."])
    read: list[tuple[int, int]] = []
    suites = {"one": suite(only=["dogs bark"]), "two": suite(only=["birds sing"])}
    first = check_contamination(data, suites, lambda done, whole: read.append((done, whole)))
    assert read == [(data.train_tokens, data.train_tokens)]
    data.verify()
    (tmp_path / "train.bin").unlink()
    assert check_contamination(data, suites) == first
    with pytest.raises(UserError):
        check_contamination(data, {**suites, "two": suite(only=["fish swim"])})


def test_a_kept_result_that_cannot_be_read_is_made_again(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["Dogs bark."])
    assert look(data, "dogs bark") == ["dogs bark"]
    (kept,) = tmp_path.glob("contamination-*.json")
    kept.write_text('{"items": 1')
    assert look(data, "dogs bark") == ["dogs bark"]
    assert kept.read_text().endswith("}\n")


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prepared(tmp_path, ["Dogs bark."])
    monkeypatch.setattr(contamination.os, "access", lambda *_: False)
    assert look(data, "dogs bark") == ["dogs bark"]
    assert not list(tmp_path.glob("contamination*"))


def test_a_stream_without_its_last_separator_is_damaged(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["Dogs bark."])
    stream = tmp_path / "train.bin"
    stream.write_bytes(stream.read_bytes()[:-2])
    with pytest.raises(UserError, match="damaged"):
        look(data, "dogs bark")
