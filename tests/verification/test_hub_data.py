"""Recipes over data sets: nothing lost, honest mixtures, the same bytes however they are interrupted.

The data sets lie on the disk in the hub's own layouts and are read by the code that reads those of the hub.
"""

import gzip
import json
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zstandard
from made_up_sets import documents, write_parquet

from model_discovery.verification import DataManifest, Recipe, get_recipe, load_manifest, prepare
from model_discovery.verification.held_out import content_key
from model_discovery.verification.near_duplicates import NearDuplicates
from model_discovery.verification.tokenizers import load_tokenizer


def write_recipe(path: Path, text: str) -> Recipe:
    path.write_text(text)
    return get_recipe(str(path))


def texts_of(data: DataManifest, split: str) -> list[str]:
    """The documents of a stream, decoded."""
    tokenizer = load_tokenizer(data.tokenizer)
    ids = np.asarray(data.stream(split).tokens)  # type: ignore[arg-type]
    cuts = np.flatnonzero(ids == data.separator_id)
    assert cuts[0] == 0
    assert cuts[-1] == len(ids) - 1
    return [tokenizer.decode(ids[a + 1 : b]) for a, b in pairwise(cuts)]


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "made-up"
    write_parquet(folder, documents(1200, seed=1))
    return folder


def test_a_folder_of_shards_is_a_recipe_and_nothing_is_lost(shards: Path, tmp_path: Path) -> None:
    recipe = get_recipe(str(shards))
    data = prepare(recipe, "0.1M", tmp_path)
    assert data == load_manifest(data.folder) == prepare(recipe, "0.1M", tmp_path)
    train, held_out = texts_of(data, "train"), texts_of(data, "held_out")
    assert sorted(train + held_out) == sorted(documents(1200, seed=1))
    assert 0.02 < len(held_out) / 1200 < 0.09
    (source,) = data.sources
    assert (source.documents, source.held_out_documents, source.ended) == (len(train), len(held_out), True)
    assert source.tokens == data.train_tokens - 1
    assert source.revision is None
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [data.folder.name]


