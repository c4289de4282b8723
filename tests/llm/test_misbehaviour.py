"""What becomes of a call when the server misbehaves: tried again, given up with one clear line, accounted."""

import json
import time

import pytest
from llm_makers import GOOD, KEY, Asker
from scripted_server import (
    Answer,
    Said,
    ScriptedServer,
    bad_key,
    context_overflow,
    cut,
    empty,
    endless,
    failure,
    filtered,
    html_page,
    never,
    no_such_model,
    not_json,
    rate_limited,
    refusal,
    say,
    server_error,
)

from model_discovery.llm import BadReply, Message, ModelSettings, ModelUnavailable, Patience
from model_discovery.llm.provider import CallFailed
from model_discovery.llm.trouble import explain

LM_STUDIO = Answer(body=b'{"error": "Unexpected endpoint or method. (POST /chat/completions)"}')
NO_QUOTA = failure(429, "You exceeded your current quota.", "insufficient_quota")


@pytest.mark.parametrize(
    ("answer", "outcome", "billed"),
    [
        (rate_limited(), "rate", False),
        (server_error(500), "server", False),
        (server_error(503), "server", False),
        (html_page(502), "server", False),
        (failure(409, "conflict"), "server", False),
        (not_json(), "garbled", True),
        (cut(), "cut", True),
        (cut(chunked=True), "cut", True),
        (never(), "timeout", True),
        (say("x" * 800, drip=0.1), "timeout", True),
    ],
)
def test_what_may_pass_is_tried_again(answer: Answer, outcome: str, billed: bool) -> None:
    with ScriptedServer([answer, GOOD]) as server:
        asker = Asker(server)
        assert asker.ask(timeout=1.0 if outcome == "timeout" else 30.0).parsed == GOOD
    failed, good = asker.ledger.rows()
    assert (failed.outcome, good.outcome) == (outcome, "ok")
    assert (failed.input_tokens == failed.bound_input > 0) == billed  # what nobody knows counts in full
    assert (failed.dollars == failed.bound_dollars) == billed
    assert len(asker.naps.seconds) == 1 and 0 < asker.naps.seconds[0] < 0.02


@pytest.mark.parametrize(
    ("answer", "says", "hint"),
    [
        (no_such_model(), "has no model 'scripted'", "/v1/models"),
        (bad_key(), "refuses the key", "OPENAI_API_KEY"),
        (NO_QUOTA, "wants to be paid", "account"),
        (html_page(), "answers HTML, not JSON", "is it the address"),
        (html_page(403), r"answers HTML \(status 403\)", "is it the address"),
        (LM_STUDIO, "Unexpected endpoint", "is it the address"),
        (
            failure(400, "Invalid value for 'temperature'."),
            "refuses the request: Invalid value",
            "agent spec",
        ),
        (rate_limited(99_999), "asks to wait 99,999 s", "resume"),
    ],
)
def test_what_stays_is_said_at_once(answer: Answer, says: str, hint: str) -> None:
    with ScriptedServer([answer]) as server:
        asker = Asker(server)
        with pytest.raises(ModelUnavailable, match=says) as caught:
            asker.ask(schema=None)
    assert hint in caught.value.hint and "\n" not in str(caught.value)
    assert len(server.requests) == 1 and asker.naps.seconds == []
    assert asker.ledger.totals()[0].dollars == 0 and not asker.journal.events


def test_tries_end() -> None:
    with ScriptedServer([server_error()] * 4) as server:
        asker = Asker(server)
        with pytest.raises(ModelUnavailable, match=r"fails .status 500.: The server had an error"):
            asker.ask()
        assert len(server.requests) == 3
        with pytest.raises(ModelUnavailable):  # given up once: no more waiting for it in this session
            asker.ask()
    assert len(server.requests) == 4


@pytest.mark.parametrize(("answer", "tries"), [(server_error(), 5), (cut(), 2), (not_json(), 2)])
def test_what_may_be_billed_is_tried_less_often(answer: Answer, tries: int) -> None:
    with ScriptedServer([answer] * tries) as server:
        asker = Asker(server, patience=Patience(tries=5, billed_tries=2, first=0.01))
        with pytest.raises(ModelUnavailable):
            asker.ask()
    assert len(server.requests) == tries


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_is_honoured(date: bool) -> None:
    with ScriptedServer([rate_limited(20, date=date), GOOD]) as server:
        asker = Asker(server)
        asker.ask()
    assert 20 <= asker.naps.seconds[0] < 22.1
    ((seconds, why),) = asker.told  # a pause is said before it begins
    assert seconds == asker.naps.seconds[0] and "Rate limit reached" in why


