"""The story of a journal: who said what, at which cost, at which try checks passed, how code changed."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from agentic_makers import (
    BAD_SYNTAX,
    GOOD,
    LEAK_UNSEEN,
    WRONG_SHAPE,
    World,
    code,
    config,
    draft,
    judgement,
    note,
    request_of,
    review,
)

from model_discovery.designers.agentic.event_words import EVENTS
from model_discovery.designers.agentic.story import Story, slot_of, tell
from model_discovery.designers.requests import DesignRequest
from model_discovery.llm import read_journal
from model_discovery.llm.types import BadReply, LimitReached

SCRIPT: dict[str, Any] = {
    "proposer.search": note(),
    "proposer.refine": draft("A gate that closes when nothing new comes"),
    "reviewer.review": [review(2.5, "nothing says why"), review(4.5)],
    "coder.write": code(BAD_SYNTAX),
    "coder.retry": [
        code(LEAK_UNSEEN), BadReply("malformed", "no JSON in it"), code(WRONG_SHAPE), code(GOOD), code(GOOD),
    ],
    "observer.judge": [judgement(2, "this is a plain mean"), judgement(4)],
}  # fmt: skip


@pytest.fixture(scope="module")
def request_() -> DesignRequest:
    return request_of(agents=config(search=True), instruction="find something that forgets")


@pytest.fixture(scope="module")
def world(request_: DesignRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(SCRIPT, tmp_path_factory.mktemp("told") / "session.jsonl")
    assert world.run(request_).status == "valid"
    return world


@pytest.fixture(scope="module")
def story(world: World, request_: DesignRequest) -> Story:
    assert world.journal.path is not None
    return tell(read_journal(world.journal.path), request_)


def said(story: Story, who: str) -> list[str]:
    return [moment.words for moment in story.moments if who in (moment.role, moment.kind)]


def test_what_every_role_said_is_a_line(story: Story) -> None:
    assert said(story, "proposer")[0] == "looks for: decay; how memories fade"
    assert said(story, "proposer")[-1] == "proposes: A gate that closes when nothing new comes"
    assert said(story, "reviewer")[0] == "has read enough"
    assert "rates it 2.5 of 5: novelty 4 · soundness 4 · effect 4" in " ".join(said(story, "reviewer"))
    assert said(story, "planner") == ["next: mixer"]
    assert said(story, "coder")[0].startswith("writes FadingMean, ")
    assert said(story, "coder")[2] == "no answer: no JSON in it"
    assert said(story, "observer")[0].startswith("rates it 2 of 5: follows 4 · clear 4 · new 4")
    assert "1 passage found" in said(story, "search")
    assert said(story, "begin") == ["mutation of transformer_pp"]
    assert said(story, "end") == ["a valid design"]


def test_details_hold_what_matters(story: Story) -> None:
    details = {moment.words: moment.details for moment in story.moments}
    assert "concern: nothing says why" in next(d for w, d in details.items() if w.startswith("rates it 2.5"))
    drafted = details["proposes: A mean that fades"]
    assert "prediction: loss lower than its parent, because memory" in drafted
    assert "change at mixer: The mixer becomes: A mean that fades." in drafted
    failed = [moment for moment in story.moments if moment.kind == "check" and moment.ok is False]
    assert [moment.words for moment in failed] == [
        "the unit in its place fails at causality",
        "the unit in its place fails at forward",
    ]
    assert "has mean(1" in failed[0].details[0]
    assert [moment.details for moment in story.moments if moment.n == failed[0].n + 1] == [()]  # said above
    refused = [moment for moment in story.moments if moment.kind == "reject"]
    assert any("concern" not in str(moment.details) and "syntax" in str(moment.details) for moment in refused)


def test_tries_count_from_one_and_say_when_checks_passed(story: Story) -> None:
    assert [asdict(one) for one in story.tries] == [
        {"path": "mixer", "unit": "FadingMean", "count": 6, "passed": 5, "accepted": 6}
    ]


def test_costs_are_sums_over_the_calls(story: Story, world: World) -> None:
    assert story.cost.calls == len(world.model.calls)
    assert story.cost.dollars == pytest.approx(0.25 * len(world.model.calls))
    assert story.costs["coder"].calls == 6
    assert story.costs["coder"].input_tokens == 600 and story.costs["coder"].output_tokens == 60
    calls = [moment.cost for moment in story.moments if moment.cost]
    assert sum(cost.calls for cost in calls) == story.cost.calls


def test_code_is_compared_with_the_last_try_and_the_parent(story: Story) -> None:
    diffs = [moment for moment in story.moments if moment.diff]
    assert diffs[0].diff_from == "transformer_pp's RotaryAttention"
    assert diffs[0].diff.startswith("--- transformer_pp's RotaryAttention, replaced\n+++ try 1\n+")
    assert "+class FadingMean(GAU):" in diffs[0].diff and "\n-" not in diffs[0].diff
    assert diffs[1].diff_from == "try 1"
    assert "-    def forward(self, x, z)\n+    def forward(self, x, z):" in diffs[1].diff
    assert diffs[2].diff_from == "try 2"  # the third answer had no code
    assert [moment.diff for moment in story.moments if moment.diff_from == "try 5"] == [""]  # the same file


def test_a_session_that_was_killed_or_ran_out_is_told_as_far_as_it_went(
    world: World, request_: DesignRequest
) -> None:
    events = world.journal.events
    for count in (0, 1, 2, len(events) // 2, len(events) - 1):
        half = tell(events[:count], request_)
        assert half.end is None and len(half.moments) == count
    limit = LimitReached("The session's limit of 3 calls is reached.", scope="session", what="calls")
    stopped = World({"coder.retry": limit, "coder.write": code(BAD_SYNTAX)})
    assert stopped.run(request_of()).limit == "session calls"
    story = tell(stopped.journal.events)
    assert said(story, "limit") == ["session calls: The session's limit of 3 calls is reached."]
    assert said(story, "coder")[-1].startswith("not asked: The session's limit of 3 calls")
    assert story.end is not None and story.end["limit"] == "session calls"
    assert story.tries[0].passed is None
    assert story.cost.dollars == pytest.approx(0.25 * story.cost.calls)


def test_answers_of_another_version_are_shown_by_their_first_line(world: World) -> None:
    events = list(world.journal.events)
    at = next(n for n, event in enumerate(events) if event.data.get("role") == "planner")
    old = events[at].model_copy(
        update={"data": {**events[at].data, "parsed": {"where": 1}, "text": "Go on.\nx"}}
    )
    assert tell([*events[:at], old]).moments[at].words == "Go on."
    unknown = events[at].model_copy(update={"kind": "surprise", "data": {"number": 4, "deep": {}}})
    assert tell([*events[:at], unknown]).moments[at].words == "number 4"


@pytest.mark.parametrize(
    ("step", "slot"),
    [
        ("implementation 1/round 2/unit mixer.inner/try 3", ("mixer.inner", 3)),
        ("implementation 1/round 1/unit root/try 1", ("", 1)),
        ("implementation 1/round 1/plan", (None, None)),
        ("proposal 1/attempt 2/review/search 1", (None, None)),
        ("", (None, None)),
    ],
)
def test_slots_of_steps(step: str, slot: tuple[str | None, int | None]) -> None:
    assert slot_of(step) == slot


def test_journals_can_be_told_from_their_file_alone(world: World, story: Story) -> None:
    assert isinstance(world.journal.path, Path)
    alone = tell(read_journal(world.journal.path))
    assert [moment.words for moment in alone.moments] == [moment.words for moment in story.moments]
    assert not next(moment for moment in alone.moments if moment.role == "coder").diff


PAGE = (
    (Path(__file__).parents[2] / "docs" / "agents.md")
    .read_text("utf-8")
    .partition("## Sessions and replay")[2]
)


def test_every_kind_of_event_is_on_the_page() -> None:
    rows = [row.split("|")[1] for row in PAGE.splitlines() if row.startswith("| `")]
    assert sorted(kind for row in rows for kind in re.findall("`([a-z_]+)`", row)) == sorted(EVENTS)


def test_the_example_of_the_page_reads_a_journal(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    example = PAGE.partition("```python")[2].partition("```")[0]
    assert "checkpoints/my-campaign/design-7/session.jsonl" in example
    exec(example.replace("checkpoints/my-campaign/design-7/session.jsonl", str(world.journal.path)))
    assert len(capsys.readouterr().out.splitlines()) == len(world.model.calls)
