"""Campaigns with language models are settled before anything is trained."""

import socket
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer

from model_discovery import BuildSystem
from model_discovery.config import Price, load_config
from model_discovery.errors import UserError
from model_discovery.system import models

HERE = {"model": "openai/mine", "api_base": "http://127.0.0.1:8000/v1"}
ELSEWHERE = {"model": "openai/mine", "api_base": "https://models.example.org/v1"}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def system(*overrides: str, **options: Any) -> BuildSystem:
    return BuildSystem(workers=1, progress=False, overrides=overrides, **options)


@pytest.mark.parametrize(
    ("options", "overrides", "words"),
    [
        ({"designer": "agentic"}, [], ["No language model is configured", "set ANTHROPIC_API_KEY"]),
        ({"designers": {"agentic": 0.5, "genetic": 0.5}}, [], ["No language model is configured"]),
        ({"model": "anthropic/claude-sonnet-4-5"}, [], ["proposer", "ANTHROPIC_API_KEY is not set"]),
        ({"model": "claud"}, [], ["'claud' names no provider", "provider/name"]),
        (ELSEWHERE, [], ["No price is known for openai/mine", "agents.price=", "tokens"]),
        (ELSEWHERE | {"max_dollars": 3}, [], ["No price is known for openai/mine", "dollars"]),
        (HERE | {"api_base": "127.0.0.1:8000"}, [], ["'127.0.0.1:8000', is no URL", "http://127.0.0.1:8000/v1"]),
        (HERE | {"agent_spec": "missing"}, [], ["missing", "agent specs"]),
        (HERE | {"flow": "unitts"}, [], ["agents.flow", "'direct'"]),
        (HERE | {"max_dollars": -1}, [], ["agents.per_campaign.dollars", "greater than 0"]),
        (HERE, ["agents.planer=false"], ["Unknown key 'agents.planer'", "Did you mean 'planner'"]),
        (HERE, ["agents.per_session.dolars=1"], ["'agents.per_session.dolars'", "Did you mean 'dollars'"]),
        ({"designer": "agentik"}, [], ["Unknown designer 'agentik'", "Did you mean 'agentic'"]),
        ({"designers": {"agentic": 0.0}} | HERE, [], ["No designer has a share"]),
        ({"designers": {"genetic": -1.0}}, [], ["designers.genetic", "greater than or equal to 0"]),
        ({"designer": "agentic", "designers": {"genetic": 1.0}}, [], ["--designer and --designers"]),
        ({"designer": "genetic", "flow": "direct"}, [], ["--flow", "--designer agentic"]),
        ({"max_dollars": 3.0}, [], ["--max-dollars", "--designer agentic"]),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(options: dict[str, Any], overrides: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        system(*overrides, **options)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 2
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    "address",
    [
        "http://me:hidden@models.example.org/v1",
        "me:hidden@127.0.0.1:8000",
        "https://models.example.org/v1?key=hidden",
    ],
)
def test_an_address_is_no_place_for_a_secret(address: str) -> None:
    with pytest.raises(
        UserError, match=r"has a (user or a password|query, which may be a key,) in it"
    ) as caught:
        system(model="openai/mine", api_base=address)
    assert "hidden" not in str(caught.value)


def test_a_model_alone_asks_for_its_designer() -> None:
    assert system(**HERE).config.designers == {"agentic": 1.0}
    assert system(**HERE, designers={"agentic": 3, "genetic": 1}).config.designers == {
        "agentic": 3.0, "genetic": 1.0,
    }  # fmt: skip
    with pytest.raises(UserError, match="--model is for designers with language models"):
        system(**HERE, designer="genetic")


def test_a_server_on_this_machine_costs_nothing() -> None:
    assert system(**HERE).config.agents.price == Price(input=0, output=0)
    for base in ("http://localhost:11434", "http://[::1]:1/v1"):
        assert models.is_here("openai/mine", base)
    for base in ("http://10.0.0.1/v1", "https://localhost.example.org/v1", None):
        assert not models.is_here("openai/mine", base)
    assert models.is_here("ollama/qwen3", None)


def test_a_given_price_or_a_limit_of_tokens_is_enough() -> None:
    price = system("agents.price={input: 1, output: 2}", **ELSEWHERE).config.agents.price
    assert price == Price(input=1, output=2)
    own = system("agents.price={input: 1, output: 2}", **HERE).config.agents.price
    assert own == Price(input=1, output=2), "a price that was given counts"
    limited = system(**ELSEWHERE, max_llm_tokens=1000).config.agents
    assert limited.price is None and limited.per_campaign.tokens == 1000


def test_what_a_fallback_costs_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is trained, as for the model itself."""
    from model_discovery.shipped import shipped_folder

    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-any")
    text = (shipped_folder("etc/agent_spec") / "coder.yaml").read_text()
    Path("specs").mkdir()
    Path("specs/coder.yaml").write_text(
        f"{text}model: anthropic/claude-sonnet-4-5\nfallbacks: [openai/of-nobody]\n"
    )
    options: dict[str, Any] = {"designer": "agentic", "agent_spec": "specs"}
    with pytest.raises(UserError, match="No price is known for openai/of-nobody, and no limit of tokens"):
        system(**options)
    with pytest.raises(UserError, match="openai/of-nobody, and there is a limit in dollars"):
        system(**options, max_dollars=3, max_llm_tokens=1000)
    with pytest.raises(UserError, match="openai/of-nobody, and there is a limit in dollars"):
        system("agents.per_call.dollars=1", **options, max_llm_tokens=1000)
    assert system(**options, max_llm_tokens=1000).config.agents.price is None
    system("agents.price={input: 1, output: 2}", **options, max_dollars=3)


def test_the_key_at_hand_decides_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("OPENAI_API_KEY=sk-from-a-file\n")
    first = system(designer="agentic").config
    assert first.agents.default_model is not None and first.agents.default_model.startswith("openai/")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another")
    assert models.settle_models(first) == first, "a resume asks the model that the campaign was begun with"
    assert "sk-from-a-file" not in first.model_dump_json()


def test_a_replay_needs_neither_key_nor_price() -> None:
    config = system("agents.replay=/recorded", designer="agentic").config
    models.check_models(config)
    models.reach_servers(config)
    assert "/recorded" in models.models_in_words(config)


def test_switches_and_limits_by_path() -> None:
    off = ("agents.planner=false", "agents.observer=false", "agents.search=false", "agents.checks=false")
    agents = system(*off, "agents.per_session.dollars=1", **HERE, flow="direct", max_dollars=5).config.agents
    assert not (agents.planner or agents.observer or agents.search or agents.checks)
    assert agents.flow == "direct" and agents.per_session.dollars == 1 and agents.per_campaign.dollars == 5
    assert agents.model == HERE["model"]


def test_the_plan_says_who_is_asked_and_what_may_be_spent() -> None:
    plan = system("agents.per_session.dollars=1", **HERE, max_dollars=5).plan()
    assert "designers: agentic 1; language models: openai/mine" in plan
    assert "a session at most $1.00" in plan and "the whole campaign at most $5.00" in plan
    assert "no money" not in plan
    unlimited = system(**HERE).plan()
    assert "the whole campaign no limit (set one with --max-dollars or --max-llm-tokens)" in unlimited
    assert "no key, no money" in system().plan()


def test_roles_of_their_own_are_named(tmp_path: Path) -> None:
    from model_discovery.shipped import shipped_folder

    spec = (shipped_folder("etc/agent_spec") / "reviewer.yaml").read_text()
    (tmp_path / "specs").mkdir()
    mixture = "model: {anthropic/claude-sonnet-4-5: 1, openai/gpt-4.1: 2}\n"
    (tmp_path / "specs" / "reviewer.yaml").write_text(spec + mixture)
    with pytest.raises(UserError, match="The reviewer cannot ask its model: ANTHROPIC_API_KEY"):
        system("agents.default_model=ollama/qwen3", designer="agentic", agent_spec="specs", max_llm_tokens=99)
    config = system(
        "agents.model=openai/mine", designer="agentic", agent_spec="specs", api_base=HERE["api_base"]
    )
    assert models.models_in_words(config.config) == "openai/mine", "a model named for all counts for all"


def test_campaigns_without_designs_ask_nothing() -> None:
    config = load_config("baselines", designers={"agentic": 1.0})
    assert not models.asks_models(config) and models.settle_models(config) == config


def test_sessions_of_another_tree_are_not_gone_on_with(tmp_path: Path) -> None:
    """A tree that was deleted leaves journals behind; a new campaign of that name would take them up."""
    from model_discovery.design_tree import DesignTree
    from model_discovery.system.build_system import _campaign_name

    for number in (1, 2):
        folder = tmp_path / f"demo-{number}" / "design-7"
        folder.mkdir(parents=True)
        (folder / "session.jsonl").write_text("")
    with DesignTree("tree.db") as tree:
        assert _campaign_name(tree, None, "demo", tmp_path) == "demo-3"
        assert _campaign_name(tree, None, "demo") == "demo-1", "campaigns without models do not mind"
        with pytest.raises(UserError, match="demo-2 holds sessions of a campaign 'demo-2'"):
            _campaign_name(tree, "demo-2", "demo", tmp_path)
        assert _campaign_name(tree, "mine", "demo", tmp_path) == "mine"


def test_a_server_that_is_not_there_is_noticed_before_anything_begins(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    with pytest.raises(UserError, match=r"cannot be reached \(Connection refused\)") as caught:
        system(model="openai/mine", api_base=nobody)("find")
    assert caught.value.exit_code == 1 and "nothing was begun" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError) as again:
        models.reach_servers(system(model="openai/mine", api_base=nobody).config, begun=True)
    assert "with --api-base URL where it has moved" in str(again.value.hint)


@pytest.mark.parametrize(
    ("options", "overrides", "words"),
    [
        ({}, [], "this campaign asks none"),
        ({"designer": "agentic"}, ["agents.replay=/recorded"], "this campaign asks none"),
        ({"model": "openai/gpt-4.1"}, [], "begun without one"),
    ],
)
def test_only_a_server_that_there_was_can_have_moved(
    options: dict[str, Any], overrides: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    with pytest.raises(UserError, match=words):
        models.move_server(system(*overrides, **options).config, "http://127.0.0.1:9000/v1")


def test_a_server_moves_and_nothing_else_changes() -> None:
    config = system(**HERE).config
    moved = models.move_server(config, "http://gpu-box:9000/v1")
    assert moved == config.with_agents(api_base="http://gpu-box:9000/v1")
    assert models.asked_in_words(moved) == "openai/mine at http://gpu-box:9000/v1, free of charge"
    ollama = models.move_server(system(model="ollama_chat/qwen3").config, "http://127.0.0.1:11500")
    assert ollama.agents.api_base == "http://127.0.0.1:11500"
    assert (
        models.asked_in_words(system(model="ollama_chat/qwen3").config) == "ollama_chat/qwen3, free of charge"
    )
    with pytest.raises(UserError, match="user or a password"):
        models.check_models(models.move_server(config, "http://me:hidden@gpu-box/v1"))


def test_a_web_page_is_no_server_of_models() -> None:
    config = system(**HERE).config

    def reach(address: str) -> None:
        agents = config.agents.model_copy(update={"api_base": address})
        models.reach_servers(config.model_copy(update={"agents": agents}))

    with ScriptedServer([]) as server:
        reach(server.base_url)
        with pytest.raises(UserError, match="answers with a web page: its address often ends in /v1"):
            reach(server.base_url.removesuffix("/v1"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(1)
        reach(f"http://127.0.0.1:{silent.getsockname()[1]}/v1")  # listens and says nothing: it may be busy
