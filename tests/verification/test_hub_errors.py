"""Data sets that cannot be had or read, and full disks: one line that names the cause, and nothing kept."""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from made_up_sets import documents, write_parquet

from model_discovery.errors import UserError
from model_discovery.verification import get_recipe, prepare


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "made-up"
    write_parquet(folder, documents(1200, seed=1))
    return folder


def test_a_full_disk_leaves_nothing_that_counts_as_whole(tmp_path: Path, shards: Path) -> None:
    recipe = get_recipe(str(shards))
    code = (
        "import resource, sys; from model_discovery.errors import UserError;"
        "from model_discovery.verification import get_recipe, prepare;"
        "import datasets, scipy.sparse, tokenizers;"
        "recipe = get_recipe(sys.argv[1]);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000));"
        "prepare(recipe, '0.1M', sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(shards), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "UserError: The disk is full" in result.stderr, result.stderr
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and not path.name.startswith(".")]
    whole = prepare(recipe, "0.1M", tmp_path)
    assert sum(source.documents + source.held_out_documents for source in whole.sources) == 1200


def test_text_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(documents(2000, seed=9)))
    code = (
        "import resource, sys; from model_discovery.verification import get_recipe, prepare;"
        "import scipy.sparse, tokenizers;"
        "recipe = get_recipe('text', sys.argv[1]);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000));"
        "prepare(recipe, '0.1M', sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.txt"), str(tmp_path / "data")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "UserError: The disk is full" in result.stderr, result.stderr
    assert not [path for path in (tmp_path / "data").iterdir() if path.is_dir()]


def test_changed_files_are_noticed(tmp_path: Path) -> None:
    write_parquet(tmp_path / "set", documents(100, seed=1))
    recipe = get_recipe(str(tmp_path / "set"))
    write_parquet(tmp_path / "set", documents(101, seed=1))
    with pytest.raises(UserError, match="changed since"):
        prepare(recipe, "0.1M", tmp_path / "data")
    assert get_recipe(str(tmp_path / "set")).hash != recipe.hash


def bad_set(folder: Path, kind: str) -> Path:
    folder.mkdir(parents=True)
    if kind == "other column":
        write_parquet(folder, documents(5, 1))
        pq.write_table(pa.table({"texts": ["a"], "n": [1]}), folder / "train-00000-of-00003.parquet")
        for number in (1, 2):
            (folder / f"train-{number:05}-of-00003.parquet").unlink()
    elif kind == "numbers":
        pq.write_table(pa.table({"text": [1, 2]}), folder / "train.parquet")
    elif kind == "no rows":
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), folder / "train.parquet")
    elif kind == "blank rows":
        pq.write_table(pa.table({"text": ["", " ", None]}), folder / "train.parquet")
    elif kind == "not parquet":
        (folder / "train.parquet").write_bytes(b"PAR1 but no more of it")
    elif kind == "broken gzip":
        content = "".join(json.dumps({"text": text}) + "\n" for text in documents(2000, 1)).encode()
        (folder / "a.jsonl.gz").write_bytes(gzip.compress(content)[:-2000])
    elif kind == "broken zstd":
        content = "".join(json.dumps({"text": text}) + "\n" for text in documents(2000, 1)).encode()
        (folder / "a.jsonl.zst").write_bytes(zstandard.compress(content)[:-2000])
    elif kind == "latin1":
        (folder / "a.txt").write_bytes("d\xe9j\xe0 vu\n".encode("latin1") * 400)
    elif kind == "latin1 JSONL":
        (folder / "a.jsonl").write_bytes('{"text": "d\xe9j\xe0 vu"}\n'.encode("latin1") * 40)
    elif kind == "no lines":
        (folder / "a.jsonl").write_bytes(b"")
    elif kind == "not JSON":
        (folder / "a.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    elif kind == "no data files":
        (folder / "a.exe").write_bytes(b"MZ")
    elif kind == "two configs":
        (folder / "a.jsonl").write_text('{"text": "fine"}\n')
        configs = "".join(f"- config_name: {name}\n  data_files: a.jsonl\n" for name in ("one", "two"))
        (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    elif kind == "tiny":
        (folder / "a.jsonl").write_text('{"text": "a few words"}\n{"text": "and more"}\n')
    return folder


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("other column", "no column 'text'. Did you mean 'texts'.*its columns: texts, n"),
        ("numbers", "holds int, not text"),
        ("no rows", "set is empty"),
        ("blank rows", "set has no text"),
        ("not parquet", "set cannot be read"),
        ("broken gzip", "set cannot be read"),
        ("broken zstd", "set cannot be read"),
        ("latin1", "not UTF-8"),
        ("latin1 JSONL", "not UTF-8"),
        ("no lines", "set is empty"),
        ("not JSON", "set cannot be read"),
        ("no data files", "no files that"),
        ("two configs", "several configs.*one, two"),
        ("tiny", "training tokens; at 0.1M it needs more than 1024"),
    ],
)
def test_bad_data_sets_get_one_line(
    tmp_path: Path, kind: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = bad_set(tmp_path / "set", kind)
    with pytest.raises(UserError, match=message):
        prepare(get_recipe(str(folder)), "0.1M", tmp_path / "data")
    left = [path for path in (tmp_path / "data").iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert not left and not caplog.records


def test_unknown_parts_are_named(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Unknown split of made-up 'trian'. Did you mean 'train'"):
        prepare(get_recipe(str(shards), split="trian"), "0.1M", tmp_path)
    bad = bad_set(tmp_path / "set", "two configs")
    with pytest.raises(UserError, match=r"Unknown config of .*known: one, two"):
        prepare(get_recipe(str(bad), config="three"), "0.1M", tmp_path)


@pytest.mark.parametrize("name", ["babylm", "smollm", "owner/name:part"])
def test_without_a_network_a_recipe_says_what_it_needs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In seconds, not in minutes of retries."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    began = time.process_time()
    with pytest.raises(
        UserError, match=r"No network: the recipe .* needs .*grammar.*--corpus FOLDER"
    ) as caught:
        prepare(get_recipe(name), "14M", tmp_path)
    assert time.process_time() - began < 10
    if name != "owner/name:part":
        assert "about" in caught.value.message
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_an_unreachable_address_is_no_network(tmp_path: Path) -> None:
    code = (
        "import sys; from model_discovery.verification import get_recipe, prepare;"
        "prepare(get_recipe('babylm'), '0.1M', sys.argv[1])"
    )
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    began = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert "UserError: No network: the recipe 'babylm' needs" in result.stderr, result.stderr
    assert "Retrying" not in result.stderr
    assert time.monotonic() - began < 60
