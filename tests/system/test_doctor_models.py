"""``doctor --llm``: one tiny call to each model, and a fact whatever comes of it."""

import json
from pathlib import Path

import pytest
from scripted_server import ScriptedServer, bad_key, empty, html_page, no_response_format, no_such_model, say
from typer.testing import CliRunner

from model_discovery.cli.app import app
from model_discovery.system.doctor import Fact
from model_discovery.system.doctor_models import examine_models

FIVE = {"sum": 5}
FENCED = '```json\n{"sum": 5}\n```'


@pytest.fixture(autouse=True)
def without_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def _ask(*answers: object) -> Fact:
    with ScriptedServer(list(answers)) as server:
        (fact,) = examine_models("openai/scripted", server.base_url)
        assert len(server.requests) == len(answers)
    return fact


def test_a_model_that_keeps_to_schemas() -> None:
    fact = _ask(FIVE)
    assert fact.what == "openai/scripted" and "schema output: native" in fact.value
    assert (
        " tokens, free of charge; schema" in fact.value and "schema_mode: native" in fact.more and not fact.ok
    )


def test_a_server_that_refuses_schemas() -> None:
    fact = _ask(no_response_format(), FENCED)
    assert fact.ok and "a fenced block, for it refuses schemas" in fact.value


@pytest.mark.parametrize("answers", [("five", FIVE), ("five", "it is 5", FENCED)])
def test_a_model_that_passes_over_schemas(answers: tuple[object, ...]) -> None:
    fact = _ask(*answers)
    assert fact.ok and "a fenced block, for it refuses schemas or does not keep" in fact.value


@pytest.mark.parametrize(
    ("answers", "says", "remedy"),
    [
        ((no_such_model(),), "has no model 'scripted'", "/models"),
        ((bad_key(),), "refuses the key", "OPENAI_API_KEY"),
        ((html_page(),), "answers HTML, not JSON", "address"),
        ((empty(), empty()), "answers nothing", "another model"),
        (("five", "it is 5") * 2, "answers without JSON", "another model"),
    ],
)
def test_a_model_that_fails_is_a_fact(answers: tuple[object, ...], says: str, remedy: str) -> None:
    fact = _ask(*answers)
    assert not fact.ok and says in fact.value and remedy in fact.more and "\n" not in fact.value


def test_without_a_key_it_says_what_to_set() -> None:
    (fact,) = examine_models()
    assert not fact.ok and "OPENAI_API_KEY" in fact.more and "--model" in fact.more
    (fact,) = examine_models("anthropic/claude-sonnet-4-5")
    assert not fact.ok and "ANTHROPIC_API_KEY is not set" in fact.value


def test_models_of_mixtures_and_fallbacks_are_asked_once_each(tmp_path: Path) -> None:
    def script(request: dict) -> object:
        return FIVE if request["model"] in "abc" else no_such_model(request["model"])

    with ScriptedServer(script) as server:
        for role in ("coder", "planner"):
            shipped = (Path(__file__).parents[2] / "etc" / "agent_spec" / f"{role}.yaml").read_text("utf-8")
            lines = [
                "model: {openai/a: 1, openai/b: 3}" if role == "coder" else "model: openai/c",
                "fallbacks: [openai/gone]",
                f"api_base: {server.base_url}",
            ]
            (tmp_path / f"{role}.yaml").write_text(shipped + "\n" + "\n".join(lines) + "\n", "utf-8")
        facts = examine_models("openai/a", server.base_url, tmp_path)
        assert [fact.what for fact in facts] == ["openai/a"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OPENAI_API_KEY", "k")
            asked = {fact.what: fact.value for fact in examine_models(agent_spec=tmp_path)}
    assert {"openai/a", "openai/b", "openai/c", "openai/gone"} <= set(asked)
    assert "answers in" in asked["openai/b"] and "has no model 'gone'" in asked["openai/gone"]
    assert sorted(request.json["model"] for request in server.requests[1:]) == ["a", "b", "c", "gone"]


def test_the_command_prints_a_table_and_json() -> None:
    with ScriptedServer([say(FIVE, usage=(40, 7, 0)), FIVE]) as server:
        plain = ["doctor", "--llm", "--model", "openai/scripted", "--api-base", server.base_url]
        shown = CliRunner().invoke(app, plain)
        listed = CliRunner().invoke(app, [*plain, "--json"])
    assert shown.exit_code == 0 and "openai/scripted" in shown.output
    (fact,) = json.loads(listed.output)
    assert fact["what"] == "openai/scripted" and "answers in" in fact["value"]
