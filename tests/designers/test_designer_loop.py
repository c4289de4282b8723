"""Requests, outcomes, ask and tell; judged here by a check of rules, in test_design_work by the real one."""

import json
from pathlib import Path

import pytest

from model_discovery.blocks.seed_designs import seed_designs, seed_units
from model_discovery.blocks.unit_source import parse_unit
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.designers import (
    DesignLimits,
    DesignOutcome,
    DesignRequest,
    ExternalDesigner,
    NothingNew,
    ParentDesign,
    Proposal,
    make_design,
    read_request,
)
from model_discovery.designers.growth import leaf
from model_discovery.designers.work import get_designer
from model_discovery.errors import UserError

SEEDS = seed_designs()
REQUEST = DesignRequest(
    operator="mutation",
    parents=(ParentDesign(name="transformer_pp", unit_tree=SEEDS["transformer_pp"].tree),),
    limits=DesignLimits(max_attempts=3),
)


def refuse_gpt2(tree: UnitTree, request: DesignRequest, number: int) -> CheckReport:
    """A check with one rule, by which the seed design ``gpt2`` fails."""
    if tree.structure_hash == SEEDS["gpt2"].tree.structure_hash:
        return CheckReport(ok=False, findings=(Finding(check="rule", measured="is gpt2"),))
    return CheckReport(ok=True, sizes={"0.1M": {"width": 64}})


def in_order(*names: str):
    """A designer that proposes seed designs one after the other."""

    def propose(request: DesignRequest, number: int):
        if number >= len(names):
            raise NothingNew("no more")
        tree = SEEDS[names[number]].tree
        assert not set(request.avoid) & {tree.structure_hash}
        return tree, Proposal(title=names[number], summary="", operator=request.operator)

    return propose


def test_json_round_trip() -> None:
    assert read_request(json.loads(REQUEST.model_dump_json())) == REQUEST
    outcome = make_design(REQUEST, in_order("retnet"), refuse_gpt2)
    assert DesignOutcome.model_validate(json.loads(outcome.model_dump_json())) == outcome


def test_failed_attempts_are_kept_and_avoided() -> None:
    progress: list[dict] = []
    outcome = make_design(
        REQUEST, in_order("gpt2", "retnet"), refuse_gpt2, lambda **said: progress.append(said)
    )
    assert outcome.status == "valid" and outcome.structure_hash == SEEDS["retnet"].tree.structure_hash
    assert [attempt.ok for attempt in outcome.attempts] == [False, True]
    assert outcome.attempts[0].findings[0].measured == "is gpt2"
    assert outcome.sizes == {"0.1M": {"width": 64}}
    assert progress == [{"attempt": 1, "of": 3}, {"attempt": 2, "of": 3}]


def test_giving_up_is_an_outcome() -> None:
    outcome = make_design(REQUEST, in_order("gpt2"), refuse_gpt2)
    assert outcome.status == "abandoned" and outcome.unit_tree is None
    assert [attempt.findings[0].check for attempt in outcome.attempts] == ["rule", "novelty"]


def test_bad_requests_are_named() -> None:
    data = REQUEST.model_dump(mode="json")
    with pytest.raises(UserError, match=r"'parent'.*Did you mean 'parents'"):
        read_request({**data, "parent": []})
    with pytest.raises(UserError, match="'operator'"):
        read_request({**data, "operator": "magic"})
    data["parents"][0]["unit_tree"]["root"]["slots"]["mixer"]["config"] = {"head_dim": 1}
    with pytest.raises(UserError, match=r"'mixer.head_dim' of RotaryAttention = 1 is outside its range"):
        read_request(data)


def test_designers_by_name() -> None:
    assert get_designer("genetic")
    with pytest.raises(UserError, match="Did you mean 'genetic'"):
        get_designer("genetics")
    with pytest.raises(UserError, match="does not work on its own"):
        get_designer("external")


# -- ask and tell


def designer(folder: Path | None = None) -> ExternalDesigner:
    return ExternalDesigner(lambda number: REQUEST.model_copy(update={"seed": number}), refuse_gpt2, folder)


def test_ask_and_tell_a_tree() -> None:
    outside = designer()
    first, second = outside.ask(), outside.ask()
    assert first["id"].startswith("0000-") and second["request"]["seed"] == 1
    assert json.loads(json.dumps(first)) == first
    outcome = outside.tell(second["id"], SEEDS["retnet"].tree.to_json())
    assert outcome.status == "valid" and outcome.proposal is not None
    assert outcome.proposal.path == "mixer"
    assert "2307.08621" in outcome.proposal.papers
    with pytest.raises(UserError, match="Unknown open request"):
        outside.tell(second["id"], SEEDS["retnet"].tree.to_json())


