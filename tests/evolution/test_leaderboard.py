"""What may be said of a campaign's result."""

import math

import pytest
from evolution_makers import small_config, state_with

from model_discovery.evolution import make_leaderboard
from model_discovery.evolution.state import CampaignState, Estimate, Run

BASELINES: dict[str, list[list[float | None]]] = {
    "a": [[3.00], [2.700, 2.704]], "b": [[3.05]], "c": [[3.10]], "d": [[3.20]],
}  # fmt: skip


def test_a_clear_winner_is_named_with_its_evidence() -> None:
    board = make_leaderboard(
        state_with(small_config(), BASELINES | {"x": [[2.9], [2.60, 2.604]], "y": [[2.95]]})
    )
    assert board.best is not None and board.baseline is not None
    assert (board.best.design, board.baseline.design, board.best.rank) == ("x", "a", 1)
    assert board.beats_baselines and board.compared == 1 and board.tried == 2
    assert board.best.gain is not None and board.needed is not None and board.best.gain > board.needed
    assert "x beats the best baseline, a, by" in board.status and "1 of the 2 designs made" in board.status


def test_nothing_better_is_said_plainly() -> None:
    board = make_leaderboard(state_with(small_config(), BASELINES | {"x": [[3.0], [2.71, 2.712]]}))
    assert not board.beats_baselines
    assert board.status.startswith("Nothing beat the baselines: the best design, x, is")
    assert "behind a at 0.4M" in board.status


def test_a_small_lead_of_many_is_not_called_better() -> None:
    one = BASELINES | {"x": [[3.0], [2.689, 2.690]]}
    assert make_leaderboard(state_with(small_config(), one)).beats_baselines
    many = (
        one
        | {f"y{n}": [[3.0], [2.72, 2.72]] for n in range(1)}
        | {f"z{n}": [[3.0], [2.73]] for n in range(40)}
    )
    config = small_config(budget={"designs": 60, "runs": {"0.1M": 90, "0.4M": 90}})
    crowd = make_leaderboard(state_with(config, many))
    assert crowd.best is not None and crowd.best.design == "x" and crowd.compared == 42
    assert (
        crowd.needed is not None and crowd.needed > make_leaderboard(state_with(small_config(), one)).needed
    )  # type: ignore[operator]


def test_best_is_compared_at_the_highest_scale_with_enough_seeds() -> None:
    board = make_leaderboard(
        state_with(small_config(), BASELINES | {"lucky": [[3.0], [2.5]], "sure": [[3.0], [2.65, 2.65]]})
    )
    assert board.best is not None and board.best.design == "sure"
    assert [row.design for row in board.rows[:3]] == ["lucky", "sure", "a"]
    assert not board.rows[0].enough_seeds


def test_rows_rank_by_scale_then_loss() -> None:
    board = make_leaderboard(state_with(small_config(), BASELINES | {"x": [[2.0]], "y": [[None]]}))
    assert [(row.rank, row.design, row.scale) for row in board.rows] == [
        (1, "a", "0.4M"), (2, "x", "0.1M"), (3, "b", "0.1M"), (4, "c", "0.1M"), (5, "d", "0.1M"),
    ]  # fmt: skip
    assert board.rows[0].gain is None and board.rows[2].gain is not None


def test_no_baseline_to_compare_with() -> None:
    broken: dict[str, list[list[float | None]]] = {name: [[None]] for name in "abcd"}
    board = make_leaderboard(state_with(small_config(), broken | {"x": [[3.0]]}))
    assert board.best is not None and board.baseline is None and not board.beats_baselines
    assert "no baseline has a loss there" in board.status


def scored(state: CampaignState, index: int, seed: int, loss: float, accuracy: float | None) -> None:
    scores = {} if accuracy is None else {"minimal-pairs": Estimate(accuracy, 0.01)}
    state.reserve_run(index, 0)
    state.settle_run(
        index, Run(0, seed, "ok", Estimate(loss, 0.012), Estimate(loss / 3, 0.004), scores, 150, 100, 1000)
    )


def test_numbers_carry_the_luck_of_seeds_and_windows() -> None:
    state = state_with(small_config(), {name: [[]] for name in "abcd"})
    for index, accuracies in enumerate([(0.70, 0.72), (0.60, 0.62), (None,), (0.65,)]):
        for seed, accuracy in enumerate(accuracies):
            scored(state, index, seed, 3.0 + 0.01 * index + 0.002 * seed, accuracy)
    rows = {row.design: row for row in make_leaderboard(state).rows}
    row, noise = rows["a"], float(state.posterior.variances.seed_noise[0])
    assert row.loss.value == pytest.approx(3.001) and row.seeds == 2
    assert row.loss.stderr == pytest.approx(math.sqrt(noise / 2 + 0.012**2))
    assert row.bits_per_byte is not None and row.bits_per_byte.stderr < row.loss.stderr
    assert (row.parameters, row.non_embedding, row.tokens) == (150, 100, 1000)
    assert row.scores["minimal-pairs"].value == pytest.approx(0.71)
    assert row.scores["minimal-pairs"].stderr > 0.01
    assert rows["b"].score_gains["minimal-pairs"] < 0 and rows["a"].score_gains == {}
    assert rows["c"].scores == {}, "what was not measured is absent"
