"""Early rungs: which limits a request carries, and what becomes of a design that was stopped."""

from pathlib import Path

import pytest
from evolution_makers import NAME, begin, sit, small_config
from hypothesis import given
from hypothesis import strategies as st

from model_discovery.config import LadderConfig
from model_discovery.design_tree import DesignTree
from model_discovery.evolution.resume import load_state
from model_discovery.evolution.rungs import RungLosses

QUARTER, HALF, LATE, WHOLE = 25, 50, 75, 100
LOSSES = st.lists(st.floats(1, 9, allow_nan=False), min_size=1, max_size=40)


def seen(losses: list[float], ladder: LadderConfig) -> RungLosses:
    found = RungLosses(ladder)
    for loss in losses:
        found.observe(0, [(QUARTER, loss + 1), (HALF, loss + 0.5), (LATE, loss + 0.1), (WHOLE, loss)])
    return found


@given(LOSSES, st.sampled_from([0.1, 0.25, 0.5]))
def test_at_most_the_worst_share_lies_above_a_limit(losses: list[float], worst: float) -> None:
    limits = seen(losses, LadderConfig(stop_worst=worst, stop_from=2)).limits(0, WHOLE)
    if len(losses) < 2:
        assert limits == ()
        return
    assert [rung.tokens for rung in limits] == [QUARTER, HALF]  # later it would save little
    above = sum(loss + 1 > limits[0].limit for loss in losses)
    assert above <= worst * len(losses)
    if len(set(losses)) == len(losses):
        assert above >= worst * len(losses) - 1


@given(LOSSES)
def test_order_does_not_matter(losses: list[float]) -> None:
    ladder = LadderConfig(stop_from=2)
    assert seen(losses, ladder).limits(0, WHOLE) == seen(losses[::-1], ladder).limits(0, WHOLE)


def test_no_limits_before_enough_designs_at_that_scale_or_when_switched_off() -> None:
    losses = [float(number) for number in range(1, 8)]
    assert seen(losses, LadderConfig(stop_from=8)).limits(0, WHOLE) == ()
    assert seen([*losses, 8.0], LadderConfig(stop_from=8)).limits(0, WHOLE) != ()
    assert seen([*losses, 8.0], LadderConfig(stop_from=8)).limits(1, WHOLE) == ()
    assert seen([*losses, 8.0], LadderConfig(stop_from=8, stop_worst=0)).limits(0, WHOLE) == ()


def test_designs_stopped_at_a_quarter_count_as_worse_at_half() -> None:
    found = seen([1.0, 2.0, 3.0], LadderConfig(stop_from=2))
    found.observe(0, [(QUARTER, 9.0)])
    assert [rung.limit for rung in found.limits(0, WHOLE)] == [4.0, 3.5]
    found.observe(0, [(QUARTER, 9.0)])
    assert [rung.tokens for rung in found.limits(0, WHOLE)] == [QUARTER]  # who is left at half is good enough


def test_a_campaign_stops_the_worst_and_never_a_human_design(tmp_path: Path) -> None:
    config = small_config(budget={"designs": 24, "runs": {"0.1M": 40, "0.4M": 8}}, ladder={"stop_from": 5})
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, config)
        done = sit(tree, tmp_path)
        runs = tree.verifications(row.id)
        stopped = {run.design_id for run in runs if run.status == "stopped"}
        assert 3 <= len(stopped) <= 12
        by_id = {design.id: design for design in tree.designs(row.id)}
        assert all(by_id[number].origin == "genetic" for number in stopped)
        for number in stopped:
            mine = [run for run in runs if run.design_id == number]
            first = mine[0].scale == "0.1M" and mine[0].status == "stopped"
            assert by_id[number].status == ("stopped" if first else "verified")
            assert "0.4M" not in [run.scale for run in mine] or not first
        losses = [run.losses for run in runs if run.status == "stopped"]
        assert losses == [{}] * len(losses)  # an unfinished run has no number to compare
        assert load_state(tree, row.id, config).rung_losses.limits(0, 10**9) == (
            done.state.rung_losses.limits(0, 10**9)
        )


def test_requests_carry_what_was_known_and_further_seeds_are_never_stopped(tmp_path: Path) -> None:
    config = small_config(
        budget={"designs": 20, "runs": {"0.1M": 60, "0.4M": 8}}, ladder={"stop_from": 5, "seeds": {"0.1M": 2}}
    )
    with DesignTree(tmp_path / "tree.db") as tree:
        begin(tree, config)
        asked = []

        class Noting:
            def __init__(self) -> None:
                from model_discovery.evolution.simulator import InlineEngine

                self.inner = InlineEngine()

            def submit(self, job: object) -> None:
                request = job.request  # type: ignore[attr-defined]
                if "scale" in request:
                    asked.append(request)
                self.inner.submit(job)  # type: ignore[arg-type]

            def wait(self, timeout: float | None) -> list:
                return self.inner.wait(timeout)

        sit(tree, tmp_path, Noting())
        assert any(request["rungs"] for request in asked)
        assert not any(request["rungs"] for request in asked if request["seed"] > 0)
        assert not any(request["rungs"] for request in asked if request["design"].startswith("human"))
        assert tree.campaign(NAME).state == "finished"


@pytest.mark.parametrize("share", [1.0, -0.1])
def test_a_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="stop_worst"):
        LadderConfig(stop_worst=share)
