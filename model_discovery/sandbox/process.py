"""The caller's hold on its server process: start, order, kill."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.sandbox.spec import MAX_PACKET, CallSpec, Ready, ServerSpec, pack, unpack_ready

START_FAILED = "The sandbox could not start: "
START_SECONDS = 120.0  # importing torch from a cold disk, on a busy machine
CLOSE_SECONDS = 2.0


class ServerProcess:
    """One running server.

    Parameters
    ----------
    spec
        What it prepares.
    prefix
        The command that builds its walls, the interpreter's own command appended; empty at level plain.
    environment
        All of its environment.
    """

    def __init__(self, spec: ServerSpec, prefix: Sequence[str], environment: Mapping[str, str]) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._sending = threading.Lock()
        self._ready: Ready | None = None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        me = _own_pidfd()
        with theirs:
            self._process = subprocess.Popen(
                [*prefix, *_interpreter(), str(theirs.fileno()), str(me)],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env=dict(environment),
                cwd="/",
                start_new_session=True,  # a Ctrl-C on the terminal is not for it
                pass_fds=[theirs.fileno(), *([me] if me >= 0 else [])],
            )
        if me >= 0:
            os.close(me)
        with suppress(OSError):  # it may be dead already; `wait_ready` says why
            self._control.send(pack(spec))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process started here; at level namespaces the one that built the walls."""
        return self._process.pid

    def wait_ready(self) -> Ready:
        """The server's first word. Raises UserError when it could not start."""
        with self._sending:
            if self._ready is None:
                self._ready = self._first_word()
        if self._ready.error:
            raise UserError(START_FAILED + self._ready.error, exit_code=EXIT_FAILED)
        return self._ready

    def _first_word(self) -> Ready:
        self._control.settimeout(START_SECONDS)
        try:
            data = self._control.recv(MAX_PACKET)
        except TimeoutError:
            self.kill()
            return Ready(error=f"no answer within {START_SECONDS:g} s")
        except OSError:
            data = b""
        finally:
            self._control.settimeout(None)
        if data:
            return unpack_ready(data)
        self.kill()
        return Ready(error=self._last_words() or f"it ended with code {self._process.returncode}")

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read()[-4096:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def order(self, call: CallSpec, channel: socket.socket, report: socket.socket) -> None:
        """Have a child forked. Raises OSError when the server is gone."""
        with self._sending:
            socket.send_fds(self._control, [pack(call)], [channel.fileno(), report.fileno()])

    def close(self) -> None:
        """Let it end, and with it every child; kill it if it does not."""
        self._control.close()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._errors.close()

    def kill(self) -> None:
        """End it now."""
        if self.alive:  # else its number may belong to another process by now
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()


def _interpreter() -> list[str]:
    return [sys.executable, "-s", "-P", "-m", "model_discovery.sandbox.server"]


def _own_pidfd() -> int:
    """A descriptor by which the server sees this process end, -1 where the kernel has none."""
    try:
        return os.pidfd_open(os.getpid())
    except OSError:
        return -1
