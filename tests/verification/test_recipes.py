"""Recipes: what they say, what their hash covers, what they refuse; and the data made from them."""

import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from model_discovery.errors import UserError
from model_discovery.verification import Recipe, get_recipe, load_manifest, prepare
from model_discovery.verification.manifest import MANIFEST
from model_discovery.verification.recipe import GrammarData
from model_discovery.verification.recipe_files import recipe_text, shipped_recipes
from model_discovery.verification.recipes import RECIPE_NAMES
from model_discovery.verification.tokenizers import load_tokenizer

SMALL = {"0.1M": 20_000}
TEXT = "\n\n".join(
    f"Story {number}. " + " ".join(["The old king walked to the sea again."] * 40) for number in range(60)
)


def small_recipe() -> Recipe:
    """A grammar of a few seconds less."""
    data = GrammarData(held_out_tokens=4096, pairs_per_set=10)
    return get_recipe("grammar", tokens=SMALL).model_copy(update={"grammar": data})


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "stories.txt"
    file.write_text(TEXT)
    return file


def test_defaults_of_the_embedded_recipe() -> None:
    recipe = get_recipe("grammar")
    assert (recipe.kind, recipe.context, recipe.precision) == ("grammar", 128, "auto")
    assert recipe.steps_for("0.1M") * recipe.batch_size_for("0.1M") * recipe.context <= 300_000
    assert recipe.vocabulary_for("0.1M") is None
    assert recipe.tokens_for("14M") > 10**8


def test_hash_covers_everything_but_the_place(corpus: Path, tmp_path: Path) -> None:
    recipe = get_recipe("grammar")
    assert (
        recipe.hash == get_recipe("grammar").hash == Recipe.model_validate_json(recipe.model_dump_json()).hash
    )
    changed = [{"clip": 0.5}, {"context": 64}, {"grammar": GrammarData(seed=1)}, {"tokens": {"0.1M": 4096}}]
    hashes = {recipe.model_copy(update=change).hash for change in changed}
    assert len(hashes | {recipe.hash}) == 5
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / corpus.name
    moved.write_text(TEXT)
    tokens = {"0.1M": 4096}
    assert get_recipe("text", corpus, tokens).hash == get_recipe("text", moved, tokens).hash


def test_data_is_shared_by_recipes_that_train_differently() -> None:
    recipe = get_recipe("grammar")
    assert recipe.model_copy(update={"clip": 0.5}).data_key("0.1M") == recipe.data_key("0.1M")
    assert get_recipe("grammar", tokens=SMALL).data_key("0.1M") != recipe.data_key("0.1M")


def test_text_has_a_vocabulary_by_scale(corpus: Path) -> None:
    recipe = get_recipe("text", corpus)
    sizes = [recipe.vocabulary_for(scale) for scale in ("0.1M", "0.4M", "1.5M", "5M")]
    assert sizes == [2048, 2048, 4096, 4096]
    assert get_recipe("grammar", corpus).kind == "text"


