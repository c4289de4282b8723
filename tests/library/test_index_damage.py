"""Kills, damage, full disks, other processes and embedders: nothing is lost, and one line says what was."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from library_makers import own_library, paper, passage, small_papers

from model_discovery.errors import UserError
from model_discovery.library import PaperLibrary
from model_discovery.library import library as library_module
from model_discovery.library import vectors as vectors_module
from model_discovery.library.lexical_svd import LexicalSvd
from model_discovery.library.store import Store

ADDING = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import model_discovery.library.library as module
from library_makers import own_library, paper, passage
module._BEHIND, module._BEHIND_SHARE = 3, 0.0
with own_library(Path({folder!r})) as library:
    for n in range({count}):
        id_ = f"{name}-{{n}}"
        library.add(paper(id_), [passage(f"attention of kind {{n}} for {name}"), passage(f"gate {{n}}")])
        print(id_, flush=True)
"""


def adding(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    code = ADDING.format(tests=str(Path(__file__).parent), folder=str(folder), name=name, count=count)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)


def counted(library: PaperLibrary) -> Counter[int]:
    """The passages of each stem, counted one by one."""
    passages = [one for _, some in library._store.stems() for one in some]
    return Counter(stem for stems in passages for stem in stems.tolist())


def consistent(folder: Path) -> set[str]:
    """Ids of the papers of a library that is whole."""
    with own_library(folder) as library:
        ids = [id_ for (id_,) in library._store.rows("SELECT id FROM passages ORDER BY id")]
        for table in ("vectors", "stems"):
            assert [i for (i,) in library._store.rows(f"SELECT passage FROM {table} ORDER BY 1")] == ids
        assert library._store.passages_in_all() == len(ids)
        vectors, frequencies = library._current()
        assert vectors.count == len(ids)
        assert dict(zip(*(a.tolist() for a in frequencies.all()), strict=True)) == counted(library)
        assert library.notes == []
        return {one.id for one in library.papers()}


@pytest.mark.parametrize("more", [1, 4, 9])
def test_a_kill_while_adding_loses_nothing_that_was_added(tmp_path: Path, more: int) -> None:
    process = adding(tmp_path, "killed", 1000)
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _ in range(more)]
    time.sleep(0.003 * more)
    process.send_signal(signal.SIGKILL)
    said += process.stdout.read().split()
    process.wait()
    there = consistent(tmp_path)
    assert set(said) <= there
    assert len(there) <= len(said) + 1


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import model_discovery.library.library as module
import model_discovery.library.vectors as vectors
from library_makers import own_library, paper, passage, small_papers
from model_discovery.library.store import Store
module._BEHIND, module._BEHIND_SHARE = 0, 0.0

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

with own_library(Path({folder!r})) as library:
    {before}
    {place} = die
    {last}
