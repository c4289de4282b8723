"""Effects of units: recovered where they are there, with errors that can be believed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.evolution.unit_statistics import Unit, unit_effects

NOISE = 0.004**2


def drawn_world(
    rng: np.random.Generator, effect: float, rest: float
) -> tuple[list[float], list[float], list[set[Unit]], dict[Unit, float]]:
    """Designs of a few units each out of twelve, and the true effects."""
    known = [(f"Unit{number}", "sequence_mixer") for number in range(12)]
    truth = {unit: float(rng.normal(0, effect)) for unit in known}
    designs = int(rng.integers(8, 60))
    units = [
        {known[i] for i in rng.choice(12, int(rng.integers(1, 5)), replace=False)} for _ in range(designs)
    ]
    runs = rng.integers(1, 4, designs)
    losses = [
        3.0
        + sum(truth[unit] for unit in made_of)
        + rng.normal(0, rest)
        + rng.normal(0, 0.004) / np.sqrt(count)
        for made_of, count in zip(units, runs, strict=True)
    ]
    return [float(loss) for loss in losses], [NOISE / int(count) for count in runs], units, truth


def test_errors_mean_what_they_say() -> None:
    """Nine of ten intervals of 90 % hold the truth, over worlds with strong, weak and no effects."""
    rng = np.random.default_rng(0)
    scores = []
    for number in range(120):
        losses, noise, units, truth = drawn_world(rng, (0.0, 0.01, 0.04)[number % 3], 0.01)
        scores += [(e.value - truth[e.unit]) / e.stderr for e in unit_effects(losses, noise, units)]
    inside = float(np.mean(np.abs(scores) < 1.645))
    assert 0.86 < inside < 0.96 and len(scores) > 1000


def test_nearer_to_the_truth_than_differences_of_means() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = [], []
    for _ in range(60):
        losses, noise, units, truth = drawn_world(rng, 0.02, 0.01)
        for effect in unit_effects(losses, noise, units):
            has = np.array([effect.unit in made_of for made_of in units])
            plain = np.mean(np.array(losses)[has]) - np.mean(np.array(losses)[~has])
            ours.append((effect.value - truth[effect.unit]) ** 2)
            theirs.append((plain - truth[effect.unit]) ** 2)
    assert np.mean(ours) < 0.5 * np.mean(theirs)


def test_a_good_unit_among_equals() -> None:
    good, bad = ("Retention", "sequence_mixer"), ("Pooling", "sequence_mixer")
    units: list[set[Unit]] = [{good}, {bad}, {good}, {bad}, {good}, {bad}]
    effects = {e.unit: e for e in unit_effects([2.97, 3.0, 2.97, 3.0, 2.97, 3.0], [NOISE] * 6, units)}
    assert effects[good].value < 0 < effects[bad].value
    assert effects[good].designs == 3
    assert effects[bad].value - effects[good].value == pytest.approx(0.03, abs=0.006)


def test_units_that_always_come_together_share_the_merit() -> None:
    pair = {("A", "block"), ("B", "norm")}
    losses, units = [2.9, 2.9, 2.91, 3.0, 3.0, 3.01], [pair, pair, pair, set(), set(), set()]
    one, two = unit_effects(losses, [NOISE] * 6, units)
    assert one.value == pytest.approx(two.value) and one.value == pytest.approx(-0.05, abs=0.02)
    assert one.stderr > 0.01, "which of the two it was cannot be known"


@pytest.mark.parametrize(
    "units", [[], [{("A", "norm")}], [{("A", "norm")}, {("B", "norm")}], [{("A", "norm")}] * 5]
)
def test_what_cannot_be_compared_has_no_effect(units: list[set[Unit]]) -> None:
    assert unit_effects([3.0] * len(units), [NOISE] * len(units), units) == []


@given(
    st.lists(st.floats(2, 4), min_size=4, max_size=12),
    st.floats(-1, 1),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_neither_the_level_nor_the_order_matters(losses: list[float], shift: float, random: object) -> None:
    units = [{("A", "norm")} if number % 2 else {("B", "norm")} for number in range(len(losses))]
    noise = [NOISE] * len(losses)
    before = unit_effects(losses, noise, units)
    order = list(range(len(losses)))
    random.shuffle(order)  # type: ignore[attr-defined]
    after = unit_effects([losses[i] + shift for i in order], noise, [units[i] for i in order])
    assert [e.unit for e in before] == [e.unit for e in after]
    for one, other in zip(before, after, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-6) and one.stderr > 0
        assert one.stderr == pytest.approx(other.stderr, rel=1e-4)
