"""Code that may use the connections it was given opens no other, in any of its threads."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ATTACKS, QUICK

from model_discovery.errors import UserError
from model_discovery.sandbox import Sandbox, seccomp
from model_discovery.sandbox.levels import builder_failure


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server that sends back the first two bytes it hears."""

    def echo() -> None:
        with listening.accept()[0] as connection:
            connection.sendall(connection.recv(2))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=echo, daemon=True).start()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("variant", ["plain", "bwrap", "unshare"])
def test_a_connection_from_before_is_the_only_one(variant: str, port: int, tmp_path: Path) -> None:
    level, builder = ("plain", "auto") if variant == "plain" else ("namespaces", variant)
    if variant != "plain" and (failure := builder_failure(variant)):
        pytest.skip(failure)
    with Sandbox(
        writable=tmp_path, level=level, builder=builder, preload=(), import_paths=[ATTACKS], network=True
    ) as sandbox:
        outcome = sandbox.call(
            "sandbox_attacks.connections:use",
            {"port": port},
            folder=tmp_path / "call",
            limits=QUICK,
            connect="sandbox_attacks.connections:connect",
        )
    assert outcome.ok, outcome
    assert outcome.value is not None
    assert outcome.value["heard"] == "hi"
    for where in ("here", "in a thread from before"):
        assert "done" not in outcome.value[where].values(), (where, outcome.value[where])


def test_a_sandbox_without_a_network_connects_nothing(tmp_path: Path) -> None:
    with (
        Sandbox(writable=tmp_path, level="plain", preload=(), import_paths=[ATTACKS]) as sandbox,
        pytest.raises(UserError, match="without a network"),
    ):
        sandbox.call(
            "sandbox_attacks.connections:use", {}, folder=tmp_path / "call", limits=QUICK, connect="a:b"
        )


def test_a_network_is_not_lent_where_it_could_not_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "supported", lambda: False)
    with pytest.raises(UserError, match="cannot filter system calls"):
        Sandbox(writable=tmp_path, level="plain", preload=(), network=True)
