"""What is known of models before they are asked: price, provider, schema output, keys that are missing."""

from pathlib import Path

import pytest
from llm_makers import GOOD, KEY, Asker
from scripted_server import ScriptedServer

from model_discovery.config.agents import Price, SpendingLimits
from model_discovery.config.environment import environment
from model_discovery.errors import UserError
from model_discovery.llm import ModelSettings, ModelUnavailable
from model_discovery.llm.keys import Keys
from model_discovery.llm.models import context_of, missing, native_schema, price_of, provider_of

SONNET = "anthropic/claude-sonnet-4-5"
OWN = Price(input=0, output=0)


@pytest.fixture(autouse=True)
def without_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_prices_of_the_table_are_the_highest_that_a_request_may_meet() -> None:
    price = price_of(SONNET)
    assert price is not None and price.input > 3.0 and price.output >= 15.0  # long contexts, cache writes
    assert price_of(SONNET, Price(input=1, output=1)) == price


@pytest.mark.parametrize("model", ["openai/no-such-model", "ollama/llama3", "hosted_vllm/x"])
def test_no_price_and_a_price_of_zero_are_unknown(model: str) -> None:
    assert price_of(model) is None and price_of(model, OWN) == OWN


def test_a_server_of_ones_own_has_no_price_of_the_table() -> None:
    assert price_of("openai/gpt-4o") is not None
    assert price_of("openai/gpt-4o", None, "http://127.0.0.1/v1") is None


def test_a_name_is_not_taken_for_another_providers() -> None:
    assert price_of("ollama/gpt-4o") is None and price_of("gpt-4o") == price_of("openai/gpt-4o")


def test_context_and_schema_output_as_litellm_knows_them() -> None:
    assert context_of(SONNET) and context_of("openai/no-such-model") is None
    assert native_schema(ModelSettings("openai/gpt-4o"))
    assert not native_schema(ModelSettings("openai/gpt-4o", api_base="http://127.0.0.1/v1"))
    assert native_schema(ModelSettings("openai/foo", api_base="http://127.0.0.1/v1", schema_mode="native"))


def test_a_provider_that_nobody_knows() -> None:
    with pytest.raises(ModelUnavailable, match="'gpt-17' names no provider") as caught:
        provider_of("gpt-17")
    assert "provider/name" in caught.value.hint


@pytest.mark.parametrize(
    ("model", "env", "lacks"),
    [
        ("openai/gpt-4o", {}, "OPENAI_API_KEY is not set"),
        (SONNET, {"OPENAI_API_KEY": KEY}, "ANTHROPIC_API_KEY is not set"),
        (SONNET, {"ANTHROPIC_API_KEY": KEY}, ""),
        (SONNET, {"ANTHROPIC_API_KEY": ""}, "ANTHROPIC_API_KEY is not set"),
        ("gemini/gemini-2.5-pro", {}, "GEMINI_API_KEY or GOOGLE_API_KEY is not set|GOOGLE_API_KEY or GEMINI"),
        ("gemini/gemini-2.5-pro", {"GOOGLE_API_KEY": KEY}, ""),
        ("azure/gpt-4o", {"AZURE_API_KEY": KEY}, "AZURE_API_BASE, AZURE_API_VERSION are not set"),
        ("hosted_vllm/x", {}, "HOSTED_VLLM_API_BASE is not set"),
        ("ollama/llama3", {}, ""),
        ("gpt-17", {}, "names no provider"),
    ],
)
def test_what_is_missing_is_named(model: str, env: dict[str, str], lacks: str) -> None:
    said = missing(ModelSettings(model), env)
    assert any(each in said for each in lacks.split("|")) and bool(said) == bool(lacks)


def test_a_server_of_ones_own_needs_no_key() -> None:
    assert missing(ModelSettings("openai/x", api_base="http://127.0.0.1/v1"), {}) == ""
    with ScriptedServer([GOOD]) as server:
        assert Asker(server, env={}).ask().parsed == GOOD
    assert server.requests[0].headers["Authorization"] == "Bearer none"


def test_env_file_below_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-file\nANTHROPIC_API_KEY='also'\nEMPTY=\n", "utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "from-process")
    found = environment()
    assert found["OPENAI_API_KEY"] == "from-process" and found["ANTHROPIC_API_KEY"] == "also"
    assert "EMPTY" not in found
    with ScriptedServer([GOOD]) as server:
        (tmp_path / ".env").write_text("OPENAI_API_KEY=from-file\n", "utf-8")
        monkeypatch.delenv("OPENAI_API_KEY")
        keys = Keys()
        assert keys.arguments("openai/x", "openai", server.base_url)["api_key"] == "from-file"


def test_several_variables_of_a_provider_are_arguments_of_the_call() -> None:
    env = {"AZURE_API_KEY": KEY, "AZURE_API_BASE": "https://example.invalid", "AZURE_API_VERSION": "v"}
    assert Keys(env).arguments("azure/gpt-4o", "azure", None) == {
        "api_key": KEY, "api_base": "https://example.invalid", "api_version": "v",
    }  # fmt: skip


NO_PRICE = "No price is known for openai/scripted"


@pytest.mark.parametrize(
    ("scopes", "says"),
    [
        ({}, "and no limit of tokens"),
        ({"session": SpendingLimits(calls=120)}, "and no limit of tokens"),
        ({"session": SpendingLimits(tokens=10**6), "campaign": SpendingLimits(dollars=3)}, "cannot be kept"),
        ({"session": SpendingLimits(tokens=10**6)}, ""),
        ({"campaign": SpendingLimits(tokens=10**6)}, ""),
    ],
)
def test_without_a_price_a_number_of_tokens_has_to_be_limited(
    scopes: dict[str, SpendingLimits], says: str
) -> None:
    with ScriptedServer([] if says else [GOOD]) as server:
        asker = Asker(server, prices=None, scopes=scopes, per_call=SpendingLimits(tokens=200_000))
        if not says:
            assert asker.ask().dollars is None
            return
        with pytest.raises(UserError, match=f"{NO_PRICE}.*{says}") as caught:
            asker.ask()
    assert "agents.price" in caught.value.hint and "--max-llm-tokens" in caught.value.hint
    assert asker.ledger.rows() == []


@pytest.mark.parametrize("prices", [OWN, {"openai/scripted": OWN}])
def test_a_price_of_zero_can_be_given(prices: object) -> None:
    with ScriptedServer([GOOD]) as server:
        assert Asker(server, prices=prices).ask().dollars == 0
