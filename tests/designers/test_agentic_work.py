"""Design sessions as jobs: a real model server; real client, ledger, journal, library, sandbox and checks."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from agentic_makers import (
    BLOCK,
    GATED,
    GOOD,
    LEAK_UNSEEN,
    WHOLE_BLOCK,
    WRONG_SHAPE,
    code,
    config,
    draft,
    judgement,
    note,
    plan,
    request_of,
    review,
)
from scripted_server import ScriptedServer, failure, fenced

from model_discovery.config import AgentsConfig, Price
from model_discovery.designers import DesignOutcome, DesignRequest, run_design
from model_discovery.designers.agentic.work import _search
from model_discovery.engine.jobs import JobContext, Resources
from model_discovery.errors import UserError
from model_discovery.llm import Ledger, ModelUnavailable, read_journal

PRICE = Price(input=1.0, output=2.0)


@pytest.fixture(scope="module")
def resources():
    kept = Resources()
    yield kept
    kept.close()


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory):
    """A library of one's own: the shipped cards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIBRARY_DIR", str(tmp_path_factory.mktemp("papers")))
        yield


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """A campaign's folder."""
    return tmp_path / "campaign"


def job(folder: Path, request: DesignRequest, resources: Resources) -> DesignOutcome:
    """The job of a request in a folder, as the engine runs it."""
    folder.mkdir(parents=True, exist_ok=True)
    said: list[dict[str, Any]] = []
    context = JobContext(folder, 1, send=said.append, resources=resources)
    return DesignOutcome.model_validate(run_design(request.model_dump(mode="json"), context))


def asking(server: ScriptedServer, **changes: Any) -> AgentsConfig:
    """Models answered by the server."""
    return config(**{"api_base": server.base_url, "price": PRICE, "online": False, **changes})


def same(one: DesignOutcome, other: DesignOutcome) -> bool:
    """The same outcome, apart from the clock."""
    return one.model_copy(update={"seconds": 0.0}) == other.model_copy(update={"seconds": 0.0})


def test_a_session_from_request_to_design(campaign: Path, resources: Resources) -> None:
    tries = [code(WRONG_SHAPE), code(LEAK_UNSEEN), code(GOOD)]
    answers = [note(), note(enough=True), draft(), note(enough=True), review(), plan(), *tries, judgement()]
    with ScriptedServer([fenced(answer) for answer in answers]) as server:
        request = request_of(agents=asking(server, search=True))
        outcome = job(campaign / "design-3", request, resources)
        assert outcome.status == "valid", outcome.why
        found = [[one.check for one in made.findings if one.severity == "error"] for made in outcome.attempts]
        assert found == [["forward"], ["causality"], []]
        assert abs(outcome.sizes["0.1M"]["non_embedding"] / 98_304 - 1) <= 0.05
        assert outcome.trace == "session.jsonl" and len(server.requests) == len(answers)
        sent = server.requests[8].json["messages"][-1]["content"]
        assert "causality" in sent and "FadingMean" in sent
        # Run again on the same folder: everything is there, nobody is asked.
        assert same(job(campaign / "design-3", request, resources), outcome)
        assert len(server.requests) == len(answers)
    events = read_journal(campaign / "design-3" / "session.jsonl")
    assert events[0].session == "campaign/design-3" and events[-1].kind == "end"
    assert [event.kind for event in events].count("check") == 4
    hits = next(event.data["hits"] for event in events if event.kind == "search")
    assert hits and hits[0]["source"] == "cards"
    with closing(Ledger(campaign / "llm_ledger.db")) as ledger:
        rows = ledger.rows()
    assert len(rows) == len(answers) and {row.session for row in rows} == {"campaign/design-3"}
    assert outcome.spending is not None and outcome.spending.calls == len(answers)
    assert outcome.spending.dollars == pytest.approx(sum(row.dollars or 0 for row in rows))
    replay_of(campaign, request, outcome, resources)


def replay_of(recorded: Path, request: DesignRequest, outcome: DesignOutcome, resources: Resources) -> None:
    """Replay a session without server and key, in another folder, where `session show` finds it too."""
    again = request.model_copy(update={"agents": AgentsConfig(replay=str(recorded))})
    folder = recorded.parent / "other" / "design-3"
    assert same(job(folder, again, resources), outcome)
    assert (folder / "session.jsonl").read_bytes() == (recorded / "design-3" / "session.jsonl").read_bytes()
    assert not (folder.parent / "llm_ledger.db").exists()
    assert len(list(folder.glob("attempt_*"))) == 1  # the design is checked, what led to it is not
    with pytest.raises(UserError, match=r"no recorded session .*design-4"):
        job(folder.parent / "design-4", again, resources)
    with pytest.raises(UserError, match="asks something else"):
        job(folder, again.model_copy(update={"seed": 5}), resources)


