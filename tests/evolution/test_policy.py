"""Laws of what is done next, over many rehearsed campaigns."""

from collections import Counter
from typing import Any

import pytest
from evolution_makers import small_config, state_with
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_discovery.config import CampaignConfig, load_config
from model_discovery.evolution import make_leaderboard, selector_names
from model_discovery.evolution.landscape import Landscape
from model_discovery.evolution.openings import Openings, Phase
from model_discovery.evolution.policy import DesignStep, RunStep, decide
from model_discovery.evolution.rehearsal import Rehearsal
from model_discovery.evolution.selectors import get_selector
from model_discovery.evolution.simulator import World

HOPELESS = World(untrainable=1.0)
BARREN = World(abandoned=1.0)


@st.composite
def configs(draw: Any) -> CampaignConfig:
    scales = ["0.1M", "0.4M", "1.5M"][: draw(st.integers(1, 3))]
    baselines, designs = draw(st.integers(1, 5)), draw(st.integers(1, 14))
    runs, count = {}, baselines + draw(st.integers(1, 20))
    for scale in scales:
        runs[scale] = count
        count = draw(st.integers(1, count))
    return small_config(
        seed=draw(st.integers(0, 99)),
        seed_designs=[f"human_{number}" for number in range(baselines)],
        in_flight=draw(st.integers(1, 6)),
        selector=draw(st.sampled_from(selector_names())),
        budget={"designs": designs, "runs": runs, "patience": draw(st.one_of(st.none(), st.integers(1, 6)))},
        ladder={
            "ratio": draw(st.sampled_from([0.25, 0.4, 1.0])),
            "seeds": {scales[-1]: draw(st.integers(1, 3))},
        },
        design={"hold_unverified": draw(st.integers(1, 5))},
    )


class Watched(Rehearsal):
    """Looks at the books at every step."""

    def _reserve(self, step: DesignStep | RunStep) -> None:
        super()._reserve(step)
        state = self.state
        unrun = len(state.waiting) + state.budgets.designs.reserved
        assert state.budgets.designs.started <= self.config.budget.designs
        assert unrun <= self.config.design.hold_unverified + len(state.baselines)
        for scale, account in enumerate(state.budgets.runs):
            assert account.started <= account.limit
            if scale:
                below = state.budgets.runs[scale - 1].used
                assert account.started <= below * self.config.ladder.ratio + 1e-9
        if isinstance(step, RunStep):
            assert step.seed == state.started[step.design, step.scale] - 1
            assert step.scale == 0 or state.evidence.count[step.design, step.scale - 1] > 0
            assert not state.failed[step.design, step.scale]
        else:
            assert all(
                state.evidence.count[parent].any() or state.designs[parent].baseline
                for parent in step.parents
            )


@given(
    config=configs(),
    world=st.sampled_from([World(), World(untrainable=0.4), HOPELESS, BARREN, World(noise=0.05)]),
)
@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_laws_hold_in_any_campaign(config: CampaignConfig, world: World) -> None:
    done = Watched(config, world).run()
    state = done.state
    assert not state.pending.any() and state.budgets.designs.reserved == 0 and not state.pending_first_runs
    assert state.applied == len(done.steps) == len({*enumerate(done.steps)})
    runs = [step for step in done.steps if isinstance(step, RunStep)]
    assert len(set(runs)) == len(runs), "no run is made twice"
    baselines = [step for step in runs if step.seed == 0 and step.scale == 0][: len(state.baselines)]
    assert [step.design for step in baselines] == state.baselines, "human designs first, in their order"
    room = state.budgets.runs[0].left > 0
    assert not room or not state.waiting, "a design that could be run was"
    make_leaderboard(state)


@given(config=configs())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_same_seed_same_steps(config: CampaignConfig) -> None:
    assert Rehearsal(config).run().steps == Rehearsal(config).run().steps


