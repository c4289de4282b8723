"""The flows of a design session: what is asked when, proposals, limits. Checks here are rules."""

import pytest
from agentic_makers import (
    BAD_SYNTAX,
    BLOCK,
    GOOD,
    HIT,
    LEAK,
    SEEDS,
    WHOLE_BLOCK,
    World,
    checks_of,
    code,
    config,
    draft,
    note,
    plan,
    request_of,
    review,
    rule_check,
    run,
)

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import CheckReport
from model_discovery.designers import DesignOutcome, Proposal
from model_discovery.designers.knowledge import FailedIdea, Idea, Knowledge, KnownDesign
from model_discovery.errors import UserError
from model_discovery.llm.types import BadReply, LimitReached

PARENT = SEEDS["transformer_pp"].tree
KEPT = {"norm": "mixer_norm", "mixer": "mixer", "ffn": "ffn"}


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