@pytest.mark.slow
def test_parts_of_a_block_stand_where_nothing_is_written_yet(campaign: Path, resources: Resources) -> None:
    reuse = {"parent": "", "path": ""}
    answers = [
        draft(paths=[""]), review(),
        plan(""), code(BLOCK), judgement(),
        plan("mixer"), code(GATED), judgement(),
        plan("mixer.inner"), code(GOOD), judgement(),
        plan("norm", reuse={"unit": "LayerNorm", **reuse}),
        plan("ffn", reuse={"unit": "MLP", **reuse}),
    ]  # fmt: skip
    with ScriptedServer([fenced(answer) for answer in answers]) as server:
        outcome = job(campaign / "design-0", request_of("scratch", agents=asking(server)), resources)
    assert outcome.status == "valid", (outcome.why, outcome.attempts)
    assert all(one.ok for one in outcome.attempts) and len(outcome.attempts) == 5
    assert outcome.unit_tree is not None
    assert outcome.unit_tree.paths() == ("norm", "mixer", "mixer.inner", "ffn")


def test_services_that_are_down_are_named_once_and_left_out(
    campaign: Path, resources: Resources, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("S2_API_URL", "ARXIV_API_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    context = JobContext(campaign, 1, send=lambda fields: None, resources=resources)
    search = _search(config(online=True), context)
    hits = search("attention that is linear in time", ["linear attention", "kernels"])
    assert hits and {hit.source for hit in hits} == {"cards"}
    assert len({hit.paper.id for hit in hits}) == len(hits)
    search("", ["gated recurrence"])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and all("127.0.0.1:9" in line or "searched without it" in line for line in said)


def test_a_limit_of_the_session(campaign: Path, resources: Resources) -> None:
    answers = [draft(), review(), plan()]
    with ScriptedServer([fenced(answer) for answer in answers]) as server:
        limited = asking(server, per_session={"calls": 3})
        outcome = job(campaign / "design-0", request_of(agents=limited), resources)
    assert outcome.status == "abandoned" and outcome.limit == "session calls"
    assert outcome.proposal is not None and outcome.proposal.title == draft()["title"]


def test_a_model_that_is_not_there_stops_the_job_and_it_goes_on_later(
    campaign: Path, resources: Resources
) -> None:
    said = [fenced(answer) for answer in (draft(), review(), plan(), code(WHOLE_BLOCK))]
    with ScriptedServer([*said[:2], failure(401, "Incorrect API key provided."), *said[3:]]) as server:
        request = request_of(agents=asking(server, flow="direct"))
        with pytest.raises(ModelUnavailable, match="refuses the key"):
            job(campaign / "design-0", request, resources)
        assert read_journal(campaign / "design-0" / "session.jsonl")[-1].kind == "accept"  # of the review
        outcome = job(campaign / "design-0", request, resources)
        assert outcome.status == "valid" and len(server.requests) == 4


@pytest.mark.slow
def test_killed_while_a_model_answers(campaign: Path, tmp_path: Path) -> None:
    """kill -9 while a call is under way: that one is made again, and counted; none before it is."""
    answers = [draft(), review(), plan(), code(WRONG_SHAPE), code(GOOD), judgement()]
    deadly = {1, 4, 7}  # by number of the request, over all runs
    processes: list[subprocess.Popen[str]] = []
    served: list[int] = []

    def script(asked: dict[str, Any]) -> Any:
        served.append(len(served))
        if served[-1] in deadly:
            processes[-1].kill()
            processes[-1].wait()
        return fenced(answers[len([number for number in served[:-1] if number not in deadly])])

    with ScriptedServer(script) as server:
        wanted = tmp_path / "request.json"
        wanted.write_text(request_of(agents=asking(server)).model_dump_json())
        command = [sys.executable, str(Path(__file__).with_name("agentic_driver.py"))]
        codes = []
        while not codes or codes[-1] == -9:
            processes.append(
                subprocess.Popen(
                    [*command, str(campaign / "design-0"), str(wanted)], stdout=subprocess.PIPE, text=True
                )
            )
            said, _ = processes[-1].communicate(timeout=240)
            codes.append(processes[-1].returncode)
    assert codes == [-9] * len(deadly) + [0]
    outcome = DesignOutcome.model_validate_json(said.splitlines()[-1])
    assert outcome.status == "valid" and [one.ok for one in outcome.attempts] == [False, True]
    assert len(served) == len(answers) + len(deadly)
    with closing(Ledger(campaign / "llm_ledger.db")) as ledger:
        outcomes = [row.outcome for row in ledger.rows()]
    assert outcomes.count("interrupted") == len(deadly) and len(outcomes) == len(served)
    assert outcome.spending is not None and outcome.spending.calls == len(answers)