def test_bad_input_gets_one_line(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'grammar'"):
        get_recipe("gramar")
    with pytest.raises(UserError, match="needs a corpus"):
        get_recipe("text")
    with pytest.raises(UserError, match="no corpus at"):
        get_recipe("text", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"Did you mean '0\.1M'"):
        get_recipe("grammar", tokens={"0.1": 9999})
    with pytest.raises(UserError, match="fewer than one step"):
        get_recipe("grammar", tokens={"0.1M": 100})
    tiny = tmp_path / "tiny.txt"
    tiny.write_text("a few words\n\nof text\n")
    with pytest.raises(UserError, match="less than one batch"):
        get_recipe("text", tiny)
    with pytest.raises(ValidationError):
        Recipe(name="x", kind="text", tokenizer="bpe", tokens={})


def test_hashes_of_the_first_recipes_stay(corpus: Path) -> None:
    """Reports of earlier releases stay comparable: new fields are no part of the hash until they are used."""
    recipe = get_recipe("grammar")
    assert (recipe.hash, recipe.data_key("0.1M")) == ("99986bb3045ebc84", "b64d592675cbabe6")
    text = get_recipe("text", corpus)
    assert (text.hash, text.data_key("0.1M")) == ("f67942044352f887", "1d9818f6575900e6")


@pytest.mark.parametrize("name", [name for name in RECIPE_NAMES if name != "text"])
def test_every_shipped_recipe_is_whole(name: str) -> None:
    recipe = get_recipe(name)
    assert recipe.name == name
    assert recipe == Recipe.model_validate_json(recipe.model_dump_json())
    assert recipe.steps_for("14M") > 100
    for source in recipe.hub.sources if recipe.hub else ():
        assert source.size and not source.checksum


def test_shipped_files_are_the_recipes_by_name() -> None:
    assert set(shipped_recipes()) == set(RECIPE_NAMES) - {"grammar", "text"}


def test_a_recipe_of_ones_own_is_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.jsonl").write_text('{"body": "x"}')
    file = tmp_path / "mine.yaml"
    file.write_text(
        "sources:\n- {dataset: ./set, text_field: body, weight: 2}\n"
        "- {dataset: owner/name, config: c, revision: v1}\n"
        "unique_tokens: scale\ntokens: {0.1M: 5000}\ncontext: 64\nlearning_rates: {0.1M: 0.01}\n"
    )
    recipe = get_recipe(str(file))
    assert recipe.hub is not None
    assert [source.name for source in recipe.hub.sources] == ["set", "owner/name:c"]
    assert recipe.hub.remote == recipe.hub.sources[1:]
    assert (recipe.name, recipe.context, recipe.tokenizer, recipe.kind) == ("mine", 64, "bpe", "hub")
    (tmp_path / "again.yaml").write_text(recipe_text(recipe))
    assert get_recipe(str(tmp_path / "again.yaml")) == recipe
    shutil.copytree(tmp_path / "set", tmp_path / "elsewhere" / "set")
    shutil.copy(file, tmp_path / "elsewhere")
    assert get_recipe(str(tmp_path / "elsewhere" / "mine.yaml")).hash == recipe.hash


def test_names_of_data_sets() -> None:
    one, two = get_recipe("owner/name:part"), get_recipe("owner/name", config="part")
    assert one.hub == two.hub
    assert one.data_key("0.1M") == two.data_key("0.1M") != get_recipe("owner/name").data_key("0.1M")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources: [", "is not YAML"),
        ("- a", "is no mapping"),
        ("tokens: {0.1M: 5}", "has no sources"),
        ("sources: [{dataset: a/b}]\ntoken: {}", "unknown key 'token'. Did you mean 'tokens'"),
        ("sources: [{dataset: a/b, wieght: 2}]", "unknown key 'wieght'. Did you mean 'weight'"),
        ("sources: [{dataset: a/b, weight: -1}]", "'weight': .*greater than 0"),
        ("sources: [{dataset: a/b}, {dataset: a/b}]", "listed twice"),
        ("sources: [{dataset: ./nowhere}]", "There is no data set at"),
        ("sources: [{dataset: a/b}]\ntokenizer: word", "belongs to the grammar"),
        ("sources: [{config: a}]", "'dataset'"),
    ],
)
def test_a_bad_recipe_file_gets_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        get_recipe(str(file))