"""


NINTH = "library.add(paper('ninth'), [passage('a ninth text')])"


@pytest.mark.parametrize(
    ("before", "place", "last"),
    [
        ("pass", "module.PaperLibrary._look_after", "library.add_all(small_papers())"),
        ("pass", "Store.set_learned", "library.add_all(small_papers())"),
        ("library.add_all(small_papers()[:4])", "vectors.Manifest", "library.add_all(small_papers())"),
        ("library.add_all(small_papers()[:7])", "Store.keep_frequencies", "library.add_all(small_papers())"),
        (f"library.add_all(small_papers()); {NINTH}", "module.write_file", "library.remove('ninth')"),
        (f"library.add_all(small_papers()); {NINTH}", "Store.keep_frequencies", "library.remove('ninth')"),
    ],
)
def test_a_kill_before_the_index_is_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, place: str, last: str
) -> None:
    code = KILLED.format(
        tests=str(Path(__file__).parent), folder=str(tmp_path), before=before, place=place, last=last
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == -signal.SIGKILL
    monkeypatch.setattr(library_module, "_BEHIND", 0)
    with own_library(tmp_path) as library:
        assert library.search("parallel prefix scan")[0].paper.id == "scan"
        assert [one.behind for one in library._current()] == [0, 0]
        assert library._store.fact("fitted") >= 8 / 1.5
        assert all(np.linalg.norm(vector) > 0.9 for _, some in library._store.vectors() for vector in some)
    assert len(consistent(tmp_path)) == 8


def test_two_processes_add_at_once(tmp_path: Path) -> None:
    processes = [adding(tmp_path, name, 12) for name in ("first", "second")]
    for process in processes:
        process.communicate(timeout=100)
        assert process.returncode == 0
    assert consistent(tmp_path) == {f"{name}-{n}" for name in ("first", "second") for n in range(12)}


def test_what_another_process_adds_is_found_at_once(tmp_path: Path) -> None:
    with own_library(tmp_path) as one, own_library(tmp_path) as other:
        one.add_all(small_papers())
        assert other.search("decaying state")[0].paper.id == "retention"
        one.remove("retention")
        assert other.search("decaying state")[0].paper.id != "retention"


@pytest.mark.parametrize("damage", ["cut", "emptied", "garbage", "gone", "manifest", "no manifest"])
def test_a_damaged_vector_file_is_made_again(tmp_path: Path, damage: str) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        before = library.search("memory of a token", k=8)
    [file] = tmp_path.glob("*.faiss")
    manifest = tmp_path / "manifest.json"
    size = file.stat().st_size
    match damage:
        case "cut":
            os.truncate(file, size // 2)
        case "emptied":
            os.truncate(file, 0)
        case "garbage":
            file.write_bytes(b"\xff" * size)
        case "gone":
            file.unlink()
        case "manifest":
            manifest.write_text("{", "utf-8")
        case "no manifest":
            manifest.unlink()
    with own_library(tmp_path) as library:
        assert library.search("memory of a token", k=8) == before
        assert len(library.notes) == (damage != "no manifest")
        assert all(str(tmp_path) in note and "made again" in note for note in library.notes)
    with own_library(tmp_path) as library:
        assert library.search("memory of a token", k=8) == before
        assert library.notes == []


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "library.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(UserError, match="is damaged") as caught, own_library(tmp_path):
        pass
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("number, message", [(99, "newer release"), (1, "earlier version")])
def test_a_database_of_another_release(tmp_path: Path, number: int, message: str) -> None:
    with own_library(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "library.db") as connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'format'", (number,))
    with pytest.raises(UserError, match=message), own_library(tmp_path):
        pass


def test_a_full_disk_adds_nothing_and_says_so(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        [(pages,)] = library._store.rows("PRAGMA page_count")
        library._store.rows(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(UserError, match=r"library\.db: database or disk is full"):
            library.add(paper("large"), [passage(f"word{n} " * 500) for n in range(50)])
        library._store.rows("PRAGMA max_page_count = 1000000")
        assert library.paper("large") is None
        assert library.search("decaying state")[0].paper.id == "retention"
    assert "large" not in consistent(tmp_path)


def test_a_full_disk_after_a_paper_was_added_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with own_library(tmp_path) as library:
        library.add_all(small_papers()[:5])
        monkeypatch.setattr(Store, "set_learned", full)
        assert library.add_all(small_papers()[5:]) == 3
        assert "could not be brought up to date" in library.notes[0] and "full" in library.notes[0]
        assert library.search("parallel prefix scan")[0].paper.id == "scan"
        kept = LexicalSvd.from_bytes(library._store.learned or b"")
        assert np.array_equal(library._embedder.embed(["a linear gate"]), kept.embed(["a linear gate"]))
    monkeypatch.undo()
    with own_library(tmp_path) as library:
        library.search("its first search makes up for it")
    assert len(consistent(tmp_path)) == 8


def test_a_vector_file_that_is_replaced_while_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        true = vectors_module.VectorIndex(tmp_path, library._store).manifest
        assert true is not None
        answers = [true.model_copy(update={"file": "vectors-gone.faiss"}), true]
        monkeypatch.setattr(vectors_module.VectorIndex, "_read_manifest", lambda _: answers.pop(0))
        index = vectors_module.VectorIndex(tmp_path, library._store)
        assert (index.damaged, index.behind, index.count) == ("", 0, 8)


def test_a_vector_file_that_cannot_be_written_is_a_note(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        before = library.search("decaying state")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
            assert not library._write_vectors()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert "could not be written" in library.notes[0]
        assert library.search("decaying state") == before
    with own_library(tmp_path) as library:
        assert library.search("decaying state") == before
        assert library.notes == []


def test_an_index_of_another_embedder_is_refused(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
    with pytest.raises(UserError) as caught, own_library(tmp_path, embedder="sentence-transformers:other"):
        pass
    assert str(tmp_path) in caught.value.message
    assert "'lexical-svd'" in caught.value.message
    assert "LIBRARY_EMBEDDER=lexical-svd" in caught.value.hint


def test_an_index_of_an_older_version_of_the_default_is_made_again(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        before = library.search("decaying state")
        facts = json.loads(library._store.fact("embedder"))
        with library._store.writing():
            library._store.set_fact("embedder", json.dumps({**facts, "version": "0"}))
    with own_library(tmp_path) as library:
        assert "embedded again" in library.notes[0]
        assert library.search("decaying state") == before
    assert consistent(tmp_path)


def test_two_processes_that_meet_an_older_version_embed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        facts = json.loads(library._store.fact("embedder"))
        with library._store.writing():
            library._store.set_fact("embedder", json.dumps({**facts, "version": "0"}))
    lock, notes = PaperLibrary._lock, []

    def other_is_quicker(self: PaperLibrary) -> object:
        monkeypatch.setattr(PaperLibrary, "_lock", lock)
        with own_library(tmp_path) as other:
            notes.extend(other.notes)
        return lock(self)

    monkeypatch.setattr(PaperLibrary, "_lock", other_is_quicker)
    with own_library(tmp_path) as library:
        assert len(notes) == 1 and library.notes == []
        assert library.search("decaying state")[0].paper.id == "retention"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"), own_library(tmp_path / "file" / "library"):
        pass


def test_the_same_papers_make_the_same_index(tmp_path: Path) -> None:
    results = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        code = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "from pathlib import Path\nfrom library_makers import own_library, small_papers\n"
            f"with own_library(Path({str(folder)!r})) as library:\n"
            "    library.add_all(small_papers())\n"
            "    print([hit.model_dump_json() for hit in library.search('a gate in each token', k=8)])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        results.append((done.stdout, next(folder.glob("*.faiss")).read_bytes()))
    assert results[0] == results[1]


def test_what_is_newer_than_the_file_is_searched_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_module, "_STALE", 1000)
    with own_library(tmp_path) as library:
        library.add_all(small_papers()[:5])
        written = (tmp_path / "manifest.json").read_text()
        for one, passages in small_papers()[5:]:
            library.add(one, passages)
        assert (tmp_path / "manifest.json").read_text() == written
        assert [one.behind for one in library._current()] == [3, 8]
        assert library.search("parallel prefix scan")[0].paper.id == "scan"
        monkeypatch.setattr(library_module, "_BEHIND", 0)
        library.add(paper("one more"), [passage("and a text")])
        assert [one.behind for one in library._current()] == [0, 0]
        assert library.search("parallel prefix scan")[0].paper.id == "scan"


def test_many_vectors_are_searched_by_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.arange(1, 3001)
    with own_library(tmp_path) as library:
        with library._store.writing():
            library._store.add_vectors(ids.tolist(), vectors)
        exact = vectors_module.VectorIndex(tmp_path, library._store)
        monkeypatch.setattr(vectors_module, "FLAT_UP_TO", 1000)
        vectors_module.write_file(tmp_path, library._store)
        lists = vectors_module.VectorIndex(tmp_path, library._store)
    assert exact.kind == "flat" and "lists" in lists.kind
    shared = [len(set(exact.search(query, 10)) & set(lists.search(query, 10))) for query in vectors[:50]]
    assert np.mean(shared) > 9
    only = np.arange(1, 100)
    assert set(lists.search(vectors[5], 10, only)) <= set(only.tolist())
    assert not set(lists.search(vectors[5], 10, only, inside=False)) & set(only.tolist())
