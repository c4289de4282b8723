"""A session that is killed at any point runs again to the same end, and nothing is asked or checked twice."""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from agentic_makers import (
    BAD_SYNTAX,
    GATED,
    GATED_ALSO,
    GOOD,
    LEAK,
    OWN_TEST_FAILS,
    WRONG_SHAPE,
    Script,
    World,
    bare_specs,
    code,
    config,
    draft,
    judgement,
    note,
    plan,
    renamed,
    request_of,
    review,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.checks.report import CheckReport, Finding
from model_discovery.designers import DesignOutcome, DesignRequest
from model_discovery.designers.agentic.specs import AgentSpec
from model_discovery.errors import UserError
from model_discovery.llm.journal import JournalMismatch
from model_discovery.llm.types import BadReply, LimitReached

LEAKING = renamed(LEAK, "Leaking")
LONG: Script = {
    "proposer.search": [note(), note(), note(enough=True)],
    "reviewer.search": note(enough=True),
    "proposer.propose": draft(paths=["mixr"]),
    "proposer.refine": [draft("Keys turned by learnt angles"), BadReply("empty", "nothing"), draft()],
    "reviewer.review": [review(2, "done before"), review(4)],
    "planner.plan": [plan("ffn"), plan("mixer"), plan("mixer.inner"), plan("mixer"), plan("mixer.inner")],
    "coder.write": [code(BAD_SYNTAX), code(LEAKING), code(GOOD)],
    "coder.retry": [
        code(GATED),
        code(renamed(WRONG_SHAPE, "Flat")),
        code(renamed(OWN_TEST_FAILS, "Untested")),
        code(GATED_ALSO),
        BadReply("refusal", "no"),
        code(GOOD),
    ],
    "observer.judge": [judgement(3), judgement(4), judgement(2, "dull"), judgement(5)],
}
"""Every turn of a session: wrong path, bad review, useless answers, failed checks, veto, step back."""

ENDED_BY_A_LIMIT: Script = {
    **LONG, "coder.retry": LimitReached("no more", scope="session", what="calls"),
}  # fmt: skip


class Killed(BaseException):
    """The end of a process."""


def request() -> DesignRequest:
    return request_of(agents=config(search=True, unit_tries=3))


def plain(outcome: DesignOutcome) -> dict[str, Any]:
    return outcome.model_dump(mode="json", exclude={"seconds"})


def asked(world: World) -> list[str]:
    """Everything that the world was really asked, in no particular order."""
    return [*world.model.calls, *world.checked, *world.searched]


@pytest.fixture(scope="module", autouse=True)
def no_waiting_for_disks():
    """What a killed process wrote is there without any fsync, and hundreds of them are slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, AgentSpec]:
    return bare_specs(tmp_path_factory.mktemp("specs"))


@cache
def whole(name: str) -> tuple[dict[str, Any], Counter[str]]:
    """The outcome of the session run in one go, and what was asked for it."""
    world = World({"long": LONG, "limit": ENDED_BY_A_LIMIT}[name])
    return plain(world.run(request())), Counter(asked(world))


def killer(at: int):
    """Kills at the ``at``-th question to the world."""
    left = [at]

    def before(name: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return before


def test_the_session_is_as_long_as_it_should_be() -> None:
    outcome, questions = whole("long")
    assert outcome["status"] == "valid", outcome["why"]
    assert questions.total() >= 25
    assert whole("limit")[0]["limit"] == "session calls"


@pytest.mark.parametrize("name", ["long", "limit"])
@settings(deadline=None, max_examples=8, derandomize=True)
@given(data=st.data())
def test_killed_anywhere_any_number_of_times(
    tmp_path_factory: pytest.TempPathFactory, specs: dict[str, AgentSpec], name: str, data: st.DataObject
) -> None:
    outcome, questions = whole(name)
    script = {"long": LONG, "limit": ENDED_BY_A_LIMIT}[name]
    path = tmp_path_factory.mktemp("killed") / "session.jsonl"
    total: Counter[str] = Counter()
    kills = data.draw(st.lists(st.integers(0, questions.total() - 1), max_size=4))
    for at in [*kills, None]:
        world = World(script, path, specs=specs, before=killer(at) if at is not None else lambda name: None)
        try:
            resumed = world.run(request())
        except Killed:
            continue
        finally:
            total.update(asked(world))
            if data.draw(st.booleans()) and path.exists():  # a kill may leave half a line
                path.write_bytes(path.read_bytes() + b'{"n": 9')
    assert plain(resumed) == outcome and total == questions
    replayed = World({}, path, mode="replay", specs=specs)
    assert plain(replayed.run(request())) == outcome
    assert replayed.model.calls == [] and replayed.checked == ["design"] * (outcome["status"] == "valid")


def test_cut_off_after_any_event(tmp_path: Path) -> None:
    """Kills between two writes: the journal ends anywhere, also in what only notes something."""
    outcome, questions = whole("long")
    path = tmp_path / "session.jsonl"
    World(LONG, path).run(request())
    lines = path.read_text().splitlines(keepends=True)
    for count in range(0, len(lines), 11):
        path.write_text("".join(lines[:count]))
        world = World(LONG, path)
        assert plain(world.run(request())) == outcome
        assert not Counter(asked(world)) - questions
        assert path.read_text() == "".join(lines)


def test_a_beam_with_an_alternative_that_came_twice(tmp_path: Path, specs: dict[str, AgentSpec]) -> None:
    script = {"coder.retry": [code(GOOD), code(renamed(GOOD, "Second"))], "observer.judge": judgement(4)}
    wanted, path = request_of(agents=config(beam=2)), tmp_path / "session.jsonl"
    outcome = plain(World(script, path, specs=specs).run(wanted))
    assert outcome["status"] == "valid"
    lines = path.read_text().splitlines(keepends=True)
    for count in range(len(lines)):
        path.write_text("".join(lines[:count]))
        assert plain(World(script, path, specs=specs).run(wanted)) == outcome
        assert path.read_text() == "".join(lines)
    replayed = World({}, path, mode="replay", specs=specs)
    assert plain(replayed.run(wanted)) == outcome and replayed.model.calls == []


def test_another_session_than_the_journal_tells_is_named(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    World({}, path).run(request_of())
    with pytest.raises(JournalMismatch, match="asks something else"):
        World({}, path).run(request_of(instruction="something else"))
    with pytest.raises(JournalMismatch, match="the journal has"):
        World({}, path).run(request_of(agents=config(observer=False)))


def test_a_design_that_fails_today_is_not_replayed_as_valid(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    World({}, path).run(request_of())
    refused = CheckReport(ok=False, findings=(Finding(check="causality", measured="leaks"),))
    with pytest.raises(UserError, match="passed its checks then and fails them now: causality"):
        World({}, path, mode="replay", check=lambda tree, what: refused).run(request_of())
