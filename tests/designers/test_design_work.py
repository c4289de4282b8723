"""Design work with the real sandbox and the real checks."""

from pathlib import Path
from typing import Any

import pytest

from model_discovery.blocks.seed_designs import seed_designs
from model_discovery.designers import (
    DesignCheck,
    DesignLimits,
    DesignOutcome,
    DesignRequest,
    ExternalDesigner,
    ParentDesign,
    open_sandbox,
    run_design,
)
from model_discovery.engine.jobs import JobContext, Resources
from model_discovery.seeds import derive

SEEDS = seed_designs()


def parent(name: str) -> ParentDesign:
    return ParentDesign(name=name, unit_tree=SEEDS[name].tree)


@pytest.fixture(scope="module")
def resources():
    kept = Resources()
    yield kept
    kept.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


def context(
    root: Path, resources: Resources, name: str, said: list[dict[str, Any]] | None = None
) -> JobContext:
    folder = root / name
    folder.mkdir()
    return JobContext(folder, 1, send=(said if said is not None else []).append, resources=resources)


def test_a_design_is_made(root: Path, resources: Resources) -> None:
    request = DesignRequest(
        operator="crossover", parents=(parent("min_gru"), parent("transformer_pp")), seed=3
    )
    said: list[dict[str, Any]] = []
    value = run_design(request.model_dump(mode="json"), context(root, resources, "one", said))
    outcome = DesignOutcome.model_validate(value)
    assert outcome.status == "valid", outcome.attempts
    assert outcome.unit_tree is not None and outcome.unit_tree.structure_hash == outcome.structure_hash
    assert abs(outcome.sizes["0.1M"]["non_embedding"] / 98_304 - 1) <= 0.05
    assert said[0] == {"attempt": 1, "of": 4}
    again = run_design(request.model_dump(mode="json"), context(root, resources, "again"))
    assert {**again, "seconds": 0} == {**value, "seconds": 0}


@pytest.mark.slow
def test_a_change_without_effect_is_refused(root: Path, resources: Resources) -> None:
    # A model of width 64 keeps four heads of 16, whichever of the two is asked for.
    wide = SEEDS["transformer_pp"].tree.set_config("mixer", head_dim=128)
    with open_sandbox(root / "alone") as sandbox:
        check = DesignCheck(sandbox, root / "alone")
        request = DesignRequest(operator="mutation", parents=(parent("transformer_pp"),))
        outside = ExternalDesigner(lambda number: request, check)
        name = outside.ask()["id"]
        refused = outside.tell(name, wide.to_json())
        accepted = outside.tell(name, wide.set_config("mixer", qk_norm=True).to_json())
    assert [finding.check for finding in refused.attempts[0].findings if finding.severity == "error"] == [
        "same_function"
    ]
    assert accepted.status == "valid"


@pytest.mark.slow
def test_most_proposals_are_valid(root: Path, resources: Resources) -> None:
    names = sorted(SEEDS)
    wanted = [("mutation", (names[number % len(names)],)) for number in range(0, 12, 2)] + [
        ("crossover", (names[number % len(names)], names[(number + 5) % len(names)])) for number in range(4)
    ]
    wanted += [("scratch", ())] * 4
    valid = 0
    for number, (operator, parents) in enumerate(wanted):
        request = DesignRequest(
            operator=operator,
            parents=tuple(map(parent, parents)),
            seed=derive(0, "acceptance", number),
            limits=DesignLimits(max_attempts=1),
        )
        outcome = run_design(request.model_dump(mode="json"), context(root, resources, f"many-{number}"))
        valid += outcome["status"] == "valid"
    assert valid / len(wanted) >= 0.8
