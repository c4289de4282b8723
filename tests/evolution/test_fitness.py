"""The hierarchical model: defined everywhere, invariant where it should be, right on simulated data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.evolution.evidence import Evidence, Grid
from model_discovery.evolution.fitness import best_mean, fit, gain, seed_noises

Data = list[list[list[float]]]  # design, scale, seed


def evidence_of(data: Data, scales: int = 2) -> Evidence:
    evidence = Evidence(scales)
    for index, design in enumerate(data):
        evidence.add_design()
        for scale, losses in enumerate(design):
            for loss in losses:
                evidence.observe(index, scale, loss)
    return evidence


losses = st.lists(st.floats(2.0, 5.0), max_size=3)
datasets = st.lists(st.tuples(losses, losses).map(list), max_size=8)


@given(datasets)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_defined_for_everything(data: Data) -> None:
    belief = fit(evidence_of(data))
    assert belief.mean.shape == belief.sd.shape == (len(data),)
    assert np.isfinite(belief.mean).all() and np.isfinite(belief.sd).all() and (belief.sd > 0).all()
    assert (
        (belief.variances.seed_noise > 0).all()
        and belief.variances.spread > 0
        and belief.variances.interaction > 0
    )
    ran = [any(design[scale] for design in data) for scale in range(2)]
    assert list(np.isfinite(belief.level)) == ran


@given(datasets, st.floats(-1, 1), st.floats(-1, 1))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_only_differences_within_a_scale_count(data: Data, first: float, second: float) -> None:
    moved = [
        [[x + shift for x in seeds] for seeds, shift in zip(design, (first, second), strict=True)]
        for design in data
    ]
    before, after = fit(evidence_of(data)), fit(evidence_of(moved))
    np.testing.assert_allclose(after.mean, before.mean, atol=1e-7)
    np.testing.assert_allclose(after.sd, before.sd, rtol=1e-6)


@given(datasets, st.randoms())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_order_of_designs_does_not_count(data: Data, random: object) -> None:
    order = list(range(len(data)))
    random.shuffle(order)  # type: ignore[attr-defined]
    before, after = fit(evidence_of(data)), fit(evidence_of([data[index] for index in order]))
    np.testing.assert_allclose(after.mean, before.mean[order], atol=1e-7)
    np.testing.assert_allclose(after.sd, before.sd[order], rtol=1e-6)


def test_running_moments_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    values = 3 + 0.01 * rng.standard_normal(50)
    evidence = evidence_of([[list(values)]], scales=1)
    assert evidence.mean[0, 0] == pytest.approx(values.mean(), abs=1e-12)
    assert evidence.squares[0, 0] == pytest.approx(values.var() * 50, rel=1e-9)


def test_a_loss_that_is_no_number_is_no_observation() -> None:
    evidence = evidence_of([[[]]], scales=1)
    for loss in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not an observation"):
            evidence.observe(0, 0, loss)


def test_grid_keeps_its_rows_while_growing() -> None:
    grid = Grid(2, np.int64)
    for number in range(200):
        grid.append()
        grid.rows[number] = (number, -number)
    assert (grid.rows[:, 0] == np.arange(200)).all() and (grid.rows[:, 1] == -np.arange(200)).all()


def test_equal_designs_are_equal() -> None:
    belief = fit(evidence_of([[[3.0], []]] * 5))
    assert np.ptp(belief.mean) == pytest.approx(0, abs=1e-12)


def test_an_unrun_design_has_the_population_mean() -> None:
    belief = fit(evidence_of([[[3.0], []], [[3.1], []], [[], []]]))
    assert belief.mean[2] == 0
    assert belief.sd[2] == pytest.approx(np.sqrt(belief.variances.spread + belief.variances.interaction))
    assert belief.sd[2] > belief.sd[0]


def test_seeds_and_higher_scales_make_sure() -> None:
    data = [[[3.0], []], [[3.0, 3.001, 2.999], []], [[3.0], [2.8]], [[3.0], [2.8, 2.801, 2.799]], [[3.1], []]]
    sd = fit(evidence_of(data)).sd
    assert sd[0] > sd[1] > sd[2] > sd[3]


def test_climbing_only_the_best_does_not_make_a_scale_look_easy() -> None:
    """Levels come from all scales together: those who climbed were good before, not the scale easy."""
    rng = np.random.default_rng(1)
    quality = 0.03 * rng.standard_normal(60)
    data: Data = [[[3.0 - q], []] for q in quality]
    for index in np.argsort(-quality)[:10]:
        data[int(index)][1] = [2.5 - quality[index]]
    belief = fit(evidence_of(data))
    assert belief.level[1] == pytest.approx(2.5, abs=0.01)
    naive = np.mean([design[1][0] for design in data if design[1]])
    assert abs(naive - 2.5) > 3 * abs(belief.level[1] - 2.5)


def test_posterior_is_calibrated() -> None:
    """On data of the model itself, the truth lies within two standard deviations about as often as it
    should.
    """
    rng = np.random.default_rng(2)
    inside = total = 0
    for _ in range(30):
        quality = 0.03 * rng.standard_normal(40)
        shift = 0.01 * rng.standard_normal((40, 2))
        data: Data = [[[3 - quality[d] - shift[d, 0] + 0.004 * rng.standard_normal()], []] for d in range(40)]
        for d in np.argsort([design[0][0] for design in data])[:12]:
            seeds = 2.7 - quality[d] - shift[d, 1] + 0.004 * rng.standard_normal(2)
            data[int(d)][1] = list(seeds)
        belief = fit(evidence_of(data))
        truth = quality + shift[:, 1]
        error = (belief.mean - belief.mean.mean()) - (truth - truth.mean())
        inside += int((np.abs(error) < 2 * belief.sd).sum())
        total += 40
    assert 0.9 < inside / total < 0.995


def test_variances_are_found_from_data() -> None:
    rng = np.random.default_rng(3)
    quality, shift = 0.05 * rng.standard_normal(300), 0.02 * rng.standard_normal((300, 2))
    data = [
        [
            list(base - quality[d] - shift[d, s] + 0.01 * rng.standard_normal(3))
            for s, base in enumerate((3.0, 2.7))
        ]
        for d in range(300)
    ]
    belief = fit(evidence_of(data))
    assert np.sqrt(belief.variances.spread) == pytest.approx(0.05, rel=0.15)
    assert np.sqrt(belief.variances.interaction) == pytest.approx(0.02, rel=0.15)
    np.testing.assert_allclose(np.sqrt(belief.variances.seed_noise), 0.01, rtol=0.1)


def test_one_broken_design_does_not_hide_the_others() -> None:
    data: Data = [[[3.0 + 0.01 * number], []] for number in range(12)]
    sane = fit(evidence_of(data)).variances.spread
    assert fit(evidence_of([*data, [[9.0], []]])).variances.spread < 3 * sane


def test_seed_noise_is_drawn_to_the_pooled_one() -> None:
    count = np.array([[5, 2], [5, 1]])
    squares = np.array([[4 * 0.01**2, 0.0], [4 * 0.01**2, 0.0]])
    noise, spare = seed_noises(count, squares)
    assert list(spare) == [8, 1]
    assert 0.004 < np.sqrt(noise[1]) < np.sqrt(noise[0]) < 0.0101


def test_gain_is_in_standard_errors_of_seeds() -> None:
    evidence = evidence_of([[[3.00, 3.01]], [[2.95]], [[]]], scales=1)
    belief = fit(evidence)
    expected = (3.005 - 2.95) / np.sqrt(belief.variances.seed_noise[0] * (1 + 0.5))
    assert gain(evidence, belief.variances.seed_noise, 0, 1, 0) == pytest.approx(expected)
    assert gain(evidence, belief.variances.seed_noise, 0, 0, 1) == pytest.approx(-expected)
    assert (
        gain(evidence, belief.variances.seed_noise, 0, 2, 0) is None
        and gain(evidence, belief.variances.seed_noise, 0, 0, 0) is None
    )


def test_best_mean_takes_the_earliest_of_ties() -> None:
    evidence = evidence_of([[[3.0]], [[2.9]], [[2.9]], [[]]], scales=1)
    assert best_mean(evidence, 0, np.arange(4)) == 1
    assert (
        best_mean(evidence, 0, np.array([3])) is None
        and best_mean(evidence, 0, np.array([], dtype=int)) is None
    )
