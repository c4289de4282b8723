"""What a model would be sent for a design of a campaign: its instruction and what it has measured."""

from pathlib import Path

import pytest
from evolution_makers import NAME, small_config, whole_campaign

from model_discovery.system.agents import render_prompt


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("prompts")
    whole_campaign(made, small_config())
    return made


def _text(folder: Path, *designs: str, campaign: str | None = NAME) -> str:
    facts = render_prompt(
        "proposer", step="propose", operator=None, designs=designs, agent_spec=None, schema_mode="native",
        campaign=campaign, db=str(folder / "tree.db"),
    )  # fmt: skip
    assert facts["parents"] == list(designs)
    return "\n".join(message["content"] for message in facts["messages"])


def test_a_campaign_tells_what_it_measured(folder: Path) -> None:
    text = _text(folder, "human_0")
    assert "Asked for: find" in text
    measured = text.split("# Measured")[1]
    assert "- human_0 (parent; human design" in measured and "standard errors" in measured
    both = _text(folder, "human_0", "human_1")
    assert "crossover of human_0 and human_1" in both and "- human_1 (parent" in both


def test_a_human_design_beside_a_campaign_is_shown_without_results(folder: Path) -> None:
    text = _text(folder, "retnet")
    assert "Asked for: find" in text and "# Measured" not in text
    assert "# Measured" not in _text(folder, "retnet", campaign=None)
