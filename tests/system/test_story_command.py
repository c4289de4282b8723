"""The command that a model card prints for running a campaign again."""

import shlex
from itertools import pairwise

from model_discovery.config import load_config
from model_discovery.system.story import _command


def test_suites_are_written_as_they_are_typed_and_folders_of_this_machine_are_not() -> None:
    config = load_config("demo", suites=("minimal-pairs", "blimp"), suite_dirs={"blimp": "/home/me/blimp"})
    words = shlex.split(_command("find me one", config.model_dump(mode="json")))
    assert words[-4:] == ["--suite", "minimal-pairs", "--suite", "blimp=FOLDER"]
    assert not any("/home/me" in word for word in words)


def test_a_stored_folder_of_blimp_is_understood() -> None:
    """Campaigns of earlier versions name it alone."""
    stored = load_config("demo").model_dump(mode="json")
    del stored["suite_dirs"]
    from model_discovery.config import parse_config

    assert parse_config(stored | {"blimp_dir": "/x"}).suite_dirs == {"blimp": "/x"}
    assert parse_config(stored | {"blimp_dir": None}).suite_dirs == {}


def test_designers_with_models_are_written_with_what_decides_and_without_folders_of_this_machine() -> None:
    agents = {"model": "openai/mine", "agent_spec": "/home/me/specs", "replay": "/home/me/recorded"}
    agents["api_base"] = "http://10.0.0.7:8000/v1"
    config = load_config("demo", designers={"agentic": 1.0}, agents=agents | {"per_campaign": {"dollars": 5}})
    words = shlex.split(_command("find me one", config.model_dump(mode="json")))
    assert words[-2:] == ["--set", "agents.per_campaign.dollars=5.0"]
    assert 'designers={"agentic": 1.0}' in words and 'agents.model="openai/mine"' in words
    assert words[words.index("--agent-spec") + 1] == "YOUR_SPECS"
    assert not any("/home/me" in word or "10.0.0.7" in word for word in words)
    again = load_config("demo", [word for option, word in pairwise(words) if option == "--set"])
    assert again.agents.per_campaign.dollars == 5 and again.designers == {"agentic": 1.0}
