"""A library that may be read and not written to: of another user, or on a mount that is read-only."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from library_makers import own_library, paper, passage, read_only, small_papers, writable_again

from model_discovery.config import Settings
from model_discovery.errors import UserError
from model_discovery.library.online import Online

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sets Linux capabilities")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "library"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_it_is_searched_and_shown_and_left_as_it_is(folder: Path) -> None:
    with own_library(folder) as library:
        library.add_all(small_papers())
        hits, papers = library.search("decaying state", k=8), library.papers()
    before = contents(folder)
    with read_only(folder), own_library(folder) as library:
        assert library.search("decaying state", k=8) == hits
        assert library.papers() == papers
        assert library.passages("rotary") and library.paper("nothing") is None
        assert library.stats().papers == {"papers": 8}
        assert library.notes == []
    assert contents(folder) == before


def test_nothing_can_be_added_or_removed(folder: Path) -> None:
    with own_library(folder) as library:
        library.add_all(small_papers())
    with read_only(folder), own_library(folder) as library:
        for change in (
            library.require_writable,
            lambda: library.add(paper("new"), [passage("text")]),
            lambda: library.remove("rotary"),
        ):
            with pytest.raises(UserError, match="is read-only") as caught:
                change()
            assert str(folder) in caught.value.message and "LIBRARY_DIR" in caught.value.hint
        assert len(library.papers()) == 8


def test_what_its_owner_adds_meanwhile_is_found(folder: Path) -> None:
    with own_library(folder) as owner:
        owner.add_all(small_papers())
        with read_only(folder), own_library(folder) as library:
            assert library.search("decaying state")[0].paper.id == "retention"
            owner._store.require_writable = lambda: None  # type: ignore[method-assign]
            with owner._store.writing():
                owner._store.add(paper("new"), [passage("a wholly unheard word: zyzzyva")], "papers")
            assert library.search("zyzzyva")[0].paper.id == "new"


def test_a_file_that_its_owner_changes_between_two_searches(folder: Path) -> None:
    with own_library(folder) as owner:
        owner.add_all(small_papers())
    with read_only(folder):
        library = own_library(folder)
        reader = library.__enter__()
        assert reader.search("decaying state")[0].paper.id == "retention"
    with own_library(folder) as owner:
        owner.remove("retention")
        owner.add(paper("new"), [passage("a state that decays, decaying at each step")])
        expected = owner.search("decaying state", k=8)
    with read_only(folder):
        assert reader.search("decaying state", k=8) == expected
        assert "retention" not in [one.id for one in reader.papers()]
        library.__exit__(None, None, None)


def test_a_file_that_is_changed_while_it_is_searched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_library(folder) as owner:
        owner.add_all(small_papers())
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)
    with own_library(copy) as owner:
        for gone in ("attention", "rotary", "retention"):
            owner.remove(gone)
        owner._store.rows("VACUUM")
        expected = owner.search("decaying state", k=8)
    with read_only(folder), own_library(folder) as library:
        embed, times = library._embedder.embed, []

        def change_meanwhile(texts: Sequence[str]) -> object:
            times.append(texts)
            if len(times) == 1:
                with writable_again(folder):
                    for file in copy.iterdir():
                        shutil.copy(file, folder / file.name)
            return embed(texts)

        monkeypatch.setattr(library._embedder, "embed", change_meanwhile)
        assert library.search("decaying state", k=8) == expected
        assert len(times) == 2


def killed_writer(folder: Path) -> None:
    """What a process leaves that was killed after it had added a paper."""
    with own_library(folder) as library:
        library.add_all(small_papers()[:4])
        library.add_all(small_papers()[4:])
        shutil.copytree(folder, folder.parent / "killed")
    shutil.rmtree(folder)
    (folder.parent / "killed").rename(folder)


def test_what_a_killed_process_left_is_read_along(folder: Path) -> None:
    killed_writer(folder)
    assert (folder / "library.db-wal").stat().st_size > 0
    with read_only(folder), own_library(folder) as library:
        assert len(library.papers()) == 8
        assert library.search("parallel prefix scan")[0].paper.id == "scan"


def test_changes_that_cannot_be_read_are_not_passed_over(folder: Path) -> None:
    killed_writer(folder)
    (folder / "library.db-shm").unlink()
    with read_only(folder), pytest.raises(UserError, match=r"library\.db-wal has changes") as caught:
        own_library(folder).__enter__()
    assert "copy the folder" in caught.value.hint


def test_what_would_be_done_elsewhere_is_a_note(folder: Path) -> None:
    cards = folder.parent / "cards"
    cards.mkdir()
    with own_library(folder) as library:
        library.add_all(small_papers())
        hits = library.search("decaying state", k=8)
    text = "title: A Card\nauthors: [Ada Example]\nyear: 2020\ntags: [test]\nidea: A gate.\n"
    (cards / "gate.yaml").write_text(text, "utf-8")
    [vectors] = folder.glob("*.faiss")
    os.truncate(vectors, 100)
    with read_only(folder), own_library(folder, cards) as library:
        assert library.search("decaying state", k=8) == hits
        assert library.search("rotated by position")
        old_cards, damaged = library.notes
        assert "is read-only: its cards are those of another release" in old_cards
        assert "vectors are read from the database" in damaged


def test_an_index_of_an_older_version_cannot_be_made_again(folder: Path) -> None:
    with own_library(folder) as library:
        library.add_all(small_papers())
        facts = json.loads(library._store.fact("embedder"))
        with library._store.writing():
            library._store.set_fact("embedder", json.dumps({**facts, "version": "0"}))
    with read_only(folder), pytest.raises(UserError, match="cannot be made again"):
        own_library(folder).__enter__()


def test_an_empty_folder_that_is_read_only(folder: Path) -> None:
    folder.mkdir()
    with read_only(folder), pytest.raises(UserError, match="There is no library in") as caught:
        own_library(folder).__enter__()
    assert str(folder) in caught.value.message and "LIBRARY_DIR" in caught.value.hint


def test_answers_of_services_are_kept_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_library(folder):
        pass
    cache = folder.parent / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("LIBRARY_DIR", str(folder))
    monkeypatch.setenv("S2_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ARXIV_API_URL", "http://127.0.0.1:9")
    with read_only(folder):
        online = Online.from_settings(Settings())
        assert online.search("gates") == []
        assert all("is not reachable" in note for note in online.notes)
    assert (cache / "model-discovery" / "online.db").is_file()
