"""Stock YAML tasks of lm-eval and folders of one's own, offline, against direct computations."""

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hub_layout import texts, write_hub
from small_designs import sound
from tokenizers import Tokenizer

from model_discovery.blocks import LanguageModel, get_seed_design
from model_discovery.errors import UserError
from model_discovery.verification import VerifyRequest, check_suites, get_recipe, name_suites
from model_discovery.verification.core_tasks import CORE_TASKS
from model_discovery.verification.encoding import Answer
from model_discovery.verification.evaluator import Scored, TextCoder, score_suites, text_coder
from model_discovery.verification.generation import generate_rows
from model_discovery.verification.scoring import score_rows
from model_discovery.verification.suite_data import (
    SUITE_DATA,
    is_suite_data,
    missing_data,
    prepare_suite,
    task_entries,
)
from model_discovery.verification.suites import SuiteSource, load_tasks
from model_discovery.verification.task_index import index_folder, installed_tasks, leaves
from model_discovery.verification.tokenizers import train_bpe

GRAMMAR = get_recipe("grammar")
CONTEXT = 64
TASKS = ("hellaswag", "ai2_arc", "lambada_openai", "boolq", "cola", "triviaqa", "wikitext")


class Asked:
    """A model in this process."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def score(self, rows: Sequence[Sequence[int]], starts: Sequence[int]) -> list[Answer]:
        found = score_rows(self.model, [list(row) for row in rows], list(starts))
        return list(zip(found["sums"], found["greedy"], strict=True))

    def generate(self, rows: Sequence[Sequence[int]], most: int) -> list[tuple[int, ...]]:
        return [tuple(row) for row in generate_rows(self.model, [list(r) for r in rows], most)["tokens"]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hub(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def data(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which some of lm-eval's tasks are prepared."""
    folder = tmp_path_factory.mktemp("data")
    for name in TASKS:
        for _ in prepare_suite(name, folder, str(hub)):
            pass
    return folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_bpe(texts(), 400).save(str(path))
    return path


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    model = LanguageModel(sound(), vocab_size=400, width=32, n_blocks=2, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model.eval()


def coder_of(tokenizer: Path) -> TextCoder:
    return text_coder(tokenizer, CONTEXT)


def run(names: Sequence[str], model: LanguageModel, tokenizer: Path, data: Path, **folders: Path) -> Scored:
    coder = coder_of(tokenizer)
    tasks = load_tasks(names, SuiteSource("0.1M", folders=folders, data_dir=data), coder.encoder)
    return score_suites([], tasks, Asked(model), coder)


@pytest.fixture(scope="module")
def scored(model: LanguageModel, tokenizer: Path, data: Path) -> Scored:
    return run(TASKS, model, tokenizer, data)


@pytest.fixture(scope="module")
def likely(model: LanguageModel, tokenizer: Path) -> Callable[[str, str], float]:
    """Log-likelihood of a continuation, one text at a time; nothing shared with the package."""
    encoder = Tokenizer.from_file(str(tokenizer))

    @torch.no_grad()
    def find(context: str, continuation: str) -> float:
        whole = encoder.encode(context + continuation).ids
        start = len(encoder.encode(context).ids)
        ids = torch.tensor([whole])
        logp = F.log_softmax(model(ids[:, :-1]).logits, dim=-1)[0]
        return sum(float(logp[t - 1, whole[t]]) for t in range(start, len(whole)))

    return find


def rows_of(hub: Path, file: str) -> list[dict]:
    return [json.loads(line) for line in (hub / file).read_text().splitlines()]


def test_hellaswag_equals_a_direct_computation(scored: Scored, hub: Path, likely) -> None:
    right = normed = 0
    rows = rows_of(hub, "Rowan/hellaswag/data/validation.jsonl")
    for row in rows:
        context = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
        found = [likely(context, " " + ending) for ending in row["endings"]]
        by_length = [value / len(ending) for value, ending in zip(found, row["endings"], strict=True)]
        right += found.index(max(found)) == int(row["label"])
        normed += by_length.index(max(by_length)) == int(row["label"])
    main, plain = scored.scores["hellaswag"], scored.scores["hellaswag/acc"]
    assert (main.value, main.metric, main.chance, main.n) == (normed / 12, "acc_norm", 0.25, 12)
    assert (plain.value, plain.metric, plain.version) == (right / 12, "acc", "1.0")
    assert main.stderr == pytest.approx(math.sqrt(main.value * (1 - main.value) / 11))


def test_lambada_equals_a_direct_computation(scored: Scored, hub: Path, likely) -> None:
    rows = rows_of(hub, "EleutherAI/lambada_openai/default/test.jsonl")
    found = [likely(*re.fullmatch(r"(.*)( \S+)", row["text"]).groups()) for row in rows]
    perplexity = scored.scores["lambada_openai/perplexity"]
    assert perplexity.value == pytest.approx(math.exp(-sum(found) / len(found)), rel=1e-4)
    assert perplexity.chance is None and perplexity.stderr > 0
    assert (scored.scores["lambada_openai"].metric, scored.scores["lambada_openai"].chance) == ("acc", 0.0)


def test_rolling_perplexity_equals_a_direct_computation(
    scored: Scored, hub: Path, model: LanguageModel, tokenizer: Path
) -> None:
    """Windows as long as the model reads, the first after the separator, each token predicted once."""
    encoder = Tokenizer.from_file(str(tokenizer))
    total = length = 0.0
    for row in rows_of(hub, "EleutherAI/wikitext_document_level/wikitext-2-raw-v1/test.jsonl"):
        ids = [0, *encoder.encode(row["page"]).ids]
        assert len(ids) > CONTEXT
        length += len(row["page"].encode())
        for first in range(0, len(ids) - 1, CONTEXT):
            last = min(first + CONTEXT, len(ids) - 1)
            start = max(0, last - CONTEXT)  # a shorter last window reads more before it
            logp = F.log_softmax(model(torch.tensor([ids[start:last]])).logits, dim=-1)[0].detach()
            total += sum(float(logp[t - 1 - start, ids[t]]) for t in range(first + 1, last + 1))
    bits = scored.scores["wikitext/bits_per_byte"]
    assert bits.value == pytest.approx(-total / length / math.log(2), rel=1e-4)
    assert "wikitext" not in scored.scores, "nothing in it of which more is better"


def test_groups_chance_and_versions(scored: Scored) -> None:
    arc, easy = scored.scores["ai2_arc"], scored.scores["ai2_arc/arc_easy"]
    hard = scored.scores["ai2_arc/arc_challenge"]
    assert arc.value == pytest.approx((easy.value + hard.value) / 2) and (arc.parts, arc.n) == (2, 24)
    assert easy.chance == pytest.approx((6 / 3 + 6 / 4) / 12), "three and four choices"
    assert scored.scores["boolq"].chance == 0.5 and scored.scores["triviaqa"].chance == 0.0
    assert (scored.scores["cola"].metric, scored.scores["cola"].chance) == ("mcc", 0.0)
    assert set(scored.checksums) == set(TASKS)
    assert all(len(checksum) == 16 for checksum in scored.checksums.values())


def test_the_same_again_is_the_same(scored: Scored, model, tokenizer, data) -> None:
    assert run(("hellaswag", "triviaqa"), model, tokenizer, data).scores.items() <= scored.scores.items()


def test_generated_answers_are_found(model: LanguageModel, tokenizer: Path, data: Path) -> None:
    """A model that writes what it is asked to: exact match counts it, stop strings end it."""
    coder = coder_of(tokenizer)
    tasks = load_tasks(["triviaqa"], SuiteSource("0.1M", data_dir=data), coder.encoder)
    asked = Asked(model)
    lengths: list[int] = []

    def generate(rows: Sequence[Sequence[int]], most: int) -> list[tuple[int, ...]]:
        lengths.append(most)
        assert max(map(len, rows)) + most <= CONTEXT
        answer = coder.encoder.encode(" Nowhere!\nQuestion: what else there may be to write, it is not read")
        return [tuple((answer * most)[:most]) for _ in rows]

    asked.generate = generate  # type: ignore[method-assign]
    found = score_suites([], tasks, asked, coder)
    assert found.scores["triviaqa"].value == 1.0, "case and punctuation aside, 'nowhere' is an alias"
    assert lengths == [16], "short answers are not written to the end"


@pytest.mark.parametrize("design", ["min_gru", "retnet", "transformer_pp"])
def test_rows_are_continued_as_each_alone(design: str) -> None:
    model = LanguageModel(get_seed_design(design).tree, vocab_size=50, width=32, n_blocks=2, seed=1).eval()
    rows = [[1, 2, 3], [4] * 9, [7], [3, 9, 27, 31]]
    together = generate_rows(model, rows, 6)["tokens"]
    for row, written in zip(rows, together, strict=True):
        assert model.generate(torch.tensor([row]), 6)[0, len(row) :].tolist() == written


def write_tasks(folder: Path, **changes: object) -> Path:
    """A folder with a YAML task over JSONL beside it, and a group with an example before each item."""
    folder.mkdir()
    rows = [
        {"text": f"Ann walks to item {i}", "options": ["garden", "river", "tower"], "label": i % 3}
        for i in range(9)
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "places",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "items.jsonl"}},
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{text}} near the",
        "doc_to_choice": "{{options}}",
        "doc_to_target": "{{label}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 2.0},
    } | changes
    (folder / "places.yaml").write_text(
        json.dumps({key: value for key, value in task.items() if value is not None})
    )
    return folder


