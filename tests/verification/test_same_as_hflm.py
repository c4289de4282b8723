"""The same answers as lm-eval's own `HFLM` from the exported folder, item by item."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from small_designs import sound

from model_discovery.blocks import LanguageModel, UnitTree, get_seed_design
from model_discovery.export import Story, export_folder, read_checkpoint
from model_discovery.verification.blimp_sets import BLIMP_SETS
from model_discovery.verification.evaluator import text_coder
from model_discovery.verification.item_sets import PairSet, read_rows
from model_discovery.verification.scoring import score_rows
from model_discovery.verification.tokenizers import train_bpe

pytest.importorskip("accelerate")
CONTEXT, CLOSE = 128, 1e-3
SENTENCE = "the a cat cats dog dogs who that sees see saw has have run runs not ever any happily"
WORDS = SENTENCE.split()


@dataclass(frozen=True)
class Differences:
    """``largest`` between log-likelihoods; items whose two values lie closer than both could differ."""

    items: int
    largest: float
    ties: tuple[str, ...]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, own_hf_modules: Any) -> Iterator[Path]:
    """A folder; transformers keeps its copies of exported code there too, for the whole process."""
    folder = tmp_path_factory.mktemp("hflm")
    with own_hf_modules(folder):
        yield folder


def make_model(tree: UnitTree, folder: Path, texts: Sequence[str], vocabulary: int) -> LanguageModel:
    """A model with large weights, so that no sentences are about equally likely, and its exported folder."""
    folder.mkdir()
    tokenizer = train_bpe(texts, vocabulary)
    model = LanguageModel(tree, vocab_size=tokenizer.get_vocab_size(), width=32, n_blocks=2, seed=3).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    model.save(folder / "model", extra=None)
    tokenizer.save(str(folder / "model" / "tokenizer.json"))
    checkpoint = read_checkpoint(folder / "model")
    export_folder(folder / "hf", name="small", checkpoint=checkpoint, context=CONTEXT, story=Story())
    return model


def ours(model: LanguageModel, folder: Path) -> Any:
    from model_discovery.verification.served_lm import ServedLM

    class Asked:
        def score(self, rows, starts):
            answer = score_rows(model, [list(row) for row in rows], list(starts))
            return list(zip(answer["sums"], answer["greedy"], strict=True))

        def generate(self, rows, most):
            raise NotImplementedError

    return ServedLM(Asked(), text_coder(folder / "model" / "tokenizer.json", CONTEXT).encoder)


def hflm(folder: Path) -> Any:
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(folder / "hf"), trust_remote_code=True, batch_size=64, device="cpu")


def compare(one: Any, other: Any, sets: Sequence[PairSet]) -> Differences:
    """Ask both for every sentence of every pair, through the requests of lm-eval's tasks."""
    from model_discovery.verification.tasks import _task

    items, largest, ties = 0, 0.0, []
    for pairs in sets:
        task = _task(pairs.name, pairs)
        task.build_all_requests()
        mine, theirs = (lm.loglikelihood(task.instances, disable_tqdm=True) for lm in (one, other))
        assert [greedy for _, greedy in mine] == [greedy for _, greedy in theirs], pairs.name
        for item in range(len(pairs)):
            here, there = (
                [value for value, _ in answers[2 * item : 2 * item + 2]] for answers in (mine, theirs)
            )
            apart = max(abs(a - b) for a, b in zip(here, there, strict=True))
            if abs(here[0] - here[1]) < 2 * CLOSE:
                ties.append(f"{pairs.name} {item}")
            else:
                assert (here[0] > here[1]) == (there[0] > there[1]), (pairs.name, item)
            items, largest = items + 1, max(largest, apart)
    return Differences(items, largest, tuple(ties))


def small_sets() -> list[PairSet]:
    """Three sets of fifty pairs; lengths from one word to what the model reads at once."""
    draw = random.Random(1)
    sets = []
    for name, most in (("short", 4), ("middle", 20), ("long", 60)):
        good = [draw.choices(WORDS, k=draw.randint(1, most)) for _ in range(50)]
        bad = [[*draw.sample(words, len(words)), draw.choice(WORDS)] for words in good]
        pairs = tuple((" ".join(a) + ".", " ".join(b) + ".") for a, b in zip(good, bad, strict=True))
        sets.append(PairSet("blimp", name, pairs))
    return sets


def test_same_answers_to_small_sets(root: Path) -> None:
    sets = small_sets()
    texts = [sentence for one in sets for pair in one.pairs for sentence in pair]
    model = make_model(sound(), root / "small", texts, 300)
    found = compare(ours(model, root / "small"), hflm(root / "small"), sets)
    assert found.items == 150 and found.largest < CLOSE and not found.ties


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("design", ["min_gru", "transformer_pp"])
def test_same_answers_to_all_of_blimp(design: str, shared_data: Path, root: Path) -> None:
    columns = ("sentence_good", "sentence_bad")
    sets = []
    for name in BLIMP_SETS:
        rows = read_rows(shared_data / "blimp" / f"{name}.jsonl", columns)
        sets.append(PairSet("blimp", name, tuple((row[columns[0]], row[columns[1]]) for row in rows)))
    texts = [sentence for one in sets for pair in one.pairs[:20] for sentence in pair]
    model = make_model(get_seed_design(design).tree, root / design, texts, 1024)
    found = compare(ours(model, root / design), hflm(root / design), sets)
    print(found)
    assert found.items == 67_000 and found.largest < CLOSE
    assert len(found.ties) < 67, found.ties  # less than one in a thousand, and each is named
