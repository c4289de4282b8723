"""Standings and rank correlations, against numbers worked out by hand."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.verification.ranking import agreement, between_seeds, standings


def test_standings_by_hand() -> None:
    rows, noise = standings({"a": {0: 2.0, 1: 2.2}, "b": {0: 1.9}, "c": {}})
    assert [row.design for row in rows] == ["b", "a"]
    assert noise is not None
    assert noise.deviation == pytest.approx(math.sqrt(0.02))
    assert noise.freedom == 1
    assert rows[1].value == pytest.approx(2.1)
    assert rows[1].stderr == pytest.approx(0.1)
    assert rows[0].stderr == pytest.approx(math.sqrt(0.02))


def test_no_noise_without_a_second_seed() -> None:
    rows, noise = standings({"a": {0: 2.0}})
    assert noise is None and rows[0].stderr is None


def test_agreement_by_hand() -> None:
    one = dict(zip("abcde", [1.0, 2.0, 3.0, 4.0, 5.0], strict=True))
    other = dict(zip("abcdex", [1.0, 2.0, 3.0, 5.0, 4.0, 9.0], strict=True))
    found = agreement(one, other)
    assert found is not None
    assert found.spearman == pytest.approx(0.9)
    assert found.n == 5
    assert found.low < 0.9 < found.high <= 1


def test_no_agreement_from_too_little() -> None:
    three = dict(zip("abc", [1.0, 2.0, 3.0], strict=True))
    assert agreement(three, three) is None
    ties = dict.fromkeys("abcd", 1.0)
    assert agreement(ties, dict(zip("abcd", [1.0, 2.0, 3.0, 4.0], strict=True))) is None


@given(st.permutations(range(6)))
def test_a_perfect_order_keeps_a_wide_interval(order: list[int]) -> None:
    one = {str(n): float(n) for n in range(6)}
    found = agreement(one, {str(n): float(value) for n, value in enumerate(order)})
    assert found is not None
    assert -1 <= found.low <= found.high <= 1
    assert found.high - found.low > 0.1


def test_between_seeds_by_hand() -> None:
    runs = {"a": {0: 1.0, 1: 1.0}, "b": {0: 2.0, 1: 2.0}, "c": {0: 3.0, 1: 4.0}, "d": {0: 4.0, 1: 3.0}}
    assert between_seeds(runs) == pytest.approx(0.8)
    assert between_seeds({name: {0: 1.0} for name in "abcd"}) is None


def test_a_design_that_hardly_trains_does_not_blow_up_the_error_of_the_others() -> None:
    steady = {f"steady {n}": {seed: 2.0 + n + 0.01 * seed for seed in range(3)} for n in range(9)}
    rows, noise = standings(steady)
    assert noise is not None and noise.deviation == pytest.approx(0.01 / (8 / 9) ** 1.5)
    with_wild = steady | {"wild": {0: 3.5, 1: 3.9, 2: 4.3}}
    rows, same = standings(with_wild)
    assert same is not None and same.deviation == pytest.approx(noise.deviation)
    wild = next(row for row in rows if row.design == "wild")
    assert wild.unsteady and wild.stderr == pytest.approx(0.4 / math.sqrt(3))
    assert not any(row.unsteady for row in rows if row is not wild)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_middle_design_says_what_pooling_would(seed: int) -> None:
    draw = random.Random(seed)
    runs = {str(n): {s: draw.gauss(2.0, 0.05) for s in range(3)} for n in range(200)}
    _, noise = standings(runs)
    assert noise is not None and noise.deviation == pytest.approx(0.05, rel=0.3)