def test_a_folder_of_ones_own(
    model: LanguageModel, tokenizer: Path, data: Path, tmp_path: Path, likely
) -> None:
    folder = write_tasks(tmp_path / "mine")
    (folder / "group.yaml").write_text(
        "group: both\ntask:\n  - hellaswag\n  - task: places\n    num_fewshot: 1\n"
        "aggregate_metric_list:\n  - metric: acc\n    weight_by_size: true\n"
    )
    found = run(["mine"], model, tokenizer, data, mine=folder)
    places, stock = found.scores["mine/places"], found.scores["mine/hellaswag/acc"]
    assert found.scores["mine"].value == pytest.approx((9 * places.value + 12 * stock.value) / 21)
    assert (places.n, places.version, places.chance) == (9, "2.0", pytest.approx(1 / 3))
    alone = run(["places"], model, tokenizer, data, places=folder / "places.yaml")
    right = 0
    for i in range(9):
        values = [
            likely(f"Ann walks to item {i} near the", f" {word}") for word in ("garden", "river", "tower")
        ]
        right += values.index(max(values)) == i % 3
    assert alone.scores["places"].value == right / 9 and list(alone.scores) == ["places"]
    assert alone.checksums["places"] != found.checksums["mine"]


def test_one_run_scores_pairs_own_tasks_and_stock_tasks(data: Path, tmp_path: Path) -> None:
    """The whole way, through the sandbox: one model is trained, loaded once, and asked for everything."""
    from model_discovery.engine import JobContext, Resources
    from model_discovery.verification import VerificationReport
    from model_discovery.verification.runner import Runner
    from model_discovery.verification.work import run_verify

    loads: list[str] = []

    class Counting(Runner):
        def serve(self, *args, **kwargs):
            loads.append("served")
            return super().serve(*args, **kwargs)

    folder = write_tasks(tmp_path / "mine")
    small = GRAMMAR.grammar.model_copy(update={"pairs_per_set": 20})
    settings = {"grammar": small, "tokens": {"0.1M": 20_480}, "batch_tokens": {"0.1M": 512}}
    recipe = GRAMMAR.model_copy(update=settings | {"learning_rates": {"0.1M": 5e-3}, "eval_tokens": 16_384})
    request = VerifyRequest(
        design="a_design",
        unit_tree=sound(),
        scale="0.1M",
        recipe=recipe,
        seed=0,
        suites=("minimal-pairs", "mine", "hellaswag", "triviaqa", "wikitext"),
        suite_dirs={"mine": str(folder)},
        data_dir=str(data),
    ).model_dump(mode="json")
    resources = Resources()
    try:
        context = JobContext(tmp_path / "jobs" / "one", 1, send=lambda _: None, resources=resources)
        report = VerificationReport.model_validate(run_verify(request, context, Counting))
    finally:
        resources.close()
    assert report.status == "ok", report.error
    assert loads == ["served"]
    assert {"minimal-pairs", "mine", "mine/places", "hellaswag", "triviaqa"} <= report.scores.keys()
    assert report.scores["hellaswag"].n == 12 and report.scores["wikitext/bits_per_byte"].value > 0
    assert set(report.evidence.suite_checksums) == {
        "minimal-pairs",
        "mine",
        "hellaswag",
        "triviaqa",
        "wikitext",
    }
    elsewhere = request | {"suite_dirs": {"mine": "/elsewhere"}}
    hashes = [VerifyRequest.model_validate(one).hash for one in (request, elsewhere)]
    assert hashes[0] == hashes[1], "where items lie decides no number"


