"""The flows of a design session: what is asked when, what goes back, what ends it. Checks here are rules."""

import pytest
from agentic_makers import (
    BAD_SYNTAX,
    BLOCK,
    GATED,
    GATED_ALSO,
    GOOD,
    HIT,
    LEAK,
    SEEDS,
    WHOLE_BLOCK,
    WRONG_SHAPE,
    World,
    code,
    config,
    draft,
    judgement,
    note,
    plan,
    renamed,
    request_of,
    review,
    rule_check,
    run,
)

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.designers import DesignOutcome, Proposal
from model_discovery.designers.agentic.schemas import Judgement
from model_discovery.designers.agentic.story import tell
from model_discovery.designers.agentic.writing import Alternative
from model_discovery.designers.knowledge import FailedIdea, Idea, Knowledge, KnownDesign
from model_discovery.errors import UserError
from model_discovery.llm.types import BadReply, LimitReached

PARENT = SEEDS["transformer_pp"].tree
KEPT = {"norm": "mixer_norm", "mixer": "mixer", "ffn": "ffn"}


def checks_of(outcome: DesignOutcome) -> list[str]:
    """For each attempt its first finding, or ``ok``."""
    return [one.findings[0].check if one.findings else "ok" for one in outcome.attempts]


# -- the whole way


def test_a_mutation_from_proposal_to_tree() -> None:
    outcome, world = run()
    assert outcome.status == "valid" and outcome.unit_tree is not None and outcome.proposal is not None
    assert outcome.unit_tree.unit("mixer").name == "FadingMean"
    assert PARENT.diff(outcome.unit_tree).changed == ("mixer",)
    assert not PARENT.diff(outcome.unit_tree).new and not PARENT.diff(outcome.unit_tree).gone
    assert outcome.proposal.path == "mixer" and outcome.proposal.paths == ("mixer",)
    assert outcome.proposal.review["rating"] == 4.5 and outcome.proposal.prediction is not None
    assert outcome.sizes == {"0.1M": {"width": 64}} and checks_of(outcome) == ["ok"]
    assert world.model.calls == [
        "proposer.propose", "reviewer.review", "planner.plan", "coder.write", "observer.judge",
    ]  # fmt: skip
    assert outcome.spending is not None and outcome.spending.calls == 5 and outcome.spending.dollars == 1.25
    assert DesignOutcome.model_validate_json(outcome.model_dump_json()) == outcome
    assert {said["stage"] for said in world.said} == {"propose", "review", "plan", "code", "check", "judge"}


def test_parts_can_be_switched_off() -> None:
    off = config(planner=False, observer=False, checks=False)
    outcome, world = run({}, request_of(agents=off))
    assert outcome.status == "valid" and world.checked == ["design"]
    assert world.model.calls == ["proposer.propose", "reviewer.review", "coder.write"]


def test_a_crossover_opens_several_slots_of_the_first_parent_that_has_them() -> None:
    reuse = plan("ffn", reuse={"unit": "", "parent": "gpt2", "path": "ffn"})
    outcome, _ = run(
        {
            "proposer.propose": draft(paths=["mixer", "ffn"]),
            "planner.plan": [plan("mixer"), reuse],
        },
        request_of("crossover"),
    )
    assert outcome.status == "valid", outcome.why
    tree, base = outcome.unit_tree, SEEDS["retnet"].tree
    assert tree is not None and tree.subtree("ffn") == SEEDS["gpt2"].tree.subtree("ffn")
    assert set(base.diff(tree).changed) == {"mixer", "ffn"} and tree.unit("mixer").name == "FadingMean"


def test_scratch_grows_from_the_root_with_stand_ins_in_what_is_open() -> None:
    seen: list[UnitTree] = []

    def check(tree: UnitTree, what: str) -> CheckReport:
        seen.append(tree)
        return rule_check(tree, what)

    world = World(
        {
            "proposer.propose": draft(paths=[""]),
            "planner.plan": [
                plan(""),
                plan("mixer"),
                plan("norm", reuse={"unit": "RMSNorm", "parent": "", "path": ""}),
                plan("ffn", reuse={"unit": "GatedMLP", "parent": "", "path": ""}),
            ],
            "coder.write": [code(BLOCK), code(GOOD)],
        },
        check=check,
    )
    outcome = world.run(request_of("scratch"))
    assert outcome.status == "valid", outcome.why
    assert [sorted(unit.name for unit in tree.units.values()) for tree in seen[:2]] == [
        ["GatedMLP", "RMSNorm", "RotaryAttention", "TwoBranches"],
        ["FadingMean", "GatedMLP", "RMSNorm", "TwoBranches"],
    ]
    assert outcome.unit_tree is not None and not outcome.unit_tree.unfilled()
    assert outcome.unit_tree.paths() == ("norm", "mixer", "ffn")


