"""Providers that do not speak OpenAI's form: the same answers, counts, bounds and failures."""

import json
from typing import Any

import pytest
from llm_makers import GOOD, KEY, Asker
from scripted_server import Answer, ScriptedServer, cut, endless, html_page

from model_discovery.llm import BadReply, ModelUnavailable, Usage

SAID = GOOD.model_dump_json()
MESSAGES, GENERATE, CHAT = "/v1/messages", "/models/gemini-2.5-pro:generateContent", "/api/chat"


def _json(data: Any, status: int = 200, **how: Any) -> Answer:
    return Answer(body=json.dumps(data).encode(), status=status, **how)


def anthropic(text: str, stop: str = "end_turn") -> Answer:
    usage = {"input_tokens": 50, "output_tokens": 20, "cache_read_input_tokens": 30}
    content = [{"type": "text", "text": text}]
    return _json(
        {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
         "stop_reason": stop, "usage": {**usage, "cache_creation_input_tokens": 0}}
    )  # fmt: skip


def anthropic_error(status: int, kind: str, message: str) -> Answer:
    return _json({"type": "error", "error": {"type": kind, "message": message}}, status)


GEMINI = _json(
    {"candidates": [{"content": {"parts": [{"text": SAID}], "role": "model"}, "finishReason": "STOP"}],
     "usageMetadata": {"promptTokenCount": 80, "candidatesTokenCount": 20, "totalTokenCount": 100}}
)  # fmt: skip
OLLAMA = _json(
    {"model": "llama3", "message": {"role": "assistant", "content": SAID}, "done": True,
     "done_reason": "stop", "prompt_eval_count": 80, "eval_count": 20}
)  # fmt: skip
SONNET = "anthropic/claude-sonnet-4-5"
ENV = {"ANTHROPIC_API_KEY": KEY, "GEMINI_API_KEY": KEY}


def _ask(server: ScriptedServer, model: str = SONNET) -> tuple[Asker, Any]:
    asker = Asker(server, env=ENV)
    return asker, asker.ask(model=model, api_base=server.root_url, timeout=5.0)


@pytest.mark.parametrize(
    ("model", "path", "answer", "where"),
    [
        (SONNET, MESSAGES, anthropic(SAID), ["output_format", "schema"]),
        ("gemini/gemini-2.5-pro", GENERATE, GEMINI, ["generationConfig", "response_json_schema"]),
        ("ollama_chat/llama3", CHAT, OLLAMA, ["format"]),
    ],
)
def test_the_schema_is_sent_in_the_providers_own_form_only(
    model: str, path: str, answer: Answer, where: list[str]
) -> None:
    with ScriptedServer([answer], path=path) as server:
        asker, reply = _ask(server, model)
    assert reply.parsed == GOOD and reply.schema_mode == "native"
    assert (reply.usage.input, reply.usage.output) == (80, 20)
    sent = server.requests[0].json
    assert '"response_format"' not in json.dumps(sent)  # they refuse what they do not know
    for step in where:
        sent = sent[step]
    assert sent["required"] == ["rating", "why", "concerns", "part"]
    assert asker.ledger.rows()[0].outcome == "ok"


def test_cached_tokens_are_part_of_those_in() -> None:
    with ScriptedServer([anthropic(SAID)], path=MESSAGES) as server:
        _, reply = _ask(server)
    assert reply.usage == Usage(80, 20, 30) and server.requests[0].headers["x-api-key"] == KEY


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (anthropic("", "refusal"), "refusal"),
        (anthropic("and then", "max_tokens"), "endless"),
        (anthropic_error(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
         "overflow"),
        (endless(10), "endless"),
    ],
)  # fmt: skip
def test_answers_of_no_use(answer: Answer, kind: str) -> None:
    with ScriptedServer([answer], path=MESSAGES) as server, pytest.raises(BadReply) as caught:
        _ask(server)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(anthropic_error(529, "overloaded_error", "Overloaded"), "server"), (cut(), "cut")],
)
def test_what_may_pass(answer: Answer, outcome: str) -> None:
    with ScriptedServer([answer, anthropic(SAID)], path=MESSAGES) as server:
        asker, reply = _ask(server)
    assert reply.parsed == GOOD and [row.outcome for row in asker.ledger.rows()] == [outcome, "ok"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (anthropic_error(401, "authentication_error", "invalid x-api-key"), "refuses the key: invalid x-api"),
        (
            anthropic_error(400, "invalid_request_error", "Your credit balance is too low."),
            "wants to be paid",
        ),
        (html_page(), "answers HTML"),
    ],
)
def test_what_stays(answer: Answer, says: str) -> None:
    with ScriptedServer([answer], path=MESSAGES) as server, pytest.raises(ModelUnavailable, match=says):
        _ask(server)


def test_a_model_that_is_not_pulled() -> None:
    absent = _json({"error": "model 'llama3' not found"}, 404)
    with ScriptedServer([absent], path=CHAT) as server, pytest.raises(ModelUnavailable) as caught:
        _ask(server, "ollama_chat/llama3")
    assert "has no model 'llama3'" in caught.value.message
    assert caught.value.hint == "ollama pull llama3"
