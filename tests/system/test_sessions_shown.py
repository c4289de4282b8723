"""Design sessions listed and shown: from the tree and the journals below the campaign's folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from agentic_makers import BAD_SYNTAX, GOOD, World, code, config, judgement, note, request_of, review

from model_discovery.design_tree import DesignTree, NewDecision
from model_discovery.designers.agentic.work import LEDGER
from model_discovery.errors import UserError
from model_discovery.llm import Bound, CallFacts, Ledger, Usage
from model_discovery.llm.types import LimitReached
from model_discovery.system import session_pages, sessions
from model_discovery.system.replay import replay_campaign, replay_session

DB = "tree.db"


def submit(tree: DesignTree, campaign: int, request: dict[str, Any], number: int) -> int:
    job = tree.submit_job(campaign, "design", request, NewDecision("design", {"n": number}))
    assert job.number == number
    tree.start_job(job.id, "worker")
    return job.id


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four design jobs: one ended without a design, one is genetic, one goes on, one has no journal."""
    folder = tmp_path_factory.mktemp("recorded")
    request = request_of(agents=config(search=True, unit_tries=2, failed_rounds=1))
    script = {
        "proposer.search": note(),
        "reviewer.review": review(4.5, "does [bold]markup[/bold] survive?"),
        "coder.write": code(BAD_SYNTAX),
        "coder.retry": code(GOOD),
        "observer.judge": judgement(1, "no"),
    }
    ended = World(script, folder / "runs" / "first" / "design-0" / "session.jsonl").run(request)
    stop = {"reviewer.review": LimitReached("no more", scope="session", what="calls")}
    limited = World(stop, folder / "runs" / "first" / "design-2" / "session.jsonl")
    limited.run(request_of())
    assert limited.journal.path is not None
    raw = limited.journal.path.read_bytes().splitlines(keepends=True)
    limited.journal.path.write_bytes(b"".join(raw[:-1])[:-9])  # killed while the limit was written
    with DesignTree(folder / DB) as tree:
        row = tree.create_campaign("first", instruction="find", config={}, seed=0, versions={})
        data = request.model_dump(mode="json")
        job = submit(tree, row.id, data, 0)
        tree.finish_job(job, state="done", result=ended.model_dump(mode="json"), error="", seconds=12.34)
        tree.apply_job(job, event=("fruitless", {"job": 0, "why": ended.why, "designer": "agentic"}))
        submit(tree, row.id, {**data, "designer": "genetic"}, 1)
        submit(tree, row.id, data, 2)
        submit(tree, row.id, data, 3)
    return folder


