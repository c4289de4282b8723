"""Keys do not reach processes that this one starts, nor code that nobody has read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLANTED = "planted-3f8e21d9-not-of-any-form"
ROOM = Path(__file__).parent

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
