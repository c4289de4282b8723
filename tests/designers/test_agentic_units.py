"""Units of a design session: written, checked, judged, taken back. Checks here are rules."""

import pytest
from agentic_makers import (
    BAD_SYNTAX,
    BLOCK,
    GATED,
    GATED_ALSO,
    GOOD,
    LEAK,
    SEEDS,
    WRONG_SHAPE,
    World,
    checks_of,
    code,
    config,
    draft,
    judgement,
    plan,
    renamed,
    request_of,
    rule_check,
    run,
)

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.designers.agentic.schemas import Judgement
from model_discovery.designers.agentic.story import tell
from model_discovery.designers.agentic.writing import Alternative
from model_discovery.llm.types import BadReply

PARENT = SEEDS["transformer_pp"].tree


# -- units


def test_a_unit_is_written_again_with_the_whole_report() -> None:
    outcome, world = run(
        {
            "coder.write": code(BAD_SYNTAX),
            "coder.retry": [code(WRONG_SHAPE), code(LEAK), code(GOOD)],
        }
    )
    assert outcome.status == "valid" and checks_of(outcome) == ["source", "forward", "causality", "ok"]
    assert world.checked == ["unit", "unit", "unit", "design"]
    assert world.model.calls.count("observer.judge") == 1
    retry = [world.prompt("coder.retry", number) for number in range(3)]
    assert "syntax error" in retry[0] and "def forward(self, x, z)" in retry[0]
    assert "has mean(-1)" in retry[1] and "has mean(1" in retry[2]
    assert "syntax error" in retry[2] and "has mean(-1)" in retry[2]  # what was tried before
    assert all("RMSNorm" in text for text in retry)  # the tree is still there


def test_the_observer_may_refuse() -> None:
    outcome, world = run(
        {
            "observer.judge": [judgement(2.9, "only a mean"), judgement(3)],
            "coder.retry": code(renamed(GOOD, "Other")),
        }
    )
    assert outcome.status == "valid" and world.model.calls.count("coder.retry") == 1
    assert "only a mean" in world.prompt("coder.retry")
    assert outcome.unit_tree is not None and outcome.unit_tree.unit("mixer").name == "Other"


def test_class_names_stand_for_one_unit() -> None:
    taken = [code(renamed(GOOD, "GatedMLP")), code(renamed(GOOD, "Retention"))]
    outcome, world = run({"coder.write": taken[0], "coder.retry": [taken[1], code()]})
    assert outcome.status == "valid" and world.checked == ["unit", "design"]
    assert "The class name GatedMLP belongs to another unit" in world.prompt("coder.retry", 0)
    assert "The class name Retention belongs to another unit" in world.prompt("coder.retry", 1)


def test_a_wrong_role_is_a_finding() -> None:
    norm = code(renamed(SEEDS["retnet"].tree.unit("mixer_norm").source, "MyNorm"))
    outcome, world = run({"coder.write": norm, "coder.retry": code()})
    assert outcome.status == "valid" and "asks for a sequence_mixer" in world.prompt("coder.retry")


def test_a_coder_may_fill_its_own_slots() -> None:
    inner = {"slot": "inner", "source": GOOD, "reuse": None}
    nowhere = {"slot": "outer", "source": GOOD, "reuse": None}
    outcome, world = run({"coder.write": code(GATED, nowhere), "coder.retry": code(GATED, inner)})
    assert outcome.status == "valid" and outcome.unit_tree is not None
    assert outcome.unit_tree.unit("mixer.inner").name == "FadingMean"
    assert "has no slot" in world.prompt("coder.retry") and world.model.calls.count("planner.plan") == 1


def test_declared_slots_become_open_ones() -> None:
    outcome, world = run(
        {"coder.write": [code(GATED), code(GOOD)], "planner.plan": [plan("mixer"), plan("mixer.inner")]}
    )
    assert outcome.status == "valid" and world.checked == ["unit", "unit", "design"]
    assert outcome.unit_tree is not None and outcome.unit_tree.unit("mixer.inner").name == "FadingMean"


def test_a_plan_for_a_slot_that_is_not_open_is_made_once_more() -> None:
    outcome, world = run({"planner.plan": [plan("ffn"), plan("mixer")]})
    assert outcome.status == "valid" and "is not open" in world.prompt("planner.plan", 1)
    outcome, world = run({"planner.plan": [plan("ffn"), plan("ffn")]})
    assert outcome.status == "valid" and world.model.calls.count("planner.plan") == 2


def test_reuse_is_validated_and_checked() -> None:
    unknown = plan(reuse={"unit": "Retensions", "parent": "", "path": ""})
    wrong = plan(reuse={"unit": "GatedMLP", "parent": "", "path": ""})
    outcome, world = run({"planner.plan": [unknown, wrong]})
    assert outcome.status == "valid" and outcome.unit_tree is not None
    assert "Retention" in world.prompt("planner.plan", 1)
    assert outcome.unit_tree.unit("mixer").name == "FadingMean"  # after two such plans it is written
    known = plan(reuse={"unit": "Retention", "parent": "", "path": ""})
    outcome, world = run({"planner.plan": known})
    assert outcome.status == "valid" and "coder.write" not in world.model.calls