def test_documents_of_all_files_come_from_the_beginning_on(shards: Path, tmp_path: Path) -> None:
    """A run shorter than the data does not see the first file alone."""
    recipe = write_recipe(tmp_path / "r.yaml", f"sources: [{{dataset: {shards}}}]\ntokens: {{0.1M: 9000}}")
    data = prepare(recipe, "0.1M", tmp_path)
    assert 9000 <= data.train_tokens < 9300
    order = {text: index for index, text in enumerate(documents(1200, seed=1))}
    from_shard = [order[text] % 3 for text in texts_of(data, "train")]
    assert {from_shard.count(shard) for shard in range(3)} <= {len(from_shard) // 3, len(from_shard) // 3 + 1}


@pytest.mark.parametrize("layout", ["jsonl", "jsonl.gz", "jsonl.zst", "readme", "file"])
def test_layouts_of_the_hub_give_the_same_documents(tmp_path: Path, layout: str) -> None:
    texts = documents(300, seed=2)
    folder = tmp_path / "set"
    folder.mkdir()
    content = "".join(json.dumps({"text": text, "n": n}) + "\n" for n, text in enumerate(texts)).encode()
    recipe_name = str(folder)
    if layout == "jsonl.gz":
        (folder / "part.jsonl.gz").write_bytes(gzip.compress(content))
    elif layout == "jsonl.zst":
        (folder / "part.jsonl.zst").write_bytes(zstandard.compress(content))
    elif layout == "readme":
        (folder / "here").mkdir()
        (folder / "here" / "a.jsonl").write_bytes(content)
        (folder / "b.jsonl").write_text('{"text": "another"}\n')
        (folder / "README.md").write_text(
            "---\nconfigs:\n- config_name: one\n  data_files: here/*.jsonl\n---\n# A set\n"
        )
    else:
        (folder / "part.jsonl").write_bytes(content)
        recipe_name = str(folder / "part.jsonl") if layout == "file" else recipe_name
    data = prepare(get_recipe(recipe_name), "0.1M", tmp_path / "data")
    assert sorted(texts_of(data, "train") + texts_of(data, "held_out")) == sorted(texts)


def test_lines_of_text_files_are_joined_into_documents(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    lines = [line for n in range(3) for line in documents(600, seed=10 + n, words=8)]
    for n in range(3):
        (folder / f"{n}.txt").write_text("\n".join(lines[n * 600 : (n + 1) * 600]) + "\n\n")
    data = prepare(get_recipe(str(folder)), "0.1M", tmp_path / "data")
    found = texts_of(data, "train") + texts_of(data, "held_out")
    assert sorted(line for text in found for line in text.split("\n")) == sorted(lines)
    assert np.median([len(text) for text in found]) > 1000
    for text in found:  # none reaches over the end of a file
        assert len({line.split()[-1].split("-")[0] for line in text.split("\n")}) == 1


def test_a_mixture_reaches_its_weights_and_says_what_ran_out(tmp_path: Path) -> None:
    write_parquet(tmp_path / "big", documents(1500, seed=3))
    write_parquet(tmp_path / "small", documents(100, seed=4, words=30), shards=1)
    write_parquet(tmp_path / "long", documents(400, seed=5, words=300), shards=2)
    text = """
        sources:
          - {dataset: ./big, weight: 3}
          - {dataset: ./small, weight: 1}
          - {dataset: ./long, weight: 2}
        held_out_tokens: 4000
        tokens: {0.1M: 24000}
    """
    data = prepare(write_recipe(tmp_path / "mix.yaml", text), "0.1M", tmp_path / "data")
    big, small, long = data.sources
    assert small.ended
    assert any("small ran out after" in note for note in data.notes)
    assert long.tokens / big.tokens == pytest.approx(2 / 3, rel=0.05)
    assert (big.weight, small.weight, long.weight) == (1 / 2, 1 / 6, 1 / 3)
    assert big.share + small.share + long.share == pytest.approx(1)
    assert min(source.held_out_documents for source in data.sources) >= 1
    assert sum(source.tokens for source in data.sources) == data.train_tokens - 1


def test_no_document_and_no_near_duplicate_is_on_both_sides(tmp_path: Path) -> None:
    texts = documents(600, seed=6, words=120)
    changed = [" ".join(["Said:", *text.split()[:-1], "again."]) for text in texts[::4]]
    write_parquet(tmp_path / "set", texts + texts[:50] + changed)
    data = prepare(get_recipe(str(tmp_path / "set")), "0.1M", tmp_path / "data")
    train, held_out = texts_of(data, "train"), texts_of(data, "held_out")
    assert not {content_key(text) for text in train} & {content_key(text) for text in held_out}
    assert not any(NearDuplicates(held_out).matches(train))
    assert data.sources[0].near_duplicates > 0
    assert any("near-duplicates of held-out documents" in note for note in data.notes)


SLOWLY = """
import sys, time
from model_discovery.verification import get_recipe, packing, prepare
packing.SAVE_SECONDS = 0.0
real, count = packing._save, 0
def save(state, draft):
    global count
    real(state, draft)
    count += 1
    print(count, flush=True)
packing._save = save
print(prepare(get_recipe(sys.argv[1]), "0.1M", sys.argv[2]).checksum, flush=True)
"""


def kill_after(steps: int, recipe: Path, data_dir: Path) -> None:
    """Start a preparation and kill it dead after so many steps were kept."""
    child = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(recipe), str(data_dir)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == str(steps):
            child.send_signal(signal.SIGKILL)
            break
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()


def test_killed_and_resumed_gives_the_same_bytes(tmp_path: Path) -> None:
    write_parquet(tmp_path / "one", documents(900, seed=7))
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a.txt").write_text("\n".join(documents(3000, seed=8, words=12)))
    path = tmp_path / "mix.yaml"
    sources = "[{dataset: ./one, weight: 2}, {dataset: ./two}]"
    text = f"sources: {sources}\nheld_out_tokens: 3000\ntokens: {{0.1M: 60000}}"
    recipe = write_recipe(path, text)
    whole = prepare(recipe, "0.1M", tmp_path / "whole")
    for steps in (1, 300):
        kill_after(steps, path, tmp_path / "killed")
    draft = next((tmp_path / "killed").glob(".*.draft"))
    with (draft / "train.bin").open("ab") as file:
        file.write(b"half a tok")  # what a buffer may have left behind
    resumed = prepare(recipe, "0.1M", tmp_path / "killed")
    assert resumed.checksum == whole.checksum
    assert resumed.model_copy(update={"folder": whole.folder}) == whole
    assert not list((tmp_path / "killed").glob(".*.draft"))


@pytest.mark.slow
def test_a_resumed_preparation_does_not_begin_anew(tmp_path: Path, shards: Path) -> None:
    recipe_file = tmp_path / "r.yaml"
    recipe = write_recipe(
        recipe_file, f"sources: [{{dataset: {shards}}}]\nunique_tokens: all\ntokens: {{0.1M: 9000}}"
    )
    kill_after(200, recipe_file, tmp_path / "data")
    first = []
    prepare(recipe, "0.1M", tmp_path / "data", lambda progress: first.append(progress.doing))
    assert "tokenizer" not in first
    assert not any(doing.startswith("held-out") for doing in first)


def test_files_are_closed_before_python_stops(shards: Path, tmp_path: Path) -> None:
    """Half-read parquet files are otherwise closed by a Python that is half gone, which may never end."""
    script = """
import sys
from pathlib import Path
from model_discovery.verification.hub import open_source
from model_discovery.verification.sources import local_source
from model_discovery.verification.strands import Mixture, open_strands
with open_strands([open_source(local_source(Path(sys.argv[1])))], list) as strands:
    print(len(next(iter(Mixture(strands, [1.0], len)))[1]) > 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(shards)], capture_output=True, text=True, timeout=120, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
