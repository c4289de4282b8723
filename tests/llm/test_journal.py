"""The journal: killed at any byte, a session that runs again asks only for what is missing."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.errors import UserError
from model_discovery.llm import Event, Journal, JournalMismatch, read_journal

NASTY = 'half a pair \ud83d, line ends \u2028 \x85 \x0b \r\n "quotes" \\ λ 日本 \x00'


def session(journal: Journal, ask: Callable[[str], Any]) -> list[Any]:
    """A small session; what is asked depends on what was answered."""
    journal.note("begin", operator="mutation")
    answers = []
    for attempt in range(3):
        with journal.step(f"proposal {attempt}"):
            draft = journal.once(
                "llm_call", {"attempt": attempt, "before": answers}, lambda: {"text": ask("draft")}
            )
            with journal.step("review"):
                rated = journal.once(
                    "llm_call", {"draft": draft}, lambda: {"rating": (4, 2.5), "by": {7: ask("review")}}
                )
            journal.note("accept", rated=rated)
        answers.append([draft, rated])
    journal.note("end", status="valid")
    return answers


def counting(asked: list[str]) -> Callable[[str], str]:
    def ask(what: str) -> str:
        asked.append(what)
        return f"{what} {len(asked)} {NASTY}"

    return ask


def clock() -> float:
    return 1.5


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    path = tmp_path_factory.mktemp("recorded") / "deep" / "session.jsonl"
    return path, session(Journal(path, "design-3", clock=clock), counting([]))


def test_events_say_where_they_belong(recorded: tuple[Path, list[Any]]) -> None:
    events = read_journal(recorded[0])
    assert [event.n for event in events] == list(range(11))
    assert [event.kind for event in events[:4]] == ["begin", "llm_call", "llm_call", "accept"]
    assert (events[2].step, events[2].parent) == ("proposal 0/review", "proposal 0")
    assert {event.session for event in events} == {"design-3"}
    assert events[1].data == {"text": f"draft 1 {NASTY}"}
    assert events[1].key and not events[0].key
    journal = Journal(recorded[0])
    assert journal.events == [] and journal.replaying
    journal.note("begin")
    assert journal.events == events[:1]
    for line in recorded[0].read_text("ascii").splitlines():
        json.loads(line)


def test_what_is_answered_is_the_same_the_first_time_and_later(recorded: tuple[Path, list[Any]]) -> None:
    path, answers = recorded
    assert answers[0][1] == {"rating": [4, 2.5], "by": {"7": f"review 2 {NASTY}"}}
    assert session(Journal(path, "design-3"), counting([])) == answers
    assert session(Journal(None), counting([])) == answers


@settings(max_examples=80, deadline=None)
@given(share=st.floats(0, 1), garbage=st.sampled_from((b"", b"\x00\x00\x00", b'{"n": 3, "kind"')))
def test_killed_at_any_byte_it_asks_only_for_what_is_missing(
    share: float, garbage: bytes, recorded: tuple[Path, list[Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, answers = recorded
    raw = path.read_bytes()
    size = round(share * len(raw))
    cut = tmp_path_factory.mktemp("cut") / "session.jsonl"
    cut.write_bytes(raw[:size] + garbage)
    # an event is there when its last byte is, with or without its newline
    kept = sum(size >= len(b"\n".join(raw.split(b"\n")[: n + 1])) for n in range(11))
    if garbage and raw[size - 1 : size] not in (b"\n", b""):
        kept = raw[:size].count(b"\n")
    asked = [""] * sum(event.kind == "llm_call" for event in read_journal(path)[:kept])
    assert len(read_journal(cut)) == kept
    assert session(Journal(cut, "design-3", clock=clock), counting(asked)) == answers
    assert cut.read_bytes() == raw
    assert len(asked) == 6
    shutil.rmtree(cut.parent)


def test_killed_at_every_byte_of_its_last_lines(recorded: tuple[Path, list[Any]], tmp_path: Path) -> None:
    path, answers = recorded
    raw = path.read_bytes()
    cut = tmp_path / "session.jsonl"
    calls = [event.kind for event in read_journal(path)].count("llm_call")
    for size in range(len(raw) - 300, len(raw) + 1):
        cut.write_bytes(raw[:size])
        missing = calls - [event.kind for event in read_journal(cut)].count("llm_call")
        asked = [""] * (calls - missing)
        assert session(Journal(cut, "design-3", clock=clock), counting(asked)) == answers
        assert cut.read_bytes() == raw
        assert len(asked) == calls


def test_a_reader_leaves_a_file_that_is_being_written_alone(
    recorded: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    path = tmp_path / "session.jsonl"
    path.write_bytes(recorded[0].read_bytes()[:-40])
    assert len(read_journal(path)) == 10
    assert path.read_bytes() == recorded[0].read_bytes()[:-40]


def test_a_replay_asks_nothing_and_writes_nothing(recorded: tuple[Path, list[Any]], tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    shutil.copy(recorded[0], path)
    path.chmod(stat.S_IRUSR)
    asked: list[str] = []
    assert session(Journal(path, mode="replay"), counting(asked)) == recorded[1]
    assert asked == []
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half)
    with pytest.raises(JournalMismatch, match=r"goes on with .* where the journal ends"):
        session(Journal(path, mode="replay"), counting(asked))
    assert asked == [] and path.read_bytes() == half
    with pytest.raises(UserError, match=r"no journal .*nothing\.jsonl to replay"):
        Journal(tmp_path / "nothing.jsonl", mode="replay")


def test_another_question_is_a_mismatch_that_says_what_differs(recorded: tuple[Path, list[Any]]) -> None:
    before = recorded[0].read_bytes()
    journal = Journal(recorded[0])
    journal.note("begin", operator="scratch")
    with (
        journal.step("proposal 0"),
        pytest.raises(
            JournalMismatch, match=r"event 1: .* asks something else in 'proposal 0' \(text\), the jour"
        ),
    ):
        journal.once("llm_call", {"text": "other", "model": "m"}, dict)
    with pytest.raises(JournalMismatch, match="does check in '', the journal has llm_call in 'proposal 0'"):
        journal.once("check", {}, dict)
    with pytest.raises(JournalMismatch, match="does accept in ''"):
        journal.note("accept")
    assert recorded[0].read_bytes() == before


def test_a_replay_may_word_its_prompts_otherwise_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    asked = {"model": "m", "prompt": "the loss was 3.4321"}
    Journal(path).once("llm_call", asked, lambda: {**asked, "text": "good"})
    other = {"model": "m", "prompt": "the loss was 3.4319"}
    replay = Journal(path, mode="replay")
    assert replay.once("llm_call", asked, dict)["text"] == "good" and replay.reworded == 0
    replay = Journal(path, mode="replay")
    assert replay.once("llm_call", other, dict)["text"] == "good" and replay.reworded == 1
    with pytest.raises(JournalMismatch, match=r"asks something else in '' \(prompt\)"):
        Journal(path).once("llm_call", other, dict)
    with pytest.raises(JournalMismatch, match=r"\(model, prompt\)"):
        Journal(path, mode="replay").once("llm_call", {**other, "model": "n"}, dict)


def test_work_that_fails_keeps_nothing() -> None:
    journal = Journal(None)

    def fail() -> dict[str, Any]:
        raise KeyError("server")

    with pytest.raises(KeyError):
        journal.once("llm_call", 1, fail)
    assert journal.once("llm_call", 1, lambda: {"text": "yes"}) == {"text": "yes"}


def test_work_does_not_write_events_of_its_own() -> None:
    journal = Journal(None)

    def work() -> dict[str, Any]:
        journal.note("accept")
        return {}

    with pytest.raises(RuntimeError, match="accept inside the work of check"):
        journal.once("check", 1, work)


def test_no_number_that_is_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "session.jsonl")
    with pytest.raises(ValueError, match=r"data\.loss is nan"):
        journal.note("check", loss=float("nan"))
    journal.note("check", loss=1.0)
    assert [event.n for event in read_journal(tmp_path / "session.jsonl")] == [0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lines: [lines[0], "{nonsense", *lines[2:]], "line 2 is not event 1 .*Expecting"),
        (lambda lines: [lines[0], '{"n": 1}', *lines[2:]], "line 2 is not event 1 .*validation errors"),
        (lambda lines: [lines[0], *lines[2:]], "line 2 is not event 1 of a session: it is number 2"),
        (lambda lines: [lines[0], "[1, 2]", *lines[2:]], "line 2 is not event 1"),
    ],
)
def test_a_line_that_is_no_event_is_named(
    change: Callable[[list[str]], list[str]], why: str, recorded: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    path = tmp_path / "session.jsonl"
    path.write_text("\n".join(change(recorded[0].read_text().splitlines())) + "\n")
    with pytest.raises(UserError, match=why):
        Journal(path)
    with pytest.raises(UserError, match="without this line and all after it"):
        read_journal(path)


def test_what_cannot_be_read_or_written_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        Journal(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Journal(tmp_path / "file" / "session.jsonl").note("begin")


def test_a_full_disk_leaves_whole_lines_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "session.jsonl"
    journal = Journal(path)
    journal.note("begin")

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(UserError, match=r"cannot be written: No space left .*make room, then resume"):
            journal.note("end", text="x" * 1000)
    journal.note("end", text="short")
    assert [event.data for event in read_journal(path)] == [{}, {"text": "short"}]


def test_a_journal_of_many_megabytes_is_read_fast(tmp_path: Path) -> None:
    import time

    path = tmp_path / "session.jsonl"
    text = "a prompt of some length, with \n lines and λ. " * 2000
    with path.open("w") as file:
        for n in range(400):
            event = Event(n=n, kind="llm_call", session="s", time=1.0, data={"messages": [text]})
            file.write(json.dumps(event.model_dump()) + "\n")
    began = time.process_time()
    assert len(read_journal(path)) == 400
    megabytes = path.stat().st_size / 2**20
    assert megabytes > 30
    assert time.process_time() - began < 4, "about 0.2 s on a quiet machine"
