"""A call to a model: its answer as a schema, natively and from a fenced block, and mended once."""

import subprocess
import sys
from pathlib import Path

import pytest
from llm_makers import GOOD, KEY, Asker, Opinion
from scripted_server import ScriptedServer, fenced, no_response_format, say

from model_discovery.llm import BadReply, JournalMismatch, Message, Usage, read_journal


def test_a_native_answer_is_bound_to_the_schema() -> None:
    with ScriptedServer([say(GOOD, usage=(90, 30, 60))]) as server:
        asker = Asker(server)
        reply = asker.ask()
    assert reply.parsed == GOOD and reply.text == GOOD.model_dump_json().replace('":', '": ').replace(
        ",", ", "
    )
    assert reply.usage == Usage(90, 30, 60) and reply.requests == 1 and reply.schema_mode == "native"
    assert reply.dollars == pytest.approx((90 * 1.0 + 30 * 4.0) / 1e6)
    assert reply.request_id == "req-1" and reply.seconds > 0
    sent = server.requests[0].json
    bound = sent["response_format"]["json_schema"]
    assert bound["strict"] is True and bound["schema"]["required"] == list(Opinion.model_fields)
    assert sent["messages"] == [{"role": "user", "content": "judge this"}] and sent["max_tokens"] == 500
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def test_a_fenced_answer_is_asked_for_in_the_prompt() -> None:
    with ScriptedServer([fenced(GOOD)]) as server:
        reply = Asker(server).ask(schema_mode="fenced")
    assert reply.parsed == GOOD and reply.schema_mode == "fenced"
    assert "response_format" not in server.requests[0].json
    prompt = server.requests[0].text
    assert prompt.startswith("judge this") and "```json" in prompt
    assert '"rating": number  // from 0 to 5; overall' in prompt


def test_a_model_that_nothing_is_known_of_gets_a_fence() -> None:
    with ScriptedServer([fenced(GOOD)]) as server:
        assert Asker(server).ask(schema_mode=None).schema_mode == "fenced"


def test_a_server_that_refuses_schemas_is_asked_without_from_then_on() -> None:
    with ScriptedServer([no_response_format(), fenced(GOOD), fenced(GOOD)]) as server:
        asker = Asker(server)
        assert [asker.ask(text).schema_mode for text in ("one", "two")] == ["fenced", "fenced"]
    assert ["response_format" in request.json for request in server.requests] == [True, False, False]


@pytest.mark.parametrize("mode", ["native", "fenced"])
def test_only_the_wrong_field_is_asked_for_again(mode: str) -> None:
    wrong = {**GOOD.model_dump(), "rating": 7}
    answers = [wrong, {"rating": 3, "why": "not asked for"}]
    with ScriptedServer([say(each) if mode == "native" else fenced(each) for each in answers]) as server:
        reply = Asker(server).ask(schema_mode=mode)
    assert reply.parsed == GOOD.model_copy(update={"rating": 3.0}) and reply.requests == 2
    first, again = server.requests
    roles = [message["role"] for message in again.json["messages"]]
    assert roles == ["user", "assistant", "user"] and again.json["messages"][0] == first.json["messages"][0]
    assert "`rating`: Input should be less than or equal to 5; you wrote 7" in again.text
    assert "from 0 to 5" in again.text and "concerns" not in again.text
    if mode == "native":
        schema = again.json["response_format"]["json_schema"]["schema"]
        assert list(schema["properties"]) == ["rating"]


def test_a_field_below_is_asked_for_with_the_whole_of_its_branch() -> None:
    wrong = {**GOOD.model_dump(), "part": {"name": 3}}
    with ScriptedServer([wrong, {"part": {"name": "gate", "source": ""}}]) as server:
        reply = Asker(server).ask()
    assert reply.parsed.part.name == "gate" and reply.parsed.rating == GOOD.rating
    assert "`part.name`: Input should be a valid string; you wrote 3" in server.requests[1].text


def test_keys_that_nobody_asked_for_cost_no_repair() -> None:
    data = {**GOOD.model_dump(), "mood": "good"}
    data["part"]["lines"] = 3
    with ScriptedServer([data]) as server:
        assert Asker(server).ask().parsed == GOOD


def test_no_json_at_all_is_asked_for_again_whole() -> None:
    with ScriptedServer(["I would say it is good.", GOOD]) as server:
        assert Asker(server).ask().parsed == GOOD
    assert "No JSON object" in server.requests[1].text


