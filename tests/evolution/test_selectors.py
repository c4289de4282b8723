"""Selectors: pure, defined for anything, and each with its own character."""

from typing import Any

import numpy as np
import pytest
from evolution_makers import small_config, state_with
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.errors import UserError
from model_discovery.evolution.selectors import Runs, get_selector, selector_names
from model_discovery.evolution.selectors.base import RECORDED, best_of, normal_cdf, top
from model_discovery.evolution.selectors.posterior import improvements
from model_discovery.evolution.state import CampaignState

names = pytest.mark.parametrize("name", selector_names())
one_run = st.one_of(st.none(), st.floats(2.5, 3.5), st.just(3.0))
histories = st.lists(st.tuples(one_run, st.one_of(st.just("no"), one_run)), max_size=9)


def state_of(history: list[tuple[Any, Any]]) -> CampaignState:
    """Designs with at most one run at each of two scales; None is a failed run."""
    losses = {
        f"d{n}": [[low], [] if high == "no" or low is None else [high]]
        for n, (low, high) in enumerate(history)
    }
    return state_with(
        small_config(budget={"runs": {"0.1M": 50, "0.4M": 50}}), losses, human=min(4, len(losses))
    )


def everything(state: CampaignState) -> Runs:
    designs, scales = len(state.designs), len(state.scales)
    return Runs(np.repeat(np.arange(designs), scales), np.tile(np.arange(scales), designs))


def test_unknown_selector_names_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'posterior'"):
        get_selector("posteriour")
    assert set(selector_names()) == {"random", "greedy", "quadrant", "posterior"}