def test_an_answer_of_no_use_is_a_failed_try() -> None:
    broken = BadReply("malformed", "no JSON")
    outcome, world = run(
        {
            "coder.write": [broken, code(LEAK)],
            "coder.retry": [BadReply("refusal", "I would rather not"), code()],
        }
    )
    assert outcome.status == "valid" and world.model.calls.count("coder.write") == 2
    assert "I would rather not" in world.prompt("coder.retry", 1)
    assert checks_of(outcome) == ["reply", "causality", "reply", "ok"]
    assert outcome.spending is not None and outcome.spending.calls == 8


@pytest.mark.parametrize("name", ["planner.plan", "observer.judge", "proposer.propose", "reviewer.review"])
def test_no_role_can_break_a_session_with_nonsense(name: str) -> None:
    script = {name: BadReply("schema", "rating is no number"), "proposer.refine": draft()}
    outcome, world = run(script, request_of(agents=config(proposal_attempts=3)))
    expected = "abandoned" if name in ("proposer.propose", "reviewer.review") else "valid"
    assert outcome.status == expected and world.kinds("end") == ["end"]


def test_nonsense_in_search_ends_the_search() -> None:
    outcome, world = run(
        {"proposer.search": BadReply("empty", "nothing")}, request_of(agents=config(search=True))
    )
    assert (
        outcome.status == "valid" and world.model.calls.count("proposer.search") == 2 and not world.searched
    )


# -- going back


def test_the_unit_above_is_taken_back_when_a_slot_cannot_be_filled() -> None:
    leak = renamed(LEAK, "Leaking")
    outcome, world = run(
        {
            "planner.plan": [plan("mixer"), plan("mixer.inner"), plan("mixer"), plan("mixer.inner")],
            "coder.write": [code(GATED), code(leak), code(GOOD)],
            "coder.retry": [code(leak), code(GATED_ALSO)],
        },
        request_of(agents=config(unit_tries=2)),
    )
    assert outcome.status == "valid", outcome.why
    assert world.kinds("accept", "reject", "step_back")[1:] == [
        "accept OpenedMixer", "reject Leaking", "reject Leaking", "step_back mixer.inner",
        "accept HalfOpenedMixer", "accept FadingMean",
    ]  # fmt: skip
    assert "taken back because of" in world.prompt("coder.retry", 1)
    assert "class OpenedMixer" in world.prompt("coder.retry", 1)
    assert outcome.unit_tree is not None and outcome.unit_tree.unit("mixer").name == "HalfOpenedMixer"


def test_at_most_so_many_failed_rounds() -> None:
    outcome, world = run(
        {"coder.write": code(LEAK), "coder.retry": code(LEAK)},
        request_of(agents=config(unit_tries=2, failed_rounds=3)),
    )
    assert outcome.status == "abandoned" and outcome.proposal is not None and outcome.unit_tree is None
    assert "3 failed rounds" in outcome.why and "causality" in outcome.why
    assert world.model.calls.count("coder.write") + world.model.calls.count("coder.retry") == 6
    assert len(world.kinds("step_back")) == 2 and checks_of(outcome) == ["causality"] * 6


def test_beam_keeps_alternatives_and_falls_back_on_them() -> None:
    leak = renamed(LEAK, "Leaking")
    outcome, world = run(
        {
            "planner.plan": [plan("mixer"), plan("mixer.inner"), plan("mixer.inner")],
            "coder.write": [code(GATED), code(leak), code(GOOD)],
            "coder.retry": [code(GATED_ALSO), code(leak), code(renamed(GOOD, "Second"))],
            "observer.judge": [judgement(3), judgement(5), judgement(3), judgement(4)],
        },
        request_of(agents=config(unit_tries=2, failed_rounds=1, beam=2)),
    )
    assert outcome.status == "valid", outcome.why
    assert world.kinds("accept", "step_back")[1:] == [
        "accept OpenedMixer", "accept HalfOpenedMixer", "step_back mixer.inner",
        "accept FadingMean", "accept Second",
    ]  # fmt: skip
    tree = outcome.unit_tree  # HalfOpenedMixer was rated higher and led nowhere
    assert tree is not None
    assert (tree.unit("mixer").name, tree.unit("mixer.inner").name) == ("OpenedMixer", "Second")


