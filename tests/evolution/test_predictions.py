"""Predictions against measurements."""

from typing import Any

import pytest
from evolution_makers import small_config, state_with
from hypothesis import given
from hypothesis import strategies as st

from model_discovery.designers.knowledge import Prediction
from model_discovery.evolution import Scoreboard, judge, make_leaderboard
from model_discovery.evolution.predictions import verdict_of
from model_discovery.evolution.state import CampaignState, Estimate, Run

numbers = st.floats(-1, 1)
amounts = st.floats(0, 0.5)
errors = st.floats(1e-4, 0.3)
directions = st.sampled_from(["lower", "higher"])


def predicted(direction: Any = "lower", amount: float = 0.0, **more: Any) -> Prediction:
    return Prediction(direction=direction, amount=amount, **more)


@given(numbers, errors, amounts)
def test_the_two_directions_mirror_each_other(value: float, error: float, amount: float) -> None:
    lower = verdict_of(predicted("lower", amount), Estimate(value, error))
    assert lower == verdict_of(predicted("higher", amount), Estimate(-value, error))


@given(numbers, errors, amounts, directions)
def test_right_excludes_the_opposite_and_wrong_the_same(
    value: float, error: float, amount: float, direction: str
) -> None:
    difference = Estimate(value, error)
    verdict = verdict_of(predicted(direction, amount), difference)
    opposite = verdict_of(predicted("higher" if direction == "lower" else "lower", amount), difference)
    assert verdict != "right" or opposite == "wrong"
    assert not (verdict == opposite == "right")


@given(numbers, errors, amounts, st.floats(1, 10), directions)
def test_more_noise_never_settles_and_less_never_reverses(
    value: float, error: float, amount: float, factor: float, direction: str
) -> None:
    sure = verdict_of(predicted(direction, amount), Estimate(value, error))
    unsure = verdict_of(predicted(direction, amount), Estimate(value, error * factor))
    assert unsure in (sure, "open")


@given(numbers, errors, amounts, st.floats(0, 0.5), directions)
def test_asking_for_more_is_never_easier(
    value: float, error: float, amount: float, extra: float, direction: str
) -> None:
    order = ["wrong", "open", "right"]
    less = verdict_of(predicted(direction, amount), Estimate(value, error))
    more = verdict_of(predicted(direction, amount + extra), Estimate(value, error))
    assert order.index(more) <= order.index(less)


@pytest.mark.parametrize(
    ("value", "amount", "verdict"),
    [
        (-0.050, 0.00, "right"),
        (-0.050, 0.02, "right"),
        (-0.050, 0.04, "open"),  # lower for sure, by so much perhaps
        (-0.050, 0.08, "wrong"),
        (-0.010, 0.00, "open"),
        (0.000, 0.00, "open"),
        (0.050, 0.00, "wrong"),
        (0.000, 0.05, "wrong"),  # no difference, well measured, where one was predicted
    ],
)
def test_by_hand(value: float, amount: float, verdict: str) -> None:
    assert verdict_of(predicted(amount=amount), Estimate(value, 0.01)) == verdict


# -- in a campaign


def test_a_noise_that_is_only_believed_settles_less() -> None:
    """The same difference is right once seeds have shown the noise, and open before."""
    losses: dict[str, list[list[float | None]]] = {"a": [[3.100]], "b": [[3.2]], "child": [[3.085]]}
    verdicts = []
    for twice in ("c", "d", "e", "f", "g", "h"):
        state = state_with(small_config(budget={"runs": {"0.1M": 40}}), losses)
        design = state.designs[state.index["child"]]
        design.parents, design.prediction = (0,), predicted()
        found = judge(Scoreboard(state), state.index["child"])
        assert found is not None
        verdicts.append(found.verdict)
        losses = losses | {twice: [[3.3, 3.3055]]}
    assert verdicts[0] == "open" and verdicts[-1] == "right"