@names
@given(history=histories, k=st.integers(1, 2), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_parents_are_defined_for_anything(
    name: str, history: list[tuple[Any, Any]], k: int, seed: int
) -> None:
    state, selector = state_of(history), get_selector(name)
    for pool in (state.parents_pool(), np.arange(len(state.designs)), np.arange(0)):
        choice = selector.parents(state.view, pool, k, np.random.default_rng(seed))
        again = selector.parents(state.view, pool, k, np.random.default_rng(seed))
        assert choice == again
        assert len(choice.picked) == min(k, len(pool)) == len(set(choice.picked))
        assert set(choice.picked) <= set(pool.tolist())
        assert len(choice.ranked) <= RECORDED and all(np.isfinite(score) for _, score in choice.ranked)


@names
@given(history=histories.filter(bool), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_runs_are_defined_for_anything(name: str, history: list[tuple[Any, Any]], seed: int) -> None:
    state, selector = state_of(history), get_selector(name)
    runs = everything(state)
    choice = selector.run(state.view, runs, np.random.default_rng(seed))
    assert choice == selector.run(state.view, runs, np.random.default_rng(seed))
    assert len(choice.picked) == 1 and 0 <= choice.picked[0] < len(runs)
    assert all(np.isfinite(score) for _, score in choice.ranked)


@names
def test_unrun_designs_come_first_or_at_their_turn(name: str) -> None:
    """A design that nobody ever ran is worth a run: with all others long known, every selector takes it."""
    losses = {f"d{n}": [[3.0 + 0.01 * n] * 4, [2.7 + 0.01 * n] * 4] for n in range(5)} | {"new": [[], []]}
    state = state_with(small_config(budget={"runs": {"0.1M": 50, "0.4M": 50}}), losses)
    runs = Runs(np.array([5, 4, 3]), np.array([0, 0, 0]))
    picked = [
        get_selector(name).run(state.view, runs, np.random.default_rng(seed)).picked[0] for seed in range(30)
    ]
    assert picked.count(0) > (5 if name == "random" else 29)


def test_greedy_takes_the_best() -> None:
    state = state_with(small_config(), {"a": [[3.0]], "b": [[2.9]], "c": [[3.1]], "d": [[2.95]]})
    choice = get_selector("greedy").parents(state.view, np.arange(4), 2, np.random.default_rng(0))
    assert choice.picked == (1, 3)
    climb = get_selector("greedy").run(
        state.view, Runs(np.array([0, 1, 3]), np.array([1, 1, 1])), np.random.default_rng(0)
    )
    assert climb.picked == (1,)


def test_quadrant_exploits_explores_and_restarts() -> None:
    losses = {f"human{n}": [[3.2, 3.2]] for n in range(4)} | {
        f"d{n}": [[3.0 + 0.01 * n, 3.0 + 0.01 * n]] for n in range(8)
    }
    state = state_with(small_config(budget={"runs": {"0.1M": 99, "0.4M": 9}}), losses)
    selector, picked = get_selector("quadrant"), []
    for seed in range(600):
        choice = selector.parents(state.view, np.arange(12), 1, np.random.default_rng(seed))
        picked.append((choice.reason.split(":")[0], choice.picked[0]))
    share = {kind: sum(reason == kind for reason, _ in picked) / 600 for kind, _ in picked}
    assert share["exploit"] == pytest.approx(0.75, abs=0.06)
    assert share["explore"] == pytest.approx(0.20, abs=0.05)
    assert share["restart from a human design"] == pytest.approx(0.05, abs=0.03)
    assert {index for reason, index in picked if reason == "exploit"} == {4, 5, 6}
    assert all(index < 4 for reason, index in picked if reason.startswith("restart"))


def test_thompson_prefers_good_rare_and_unused() -> None:
    losses = {f"d{n}": [[3.0]] for n in range(4)} | {"best": [[2.9]]}
    state = state_with(small_config(budget={"runs": {"0.1M": 99, "0.4M": 9}}), losses)
    selector = get_selector("posterior")

    def share(index: int) -> float:
        draws = [
            selector.parents(state.view, np.arange(5), 1, np.random.default_rng(n)).picked[0]
            for n in range(400)
        ]
        return draws.count(index) / 400

    before = share(4)
    assert before > 0.6
    state.uses[4] = 40
    assert share(4) < before - 0.1


def test_knowledge_gradient_is_the_textbook_one() -> None:
    """Against the value of the better of two after one more run, simulated."""
    state = state_with(
        small_config(), {"a": [[3.00], [2.70, 2.70]], "b": [[3.02], []], "c": [[3.4], []], "d": [[3.5], []]}
    )
    belief, view = state.posterior, state.view
    runs = Runs(np.array([1]), np.array([1]))
    value = improvements(view, runs)[0] * view.cost[1]
    after = belief.sd_after(np.array([[1, 1]]))[0]
    learnt = np.sqrt(belief.sd[1] ** 2 - after**2)
    draws = belief.mean[1] + learnt * np.random.default_rng(0).standard_normal(400_000)
    others = belief.mean[[0, 2, 3]].max()
    simulated = np.maximum(draws, others).mean() - max(others, belief.mean[1])
    assert value == pytest.approx(simulated, rel=0.05)


def test_knowledge_gradient_has_sense() -> None:
    losses: dict[str, list[list[float | None]]] = {
        "leader": [[3.0], [2.70, 2.71]], "rival": [[3.005], []], "hopeless": [[3.3], []],
        "known": [[3.01] * 5, [2.75] * 5],
    }  # fmt: skip
    state = state_with(small_config(budget={"runs": {"0.1M": 20, "0.4M": 20}}), losses)
    rows = Runs(np.array([1, 2, 3, 1]), np.array([1, 1, 1, 0]))
    rival, hopeless, known, again_below = improvements(state.view, rows)
    assert rival > hopeless > 0 and rival > known and rival > again_below
    state.reserve_run(1, 1)
    assert improvements(state.view, rows)[0] < rival, "a run in flight counts as made"


def test_dear_scales_must_be_worth_it() -> None:
    config = small_config(budget={"runs": {"0.1M": 100, "0.4M": 5}})
    state = state_with(config, {f"d{n}": [[3.0 + 0.01 * n]] for n in range(4)})
    assert list(state.view.cost) == [1.0, 20.0]


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), max_size=60), st.integers(1, 25))
def test_top_is_the_sorted_head(scores: list[float], limit: int) -> None:
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:limit]
    assert top(np.array(scores), limit) == expected
    assert best_of(range(len(scores)), np.array(scores), 1, "").picked == tuple(expected[:1])


def test_normal_cdf() -> None:
    assert normal_cdf(0) == 0.5 and normal_cdf(1.96) == pytest.approx(0.975, abs=1e-4)
