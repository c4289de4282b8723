"""A whole campaign with language models, written by hand: recorded, shown, replayed, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agentic_script import CALLS, CampaignScript
from scripted_server import ScriptedServer

from model_discovery.llm import Ledger, read_journal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KEY = "sk-planted-7f3a9c51d2e84b60"
CLOSED = "http://127.0.0.1:9"
SETTINGS = (
    "tokens.0.1M=20480",
    "seed_designs=[min_gru, short_conv]",
    "budget.runs={0.1M: 5}",
    "budget.designs=4",
    "ladder.seeds={}",
    "in_flight=1",
    "design.operators={mutation: 1, crossover: 0, scratch: 0}",
    "design.seeds_only_until=0",
    "suites=[]",
    "agents.unit_tries=5",
    "agents.online=false",
    "agents.price={input: 1.0, output: 4.0}",
)


def environment(**more: str) -> dict[str, str]:
    """No service answers; no key but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return {**kept, "OMP_NUM_THREADS": "1", "S2_API_URL": CLOSED, "ARXIV_API_URL": CLOSED, **more}


def discover(server: ScriptedServer, name: str, calls: int) -> list[str]:
    """The words that begin the campaign; it may make so many requests."""
    settings = [*SETTINGS, f"agents.per_campaign={{calls: {calls}}}"]
    return [
        "discover", "find a mixer that forgets", "--designer", "agentic", "--model", "openai/scripted",
        "--api-base", server.base_url, "--seed", "3", "--workers", "1", "--name", name,
        *(word for setting in settings for word in ("--set", setting)),
    ]  # fmt: skip