LOSSES: dict[str, list[list[float | None]]] = {
    "a": [[3.00, 3.00], [2.70, 2.70]], "b": [[3.05], []], "c": [[3.10]], "d": [[3.20]],
    "child": [[3.03], [2.60]], "broken": [[None]], "fresh": [[]],
}  # fmt: skip


def campaign(**predictions: Prediction) -> CampaignState:
    """Children of ``b`` and ``c`` with predictions, under names of `LOSSES`."""
    state = state_with(small_config(), LOSSES)
    for name, prediction in predictions.items():
        design = state.designs[state.index[name]]
        design.parents, design.prediction = (2, 1), prediction
    return state


def judged(name: str, prediction: Prediction) -> tuple[str, str]:
    state = campaign(**{name: prediction})
    found = judge(Scoreboard(state), state.index[name])
    assert found is not None
    return found.verdict, found.evidence


def test_of_several_parents_the_best_counts() -> None:
    verdict, evidence = judged("child", predicted())
    assert verdict == "right" and evidence.startswith("loss lower than b's by 0.0200 ± ")
    assert evidence.endswith("at 0.1M, 1 against 1 seed")


def test_the_best_baseline_is_the_one_of_that_scale() -> None:
    verdict, evidence = judged("child", predicted(against="best_baseline", amount=0.01))
    assert verdict == "wrong" and evidence.startswith("loss higher than a's by 0.0300")
    verdict, evidence = judged("child", predicted(against="best_baseline", scale="0.4M"))
    assert verdict == "right" and "0.4M, 1 against 2 seeds" in evidence


@pytest.mark.parametrize(
    ("name", "prediction", "words"),
    [
        ("child", predicted(scale="0.4M"), "not measured on both sides at 0.4M yet"),
        ("child", predicted(scale="14M"), "nothing is run at '14M'"),
        ("child", predicted(metric="mqar"), "nothing here measures 'mqar'"),
        ("child", predicted("higher", metric="minimal-pairs"), "not measured on both sides yet"),
        ("fresh", predicted(), "not measured on both sides yet"),
        ("broken", predicted(), "diverged at 0.1M: loss is NaN"),
    ],
)
def test_what_was_not_measured_stays_open(name: str, prediction: Prediction, words: str) -> None:
    state = campaign(**{name: prediction})
    runs = state.designs[state.index["broken"]].runs
    runs[:] = [Run(0, 0, "diverged", error="loss is NaN")]
    found = judge(Scoreboard(state), state.index[name])
    assert found is not None and (found.verdict, found.evidence) == ("open", words)


def test_a_suite_is_judged_by_its_own_noise() -> None:
    state = campaign(child=predicted("higher", metric="minimal-pairs", amount=0.05))
    for name, score in (("b", 0.6), ("child", 0.75)):
        design = state.designs[state.index[name]]
        scores = {"minimal-pairs": Estimate(score, 0.01)}
        design.runs[:] = [Run(0, 0, "ok", Estimate(3.0, 0.01), scores=scores)]
    found = judge(Scoreboard(state), state.index["child"])
    assert found is not None and found.verdict == "right"
    assert found.evidence.startswith("minimal-pairs higher than b's by 0.1500 ± 0.02")


def test_without_a_parent_the_baseline_is_what_it_is_compared_with() -> None:
    state = campaign(child=predicted("higher"))
    state.designs[state.index["child"]].parents = ()
    found = judge(Scoreboard(state), state.index["child"])
    assert found is not None and found.verdict == "right" and "than a's" in found.evidence


def test_the_leaderboard_shows_verdicts_of_those_that_predicted() -> None:
    rows = {row.design: row for row in make_leaderboard(campaign(child=predicted())).rows}
    assert rows["child"].verdict == "right" and rows["a"].verdict is None
    assert judge(Scoreboard(campaign()), 0) is None


def test_words() -> None:
    assert predicted(amount=0.01, scale="0.1M").in_words() == (
        "loss lower than its parent by at least 0.01 nats at 0.1M"
    )
    assert predicted("higher", metric="blimp", against="best_baseline").in_words() == (
        "blimp higher than the best baseline"
    )