def test_long_items_lose_their_beginning_and_that_is_said(model, tokenizer, data, tmp_path: Path) -> None:
    folder = write_tasks(tmp_path / "long", doc_to_text="{{text * 20}} near the")
    found = run(["long"], model, tokenizer, data, long=folder)
    assert found.notes == (
        "places: 27 of 27 requests were longer than the 64 tokens that the model reads, "
        "and lost their beginning",
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"doc_to_text": "{{txt}}"}, "'txt' is undefined"),
        ({"doc_to_choice": "{{options[:0]}}"}, "places"),
        (
            {"doc_to_choice": "{{options[:1]}}", "doc_to_target": 0},
            "Item 1 of the task 'places' has 1 choices",
        ),
        ({"doc_to_txt": "{{text}}"}, "doc_to_txt"),
        ({"output_type": "multiple_choices"}, "invalid output_type"),
        ({"test_split": None}, "places"),
        ({"metric_list": [{"metric": "accuracy"}]}, "accuracy"),
        ({"dataset_kwargs": {"data_files": {"test": "nothing.jsonl"}}}, "nothing.jsonl"),
    ],
)
def test_tasks_that_cannot_be_used_say_why(
    changes: dict[str, object], words: str, tokenizer: Path, data: Path, tmp_path: Path
) -> None:
    folder = write_tasks(tmp_path / "bad", **changes)
    source = SuiteSource("0.1M", folders={"bad": folder}, data_dir=data)
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        load_tasks(["bad"], source, coder_of(tokenizer).encoder)
    assert "'places'" in str(caught.value)


