"""The page on LLM designers names every key, step, variable and filter, and no other."""

import re
from pathlib import Path

from agent_situations import PARENTS, variables_of

from model_discovery.designers.agentic.brief import Brief
from model_discovery.designers.agentic.filters import FILTERS
from model_discovery.designers.agentic.prompts import render
from model_discovery.designers.agentic.specs import DEFAULT_MODELS, AgentSpec, load_specs
from model_discovery.designers.agentic.steps import ROLES

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text("utf-8")


def _rows(head: str) -> list[list[str]]:
    """The cells of a table's rows, by the head of its first column."""
    lines = PAGE.split(f"\n| {head} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _names(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


def test_every_key_of_a_spec_is_on_the_page() -> None:
    assert sorted(name for row in _rows("key") for name in _names(row[0])) == sorted(AgentSpec.model_fields)


def test_every_step_is_on_the_page() -> None:
    rows = {_names(row[0])[0]: row for row in _rows("step")}
    assert set(rows) == {f"{role}.{step}" for role, steps in ROLES.items() for step in steps}
    for role, steps in ROLES.items():
        for name, step in steps.items():
            row = rows[f"{role}.{name}"]
            assert _names(row[1]) == [step.answer.__name__]
            assert {"brief", *_names(row[2])} == set(step.variables)


def test_prompts_are_as_long_as_the_page_says() -> None:
    specs = load_specs()
    for row in _rows("step"):
        role, step = _names(row[0])[0].split(".")
        sizes = []
        for operator in PARENTS:
            messages = render(specs[role], step, operator, variables_of(role, step, operator))
            sizes.append(sum(len(message.content.encode()) for message in messages) / 4)
        least, most = (float(number.replace(",", "")) for number in row[3].split(" to "))
        assert 0.85 * least < min(sizes) < 1.15 * least, (role, step, sizes)
        assert 0.85 * most < max(sizes) < 1.15 * most, (role, step, sizes)


def test_filters_and_the_brief_are_on_the_page() -> None:
    filters = PAGE.split("Filters put values into words:")[1].split("\n\n")[0]
    assert set(_names(filters)) == set(FILTERS)
    brief = PAGE.split("`brief` holds the request")[1].split("\n\n")[0]
    known = {name for name in {*dir(Brief), *Brief.__dataclass_fields__} if not name.startswith("_")}
    told = set(re.findall(r"`(\w+)[`(]", brief))
    assert known <= told and told - known <= {"name", "unit_tree"}


def test_default_models_are_on_the_page() -> None:
    for key, model in DEFAULT_MODELS.items():
        assert key in PAGE and model in PAGE
