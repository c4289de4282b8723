"""The test server itself: it says what its script says, and fails where it is told to."""

import http.client
import json
import urllib.request
from urllib.error import HTTPError

import pytest
from scripted_server import (
    Answer,
    ScriptedServer,
    bad_key,
    cut,
    html_page,
    never,
    rate_limited,
    say,
)

ASK = {"model": "scripted", "messages": [{"role": "user", "content": "say something"}]}


def _ask(server: ScriptedServer, timeout: float = 5, url: str = "") -> dict:
    request = urllib.request.Request(
        f"{url or server.base_url}/chat/completions",
        json.dumps(ASK).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer secret"},
    )
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        return json.load(reply)


def test_a_list_is_answered_in_order_and_requests_are_kept() -> None:
    with ScriptedServer(["one", {"two": 2}, say("three", usage=(7, 5, 3))]) as server:
        replies = [_ask(server) for _ in range(3)]
    said = [reply["choices"][0]["message"]["content"] for reply in replies]
    assert said == ["one", '{"two": 2}', "three"]
    assert replies[2]["usage"]["prompt_tokens_details"]["cached_tokens"] == 3
    assert server.requests[0].text == "say something"
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


def test_a_callable_sees_the_request() -> None:
    with ScriptedServer(lambda request: request["messages"][0]["content"].upper()) as server:
        assert _ask(server)["choices"][0]["message"]["content"] == "SAY SOMETHING"


def test_a_script_that_ends_is_an_error_of_the_test() -> None:
    with pytest.raises(AssertionError, match="only 1 answers"), ScriptedServer(["one"]) as server:
        _ask(server)
        with pytest.raises(HTTPError):
            _ask(server)


@pytest.mark.parametrize(("answer", "status"), [(rate_limited(2), 429), (bad_key("k"), 401)])
def test_statuses(answer: Answer, status: int) -> None:
    with ScriptedServer([answer]) as server, pytest.raises(HTTPError) as caught:
        _ask(server)
    assert caught.value.code == status


@pytest.mark.parametrize("chunked", [False, True])
def test_a_cut_body_is_incomplete(chunked: bool) -> None:
    with ScriptedServer([cut(chunked=chunked)]) as server, pytest.raises(http.client.IncompleteRead):
        _ask(server)


def test_a_whole_chunked_body_arrives() -> None:
    with ScriptedServer([say("all of it", chunked=True)]) as server:
        assert _ask(server)["choices"][0]["message"]["content"] == "all of it"


def test_never_means_until_the_server_stops() -> None:
    with ScriptedServer([never()]) as server, pytest.raises(TimeoutError):
        _ask(server, timeout=0.2)


def test_a_page_is_no_json() -> None:
    with ScriptedServer([html_page()]) as server:
        for url in ("", server.root_url):
            with pytest.raises(json.JSONDecodeError):
                _ask(server, url=url)


def test_models_are_listed() -> None:
    with (
        ScriptedServer([], models=["a", "b"]) as server,
        urllib.request.urlopen(f"{server.base_url}/models") as reply,
    ):
        assert [model["id"] for model in json.load(reply)["data"]] == ["a", "b"]
