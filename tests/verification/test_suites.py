"""Suites: what each needs, said before anything is trained; and the registry of metrics."""

import json
import re
from pathlib import Path

import pytest

from model_discovery.errors import UserError
from model_discovery.verification import (
    METRICS,
    check_suites,
    default_suites,
    get_metric,
    get_recipe,
    prepare,
)
from model_discovery.verification.blimp_sets import BLIMP_SETS
from model_discovery.verification.item_sets import PairSet, read_rows
from model_discovery.verification.metrics import suite_metric
from model_discovery.verification.suites import SuiteSource, load_suites

GRAMMAR = get_recipe("grammar")


def write_blimp(folder: Path, names: tuple[str, ...] = BLIMP_SETS, **row: object) -> Path:
    folder.mkdir()
    pair = {"sentence_good": "Cats sleep.", "sentence_bad": "Cats sleeps."} | row
    for name in names:
        (folder / f"{name}.jsonl").write_text(json.dumps(pair) + "\n")
    return folder


def refusal(suites: tuple[str, ...], data_dir: Path, **folders: Path) -> str:
    with pytest.raises(UserError) as caught:
        check_suites(suites, recipe=GRAMMAR, folders=folders, data_dir=data_dir)
    return str(caught.value)


def test_unknown_suite_names_the_nearest(tmp_path: Path) -> None:
    assert "Did you mean 'minimal-pairs'?" in refusal(("minimal_pairs",), tmp_path)
    assert "Did you mean 'hellaswag'?" in refusal(("helaswag",), tmp_path)


def test_a_suite_made_with_the_recipe_has_no_folder(tmp_path: Path) -> None:
    assert "has no folder" in refusal(("probes",), tmp_path, probes=tmp_path)


def test_probes_are_made_from_prepared_data(tmp_path: Path) -> None:
    check_suites(("probes",), recipe=GRAMMAR, data_dir=tmp_path)
    recipe = GRAMMAR.model_copy(update={"tokens": {"0.1M": 20_480}, "eval_tokens": 16_384})
    data = prepare(recipe, "0.1M", tmp_path)
    sets = load_suites(["probes"], SuiteSource("0.1M", prepared=data.folder, context=128))
    assert {one.name for one in sets} >= {"copy", "induction"} and all(one.chance == 0.5 for one in sets)


def test_blimp_says_what_it_lacks(tmp_path: Path) -> None:
    assert "--blimp-dir" in refusal(("blimp",), tmp_path)
    assert "There is no folder" in refusal(("blimp",), tmp_path, blimp=tmp_path / "nowhere")
    partial = write_blimp(tmp_path / "partial", BLIMP_SETS[3:])
    assert "lacks 3 of BLiMP's 67 sets, adjunct_island.jsonl first" in refusal(
        ("blimp",), tmp_path, blimp=partial
    )
    other = write_blimp(tmp_path / "other")
    (other / "adjunct_island.jsonl").write_text('{"sentence_god": "a", "sentence_bad": "b"}\n')
    message = refusal(("blimp",), tmp_path, blimp=other)
    assert "line 1 has no column 'sentence_good'. Did you mean 'sentence_god'?" in message


def test_blimp_is_read_in_full(tmp_path: Path) -> None:
    folder = write_blimp(tmp_path / "blimp")
    check_suites(("blimp",), recipe=GRAMMAR, folders={"blimp": folder})
    sets = load_suites(["blimp"], SuiteSource("0.1M", folders={"blimp": folder}))
    assert [pairs.name for pairs in sets] == list(BLIMP_SETS)
    assert sets[0] == PairSet("blimp", "adjunct_island", (("Cats sleep.", "Cats sleeps."),), "island_effects")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{not json}\n", "line 1 is not JSON"),
        (b"[1, 2]\n", "line 1 is not an object"),
        (b'\n\n{"sentence_good": "a", "sentence_bad": 3}\n', "line 3: 'sentence_bad' is not a sentence"),
        (b'{"sentence_good": "a", "sentence_bad": " "}\n', "'sentence_bad' is not a sentence"),
        (b"\xff\xfe\n", "is not UTF-8"),
        (b"\n", "has no rows"),
    ],
)
def test_bad_rows_are_named(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    file.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(words)):
        list(read_rows(file, ("sentence_good", "sentence_bad")))


def test_small_scales_skip_what_says_nothing_there(tmp_path: Path) -> None:
    for name, scale in (("easy", "0.1M"), ("hard", "1.5M")):
        row = {"sentence_good": "a b", "sentence_bad": "a c", "min_scale": scale}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    names = {
        scale: [pairs.name for pairs in load_suites(["minimal-pairs"], SuiteSource(scale, pairs=tmp_path))]
        for scale in ("0.1M", "0.4M", "1.5M", "5M")
    }
    assert names["0.1M"] == names["0.4M"] == ["easy"]
    assert names["1.5M"] == names["5M"] == ["easy", "hard"]


def test_defaults(tmp_path: Path) -> None:
    assert default_suites(GRAMMAR) == ("minimal-pairs",)
    assert default_suites(GRAMMAR, {"blimp": "x"}) == ("minimal-pairs", "blimp")
    (tmp_path / "a.txt").write_text("Some text of one's own. " * 2000)
    text = get_recipe("text", corpus=tmp_path)
    assert default_suites(text) == ()
    with pytest.raises(UserError, match="the recipe 'text' has no pairs"):
        check_suites(("minimal-pairs",), recipe=text)


def test_scores_of_any_suite_have_a_direction() -> None:
    assert suite_metric("hellaswag").direction == "higher" and suite_metric("hellaswag").chance is None
    assert suite_metric("core/wikitext/bits_per_byte").direction == "lower"
    assert suite_metric("lambada_openai/perplexity").unit == "per token"
    assert suite_metric("blimp/island_effects").chance == 0.5


def test_metrics() -> None:
    assert get_metric("held_out").better(2.0, 3.0) and get_metric("blimp").better(0.7, 0.6)
    assert get_metric("minimal-pairs/licensing") == get_metric("minimal-pairs").__class__(
        "minimal-pairs/licensing", "higher", "accuracy", 0.5, "accuracy"
    )
    assert all(name == metric.name for name, metric in METRICS.items())
    for name in ("held_ot", "held_out/x", "nothing"):
        with pytest.raises(UserError, match="Unknown metric"):
            get_metric(name)