def test_tell_an_outcome() -> None:
    outside = designer()
    made = make_design(REQUEST, in_order("retnet"), refuse_gpt2)
    outcome = outside.tell(outside.ask()["id"], made.model_dump(mode="json"))
    assert outcome.proposal is not None and outcome.proposal.title == "retnet"


def test_tell_a_block_written_by_hand_with_a_new_unit() -> None:
    source = seed_units()["RMSNorm"].source.replace("RMSNorm", "MyNorm")
    answer = {
        "title": "my norm",
        "units": [source],
        "block": {
            "unit": "MixerBlock",
            "slots": {"norm": {"unit": "MyNorm"}, "mixer": {"unit": "Retention", "config": {"head_dim": 16}}},
        },
    }
    outside = designer()
    outcome = outside.tell(outside.ask()["id"], answer)
    assert outcome.status == "valid" and outcome.unit_tree is not None
    assert {unit.origin for unit in outcome.unit_tree.units.values()} == {"seed", "external"}


def test_two_units_of_one_name_with_other_sources_are_no_answer() -> None:
    source = seed_units()["Retention"].source
    other = source.replace("ge=8, le=256", "ge=4, le=256")
    designer = ExternalDesigner(lambda number: REQUEST, refuse_gpt2)
    block = {"unit": "PreNormBlock", "slots": {"mixer": {"unit": "Retention"}}}
    with pytest.raises(UserError, match="two units named 'Retention' with other sources"):
        designer.tell(designer.ask()["id"], {"block": block, "units": [source, other]})


def test_a_new_unit_under_a_human_ones_name_is_no_answer() -> None:
    outside = designer()
    name = outside.ask()["id"]
    edited = seed_units()["Retention"].source.replace("ge=8, le=256", "ge=4, le=256")
    tree = SEEDS["gpt2"].tree.graft("mixer", None).graft("mixer", leaf(parse_unit(edited)))
    with pytest.raises(UserError, match="The class name Retention belongs to another unit"):
        outside.tell(name, tree.to_json())
    assert outside.tell(name, SEEDS["retnet"].tree.to_json()).status == "valid"  # it cost no attempt


def test_answers_may_be_tried_again_until_attempts_are_used_up() -> None:
    outside = designer()
    name = outside.ask()["id"]
    outcomes = [
        outside.tell(name, answer)
        for answer in (
            SEEDS["gpt2"].tree.to_json(),
            SEEDS["transformer_pp"].tree.to_json(),
            SEEDS["retnet"].tree.graft("mixer", None).to_json(),
        )
    ]
    assert [outcome.attempts[-1].findings[0].check for outcome in outcomes] == ["rule", "novelty", "unfilled"]
    with pytest.raises(UserError, match="Unknown open request"):
        outside.tell(name, SEEDS["retnet"].tree.to_json())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "needs either 'unit_tree' or 'block'"),
        ({"titel": "x"}, "Did you mean 'title'"),
        ([1], "Not a design answer"),
        ({"block": {"unit": "PreNormBlok"}}, "Did you mean 'PreNormBlock'"),
        ({"block": {"unit": "PreNormBlock"}, "units": ["import os"]}, "no class inherits from GAU"),
    ],
)
def test_answers_that_are_no_design_cost_no_attempt(answer, message: str) -> None:
    outside = designer()
    name = outside.ask()["id"]
    for _ in range(5):
        with pytest.raises(UserError, match=message):
            outside.tell(name, answer)
    assert outside.tell(name, SEEDS["retnet"].tree.to_json()).status == "valid"


def test_files(tmp_path: Path) -> None:
    outside = designer(tmp_path / "exchange")
    name = outside.ask()["id"]
    asked = json.loads((tmp_path / "exchange" / f"{name}.request.json").read_text())
    assert read_request(asked["request"]) == REQUEST
    with pytest.raises(UserError, match="cannot be read"):
        outside.tell_file(name)
    answer = tmp_path / "exchange" / f"{name}.answer.json"
    answer.write_text(json.dumps(SEEDS["retnet"].tree.to_json()))
    assert outside.tell_file(name).status == "valid"
    outcome = json.loads((tmp_path / "exchange" / f"{name}.outcome.json").read_text())
    assert outcome["status"] == "valid"