def test_the_direct_flow_writes_one_file() -> None:
    slots = code(BLOCK)
    outcome, world = run(
        {"coder.block": slots, "coder.block_retry": [code(BAD_SYNTAX), code(GOOD), code(WHOLE_BLOCK)]},
        request_of(agents=config(flow="direct")),
    )
    assert outcome.status == "valid" and outcome.unit_tree is not None
    assert [unit.name for unit in outcome.unit_tree.units.values()] == ["ShiftBlock"]
    assert world.checked == ["design"] and "planner.plan" not in world.model.calls
    retry = world.prompt("coder.block_retry", 2)
    assert "has slots" in retry and "syntax error" in retry and "has to be a block" in retry


def test_the_direct_flow_gives_up() -> None:
    bad = config(flow="direct", unit_tries=2, failed_rounds=2)
    outcome, world = run({"coder.block": code(GOOD), "coder.block_retry": code(GOOD)}, request_of(agents=bad))
    assert outcome.status == "abandoned" and "4 tries" in outcome.why
    assert world.model.calls.count("coder.block") == 2 and world.model.calls.count("coder.block_retry") == 2


def test_the_direct_flow_without_checks_may_mend_once() -> None:
    blind = request_of(agents=config(flow="direct", checks=False))
    outcome, _ = run({"coder.block": code(GOOD), "coder.block_retry": code(WHOLE_BLOCK)}, blind)
    assert outcome.status == "valid"
    outcome, world = run({"coder.block": code(GOOD), "coder.block_retry": code(GOOD)}, blind)
    assert outcome.status == "abandoned" and "2 tries" in outcome.why and not world.checked


def test_a_mutation_of_the_root_writes_the_block_anew() -> None:
    """Its children may be taken over from the parent."""
    kept = [{"slot": slot, "reuse": {"parent": "retnet", "path": path}} for slot, path in KEPT.items()]
    outcome, _ = run(
        {"proposer.propose": draft(paths=[""]), "planner.plan": plan(""), "coder.write": code(BLOCK, *kept)},
        request_of("mutation", "retnet"),
    )
    assert outcome.status == "valid", outcome.why
    tree, parent = outcome.unit_tree, SEEDS["retnet"].tree
    assert tree is not None and tree.unit("").name == "TwoBranches"
    assert all(tree.subtree(slot) == parent.subtree(path) for slot, path in KEPT.items())


# -- proposals


def test_search_comes_first_and_its_results_are_dropped_for_notes() -> None:
    notes = [note(note="first"), note(note="second"), note(note="third", enough=True)]
    outcome, world = run({"proposer.search": notes}, request_of(agents=config(search=True)))
    assert outcome.status == "valid" and len(world.searched) == 2
    assert world.model.calls[:4] == ["proposer.search"] * 3 + ["proposer.propose"]
    asked = world.prompt("proposer.propose")
    assert all(word in asked for word in ("first", "second", "third")) and HIT.passage not in asked
    assert HIT.passage in world.prompt("proposer.search", 2)


@pytest.mark.parametrize(("rounds", "searches"), [(0, 0), (1, 1), (2, 2), (5, 2)])
def test_at_least_two_rounds_at_most_as_told(rounds: int, searches: int) -> None:
    eager = {"proposer.search": note(enough=True)}
    _, world = run(eager, request_of(agents=config(search=True, search_rounds=rounds)))
    assert world.model.calls.count("proposer.search") == len(world.searched) == searches
    assert world.model.calls.count("reviewer.search") == min(rounds, 1)


