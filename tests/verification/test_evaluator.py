"""Scores through stock lm-eval equal a direct computation, sentence by sentence, and its own YAML tasks."""

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from small_designs import sound
from tokenizers import Tokenizer

from model_discovery.blocks import LanguageModel
from model_discovery.errors import UserError
from model_discovery.verification.blimp_sets import BLIMP_SETS
from model_discovery.verification.encoding import Answer, Encoder, ScoreBatch, ask, make_batches
from model_discovery.verification.evaluator import score_suites, text_coder
from model_discovery.verification.generation import generate_rows
from model_discovery.verification.item_sets import Choice, ChoiceSet, ItemSet, PairSet, checksum
from model_discovery.verification.report import Score
from model_discovery.verification.scoring import score_rows
from model_discovery.verification.served_lm import Rows, ServedLM
from model_discovery.verification.suites import SuiteSource, load_suites
from model_discovery.verification.tokenizers import train_bpe, word_tokenizer

WORDS = [f"w{i}" for i in range(40)]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    """Large weights, so that the sentences are far from equally likely."""
    model = LanguageModel(sound(), vocab_size=42, width=32, n_blocks=2, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model.eval()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    word_tokenizer(WORDS).save(str(path))
    return path


def sentences(seed: int, n: int) -> tuple[tuple[str, str], ...]:
    draw = random.Random(seed)
    good = [" ".join(draw.choices(WORDS, k=draw.randint(1, 17))) for _ in range(n)]
    return tuple((one, " ".join([*draw.sample(one.split(), len(one.split())), "w1"])) for one in good)


class Here:
    """A model asked in this process; ``seen`` are the rows it was asked."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.seen: list[tuple[int, ...]] = []

    def score(self, rows: Rows, starts: tuple[int, ...]) -> Sequence[Answer]:
        self.seen += rows
        answer = score_rows(self.model, [list(row) for row in rows], list(starts))
        return list(zip(answer["sums"], answer["greedy"], strict=True))

    def generate(self, rows: Rows, most: int) -> list[tuple[int, ...]]:
        return [tuple(row) for row in generate_rows(self.model, list(map(list, rows)), most)["tokens"]]


def scores_of(model: LanguageModel, tokenizer: Path, sets: Sequence[ItemSet]) -> dict[str, Score]:
    return score_suites(sets, [], Here(model), text_coder(tokenizer, 128)).scores


@torch.no_grad()
def directly(model: LanguageModel, tokenizer: Tokenizer, sentence: str) -> float:
    """Log-likelihood of one sentence after the separator, alone; nothing shared with the package."""
    ids = torch.tensor([[0, *tokenizer.encode(" " + sentence).ids]])
    logp = F.log_softmax(model(ids[:, :-1]).logits, dim=-1)
    return float(logp.gather(2, ids[:, 1:, None]).sum())


@torch.no_grad()
def after(model: LanguageModel, tokenizer: Tokenizer, context: str, word: str) -> float:
    """Log-likelihood of one word after a context, which has no separator before it."""
    ids = torch.tensor([tokenizer.encode(f"{context} {word}").ids])
    return float(F.log_softmax(model(ids[:, :-1]).logits, dim=-1)[0, -1, ids[0, -1]])


def accuracy(model: LanguageModel, tokenizer: Path, pairs: Sequence[tuple[str, str]]) -> float:
    encoder = Tokenizer.from_file(str(tokenizer))
    right = [directly(model, encoder, good) > directly(model, encoder, bad) for good, bad in pairs]
    return sum(right) / len(right)


def test_accuracies_equal_a_direct_computation(model: LanguageModel, tokenizer: Path) -> None:
    sets = [PairSet("minimal-pairs", f"set_{seed}", sentences(seed, 60)) for seed in range(3)]
    here = Here(model)
    scored = score_suites(sets, [], here, text_coder(tokenizer, 128))
    scores = scored.scores
    expected = {f"minimal-pairs/{s.name}": accuracy(model, tokenizer, s.pairs) for s in sets}
    assert {name: score.value for name, score in scores.items() if "/" in name} == expected
    whole = scores["minimal-pairs"]
    assert whole.value == pytest.approx(sum(expected.values()) / 3)
    assert (whole.n, whole.chance) == (180, 0.5)
    assert 0 < whole.stderr < scores["minimal-pairs/set_0"].stderr
    assert min(expected.values()) < max(expected.values())  # the sets tell something apart
    assert len(here.seen) < 360  # the same sentence is scored once
    assert scored.checksums == {"minimal-pairs": checksum(sets)} and not scored.notes


def test_groups_and_items_with_context(model: LanguageModel, tokenizer: Path) -> None:
    """A group is the mean of its sets; an item may have a context and any number of choices."""
    pairs = [PairSet("blimp", f"s{i}", sentences(i, 30), "binding" if i else "ellipsis") for i in range(3)]
    draw = random.Random(5)
    items = tuple(
        Choice(" ".join(draw.choices(WORDS, k=5)), tuple(draw.sample(WORDS, k=2 + i % 3)), i % 2)
        for i in range(40)
    )
    scores = scores_of(model, tokenizer, [*pairs, ChoiceSet("probes", "copy", items)])
    binding = scores["blimp/binding"]
    assert binding.value == pytest.approx((scores["blimp/s1"].value + scores["blimp/s2"].value) / 2)
    assert (binding.n, binding.parts, scores["blimp"].parts) == (60, 2, 3)
    assert scores["blimp/ellipsis"].value == scores["blimp/s0"].value
    encoder = Tokenizer.from_file(str(tokenizer))
    right = 0
    for item in items:
        likely = [after(model, encoder, item.context, choice) for choice in item.choices]
        right += likely.index(max(likely)) == item.answer
    chance = sum(1 / (2 + i % 3) for i in range(40)) / 40
    assert scores["probes/copy"].chance == pytest.approx(chance)
    assert scores["probes/copy"].value == right / 40


def test_one_item_has_no_standard_error(model: LanguageModel, tokenizer: Path) -> None:
    sets = [PairSet("blimp", "a", sentences(0, 1)), PairSet("blimp", "b", sentences(1, 2))]
    scores = scores_of(model, tokenizer, sets)
    assert scores["blimp/a"].stderr is None and scores["blimp"].stderr is None
    assert scores["blimp/b"].stderr is not None
    assert scores_of(model, tokenizer, []) == {}


def test_log_likelihoods_do_not_depend_on_the_batch(model: LanguageModel) -> None:
    draw = random.Random(0)
    rows = [[0, *draw.choices(range(42), k=draw.randint(1, 30))] for _ in range(20)]
    starts = [draw.randint(1, len(row) - 1) for row in rows]
    together = score_rows(model, rows, starts)
    for i, (row, start) in enumerate(zip(rows, starts, strict=True)):
        alone = score_rows(model, [row], [start])
        assert together["sums"][i] == pytest.approx(alone["sums"][0], abs=1e-4)
        assert together["greedy"][i] == alone["greedy"][0]
        logp = F.log_softmax(model(torch.tensor([row[:-1]])).logits, dim=-1)[0]
        expected = sum(float(logp[t - 1, row[t]].detach()) for t in range(start, len(row)))
        assert alone["sums"][0] == pytest.approx(expected, abs=1e-4)


row = st.tuples(st.lists(st.integers(0, 5), min_size=2, max_size=40).map(tuple), st.integers(1, 1))


@given(rows=st.lists(row, max_size=60), size=st.integers(1, 100))
def test_batches_hold_each_row_once_within_their_size(rows, size: int) -> None:
    batches = make_batches(rows, batch_tokens=size)
    flat = [pair for batch in batches for pair in zip(batch.rows, batch.starts, strict=True)]
    assert sorted(flat) == sorted(set(rows))
    for batch in batches:
        padded = len(batch.rows) * (max(map(len, batch.rows)) - 1)
        assert padded <= size or len(batch.rows) == 1
    lengths = [len(one) for one, _ in flat]
    assert lengths == sorted(lengths, reverse=True)


def test_contexts_are_encoded_as_lm_eval_does(tokenizer: Path) -> None:
    encoder = text_coder(tokenizer, 4).encoder
    seen: list[ScoreBatch] = []

    def score(batch: ScoreBatch) -> list[Answer]:
        seen.append(batch)
        return [(-1.0, True)] * len(batch.rows)

    plan = encoder.plan([("w0 w1", " w2"), ("", " w3 w4"), ("w0 w1 w2 w3 w4", " w5")])
    assert ask(plan, score) == [(-1.0, True)] * 3 and plan.cut == 1
    rows = {pair for batch in seen for pair in zip(batch.rows, batch.starts, strict=True)}
    assert rows == {((2, 3, 4), 2), ((0, 5, 6), 1), ((3, 4, 5, 6, 7), 4)}  # the last lost its beginning
    with pytest.raises(UserError, match="no tokens"):
        encoder.plan([("w0", "")])


contexts = st.one_of(st.just(""), st.text("ab \n", max_size=8).filter(str.strip))


@given(st.lists(st.tuples(contexts, st.text("ab ", min_size=1, max_size=8)), max_size=8))
def test_pairs_are_encoded_as_lm_eval_does(texts: list[tuple[str, str]]) -> None:
    """Against lm-eval's own base class, whose answers are here the tokens it made."""
    from lm_eval.api.model import TemplateLM

    class Mirror(TemplateLM):
        eot_token_id = 0

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: object) -> list[int]:
            return [1 + len(piece) for piece in string.replace("ab", "a b").split(" ")] if string else []

        def _loglikelihood_tokens(self, requests, **_: object):
            return [(before, after) for _, before, after in requests]

        loglikelihood_rolling = generate_until = None

    mirror = Mirror()
    requests = [type("Request", (), {"args": pair})() for pair in texts]
    expected = mirror.loglikelihood(requests, disable_tqdm=True)
    encoder = Encoder(mirror.tok_encode, 0, 99)
    assert [encoder.pair(*pair) for pair in texts] == expected