def test_an_alternative_that_is_there_already_is_neither_checked_nor_judged() -> None:
    """The same unit in other words: formatting, comments and docstrings do not make another one."""
    retold = GOOD.replace('"""A running mean that forgets."""', "# Once more, in other words.")
    outcome, world = run(
        {"coder.retry": [code(retold), code(GOOD), code(renamed(GOOD, "Second"))]},
        request_of(agents=config(beam=2)),
    )
    assert outcome.status == "valid", outcome.why
    assert world.kinds("accept", "reject", "graft")[1:] == [
        "graft FadingMean", "accept FadingMean", "reject FadingMean", "reject FadingMean",
        "graft Second", "accept Second",
    ]  # fmt: skip
    assert world.checked == ["unit", "unit", "design"]
    assert world.model.calls.count("observer.judge") == 2
    assert checks_of(outcome) == ["ok", "novelty", "novelty", "ok", "ok"]
    assert "at fault" not in world.prompt("coder.retry", 0)  # the last try was accepted
    said = "the same unit as an alternative that was accepted here before"
    assert said in world.prompt("coder.retry", 1) and said in world.prompt("coder.retry", 2)
    refused = [moment for moment in tell(world.journal.events).moments if moment.kind == "reject"]
    assert [said in moment.details[0] for moment in refused] == [True, True]


def test_without_a_beam_the_same_answer_again_is_checked_again() -> None:
    """As in every session recorded before alternatives were compared."""
    outcome, world = run(
        {"coder.write": code(LEAK), "coder.retry": [code(LEAK), code()]}, request_of(agents=config())
    )
    assert outcome.status == "valid" and world.checked == ["unit", "unit", "unit", "design"]
    assert checks_of(outcome) == ["causality", "causality", "ok"]


def test_an_alternative_whose_name_is_taken_by_now_is_passed_over() -> None:
    leak, ffn = renamed(LEAK, "Leaking"), renamed(GOOD, "HalfOpenedMixer")
    outcome, world = run(
        {
            "planner.plan": [
                plan(""),
                plan("norm", reuse={"unit": "RMSNorm"}),
                plan("mixer"),
                plan("ffn"),
                plan("mixer.inner"),
                plan("mixer"),
                plan("mixer.inner"),
            ],
            "coder.write": [
                code(BLOCK),
                code(GATED),
                code(ffn.replace("sequence_mixer", "channel_mixer")),
                code(leak),
                code(GOOD),
            ],
            "coder.retry": [
                code(renamed(BLOCK, "AlsoTwoBranches").replace("return x + h", "return h + x")),
                code(GATED_ALSO),
                code(renamed(GOOD, "Other").replace("sequence_mixer", "channel_mixer")),
                code(leak),
                code(renamed(GATED, "ThirdMixer")),
                code(renamed(GATED, "FourthMixer")),
                code(renamed(GOOD, "Second")),
            ],
        },
        request_of("scratch", agents=config(unit_tries=2, failed_rounds=2, beam=2)),
    )
    assert outcome.status == "valid", outcome.why
    assert "step_back mixer.inner" in world.kinds("step_back")
    tree = outcome.unit_tree
    assert tree is not None and tree.unit("mixer").name == "ThirdMixer"


def test_of_alternatives_the_one_with_fewer_warnings_then_better_judged_then_cheaper() -> None:
    def made(warnings: int, rating: float, seconds: float) -> Alternative:
        found = (Finding(check="gradients", severity="warning"),) * warnings
        judged = Judgement.model_validate(judgement(rating))
        return Alternative(PARENT, None, judged, CheckReport(ok=True, findings=found, cpu_seconds=seconds))

    order = [made(0, 3, 9), made(1, 5, 2), made(1, 5, 3), made(1, 4, 1)]
    shuffled = [order[number] for number in (2, 0, 3, 1)]
    assert sorted(shuffled, key=lambda one: one.score, reverse=True) == order


def test_a_tree_that_exists_already_is_mended_once() -> None:
    first, _ = run()
    outcome, world = run(
        {"coder.retry": code(renamed(GOOD, "Other"))}, request_of(avoid=(first.structure_hash,))
    )
    assert outcome.status == "valid" and checks_of(outcome) == ["novelty", "ok"]
    assert "exists already" in world.prompt("coder.retry")
    outcome, _ = run({"coder.retry": code()}, request_of(avoid=(first.structure_hash,)))
    assert outcome.status == "abandoned" and "last check: novelty" in outcome.why


def test_reusing_what_stood_there_is_nothing_new() -> None:
    same = plan(reuse={"unit": "RotaryAttention", "parent": "", "path": ""})
    outcome, world = run({"planner.plan": [same, plan("mixer")]})
    assert outcome.status == "valid" and outcome.unit_tree is not None
    assert outcome.unit_tree.unit("mixer").name == "FadingMean"
    assert "exists already" in world.prompt("planner.plan", 1)


def test_what_only_the_last_check_finds_is_mended() -> None:
    def check(tree: UnitTree, what: str) -> CheckReport:
        if what == "design" and "FadingMean" in {unit.name for unit in tree.units.values()}:
            return CheckReport(ok=False, findings=(Finding(check="same_function", measured="as the parent"),))
        return rule_check(tree, what)

    world = World({"coder.retry": code(renamed(GOOD, "Other"))}, check=check)
    outcome = world.run(request_of())
    assert outcome.status == "valid" and checks_of(outcome) == ["same_function", "ok"]
    assert "as the parent" in world.prompt("coder.retry")