@pytest.fixture
def campaign(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to work in."""
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CKPT_DIR", "runs")
    return tmp_path


def test_a_list_has_a_row_for_every_session_with_models(campaign: Path) -> None:
    rows = sessions.sessions(DB, "first")
    assert [row["session"] for row in rows] == [0, 2, 3]
    assert rows[0]["outcome"].startswith("'A mean that fades' was not implemented")
    assert (rows[0]["calls"], rows[0]["tokens"], rows[0]["dollars"]) == (10, 1100, 2.5)
    assert rows[0]["seconds"] == 12.3 and rows[0]["checks passed"] == "mixer 2 of 2"
    assert rows[1]["outcome"] == "goes on, or was interrupted" and rows[1]["calls"] == 1
    assert rows[2]["calls"] is None and rows[2]["checks passed"] == ""
    json.dumps(rows, allow_nan=False)


def test_requests_without_an_answer_are_told(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger(campaign / "runs" / "first" / LEDGER)
    for number, bound in ((0, Bound(100, 20, 0.5)), (2, Bound(3000, 96, 0.25)), (2, Bound(4, 0, 0.5))):
        facts = CallFacts("coder", "write", f"first/design-{number}", "first", "m")
        held = ledger.reserve(facts, bound, {})
        if number == 0:
            ledger.settle(held, usage=Usage(90, 9), dollars=0.4, seconds=1.0, outcome="ok")
    ledger.close()
    rows = sessions.sessions(DB, "first")
    assert [row["spending"] and row["spending"]["unanswered"] for row in rows] == [0, 2, None]
    session_pages.print_sessions(rows)
    shown = capsys.readouterr().out
    assert "unanswered" in shown and "2, at most 3,100 tokens, $0.75" in " ".join(shown.split())
    assert "in all: 1 call, 99 tokens, $0.40, and at most $0.75 of 2 requests without an answer" in shown
    session_pages.print_session(sessions.session(DB, "first", "2"))
    assert ", and at most $0.75 of 2 requests without an answer" in capsys.readouterr().out


def test_a_journal_that_is_gone_leaves_what_the_tree_knows(campaign: Path) -> None:
    (campaign / "runs" / "first" / "design-0" / "session.jsonl").unlink()
    row = sessions.sessions(DB, None)[0]
    assert (row["calls"], row["tokens"], row["dollars"], row["checks passed"]) == (10, 1100, 2.5, "")
    with pytest.raises(UserError, match=r"Session 0 of first has no journal .*set CKPT_DIR"):
        sessions.session(DB, None, "0")


def test_a_damaged_journal_hides_no_other(campaign: Path) -> None:
    (campaign / "runs" / "first" / "design-0" / "session.jsonl").write_text("{nonsense\n")
    rows = sessions.sessions(DB, None)
    assert rows[0]["checks passed"] == "journal unreadable" and rows[0]["calls"] == 10
    assert rows[1]["calls"] == 1


def test_a_session_that_failed_is_told_to_its_end(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session_pages.print_session(sessions.session(DB, "first", "0"))
    page = capsys.readouterr().out
    for words in (
        "mutation of transformer_pp  first, session 0",
        "concern: does [bold]markup[/bold] survive?",
        "proposal 1 · attempt 1",
        "implementation 1 · round 1 · unit mixer · try 2",
        "ok the unit in its place passes 1 checks (source)",
        "no rejected: FadingMean at mixer",
        "+++ try 1",
        "+class FadingMean(GAU):",
        "no design: 'A mean that fades' was not implemented",
        "in all: 10 requests, 1,000 + 100 tokens, $2.5000",
    ):
        assert words in page, words
    assert "--- user" not in page


@pytest.mark.parametrize(("full", "lines"), [(False, 40), (True, 60)])
def test_a_long_diff_is_cut_short(
    campaign: Path, capsys: pytest.CaptureFixture[str], full: bool, lines: int
) -> None:
    facts = sessions.session(DB, "first", "0", full=full)
    writes = next(moment for moment in facts["moments"] if moment["role"] == "coder")
    writes["diff"] = "\n".join(f"+changed_{number}" for number in range(60))
    session_pages.print_session(facts)
    page = capsys.readouterr().out
    assert page.count("+changed_") == lines
    assert ("… 20 more lines (--full)" in page) is not full


def test_everything_that_was_said_is_in_the_full_page(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = sessions.session(DB, "first", "0", full=True)
    said = [moment for moment in facts["moments"] if moment["role"]]
    assert all("messages" in moment and "text" in moment for moment in said)
    said[0]["messages"], said[0]["text"] = [{"role": "user", "content": "Find [red]one[/red]."}], "Here."
    session_pages.print_session(facts)
    page = capsys.readouterr().out
    assert "--- user" in page and "Find [red]one[/red]." in page and "--- answer" in page


def test_the_full_page_keeps_lines_as_they_were_written(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = sessions.session(DB, "first", "0", full=True)
    said = next(moment for moment in facts["moments"] if moment["role"] == "coder")
    lines = ["short", "", f"    x = {'far + ' * 60}right", "end"]
    said["messages"], said["diff"] = [{"role": "user", "content": "\n".join(lines)}], f"+{lines[2]}"
    session_pages.print_session(facts)
    shown = capsys.readouterr().out.splitlines()
    start = shown.index(f"{'':13}short")
    assert shown[start : start + 4] == [f"{'':13}{line}" if line else "" for line in lines]
    assert f"{'':13}+{lines[2]}" in shown


def test_a_session_that_was_killed_is_told_as_far_as_it_went(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = campaign / "runs" / "first" / "design-2" / "session.jsonl"
    before = journal.read_bytes()
    for which in ("2", str(journal), str(journal.parent)):
        session_pages.print_session(sessions.session(DB, "first", which))
        assert "It has not ended: it goes on, or was interrupted." in capsys.readouterr().out
    assert journal.read_bytes() == before


def test_the_table_of_sessions(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session_pages.print_sessions(sessions.sessions(DB, "first"))
    assert "goes on, or was interrupted" in capsys.readouterr().out
    session_pages.print_sessions([])
    assert "--designer agentic" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("1", r"1 is no session of first\. \(sessions: 0, 2, 3\)"),
        ("fading_mean_1234", "Unknown session 'fading_mean_1234'"),
    ],
)
def test_sessions_that_are_not_there(campaign: Path, which: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        sessions.session(DB, "first", which)


def test_what_cannot_be_replayed(campaign: Path) -> None:
    with pytest.raises(UserError, match=r"Session 2 of first has no outcome to compare with \(running\)"):
        replay_session(DB, "first", "2")
    with pytest.raises(UserError, match="The campaign first is running: only a finished one"):
        replay_campaign(DB, "first", progress=False)


def test_files_that_are_no_journals(campaign: Path) -> None:
    (campaign / "empty.jsonl").write_text("")
    with pytest.raises(UserError, match="holds no event"):
        sessions.session(DB, None, "empty.jsonl")
    (campaign / "notes.txt").write_text("these are notes\n")
    with pytest.raises(UserError, match="line 1 is not event 0 of a session"):
        sessions.session(DB, None, "notes.txt")
    with DesignTree("other.db") as tree:
        tree.create_campaign("plain", instruction="find", config={}, seed=0, versions={})
    with pytest.raises(UserError, match=r"The campaign plain has no session .*--designer agentic"):
        sessions.session("other.db", None, "0")