def test_another_seed_other_steps() -> None:
    first, second = (Rehearsal(small_config(seed=seed)).run().steps for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("preset", ["demo", "laptop"])
def test_best_of_a_preset_is_compared_at_the_highest_scale(preset: str) -> None:
    for seed in range(8 if preset == "demo" else 3):
        state = Rehearsal(load_config(preset, seed=seed)).run().state
        board = make_leaderboard(state)
        made = ~state.baseline
        highest = max(scale for scale in range(len(state.scales)) if state.evidence.count[made, scale].any())
        assert board.best is not None and board.baseline is not None
        assert board.best.scale == state.scales[highest] == board.baseline.scale
        assert min(board.best.seeds, board.baseline.seeds) >= state.seeds_needed(highest)


def test_demo_uses_every_operator_and_makes_its_designs() -> None:
    for seed in range(10):
        state = Rehearsal(load_config("demo", seed=seed)).run().state
        assert sum(not design.baseline for design in state.designs) >= 8
        assert set(state.operators) == {"mutation", "crossover", "scratch"}


def test_everything_failed_comes_to_an_end() -> None:
    done = Rehearsal(small_config(), HOPELESS).run()
    assert {run.status for design in done.state.designs for run in design.runs} == {"diverged"}
    assert {design.status for design in done.state.designs} == {"untrainable"}
    board = make_leaderboard(done.state)
    assert board.rows == () and board.best is None and "No design was compared" in board.status


def test_no_design_ever_comes_to_an_end() -> None:
    done = Rehearsal(small_config(), BARREN).run()
    assert Counter(type(step) for step in done.steps)[DesignStep] == 8
    assert make_leaderboard(done.state).best is None


def test_patience_stops_designing() -> None:
    config = small_config(budget={"designs": 60, "runs": {"0.1M": 90, "0.4M": 9}, "patience": 5})
    done = Rehearsal(config, World(landscape=Landscape(human_steps=400))).run()
    assert done.state.patience_lost
    assert done.state.budgets.designs.used < 20


def test_seed_designs_alone_are_parents_at_first() -> None:
    config = small_config(design={"seeds_only_until": 8}, budget={"designs": 10, "runs": {"0.1M": 20}})
    state, steps = CampaignStates.after(config)
    early = [step for step, verified in steps if isinstance(step, DesignStep) and verified < 8]
    late = [step for step, verified in steps if isinstance(step, DesignStep) and verified >= 8]
    assert all(state.designs[parent].baseline for step in early for parent in step.parents) and early
    assert any(not state.designs[parent].baseline for step in late for parent in step.parents)


class CampaignStates(Rehearsal):
    """Notes how many designs were verified when each step was taken."""

    @classmethod
    def after(cls, config: CampaignConfig) -> tuple[Any, list[tuple[DesignStep | RunStep, int]]]:
        campaign = cls(config, World(abandoned=0, untrainable=0))
        campaign.seen: list[int] = []  # type: ignore[misc]
        campaign.run()
        return campaign.state, list(zip(campaign.steps, campaign.seen, strict=True))  # type: ignore[attr-defined]

    def _reserve(self, step: DesignStep | RunStep) -> None:
        self.seen.append(int(self.state.evidence.count.any(axis=1).sum()))  # type: ignore[attr-defined]
        super()._reserve(step)


def test_the_best_baseline_opens_a_scale_with_all_its_seeds() -> None:
    state = state_with(small_config(), {"a": [[3.0]], "b": [[2.9]], "c": [[3.1]], "d": [[3.2]]})
    selector = get_selector("posterior")
    first = decide(state, selector, 4)
    assert first is not None and first.step == RunStep(1, 1, 0) and "baseline" in first.reason
    state.reserve_run(1, 1)
    assert Openings(state).open_now(1) == 0, "floor(4 * 0.4) is 1"


def test_a_leader_gets_its_seeds_before_the_end() -> None:
    losses = {"a": [[3.0], [2.7, 2.7]], "b": [[3.1]], "c": [[3.1]], "d": [[3.2]]}
    losses |= {f"x{n}": [[3.05]] for n in range(9)} | {"lead": [[2.9], [2.6]]}
    config = small_config(budget={"designs": 30, "runs": {"0.1M": 60, "0.4M": 20}})
    decision = decide(state_with(config, losses), get_selector("posterior"), 20)
    assert decision is not None and decision.step == RunStep(13, 1, 1) and "leads" in decision.reason


def test_phases_end_from_below() -> None:
    done = Rehearsal(small_config()).run()
    assert Openings(done.state).phases == [Phase.CLOSED, Phase.CLOSED]
    fresh = state_with(small_config(), {"a": [[]], "b": [[]], "c": [[]], "d": [[]]})
    assert Openings(fresh).phases == [Phase.OPEN, Phase.OPEN]


def test_decisions_keep_few_candidates_and_reasons() -> None:
    config = small_config(
        budget={"designs": 60, "runs": {"0.1M": 90}}, ladder={"seeds": {}}, design={"seeds_only_until": 0}
    )
    losses = {f"d{n}": [[3.0 + 0.001 * n]] for n in range(60)}
    decision = decide(state_with(config, losses, human=4), get_selector("posterior"), 60)
    assert decision is not None and decision.reason
    assert 0 < len(decision.candidates) <= 20 and set(decision.scores) == set(decision.candidates)