def test_a_rejected_proposal_goes_back_with_its_review_and_everything_else() -> None:
    outcome, world = run(
        {
            "reviewer.review": [review(2, "it has been done"), review(4)],
            "proposer.refine": [BadReply("malformed", "half a draft"), draft("A mean that fades by content")],
        }
    )
    assert outcome.status == "valid" and outcome.proposal is not None
    assert outcome.proposal.title == "A mean that fades by content"
    first, refined = world.prompt("proposer.propose"), world.prompt("proposer.refine", 1)
    assert "it has been done" in refined and "half a draft" in refined
    for source in PARENT.units.values():  # a refining call that lost its parents is a bug
        assert source.source.strip().splitlines()[-1] in first
        assert source.source.strip().splitlines()[-1] in refined


def test_drafts_with_mistakes_never_reach_the_reviewer() -> None:
    outcome, world = run(
        {
            "proposer.propose": draft(paths=["mixr"]),
            "proposer.refine": [
                draft(paths=["mixer", "ffn"]),
                draft(paths=[]),
                draft(references=["2401.99999"]),
                draft(),
            ],
        }
    )
    assert outcome.status == "valid" and world.model.calls.count("reviewer.review") == 1
    asked = [world.prompt("proposer.refine", number) for number in range(4)]
    assert "has no slot 'mixr'" in asked[0]
    assert "exactly one slot path" in asked[1] and "no slot path is named" in asked[2]
    assert "2401.99999" in asked[3]


def test_references_are_kept_by_one_id_however_they_are_written() -> None:
    written = ["attention", "arXiv:1706.03762v5", "1706.03762", "2002.05202"]
    outcome, _ = run({"proposer.propose": draft(references=written)}, request_of(agents=config(search=True)))
    assert outcome.proposal is not None and outcome.proposal.papers == ("1706.03762", "2002.05202")


def test_a_duplicate_goes_back_with_its_twin_named() -> None:
    known = Knowledge(
        failed=(FailedIdea(title=draft()["title"], abstract=draft()["abstract"], reason="no gain"),)
    )
    outcome, world = run(
        {
            "proposer.refine": draft(
                "Rotations of the keys by learnt angles", abstract="Angles turn keys, slowly."
            )
        },
        request_of(knowledge=known),
    )
    assert outcome.status == "valid" and world.model.calls.count("reviewer.review") == 1
    assert world.kinds("duplicate") == ["duplicate A mean that fades"]
    assert "no gain" in world.prompt("proposer.refine")


def test_a_proposal_that_never_passes() -> None:
    stubborn = {
        "reviewer.review": review(3.9, "too small a step"),
        "proposer.refine": [
            draft(f"Idea number {n} about {word}") for n, word in enumerate(("time", "width"))
        ],
    }
    outcome, _ = run(stubborn, request_of(agents=config(proposal_attempts=3)))
    assert outcome.status == "abandoned" and outcome.proposal is None
    assert "rated 3.9 of 5" in outcome.why and "too small a step" in outcome.why
    assert [one.title for one in outcome.rejected] == ["Idea number 1 about width"]


def test_an_unchanged_draft_is_a_duplicate_of_itself() -> None:
    outcome, world = run(
        {"reviewer.review": review(1), "proposer.refine": draft()},
        request_of(agents=config(proposal_attempts=3)),
    )
    assert outcome.status == "abandoned" and world.model.calls.count("reviewer.review") == 1
    assert len(world.kinds("duplicate")) == 2


def test_a_small_correction_of_a_rejected_draft_is_no_duplicate() -> None:
    better = draft(changes=["The mixer becomes a mean that fades, with a gate."], equations="y_t = g_t m_t")
    outcome, world = run({"reviewer.review": [review(3), review(4)], "proposer.refine": better})
    assert outcome.status == "valid" and not world.kinds("duplicate")


def test_several_proposals_and_the_best_is_built() -> None:
    titles = ["A mean that fades", "Keys turned by learnt angles", "Experts chosen by a hash"]
    outcome, world = run(
        {
            "proposer.propose": [
                draft(title, abstract=f"About {title.lower()}, at length.") for title in titles
            ],
            "reviewer.review": [review(4), review(4.8), review(4.8)],
        },
        request_of(agents=config(n_proposals=3)),
    )
    assert outcome.status == "valid" and outcome.proposal is not None
    assert outcome.proposal.title == titles[1]
    assert titles[0] not in world.prompt("proposer.propose", 0)
    assert titles[0] in world.prompt("proposer.propose", 1)
    assert all(title in world.prompt("proposer.propose", 2) for title in titles[:2])


