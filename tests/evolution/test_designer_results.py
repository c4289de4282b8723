"""Designers compared: shares with intervals, gains with errors."""

import numpy as np
import pytest
from evolution_makers import small_config, state_with
from hypothesis import given
from hypothesis import strategies as st

from model_discovery.designers.requests import Spending
from model_discovery.evolution import by_designer
from model_discovery.evolution.sessions import Session
from model_discovery.evolution.significance import share_interval
from model_discovery.evolution.state import CampaignState, Design

MIX = {"agentic": 1.0, "genetic": 1.0}
LOSSES: dict[str, list[list[float | None]]] = {
    "a": [[3.00, 3.00]], "b": [[3.10]], "c": [[3.20]], "d": [[3.30]],
    "x": [[2.95]], "y": [[2.97]], "z": [[3.05]], "broken": [[None]],
}  # fmt: skip


def campaign(**origins: str) -> CampaignState:
    """Children of ``a`` and ``b``, by whom these origins say; ``genetic`` made the others."""
    state = state_with(small_config(designers=MIX), LOSSES)
    for design in state.designs[4:]:
        design.parents, design.origin = (1, 0), origins.get(design.name, "genetic")
    return state


def settle(state: CampaignState, designer: str, **facts: object) -> None:
    state.reserve_design("mutation", designer, (0,))
    session = Session.model_validate({"designer": designer, **facts})
    state.settle_design(session, job=state.applied, operator="mutation", parents=(0,))


@given(st.integers(0, 40), st.integers(0, 40))
def test_an_interval_holds_its_share_and_narrows(successes: int, failures: int) -> None:
    tries = successes + failures
    low, high = share_interval(successes, tries)
    assert 0 <= low <= high <= 1
    if tries:
        assert low <= successes / tries + 1e-12 and successes / tries <= high + 1e-12
        wide_low, wide_high = low, high
        low, high = share_interval(4 * successes, 4 * tries)
        assert high - low < wide_high - wide_low


def test_gains_are_over_the_best_parent_with_the_spread_of_the_designs() -> None:
    agentic, genetic = by_designer(campaign(x="agentic", y="agentic"))
    assert agentic.over_parent is not None and agentic.over_parent_of == 2
    assert agentic.over_parent.value == pytest.approx(0.04)
    assert agentic.over_parent.stderr == pytest.approx(0.01, rel=0.01)
    assert agentic.best is not None and agentic.best.design == "x" and agentic.best.rank == 1
    assert (genetic.designs, genetic.verified, genetic.over_parent_of) == (2, 1, 1)
    assert genetic.over_parent is None, "one design has no spread"


def test_designs_that_agree_by_chance_are_not_surer_than_the_seeds() -> None:
    state = campaign(x="agentic", y="agentic")
    for name in ("x", "y"):
        index = state.index[name]
        state.evidence.mean[index, 0] = 2.96
    agentic, _ = by_designer(state)
    assert agentic.over_parent is not None and agentic.over_parent.stderr > 0.001


def test_the_luck_of_a_shared_parent_does_not_average_out() -> None:
    """Worlds in which a designer changes nothing: its mean gain is as uncertain as is said."""
    rng, noise = np.random.default_rng(0), 0.02
    scores = []
    for _ in range(60):
        names = [*"abcd", *(f"child_{number}" for number in range(12))]
        losses: dict[str, list[list[float | None]]] = {
            name: [[3 + noise * float(rng.normal()) for _ in range(2 if name in "bcd" else 1)]]
            for name in names
        }
        state = state_with(small_config(designers=MIX, budget={"runs": {"0.1M": 40}}), losses)
        for design in state.designs[4:]:
            design.parents, design.origin = (0,), "agentic"
        found = by_designer(state)[0].over_parent
        assert found is not None
        scores.append(found.value / found.stderr)
    assert 0.5 < float(np.std(scores)) < 1.5 and abs(float(np.mean(scores))) < 0.5


def test_sessions_are_added_up() -> None:
    state = campaign(x="agentic")
    spent = Spending(calls=3, input_tokens=100, output_tokens=10, dollars=0.5)
    settle(state, "agentic", fruitful=True, attempts=2, spending=spent)
    unpriced = Spending(calls=3, input_tokens=100, output_tokens=10)
    settle(state, "agentic", fruitful=False, attempts=5, spending=unpriced)
    settle(state, "agentic", fruitful=False, limit="campaign dollars")
    agentic, genetic = by_designer(state)
    assert (agentic.sessions, agentic.attempts, agentic.spending.calls) == (3, 7, 6)
    assert (agentic.spending.tokens, agentic.spending.dollars) == (220, 0.5)
    assert agentic.spending.unpriced_tokens == 110
    assert agentic.valid == 0.5, "a session that the campaign's limit cut short is left out"
    assert genetic.valid is None and genetic.spending == Spending()


def test_people_who_added_designs_have_a_row() -> None:
    results = by_designer(campaign(z="external"))
    assert [one.designer for one in results] == ["agentic", "genetic", "external"]
    assert results[2].designs == 1 and results[2].valid is None and results[2].sessions == 0


def test_nothing_yet() -> None:
    fresh = CampaignState(small_config())
    fresh.add_design(Design(1, "a", "seed", None, "hash", (), "family"))
    (genetic,) = by_designer(fresh)
    assert (genetic.sessions, genetic.designs, genetic.best, genetic.valid) == (0, 0, None, None)
