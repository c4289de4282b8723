"""The page of the room: its examples run."""

import re
from pathlib import Path

import yaml

from model_discovery.blocks import parse_unit, tree_from_spec

PAGE = (Path(__file__).parents[2] / "docs" / "blocks.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_examples_run(capsys) -> None:
    unit, tree = examples("python")
    assert parse_unit(unit).name == "GatedMLP"
    exec(compile(tree, "docs/blocks.md", "exec"), {"__name__": "example"})
    assert "Retention" in capsys.readouterr().out


def test_the_seed_design_is_one() -> None:
    (text,) = examples("yaml")
    assert tree_from_spec(yaml.safe_load(text)["block"]).unfilled() == ()