def test_options_that_do_not_fit_are_refused(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(UserError, match="brings its own data"):
        get_recipe("babylm", corpus)
    with pytest.raises(UserError, match="says itself which split"):
        get_recipe("smollm", split="train")
    with pytest.raises(UserError, match="cannot be read: No such file"):
        get_recipe(str(tmp_path / "nowhere.yaml"))
    with pytest.raises(UserError, match="There is no data set at"):
        get_recipe(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="does not say how many tokens"):
        get_recipe("smollm").tokens_for("0.1M")


def test_prepared_grammar_is_whole(tmp_path: Path) -> None:
    recipe = small_recipe()
    data = prepare(recipe, "0.1M", tmp_path)
    assert data.folder.name == f"grammar-{recipe.data_key('0.1M')}"
    assert data == load_manifest(data.folder) == prepare(recipe, "0.1M", tmp_path)
    train, held_out = data.stream("train"), data.stream("held_out")
    assert 20_000 <= train.targets < 20_400
    assert len(train) == data.train_tokens
    assert len(held_out) == data.held_out_tokens
    assert int(train.tokens.max()) < data.vocab_size == load_tokenizer(data.tokenizer).get_vocab_size()
    assert 1 not in np.asarray(train.tokens)
    assert 3 < data.unigram_loss < np.log(data.vocab_size)
    assert 3 < data.bytes_per_token < 7
    assert data.pairs is not None
    assert sorted(path.stem for path in data.pairs.iterdir()) == sorted(data.phenomena)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [data.folder.name]


def test_prepared_text_has_every_document(tmp_path: Path, corpus: Path) -> None:
    recipe = get_recipe("text", corpus, {"0.1M": 2048})
    data = prepare(recipe, "0.1M", tmp_path / "data")
    tokenizer = load_tokenizer(data.tokenizer)
    texts = []
    for split in ("train", "held_out"):
        ids = np.asarray(data.stream(split).tokens)
        cuts = np.flatnonzero(ids == 0)
        assert cuts[0] == 0
        assert cuts[-1] == len(ids) - 1
        texts += [tokenizer.decode(ids[a + 1 : b]) for a, b in pairwise(cuts)]
    assert sorted(texts) == sorted(TEXT.split("\n\n"))
    assert data.pairs is None


def test_a_corpus_too_small_for_its_tokens_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "small.txt"
    file.write_text("\n\n".join(f"number {n} is the next one" for n in range(120)))
    recipe = get_recipe("text", file, {"0.1M": 1024})
    with pytest.raises(UserError, match=r"held-out tokens|training tokens"):
        prepare(recipe, "0.1M", tmp_path / "data")
    assert not [path for path in (tmp_path / "data").iterdir() if path.is_dir()]


def test_a_changed_corpus_is_noticed(tmp_path: Path, corpus: Path) -> None:
    recipe = get_recipe("text", corpus, {"0.1M": 2048})
    corpus.write_text(TEXT + "\n\nOne more.")
    with pytest.raises(UserError, match="changed since"):
        prepare(recipe, "0.1M", tmp_path / "data")


@pytest.mark.parametrize("name", ["train.bin", "tokenizer.json", "pairs/licensing.jsonl", MANIFEST])
@pytest.mark.parametrize("damage", ["missing", "flipped", "short"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    data = prepare(small_recipe(), "0.1M", tmp_path)
    file = data.folder / name
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "short":
        file.write_bytes(content[:-20])
    else:
        content[content.rindex(b"e") if name == MANIFEST else len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(UserError, match=file.name):
        prepare(small_recipe(), "0.1M", tmp_path)


def test_what_a_killed_preparation_left_is_not_taken_for_data(tmp_path: Path) -> None:
    recipe = small_recipe()
    name = f"grammar-{recipe.data_key('0.1M')}"
    draft = tmp_path / f".{name}.draft"
    draft.mkdir()
    (draft / "train.bin").write_bytes(b"half")
    data = prepare(recipe, "0.1M", tmp_path)
    assert not draft.exists()
    assert data.folder.name == name


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(UserError, match="cannot be prepared"):
        prepare(small_recipe(), "0.1M", tmp_path / "data")


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    recipe = small_recipe()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        one, two = pool.map(prepare, [recipe] * 2, ["0.1M"] * 2, [tmp_path] * 2)
    assert one == two


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    """Other processes, with other hash seeds, make the same bytes."""
    recipe = small_recipe()
    code = (
        "import sys; from model_discovery.verification import Recipe, prepare;"
        "print(prepare(Recipe.model_validate_json(sys.argv[1]), '0.1M', sys.argv[2]).checksum)"
    )
    sums = {prepare(recipe, "0.1M", tmp_path / "here").checksum}
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, recipe.model_dump_json(), str(tmp_path / seed)]
        environment = {"PYTHONHASHSEED": seed}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        sums.add(result.stdout.strip())
    assert len(sums) == 1