def refusal(names: Sequence[str], data: Path, **folders: Path) -> str:
    with pytest.raises(UserError) as caught:
        check_suites(names, recipe=GRAMMAR, folders=folders, data_dir=data)
    return str(caught.value)


def test_what_is_missing_is_said_before_training(data: Path, tmp_path: Path) -> None:
    check_suites(TASKS, recipe=GRAMMAR, data_dir=data)
    message = refusal(["piqa"], data)
    assert "The suite 'piqa' needs data that is not below" in message and "baber/piqa" in message
    assert "model-discovery data prepare piqa" in message
    message = refusal(["core"], data)
    assert "allenai/winogrande (winogrande_xl)" in message and "model-discovery data prepare core" in message
    assert "There is no folder or file" in refusal(["mine"], data, mine=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "has no YAML file with a key 'task'" in refusal(["mine"], data, mine=tmp_path / "empty")
    (tmp_path / "empty" / "a.yaml").write_text("task: [unclosed\n")
    assert "a.yaml, line 2" in refusal(["mine"], data, mine=tmp_path / "empty")
    (tmp_path / "empty" / "a.yaml").write_text("just a word\n")
    assert "is not a task: it has no keys" in refusal(["mine"], data, mine=tmp_path / "empty")
    folder = write_tasks(tmp_path / "other", dataset_path="someone/else", dataset_kwargs=None)
    message = refusal(["mine"], data, mine=folder)
    assert "someone/else" in message and f"data prepare {folder}" in message
    assert "'hellaswag' is a suite already" in refusal(["hellaswag"], data, hellaswag=folder)


def test_names_of_suites(tmp_path: Path) -> None:
    names, folders = name_suites(["minimal-pairs", "blimp=/a/b", f"{tmp_path}/my_tasks", "x=~/y.yaml"])
    assert names == ("minimal-pairs", "blimp", "my_tasks", "x")
    assert folders == {
        "blimp": "/a/b",
        "my_tasks": f"{tmp_path}/my_tasks",
        "x": str(Path("~/y.yaml").expanduser()),
    }
    assert name_suites(["blimp"], "/a/b") == (("blimp",), {"blimp": "/a/b"})
    for wrong in ("", "a/b/..=x", "blimp=", "two words"):
        with pytest.raises(UserError):
            name_suites([wrong])
    with pytest.raises(UserError, match="asked for twice"):
        name_suites(["hellaswag", "x/hellaswag"])


def test_data_is_prepared_once_and_failures_are_named(data: Path, hub: Path, tmp_path: Path) -> None:
    assert "there already" in next(prepare_suite("hellaswag", data, str(hub)))
    lines: list[str] = []
    with pytest.raises(UserError, match=r"could not be had: .*nyu-mll/glue \(mnli\)") as caught:
        lines += prepare_suite("glue", tmp_path, str(hub))
    assert "--source" in caught.value.hint
    assert missing_data(task_entries("cola", tmp_path), tmp_path) == []
    assert not list(tmp_path.glob("suites/hub/*/.new*")), "nothing half-fetched is left"
    with pytest.raises(UserError, match="Did you mean 'hellaswag'"):
        list(prepare_suite("helaswag", tmp_path))


@pytest.mark.slow
def test_blimp_is_prepared_as_its_files(tmp_path: Path) -> None:
    from model_discovery.verification.blimp_sets import BLIMP_SETS
    from model_discovery.verification.suites import load_suites

    place = tmp_path / "hub" / "nyu-mll" / "blimp"
    listing = ""
    for name in BLIMP_SETS:
        (place / name).mkdir(parents=True)
        row = {"sentence_good": f"{name} sleeps.", "sentence_bad": f"{name} sleep.", "UID": name}
        (place / name / "train.jsonl").write_text(json.dumps(row) + "\n")
        listing += f"- config_name: {name}\n  data_files: {name}/train.jsonl\n"
    (place / "README.md").write_text(f"---\nconfigs:\n{listing}---\n")
    data = tmp_path / "data"
    lines = list(prepare_suite("blimp", data, str(tmp_path / "hub")))
    assert "67 sets in" in lines[-1]
    check_suites(["blimp"], recipe=GRAMMAR, data_dir=data)
    sets = load_suites(["blimp"], SuiteSource("0.1M", data_dir=data))
    assert [one.pairs[0][0] for one in sets] == [f"{name} sleeps." for name in BLIMP_SETS]


def test_every_task_of_core_is_known(data: Path) -> None:
    index = installed_tasks(data)
    found = {leaf.name for name in CORE_TASKS for leaf in leaves(name, index)}
    assert set(CORE_TASKS) <= set(index) and {"cola", "wnli", "qa4mre_2011"} <= found
    assert all(index[name].data and not index[name].python for name in found)
    assert all(is_suite_data(name) for name in (*SUITE_DATA, "hellaswag"))
    assert not is_suite_data("grammar")


@pytest.mark.slow
def test_the_functions_of_every_task_of_core_can_be_loaded(data: Path) -> None:
    """Some of lm-eval's tasks need modules that other libraries no longer have."""
    from lm_eval.tasks._yaml_loader import load_yaml

    index = installed_tasks(data)
    for name in CORE_TASKS:
        for leaf in leaves(name, index):
            assert load_yaml(leaf.file)["output_type"]


def test_an_index_is_kept_and_made_again_when_cut_off(tmp_path: Path) -> None:
    first = installed_tasks(tmp_path)
    installed_tasks.cache_clear()
    assert installed_tasks(tmp_path) == first
    kept = next((tmp_path / "suites").glob("lm-eval-*.json"))
    kept.write_text(kept.read_text()[:1000])
    installed_tasks.cache_clear()
    assert installed_tasks(tmp_path) == first


def test_no_network_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("hellaswag", "blimp"):
        with pytest.raises(UserError, match="No network") as caught:
            list(prepare_suite(name, tmp_path))
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="--source FOLDER_OR_ZIP"):
        list(prepare_suite("babylm-eval", tmp_path))


def test_includes_and_circles(tmp_path: Path) -> None:
    (tmp_path / "base").write_text(
        "include: a.yaml\ntag: fruit\ndataset_path: some/data\ndataset_name: red\n"
    )
    (tmp_path / "a.yaml").write_text("include: base\ntask: apple\ndoc_to_text: !function utils.text\n")
    index = index_folder(tmp_path)
    assert index["apple"].data == ("some/data", "red", "") and index["fruit"].parts == ("apple",)
    assert [leaf.name for leaf in leaves("fruit", index)] == ["apple"]