def command(folder: Path, *words: str, key: str = "", code: int = 0) -> str:
    """Standard output and errors of a command that ends with this status."""
    done = subprocess.run(
        [sys.executable, "-m", "model_discovery", *words],
        cwd=folder, env=environment(**({"OPENAI_API_KEY": key} if key else {})), text=True, timeout=600,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    return done.stdout


@dataclass
class Recorded:
    """A finished campaign; its server is stopped."""

    folder: Path
    output: str
    script: CampaignScript
    server: ScriptedServer
    environments: dict[str, bool]

    def journal(self, number: int) -> Path:
        return self.folder / "checkpoints" / "recorded" / f"design-{number}" / "session.jsonl"

    def sessions(self) -> list[dict[str, Any]]:
        return json.loads(command(self.folder, "session", "list", "--json", "-c", "recorded"))


def environments() -> Iterator[tuple[str, bool]]:
    """Every process below this one: its command, and whether it was started with the key."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            parents[int(folder.name)] = int(status.partition("PPid:\t")[2].split()[0])
        except OSError:
            continue
    for pid in parents:
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above]
        if above != os.getpid() or pid == os.getpid():
            continue
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            yield words, KEY.encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("agentic")
    seen: dict[str, bool] = {}
    script = CampaignScript(before=lambda number: seen.update(environments()))
    with ScriptedServer(script) as server:
        words = discover(server, "recorded", sum(CALLS.values()))
        output = command(folder, *words, key=KEY)
    return Recorded(folder, output, script, server, seen)


def kinds(path: Path) -> list[str]:
    return [event.kind for event in read_journal(path)]


def test_every_turn_a_session_can_take_was_taken(recorded: Recorded) -> None:
    assert len(recorded.server.requests) == sum(CALLS.values())
    rows = recorded.sessions()
    assert [row["calls"] for row in rows] == list(CALLS.values())
    assert [bool(row["design"]) for row in rows] == [True, True, False]
    first, second, third = (read_journal(recorded.journal(row["session"])) for row in rows)

    drafts = [
        event.data for event in first if event.kind in ("accept", "reject") and event.data["what"] == "draft"
    ]
    assert [(one["title"], one["rating"]) for one in drafts] == [
        ("A running mean", 2.0),
        ("Gates that close where nothing new arrives", 4.5),
    ]
    failures = [
        event.data["reason"] for event in first if event.kind == "reject" and event.data["what"] == "unit"
    ]
    assert len(failures) == 4
    assert "syntax" in failures[0]
    assert "causality" in failures[1]
    assert "forward" in failures[2]
    assert "rated 2 of 5 by the observer: it reads no difference" in failures[3]
    assert rows[0]["checks passed"] == "mixer 4 of 5"

    assert [event.data["twin"] for event in second if event.kind == "duplicate"] == [
        "Gates that close where nothing new arrives"
    ]
    back = [event.data for event in second if event.kind == "step_back"]
    assert [(one["path"], one["to"]) for one in back] == [("mixer.inner", "mixer")]
    assert rows[1]["checks passed"] == "mixer 1 of 2, mixer.inner - of 5"

    assert [event.data["scope"] for event in third if event.kind == "limit"] == ["campaign"]
    assert rows[2]["outcome"].startswith("The campaign's limit of 37 calls is reached")
    assert "LLM budget spent (campaign calls)" in recorded.output


def test_the_ledger_has_a_row_for_every_request(recorded: Recorded) -> None:
    ledger = Ledger(recorded.folder / "checkpoints" / "recorded" / "llm_ledger.db")
    total = ledger.totals()[0]
    assert total.requests == len(recorded.server.requests) and total.unsettled == 0
    assert [row.outcome for row in ledger.rows()] == ["ok"] * total.requests
    listed = recorded.sessions()
    assert total.input_tokens + total.output_tokens == sum(row["tokens"] for row in listed)
    assert total.dollars == pytest.approx(sum(row["dollars"] for row in listed), abs=1e-3)
    assert [one.requests for one in ledger.totals(["session"])] == [row["calls"] for row in listed]


def test_a_session_as_people_see_it(recorded: Recorded) -> None:
    row = recorded.sessions()[0]
    page = command(recorded.folder, "session", "show", str(row["session"]), "-c", "recorded")
    for words in (
        "mutation of",
        "openai/scripted: proposer, reviewer, planner, coder, observer",
        "proposes: A running mean",
        "concern: a mean is in every textbook",
        "rejected: A running mean",
        "unit mixer · try 2",
        "+++ try 2",
        "+    def forward(self, x, z):",
        "concern: it reads no difference",
        f"in all: {CALLS[1]} requests, ",
        "predicted: loss lower than its parent",
        "0.1M, seed 0: ",
        f"{row['design']}  ",
    ):
        assert words in page, words
    by_name = command(recorded.folder, "session", "show", row["design"], "-c", "recorded")
    assert by_name == page
    alone = command(recorded.folder, "session", "show", str(recorded.journal(row["session"])))
    assert "proposes: A running mean" in alone and "predicted: " not in alone
    facts = json.loads(command(recorded.folder, "session", "show", row["design"], "--full", "--json"))
    calls = [moment for moment in facts["moments"] if moment["kind"] == "llm_call"]
    assert len(calls) == CALLS[1]
    assert all(call["messages"][0]["role"] == "system" and call["text"] for call in calls)
    assert facts["verified"]["verdict"] in ("right", "wrong", "open")
    assert facts["tries"][0]["accepted"] == 5


def test_sessions_that_are_not_there_are_one_clear_line(recorded: Recorded) -> None:
    assert "99 is no session of recorded" in command(recorded.folder, "session", "show", "99", code=2)
    wrong = recorded.sessions()[0]["design"][:-1]
    assert "Did you mean" in command(recorded.folder, "session", "show", wrong, code=2)
    assert "Unknown campaign" in command(recorded.folder, "session", "replay", "nothing", code=2)


def test_the_campaign_replays_to_the_same_lineage_without_models(recorded: Recorded) -> None:
    before = {path: path.read_bytes() for path in recorded.folder.rglob("session.jsonl")}
    asked = len(recorded.server.requests)
    facts = json.loads(command(recorded.folder, "session", "replay", "recorded", "--json"))
    assert facts["same"] and facts["replay"] == "recorded-replay-1"
    assert facts["lineage_hash"] in recorded.output
    assert len(recorded.server.requests) == asked
    assert {path: path.read_bytes() for path in before} == before
    rows = json.loads(command(recorded.folder, "session", "list", "--json", "-c", "recorded-replay-1"))
    assert [row["design"] for row in rows] == [row["design"] for row in recorded.sessions()]


def test_a_session_replays_to_the_same_outcome_or_says_what_differs(recorded: Recorded) -> None:
    row = recorded.sessions()[1]
    number = str(row["session"])
    said = command(recorded.folder, "session", "replay", number, "-c", "recorded")
    assert f"Session {number} of recorded came to the same: " in said
    journal = recorded.journal(row["session"])
    whole = journal.read_text()
    try:
        journal.write_text(whole.replace("a mean keeps what a short window forgets", "it is said so"))
        said = command(recorded.folder, "session", "replay", number, "-c", "recorded", code=1)
        assert "came to something else: proposal" in said or "asks something else" in said
        journal.write_text("\n".join(whole.splitlines()[:-3]) + "\n")
        said = command(recorded.folder, "session", "replay", number, "-c", "recorded", code=1)
        assert "where the journal ends" in said
    finally:
        journal.write_text(whole)


def test_the_key_is_nowhere(recorded: Recorded) -> None:
    assert KEY not in recorded.output
    files = [path for path in recorded.folder.rglob("*") if path.is_file()]
    assert {"session.jsonl", "llm_ledger.db", "job.log", "model_discovery.db"} <= {
        path.name for path in files
    }
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert all(request.headers["Authorization"] == f"Bearer {KEY}" for request in recorded.server.requests)
    shown = command(recorded.folder, "session", "show", "2", "--full", "-c", "recorded")
    assert KEY not in shown
    sandboxes = {words: has for words, has in recorded.environments.items() if "sandbox" in words}
    assert sandboxes and not any(sandboxes.values())
    assert any(recorded.environments.values())  # the key would be seen where it is


def test_killed_at_calls_and_resumed_it_pays_nothing_twice(recorded: Recorded, tmp_path: Path) -> None:
    """The key is in ``.env`` this time, and the server of the models moves while the campaign rests."""
    kills = (1, 13, 24, 36)  # the first call, code before its veto, tries before a step back, the last draft
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    running: list[subprocess.Popen[str]] = []

    def kill(number: int) -> None:
        if number in kills:
            os.kill(running[-1].pid, signal.SIGKILL)
            running[-1].wait()

    script = CampaignScript(before=kill)
    with ScriptedServer(script) as server, ScriptedServer(script) as moved:
        words = discover(server, "killed", sum(CALLS.values()) + len(kills))
        for _ in range(len(kills) + 1):
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "model_discovery", *words], cwd=tmp_path, text=True,
                    env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )
            )  # fmt: skip
            output = running[-1].communicate(timeout=600)[0]
            words = ["discover", "--resume", "killed", "--api-base", moved.base_url]
        assert [process.returncode for process in running] == [-signal.SIGKILL] * len(kills) + [0], output
    lineage = next(line for line in recorded.output.splitlines() if line.startswith("lineage "))
    assert lineage in output
    assert len(script.asked) == sum(CALLS.values())
    assert script.again == len(kills)  # those that were on their way
    ledger = Ledger(tmp_path / "checkpoints" / "killed" / "llm_ledger.db")
    outcomes = [row.outcome for row in ledger.rows()]
    assert outcomes.count("ok") == sum(CALLS.values())
    assert outcomes.count("interrupted") == len(kills)
    assert len(server.requests) == 1 and f"language models: openai/scripted at {moved.base_url}" in output
    assert {request.headers["Authorization"] for request in moved.requests} == {f"Bearer {KEY}"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files if KEY.encode() in path.read_bytes()] == [".env"]
    listed = json.loads(command(tmp_path, "session", "list", "--json"))
    assert [row["spending"]["unanswered"] for row in listed] == [2, 1, 1]
    said = command(tmp_path, "session", "replay", str(listed[1]["session"]))
    assert "came to the same: " in said, "wherever the models were asked"
    assert "of 4 requests without an answer" in output and "of 4 requests without an answer" in command(
        tmp_path, "session", "list"
    )
