"""Noise pooled over designs, comparisons in standard errors, and what must not be compared."""

import math
from typing import Any

import numpy as np
import pytest

from model_discovery.errors import UserError
from model_discovery.verification import Cost, Evidence, Measure, Score, VerificationReport
from model_discovery.verification.baselines import Noise, compare, pool_noise, value_of


def report(design: str, seed: int, loss: float, **changes: Any) -> VerificationReport:
    data, recipe = changes.pop("data", "d"), changes.pop("recipe", "r")
    evidence = Evidence(
        request_hash="q",
        structure_hash=design,
        code_hash="c",
        recipe_hash=recipe,
        seed=seed,
        data_checksum=data,
    )
    settings: dict[str, Any] = {
        "status": "ok",
        "design": design,
        "scale": "0.1M",
        "held_out": Measure(value=loss, stderr=0.01),
        "scores": {"minimal-pairs": Score(value=loss / 10, stderr=0.01, n=100, chance=0.5)},
        "cost": Cost(tokens_per_second=1000 * loss),
        "evidence": evidence,
    }
    return VerificationReport(**(settings | changes))


@pytest.mark.parametrize(("designs", "exactly"), [(7, True), (40, False)])
def test_noise_is_the_pooled_deviation_or_of_many_designs_the_middle_one(designs: int, exactly: bool) -> None:
    draw = np.random.default_rng(0)
    losses = {f"d{i}": 3 + i / 10 + 0.004 * draw.standard_normal(2 + i % 3) for i in range(designs)}
    runs = [report(name, s, float(x)) for name, values in losses.items() for s, x in enumerate(values)]
    noise = pool_noise(runs)["0.1M"]
    spare = sum(len(values) - 1 for values in losses.values())
    expected = math.sqrt(sum(values.var() * len(values) for values in losses.values()) / spare)
    assert noise.freedom == spare
    assert (noise.deviation == pytest.approx(expected)) == exactly
    assert noise.deviation == pytest.approx(expected, rel=0.2) == pytest.approx(0.004, rel=0.3)


def test_single_seeds_repeats_and_failures_say_nothing_of_noise() -> None:
    runs = [report("a", 0, 3.0), report("b", 0, 3.5), report("a", 0, 3.0)]
    assert pool_noise(runs) == {}
    failed = report("a", 1, 9.0, status="diverged")
    assert pool_noise([*runs, failed]) == {}
    assert value_of(failed, "held_out") is None


def test_comparison_in_standard_errors() -> None:
    found = compare([report("a", 0, 3.0), report("a", 1, 3.02)], [report("b", 0, 3.03)], Noise(0.01, 5))
    assert found.gain == pytest.approx(0.02)
    assert found.stderr == pytest.approx(0.01 * math.sqrt(1.5))
    assert str(found) == "0.02 nats/token better (1.6 standard errors)"
    worse = compare([report("a", 0, 3.0)], [report("b", 0, 3.3)], Noise(0.01, 5), metric="minimal-pairs")
    assert worse.gain == pytest.approx(-0.03) and "worse" in str(worse)
    assert value_of(report("a", 0, 3.0), "tokens_per_second") == 3000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "e"}, "different data"),
        ({"recipe": "s"}, "different recipes"),
        ({"scale": "0.4M"}, "scales"),
    ],
)
def test_what_must_not_be_compared(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        compare([report("a", 0, 3.0)], [report("b", 0, 3.0, **changes)], Noise(0.01, 5))


def test_nothing_to_compare() -> None:
    with pytest.raises(UserError, match="b has no finished run"):
        compare([report("a", 0, 3.0)], [report("b", 0, 3.0, status="timeout")], Noise(0.01, 5))
    with pytest.raises(UserError, match="different data"):
        pool_noise([report("a", 0, 3.0), report("a", 1, 3.0, data="e")])