def test_a_chain_may_not_repeat_an_earlier_one() -> None:
    outcome, world = run(
        {"proposer.refine": draft()}, request_of(agents=config(n_proposals=2, proposal_attempts=2))
    )
    assert outcome.status == "valid" and len(world.kinds("duplicate")) == 2 and len(outcome.rejected) == 1


def test_the_next_best_is_built_when_the_best_cannot_be() -> None:
    titles = ["A mean that fades", "Keys turned by learnt angles"]
    outcome, _ = run(
        {
            "proposer.propose": [
                draft(title, abstract=f"About {title.lower()}, at length.") for title in titles
            ],
            "reviewer.review": [review(5), review(4)],
            "coder.write": [code(LEAK), code(GOOD)],
        },
        request_of(agents=config(n_proposals=2, n_implement=2, unit_tries=1, failed_rounds=1)),
    )
    assert outcome.status == "valid" and outcome.proposal is not None and outcome.proposal.title == titles[1]
    assert checks_of(outcome) == ["causality", "ok"]


def test_an_unfinished_proposal_is_taken_up() -> None:
    first, _ = run(
        {"coder.write": code(LEAK), "coder.retry": code(LEAK)}, request_of(agents=config(unit_tries=2))
    )
    assert first.status == "abandoned" and first.proposal is not None and "was not implemented" in first.why
    outcome, world = run({}, request_of(unfinished=first.proposal))
    assert outcome.status == "valid" and outcome.proposal == first.proposal
    assert world.model.calls == ["planner.plan", "coder.write", "observer.judge"]


def test_an_unfinished_proposal_of_another_parent_cannot_be_placed() -> None:
    said = "It changes what is not there."
    lost = Proposal(title="A lost one", summary=said, operator="mutation", path="mixr", changes=("all",))
    outcome, world = run({}, request_of(unfinished=lost))
    assert outcome.status == "abandoned" and "cannot be placed" in outcome.why and not world.model.calls


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


# -- limits


@pytest.mark.parametrize("at", ["proposer.propose", "reviewer.review", "coder.write", "observer.judge"])
def test_a_limit_ends_the_session_and_keeps_what_was_argued(at: str) -> None:
    spent = LimitReached("the campaign may spend 1 dollar", scope="campaign", what="dollars")
    outcome, world = run({at: spent})
    assert outcome.status == "abandoned" and outcome.limit == "campaign dollars"
    assert outcome.why == "the campaign may spend 1 dollar"
    assert (outcome.proposal is not None) == (at in ("coder.write", "observer.judge"))
    assert [event.kind for event in world.journal.events[-2:]] == ["limit", "end"]


def test_too_few_parents() -> None:
    with pytest.raises(UserError, match="A crossover needs 2 parents, 1 given"):
        run({}, request_of("crossover", "retnet"))


def test_what_the_campaign_knows_is_part_of_the_gate() -> None:
    title = draft()["title"]
    knowledge = Knowledge(
        designs=(KnownDesign(name="a_1", relation="sibling", origin="agentic", parents=("transformer_pp",),
                             title=title, summary="said otherwise"),),
        ideas=(Idea(design="b", claim="other", prediction="lower", verdict="open"),),
    )  # fmt: skip
    other = draft("Keys turned by learnt angles", abstract="Angles turn keys, slowly.")
    outcome, world = run({"proposer.refine": other}, request_of(knowledge=knowledge))
    assert outcome.status == "valid" and world.kinds("duplicate") == [f"duplicate {title}"]


def test_a_reviewer_is_shown_only_earlier_proposals_that_resemble_this_one() -> None:
    far = KnownDesign(name="far", relation="baseline", origin="seed", title="Unlike", summary="Quite alien.")
    near = KnownDesign(
        name="near", relation="sibling", origin="agentic", title="Related",
        summary=f"{draft()['abstract']} Yet the sum is kept in a second place by other keys and queries.",
    )  # fmt: skip
    for designs, shown in (((far,), False), ((far, near), True)):
        _, world = run({}, request_of(knowledge=Knowledge(designs=designs)))
        prompt = world.prompt("reviewer.review")
        assert ("nearest earlier proposals" in prompt) is shown and ("- Related (" in prompt) is shown
        assert "- Unlike (" not in prompt