@pytest.mark.parametrize(
    ("answers", "kind"), [(["no", "never"], "malformed"), ([{"rating": 7}, {"rating": 8}], "schema")]
)
def test_one_repair_turn_and_no_more(answers: list[object], kind: str) -> None:
    with ScriptedServer(answers) as server:
        asker = Asker(server)
        with pytest.raises(BadReply) as caught:
            asker.ask()
    assert caught.value.kind == kind and len(server.requests) == 2
    assert [row.outcome for row in asker.ledger.rows()] == ["ok", "ok"]


def test_text_is_answered_without_a_schema() -> None:
    with ScriptedServer(["just words"]) as server:
        reply = Asker(server).ask(schema=None)
    assert reply.parsed is None and reply.text == "just words" and reply.schema_mode is None


def test_neighbours_of_one_role_are_one_message() -> None:
    messages = [
        Message(role="system", content="be brief"),
        Message(role="user", content="one"),
        Message(role="user", content="two", optional=True),
    ]
    with ScriptedServer(["yes"]) as server:
        Asker(server).chat(messages, None)
    assert [each["content"] for each in server.requests[0].json["messages"]] == ["be brief", "one\n\ntwo"]


def test_settings_reach_the_server_and_those_a_model_has_not_are_dropped() -> None:
    with ScriptedServer([GOOD, GOOD]) as server:
        asker = Asker(server)
        asker.ask(temperature=0.3)
        asker.ask(model="openai/o3", temperature=0.3, reasoning_effort="low")
    first, second = (request.json for request in server.requests)
    assert first["temperature"] == 0.3 and first["model"] == "scripted"
    assert "temperature" not in second and second["reasoning_effort"] == "low"
    assert second["max_completion_tokens"] == 500


def test_the_journal_answers_what_was_asked_before(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with ScriptedServer([{**GOOD.model_dump(), "rating": 9}, {"rating": 1}]) as server:
        first = Asker(server, journal=path).ask()
        for mode in ("resume", "replay"):
            asker = Asker(server, journal=path, mode=mode)
            assert asker.ask() == first and asker.ledger.rows() == []
            if mode == "replay":
                with pytest.raises(JournalMismatch):
                    asker.ask("something new")
        with pytest.raises(JournalMismatch, match=r"prompt"):
            Asker(server, journal=path).ask("something else")
    assert len(server.requests) == 2
    data = read_journal(path)[0].data
    assert data["messages"] == server.requests[1].json["messages"]
    assert data["schema"] == "Opinion" and data["role"] == "reviewer" and data["requests"] == 2
    assert data["usage"]["input"] == first.usage.input and data["dollars"] == first.dollars
    assert [each["outcome"] for each in data["attempts"]] == ["ok", "ok"]


def test_a_bad_reply_is_kept_and_raised_again(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with ScriptedServer(["no", "never"]) as server:
        for mode in ("resume", "resume", "replay"):
            with pytest.raises(BadReply, match="answers without JSON") as caught:
                Asker(server, journal=path, mode=mode).ask()
            assert caught.value.kind == "malformed"
    data = read_journal(path)[0].data
    assert data["error"]["type"] == "bad_reply" and data["requests"] == 2 and data["dollars"] > 0
    assert data["text"] == "never" and data["messages"][1]["content"] == "no"


def test_settings_that_only_say_where_do_not_change_what_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with ScriptedServer([GOOD]) as server:
        Asker(server, journal=path).ask()
        with ScriptedServer([]) as moved:
            asker = Asker(moved, journal=path)
            assert asker.ask(timeout=9.0, schema_mode="fenced", requests_per_minute=3).parsed == GOOD


REPLAY = """
import sys
sys.path.insert(0, {room!r})
import subprocess
import sys
from pathlib import Path
from llm_makers import GOOD, Opinion
from model_discovery.llm import LLM, Journal, Ledger, Message, ModelSettings
llm = LLM(Ledger(None), Journal(Path({path!r}), "session-1", mode="replay"))
settings = ModelSettings("openai/scripted", max_output_tokens=500)
reply = llm.chat("reviewer", "review", [Message(role="user", content="judge this")], Opinion, settings)
assert reply.parsed == GOOD
print(sorted({{"litellm", "openai", "httpx"}} & set(sys.modules)))
"""


def test_a_replay_needs_no_client_at_all(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with ScriptedServer([GOOD]) as server:
        Asker(server, journal=path).ask()
    script = REPLAY.format(room=str(Path(__file__).parent), path=str(path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stdout + done.stderr
