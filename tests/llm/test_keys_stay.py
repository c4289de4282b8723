"""A key that was set reaches the provider, and nothing else: no file, log, error, trace or sandbox."""

import logging
import os
import sqlite3
import traceback
from pathlib import Path

import pytest
from llm_makers import GOOD, Asker
from scripted_server import Answer, ScriptedServer, bad_key, failure, no_such_model, say

from model_discovery.errors import UserError
from model_discovery.llm import BadReply, Ledger
from model_discovery.llm.keys import Keys

PLANTED = "planted-3f8e21d9-not-of-any-form"

ANSWERS: list[Answer] = [
    say(GOOD),
    bad_key(PLANTED),
    no_such_model(PLANTED),
    failure(400, f"Header 'Authorization: Bearer {PLANTED}' is not valid."),
    say(f"Your key is {PLANTED}."),
    Answer(body=f"<html>{PLANTED}</html>".encode(), content_type="text/html"),
    Answer(None, refusal=f"not with {PLANTED}"),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_planted_key_is_nowhere(
    answer: Answer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    caplog.set_level(logging.DEBUG)
    said = ""
    with ScriptedServer([answer, say(f"{PLANTED} again")]) as server:
        asker = Asker(
            server, env=dict(os.environ), journal=tmp_path / "session.jsonl", ledger=Ledger(tmp_path / "l.db")
        )
        try:
            said = repr(asker.ask())
        except (UserError, BadReply) as error:
            said = f"{error!r} {error} {''.join(traceback.format_exception(error))}"
        server.errors.clear()
    assert server.requests[0].headers["Authorization"] == f"Bearer {PLANTED}"
    printed = capfd.readouterr()
    texts = {"log": caplog.text, "printed": printed.out + printed.err, "said": said}
    texts |= {path.name: path.read_bytes().decode("utf-8", "replace") for path in tmp_path.iterdir()}
    texts["rows"] = str(sqlite3.connect(tmp_path / "l.db").execute("SELECT * FROM request").fetchall())
    assert {name for name, text in texts.items() if PLANTED in text} == set()
    assert "l.db" in texts and said


def test_scrubbing_knows_keys_by_name_and_by_form() -> None:
    keys = Keys(
        {"A_TOKEN": "abcdef123", "AWS_ACCESS_KEY_ID": "AKIA777777", "TOKENIZERS_PARALLELISM": "falsehood",
         "SHORT_KEY": "abc", "LONG_TOKEN": "abcdef123456"}
    )  # fmt: skip
    text = keys.scrub("abcdef123 abcdef123456 AKIA777777 falsehood abc sk-proj-12345678 sk-ab***yz9")
    assert text == "*** *** *** falsehood abc *** ***"
