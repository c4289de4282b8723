"""Presets load, overrides reach their place, and mistakes are answered with the nearest name."""

import pytest

from model_discovery.config import load_config, parse_config, presets
from model_discovery.errors import UserError


@pytest.mark.parametrize("preset", presets())
def test_every_preset_loads_and_round_trips(preset: str) -> None:
    config = load_config(preset)
    assert parse_config(config.model_dump(mode="json")) == config
    assert config.scales == tuple(config.budget.runs)


def test_overrides_reach_nested_keys_and_scale_names() -> None:
    config = load_config(
        "demo", ["budget.designs=3", "budget.runs.0.1M=5", "design.operators.scratch=0", "seed=7"]
    )
    assert config.budget.designs == 3
    assert config.budget.runs["0.1M"] == 5
    assert config.design.operators.scratch == 0
    assert config.seed == 7


def test_fields_that_are_none_leave_the_preset() -> None:
    assert load_config("demo", selector=None).selector == "posterior"
    assert load_config("demo", selector="greedy").selector == "greedy"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["budget.design=3"], ["budget.design", "Did you mean 'designs'"]),
        (["selectr=greedy"], ["selectr", "Did you mean 'selector'"]),
        (["budget.designs=-1"], ["budget.designs", "greater than or equal to 0", "-1"]),
        (["budget.runs.0.1M=0"], ["budget.runs.0.1M", "greater than 0"]),
        (["budget.designs"], ["path=value"]),
        (["sandbox=none"], ["sandbox", "plain"]),
        (["agents.per_call.minutes=5"], ["agents.per_call", "per_session"]),
        (["agents.per_call.calls=1"], ["agents.per_call", "per_session"]),
        (["agents.flow=direct", "agents.beam=2"], ["'agents': beam keeps", "leave out agents.beam"]),
    ],
)
def test_mistakes_name_the_path_and_the_remedy(overrides: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_config("demo", overrides)
    for word in words:
        assert word in str(caught.value)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'demo'"):
        load_config("dem")
