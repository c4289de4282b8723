"""Probes: what each one's items are, and which simple readers get them right."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import islice, pairwise
from pathlib import Path

import pytest

from model_discovery.errors import UserError
from model_discovery.verification import get_recipe
from model_discovery.verification.data import prepare
from model_discovery.verification.grammar import Grammar
from model_discovery.verification.item_sets import Choice, ChoiceSet, checksum
from model_discovery.verification.manifest import DataManifest
from model_discovery.verification.probe_sets import FEWEST, ITEMS, load_probes
from model_discovery.verification.tokenizers import load_tokenizer

NAMES = ["recall_near", "recall_far", "copy", "induction", "parity"]
Reader = Callable[[list[int], int], float]
"""How likely a token is after tokens, up to a constant."""


def write_corpus(folder: Path, documents: int) -> Path:
    folder.mkdir()
    for number, words in enumerate(islice(Grammar(3).documents("train"), documents)):
        (folder / f"{number:03}.txt").write_text(" ".join(words) + "\n")
    return folder


@pytest.fixture(scope="module", params=["grammar", "text"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DataManifest:
    """Words and a BPE."""
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "grammar":
        return prepare(get_recipe("grammar", tokens={"0.1M": 40_000}), "0.1M", root / "data")
    corpus = write_corpus(root / "corpus", 400)
    return prepare(get_recipe("text", corpus=corpus, tokens={"0.1M": 20_000}), "0.1M", root / "data")


@pytest.fixture(scope="module")
def sets(data: DataManifest) -> dict[str, ChoiceSet]:
    return {one.name: one for one in load_probes(data.folder, 128)}


read_tokenizer = cache(load_tokenizer)


def tokens(data: DataManifest, item: Choice) -> list[tuple[list[int], list[int]]]:
    """Context and ending of both sides, as lm-eval cuts them."""
    tokenizer = read_tokenizer(data.tokenizer)
    found = []
    for context in item.choices:
        before = tokenizer.encode(context, add_special_tokens=False).ids
        whole = tokenizer.encode(f"{context} {item.ending}", add_special_tokens=False).ids
        assert whole[: len(before)] == before
        found.append((before, whole[len(before) :]))
    return found


def test_every_probe_is_made_and_balanced(data: DataManifest, sets: dict[str, ChoiceSet]) -> None:
    short = data.held_out_tokens < 10_000  # few words occur twice in it
    assert list(sets) == [name for name in NAMES if not (short and name.startswith("recall"))]
    for one in sets.values():
        assert FEWEST <= len(one) <= ITEMS
        assert one.chance == 0.5
        assert 0.35 < sum(item.answer for item in one.items) / len(one) < 0.65


def test_both_sides_are_scored_on_the_same_tokens(data: DataManifest, sets: dict[str, ChoiceSet]) -> None:
    for one in sets.values():
        for item in one.items:
            (left, ending), (right, same) = tokens(data, item)
            assert ending == same and left != right
            assert len(left) == len(right) and len(left) + len(ending) <= 129
            assert left[-1] == right[-1]  # what looks at one token alone is told nothing


def accuracy(data: DataManifest, probe: ChoiceSet, reader: Reader) -> float:
    """Of a reader; half for items whose sides it finds alike."""
    right = 0.0
    for item in probe.items:
        values = [
            sum(reader([*context, *ending[:at]], token) for at, token in enumerate(ending))
            for context, ending in tokens(data, item)
        ]
        other = values[1 - item.answer]
        right += 0.5 if values[item.answer] == other else float(values[item.answer] > other)
    return right / len(probe)


def seen(context: list[int], token: int) -> float:
    """Counts."""
    return float(token in context)


def recent(context: list[int], token: int) -> float:
    """Looks where the token stood last."""
    return -float(context[::-1].index(token)) if token in context else -1000.0


def successor(context: list[int], token: int) -> float:
    """What an induction head computes: whether the token came after this one before."""
    return float((context[-1], token) in set(pairwise(context)))


def test_what_simple_readers_reach(data: DataManifest, sets: dict[str, ChoiceSet]) -> None:
    for name in sets.keys() & {"recall_near", "recall_far"}:
        assert accuracy(data, sets[name], seen) == 1.0
    assert accuracy(data, sets["copy"], successor) > 0.9
    assert accuracy(data, sets["induction"], successor) == 1.0
    assert accuracy(data, sets["induction"], seen) == 0.5
    assert 0.4 < accuracy(data, sets["induction"], recent) < 0.6
    assert accuracy(data, sets["parity"], successor) < 0.6
    assert accuracy(data, sets["parity"], seen) == 0.5


def test_parity_labels_are_right(sets: dict[str, ChoiceSet]) -> None:
    for item in sets["parity"].items:
        words = [*item.choices[item.answer].split(), item.ending]
        strings = [(words[at : at + 3], words[at + 3]) for at in range(0, len(words), 4)]
        assert len({tuple(string) for string, _ in strings}) == 8
        one = strings[0][0][0]
        labels = {(string.count(one) % 2, label) for string, label in strings}
        assert len(labels) == 2 and len({label for _, label in labels}) == 2


def test_the_same_data_gives_the_same_probes(data: DataManifest, sets: dict[str, ChoiceSet]) -> None:
    """Also in a process whose strings hash otherwise."""
    code = (
        "import sys; from pathlib import Path;"
        "from model_discovery.verification.probe_sets import load_probes;"
        "from model_discovery.verification.item_sets import checksum;"
        "print(checksum(load_probes(Path(sys.argv[1]), 128)), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data.folder)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PATH": ""},
    )
    assert done.stdout.split() == [checksum(sets.values()), "False"]


def test_a_short_context_has_short_items(data: DataManifest) -> None:
    for one in load_probes(data.folder, 24):
        assert one.name != "parity"
        for item in one.items:
            assert all(len(context) + len(ending) <= 25 for context, ending in tokens(data, item))


def test_too_little_text_is_refused(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", 60)
    recipe = get_recipe("text", corpus=corpus, tokens={"0.1M": 1024})
    with pytest.raises(UserError, match="too short for the suite 'probes'"):
        load_probes(prepare(recipe, "0.1M", tmp_path / "data").folder, 12)