@pytest.mark.parametrize("value", ["soon", "-3", "nan", "inf", "Sat, 99 Nov 2026"])
def test_a_retry_after_that_cannot_be_read_is_passed_over(value: str) -> None:
    with ScriptedServer([rate_limited(value), GOOD]) as server:
        asker = Asker(server)
        asker.ask()
    assert asker.naps.seconds[0] < 0.1


def test_pauses_grow_to_a_bound_and_are_the_same_again() -> None:
    def pauses() -> list[float]:
        with ScriptedServer([server_error()] * 6) as server:
            asker = Asker(server, patience=Patience(tries=6, first=1.0, longest=4.0))
            with pytest.raises(ModelUnavailable):
                asker.ask()
        return asker.naps.seconds

    first = pauses()
    assert first == pauses() and len(first) == 5
    for pause, middle in zip(first, [1, 2, 4, 4, 4], strict=True):
        assert middle * 0.5 <= pause <= middle * 1.5


def test_nobody_listens() -> None:
    with ScriptedServer([]) as server:
        asker = Asker(server, patience=Patience(tries=9, connect_tries=2, first=0.01))
    with pytest.raises(ModelUnavailable, match=r"cannot be reached: .*refused") as caught:
        asker.ask()
    assert "is the server running" in caught.value.hint and len(asker.ledger.rows()) == 2


def test_a_base_url_without_v1() -> None:
    with ScriptedServer([]) as server, pytest.raises(ModelUnavailable) as caught:
        Asker(server).ask(api_base=server.root_url)
    assert str(caught.value) == (f"{server.root_url} answers HTML, not JSON. (is the base URL missing /v1?)")


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (empty(), "empty", "answers nothing"),
        (say("  \n"), "empty", "answers nothing"),
        (refusal("I will not."), "refusal", "I will not."),
        (filtered(), "refusal", "content_filter"),
        (endless(10), "endless", "more than 232,000 bytes"),
        (say("and then", finish_reason="length"), "endless", "cut off at 500 tokens"),
        (say("", finish_reason="length"), "endless", "before it answered"),
    ],
)
def test_an_answer_of_no_use_is_paid_once(answer: Answer, kind: str, says: str) -> None:
    with ScriptedServer([answer]) as server:
        asker = Asker(server)
        started = time.monotonic()
        with pytest.raises(BadReply, match=says) as caught:
            asker.ask()
    assert caught.value.kind == kind and time.monotonic() - started < 4
    (row,) = asker.ledger.rows()
    assert row.outcome == kind and row.output_tokens and row.dollars and row.dollars > 0


def test_an_answer_that_goes_on_after_its_json_is_of_use() -> None:
    with ScriptedServer(
        [say(f"```json\n{GOOD.model_dump_json()}\n```\nand", finish_reason="length")]
    ) as server:
        assert Asker(server).ask().parsed == GOOD


MATERIAL = [
    Message(role="system", content="you judge"),
    Message(role="user", content="old material " * 400, optional=True),
    Message(role="assistant", content="I see."),
    Message(role="user", content="newer material " * 100, optional=True),
    Message(role="user", content="judge this"),
]


def test_where_the_context_is_full_the_oldest_optional_material_goes() -> None:
    with ScriptedServer([context_overflow(8192, 8500), GOOD]) as server:
        Asker(server).chat(MATERIAL)
    text = str(server.requests[1].json["messages"])
    assert "old material" not in text and "newer material" in text and "judge this" in text


def test_all_optional_material_goes_where_it_has_to() -> None:
    for answer in (context_overflow(8192, 20_000), failure(400, "too long", "context_length_exceeded")):
        with ScriptedServer([answer, GOOD]) as server:
            Asker(server).chat(MATERIAL)
        assert "material" not in str(server.requests[1].json["messages"])


