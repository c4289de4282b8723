"""A key that was set reaches the provider, and nothing else: no file, log, error, trace or sandbox."""

import logging
import os
import sqlite3
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from llm_makers import GOOD, Asker
from scripted_server import Answer, ScriptedServer, bad_key, failure, no_such_model, say

from model_discovery.errors import UserError
from model_discovery.llm import BadReply, Ledger
from model_discovery.llm.keys import Keys

PLANTED = "planted-3f8e21d9-not-of-any-form"
ROOM = Path(__file__).parent

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


SCRIPT = """
import os, sys
sys.path.insert(0, {room!r})
from llm_makers import GOOD, PRICE, Opinion
from scripted_server import ScriptedServer
from model_discovery.llm import LLM, Journal, Ledger, Message, ModelSettings
with ScriptedServer([GOOD]) as server:
    settings = ModelSettings("openai/scripted", api_base=server.base_url, schema_mode="native")
    llm = LLM(Ledger(None), Journal(None), prices=PRICE)
    llm.chat("coder", "write", [Message(role="user", content="go")], Opinion, settings)
    sent = server.requests[0].headers["Authorization"]
print(sent.endswith("from-the-file"), "OPENAI_API_KEY" in os.environ, "SPARE_VALUE" in os.environ)
"""


def test_what_stands_in_an_env_file_does_not_enter_the_environment(tmp_path: Path) -> None:
    """A library that reads ``.env`` into the environment would hand it to every child process."""
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-the-file\nSPARE_VALUE=1\n", "utf-8")
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENAI_API_KEY", "LITELLM_MODE")}
    environment["LITELLM_LOG"] = "DEBUG"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(room=str(ROOM))],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["True False False"], done.stdout + done.stderr
    assert "from-the-file" not in done.stdout + done.stderr


def test_generated_code_has_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from model_discovery.sandbox import Limits, Sandbox

    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "looks_around.py").write_text(
        "import os\ndef look(request, channel):\n    return {'all': dict(os.environ)}\n", "utf-8"
    )
    writable = tmp_path / "w"
    writable.mkdir()
    with Sandbox(writable=writable, preload=(), import_paths=(tmp_path / "code",)) as sandbox:
        limits = Limits(wall_seconds=20, memory_mb=200)
        outcome = sandbox.call("looks_around:look", {}, folder=writable / "a", limits=limits)
    assert outcome.status == "ok" and "OPENAI_API_KEY" not in str(outcome) and PLANTED not in str(outcome)


def test_scrubbing_knows_keys_by_name_and_by_form() -> None:
    keys = Keys(
        {"A_TOKEN": "abcdef123", "AWS_ACCESS_KEY_ID": "AKIA777777", "TOKENIZERS_PARALLELISM": "falsehood",
         "SHORT_KEY": "abc", "LONG_TOKEN": "abcdef123456"}
    )  # fmt: skip
    text = keys.scrub("abcdef123 abcdef123456 AKIA777777 falsehood abc sk-proj-12345678 sk-ab***yz9")
    assert text == "*** *** *** falsehood abc *** ***"
