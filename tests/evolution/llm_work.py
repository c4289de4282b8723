"""A designer that argues, in the simulated world: a pure function of its request, as the real one is."""

from typing import Any

from model_discovery.designers.knowledge import FailedIdea, Prediction
from model_discovery.designers.requests import DesignOutcome, DesignRequest, Proposal, Spending
from model_discovery.evolution import simulator

SPENT = Spending(calls=7, input_tokens=1000, output_tokens=200, dollars=0.25)


def run_design(request: dict[str, Any], context: object) -> dict[str, Any]:
    """Every fifth session rejects its idea, every fourth of the others cannot implement it."""
    asked = DesignRequest.model_validate(request)
    if asked.designer != "agentic":
        assert asked.knowledge.designs == () and asked.agents is None and asked.unfinished is None
        return simulator.run_design(request, context)
    assert asked.agents is not None and asked.knowledge.designs
    if asked.seed % 5 == 0 and asked.unfinished is None:
        idea = FailedIdea(title=f"rejected {asked.seed}", abstract="words", reason="not novel")
        return _outcome(status="abandoned", why="the reviewer passed none of 3 drafts", rejected=(idea,))
    proposal = asked.unfinished or Proposal(
        title=f"idea {asked.seed}", summary="more words", operator=asked.operator,
        expected_effect="less loss", prediction=Prediction(amount=0.002, because="it must"),
    )  # fmt: skip
    made = simulator.run_design(request, context)
    if asked.seed % 4 == 0 or made["status"] != "valid":
        return _outcome(status="abandoned", proposal=proposal, why="no unit passed its checks")
    return _outcome(**{**made, "proposal": proposal})


def run_hopeless(request: dict[str, Any], context: object) -> dict[str, Any]:
    """No session implements anything."""
    asked = DesignRequest.model_validate(request)
    proposal = asked.unfinished or Proposal(title=f"{asked.seed}", summary="", operator=asked.operator)
    return _outcome(status="abandoned", proposal=proposal, why="no unit passed its checks")


def run_until_money_is_gone(request: dict[str, Any], context: object) -> dict[str, Any]:
    """The campaign's dollars are gone once it knows three ideas."""
    asked = DesignRequest.model_validate(request)
    if asked.designer == "agentic" and len(asked.knowledge.ideas) >= 3:
        return _outcome(status="abandoned", limit="campaign dollars", why="the limit of 1 dollar is reached")
    return run_design(request, context)


def _outcome(**values: Any) -> dict[str, Any]:
    return DesignOutcome(**{**values, "spending": SPENT}).model_dump(mode="json")


def run_repeating(request: dict[str, Any], context: object) -> dict[str, Any]:
    """Every agentic session implements the same structure."""
    asked = DesignRequest.model_validate(request)
    same = {**request, "seed": 5, "parents": [], "operator": "scratch", "avoid": []}
    made = simulator.run_design(same, context)
    proposal = Proposal(title=f"idea {asked.seed}", summary="words", operator=asked.operator)
    return _outcome(**{**made, "proposal": proposal})