def test_lm_eval_is_light() -> None:
    """Neither torch nor transformers is loaded to score: the model sits elsewhere."""
    code = (
        "import sys, model_discovery.verification.tasks;"
        "print([name for name in ('torch', 'transformers', 'accelerate') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def bpe(pairs: Sequence[tuple[str, str]], path: Path) -> Path:
    train_bpe([sentence for pair in pairs for sentence in pair], 400).save(str(path))
    return path


def test_real_blimp_sets(shared_data: Path, tmp_path: Path) -> None:
    sets = load_suites(["blimp"], SuiteSource("0.1M", folders={"blimp": shared_data / "blimp"}))
    assert len(sets) == 67 and all(len(pairs.pairs) == 1000 for pairs in sets)
    some = [PairSet("blimp", s.name, s.pairs[:40]) for s in sets[::30]]
    path = bpe([pair for s in some for pair in s.pairs], tmp_path / "tokenizer.json")
    model = LanguageModel(sound(), vocab_size=400, width=32, n_blocks=2, seed=3).eval()
    scores = scores_of(model, path, some)
    for s in some:
        assert scores[f"blimp/{s.name}"].value == accuracy(model, path, s.pairs)


@pytest.mark.slow
def test_same_as_lm_evals_own_blimp_tasks(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed YAML tasks, on the same files laid out as they expect them, to the last item."""
    import lm_eval
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    chosen = BLIMP_SETS[::16]
    hub = tmp_path / "nyu-mll" / "blimp"
    hub.mkdir(parents=True)
    listing = "".join(f"- config_name: {name}\n  data_files: {name}.jsonl\n" for name in chosen)
    (hub / "README.md").write_text(f"---\nconfigs:\n{listing}---\n")
    sets = []
    for s in load_suites(["blimp"], SuiteSource("0.1M", folders={"blimp": shared_data / "blimp"})):
        if s.name in chosen:
            sets.append(PairSet("blimp", s.name, s.pairs[:100]))
            rows = [{"sentence_good": good, "sentence_bad": bad} for good, bad in s.pairs[:100]]
            (hub / f"{s.name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = bpe([pair for s in sets for pair in s.pairs], tmp_path / "tokenizer.json")
    model = LanguageModel(sound(), vocab_size=400, width=32, n_blocks=2, seed=3).eval()
    ours = scores_of(model, path, sets)

    monkeypatch.chdir(tmp_path)
    own = Path(lm_eval.__file__).parent / "tasks" / "blimp"
    manager = TaskManager(include_path=str(own), include_defaults=False)
    coder = text_coder(path, 128)
    lm = ServedLM(Here(model), coder.encoder, coder.decode)
    results = evaluate(lm=lm, task_dict=manager.load([f"blimp_{name}" for name in chosen]))["results"]
    for name in chosen:
        assert ours[f"blimp/{name}"].value == results[f"blimp_{name}"]["acc,none"]
        assert ours[f"blimp/{name}"].stderr == pytest.approx(results[f"blimp_{name}"]["acc_stderr,none"])