@pytest.mark.parametrize("optional", [True, False])
def test_what_does_not_fit_even_so_is_a_bad_reply(optional: bool) -> None:
    messages = [
        Message(role="user", content="much", optional=optional),
        Message(role="user", content="judge"),
    ]
    with ScriptedServer([context_overflow()] * (2 if optional else 1)) as server:
        asker = Asker(server)
        with pytest.raises(BadReply, match="maximum context length") as caught:
            asker.chat(messages)
    assert caught.value.kind == "overflow" and {row.outcome for row in asker.ledger.rows()} == {"overflow"}


def test_fallbacks_are_asked_in_order() -> None:
    def script(request: dict) -> Said:
        return GOOD if request["model"] == "third" else no_such_model(request["model"])

    with ScriptedServer(script) as server:
        asker = Asker(server)
        reply = asker.ask(fallbacks=("openai/second", "openai/third"))
        assert reply.parsed == GOOD and reply.model == "openai/third"
        with pytest.raises(ModelUnavailable, match=r"no model 'scripted'.*Nor its fallbacks.*'second'"):
            asker.ask(fallbacks=("openai/second",))


def test_a_fallback_of_another_provider_never_gets_the_server_of_the_first() -> None:
    env = {"OPENAI_API_KEY": KEY}
    with (
        ScriptedServer([no_such_model()]) as server,
        pytest.raises(ModelUnavailable, match="ANTHROPIC_API_KEY"),
    ):
        Asker(server, env=env).ask(fallbacks=("anthropic/claude-sonnet-4-5",))
    assert len(server.requests) == 1


def test_a_server_without_counts_is_counted_at_the_bound() -> None:
    body = b'{"id": "x", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop", '
    body += b'"message": {"role": "assistant", "content": "yes"}}]}'
    with ScriptedServer([Answer(body=body)]) as server:
        asker = Asker(server)
        assert asker.ask(schema=None).text == "yes"
    (row,) = asker.ledger.rows()
    assert (row.input_tokens, row.output_tokens) == (row.bound_input, 500)


def _odd(**changes: object) -> Answer:
    message = {"role": "assistant", "content": GOOD.model_dump_json()}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    whole = {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage, **changes}
    return Answer(body=json.dumps(whole).encode())


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": -3, "total_tokens": 0},
        {"prompt_tokens": 10**30, "completion_tokens": 3, "total_tokens": 8},
        {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": -4}},
        {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    ],
)
def test_counts_that_cannot_be_do_no_harm(usage: dict) -> None:
    with ScriptedServer([_odd(usage=usage)]) as server:
        asker = Asker(server)
        assert asker.ask().parsed == GOOD
    assert all(0 <= (tokens or 0) < 2e9 for row in asker.ledger.rows() for tokens in (row.input_tokens,))


@pytest.mark.parametrize(
    "answer",
    [
        _odd(choices=None),
        _odd(choices=[{}]),
        _odd(choices=[{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": 5}}]),
        _odd(usage="many"),
        Answer(body=b""),
        Answer(body=b"null"),
        Answer(body=b"[" * 5000),
        Answer(body=b"\xff\xfe\x00"),
        Answer(body=b"not gzip", headers={"Content-Encoding": "gzip"}),
        Answer(status=204, body=b""),
        Answer(body=b'{"error": {"message": "Provider returned error", "code": 502}}'),
        Answer(body=b'{"error": {"message": "slow down", "code": 429}}'),
    ],
)
def test_bodies_that_are_no_completion_are_tried_again(answer: Answer) -> None:
    with ScriptedServer([answer, GOOD]) as server:
        assert Asker(server).ask().parsed == GOOD


def test_an_address_whose_server_knows_no_completions() -> None:
    found = CallFailed("model", "Not Found", status=404)
    error = explain(found, ModelSettings("openai/x", api_base="http://user:secret@h:8000"))
    assert str(error) == "http://h:8000 has no chat completions: Not Found. (is the base URL missing /v1?)"


def test_no_network_is_another_thing_than_no_server() -> None:
    error = explain(CallFailed("connect", "Name or service not known"), ModelSettings("openai/gpt-4o"))
    assert error.message == "openai/gpt-4o cannot be reached: Name or service not known."
    assert "network" in error.hint
    error = explain(CallFailed("connect", "Connection refused"), ModelSettings("ollama_chat/llama3"))
    assert "is the server running" in error.hint
