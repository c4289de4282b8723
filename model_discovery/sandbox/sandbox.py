"""The sandbox as its users see it."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.sandbox.conversation import Conversation
from model_discovery.sandbox.frames import TOKEN_BYTES
from model_discovery.sandbox.levels import Arrangement, arrange
from model_discovery.sandbox.outcome import Level, Limits, Outcome, SandboxFailure
from model_discovery.sandbox.process import ServerProcess
from model_discovery.sandbox.spec import CallSpec

_ATTEMPTS = 3  # servers asked before a call is given up


class Sandbox:
    """Runs code that nobody has read: one isolated, preloaded server, one forked child for each call.

    Parameters
    ----------
    writable
        Folder that holds the folders of all calls; made if missing.
    readable
        Files and folders that children may read beside the system, Python and this package.
    level
        ``auto`` takes the highest that works here, and says in `reason` why none higher.
    preload
        Modules to import once in the server. Put the entry's own module here to make calls fast.
    threads
        Torch and OpenMP threads of each child.
    import_paths
        Folders to import entries from, beside the installed packages; readable too.
    devices
        Device files that children may use, such as a GPU's.
    network
        For calls with ``connect``: the server keeps the machine's network. Code of the entry still opens no
        socket.

    Raises
    ------
    UserError
        A folder is missing, or the asked level does not work on this machine.
    """

    def __init__(
        self,
        *,
        writable: Path,
        readable: Sequence[Path] = (),
        level: Literal["auto"] | Level = "auto",
        preload: Sequence[str] = ("torch",),
        threads: int = 1,
        import_paths: Sequence[Path] = (),
        devices: Sequence[Path] = (),
        network: bool = False,
        builder: Literal["auto", "bwrap", "unshare"] = "auto",
    ) -> None:
        Path(writable).mkdir(parents=True, exist_ok=True)
        self.writable = Path(writable).resolve()
        self._arrangement: Arrangement = arrange(
            level=level,
            builder=builder,
            writable=self.writable,
            readable=[_existing(path) for path in (*readable, *import_paths)],
            import_paths=[_existing(path) for path in import_paths],
            preload=tuple(preload),
            threads=threads,
            devices=[_existing(path) for path in devices],
            network=network,
        )
        self._lock = threading.Lock()
        self._closed = False
        self._server: ServerProcess | None = self._start()

    @property
    def level(self) -> Level:
        """The level in force."""
        return self._arrangement.level

    @property
    def reason(self) -> str:
        """Why no higher level, or which parts of this one are missing; empty when nothing is."""
        return self._arrangement.reason

    @property
    def walls(self) -> tuple[str, ...]:
        """The walls that stand, by name; waits for the server to be ready."""
        return self._ready_server().wait_ready().walls

    def call(
        self,
        entry: str,
        request: dict[str, Any],
        *,
        folder: Path,
        limits: Limits,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        readable: Sequence[Path] = (),
        connect: str = "",
        programs: bool = False,
    ) -> Outcome:
        """Run ``entry(request, channel)`` in a child and wait for its end.

        Parameters
        ----------
        entry
            ``package.module:function``, importable in the server.
        request
            JSON for the entry.
        folder
            Below `writable`, made if missing; the child's working directory and the only place it may write.
        limits
            What it may use.
        on_event
            Called here with each event the entry sends; an exception from it ends the child.
        readable
            Further paths that this child may read; below `writable` or among the sandbox's own.
        connect
            A function like an entry's, of ours: it runs before the entry, inside the walls for files, and
            opens the sockets that the entry may use. Needs ``network``.
        programs
            The child may start programs of the system, of Python and of its packages, a compiler for example.
            For code that is known; the other walls stand around the programs too, and none outlives the call.

        Returns
        -------
        Outcome
            However it ended. Only mistakes of the caller are raised.
        """
        if connect and not self._arrangement.network:
            raise UserError("A sandbox without a network connects nothing.", hint="Sandbox(network=True)")
        if connect and programs:
            raise UserError("A call either opens connections or starts programs.")
        conversation = self._converse(entry, request, folder, limits, readable, connect, programs)
        try:
            while (event := conversation.next_event()) is not None:
                if on_event is not None:
                    on_event(event)
            return conversation.outcome()
        finally:
            conversation.close()

    def open(
        self,
        entry: str,
        request: dict[str, Any],
        *,
        folder: Path,
        limits: Limits,
        readable: Sequence[Path] = (),
    ) -> "Session":
        """Start an entry that loops over ``channel.receive()`` and sends one event for each message."""
        return Session(self._converse(entry, request, folder, limits, readable))

    def close(self) -> None:
        """End the server and every child."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> ServerProcess:
        arrangement = self._arrangement
        return ServerProcess(arrangement.server_spec(), arrangement.command(), arrangement.environment)

    def _ready_server(self) -> ServerProcess:
        """The server, started again if it has died."""
        with self._lock:
            if self._closed:
                raise UserError("The sandbox is closed.")
            if self._server is None or not self._server.alive:
                if self._server is not None:
                    self._server.close()
                self._server = self._start()
            server = self._server
        server.wait_ready()
        return server

    def _converse(
        self,
        entry: str,
        request: dict[str, Any],
        folder: Path,
        limits: Limits,
        readable: Sequence[Path],
        connect: str = "",
        programs: bool = False,
    ) -> Conversation:
        call = CallSpec(
            entry=entry,
            folder=str(self._own_folder(folder)),
            readable=tuple(str(_existing(path)) for path in readable),
            limits=limits,
            token=os.urandom(TOKEN_BYTES).hex(),
            connect=connect,
            programs=programs,
        )
        conversation = self._fork(call)
        try:
            conversation.send({"request": request})
        except BaseException:  # not JSON, or Ctrl-C: the child must not wait for it
            conversation.close()
            raise
        return conversation

    def _fork(self, call: CallSpec) -> Conversation:
        """Have a child forked, by a new server if the old one turns out to be dead."""
        for _ in range(_ATTEMPTS):
            server = self._ready_server()
            try:
                return Conversation(server, call, self.level)
            except (ConnectionError, TimeoutError):
                server.kill()
        raise UserError(f"The sandbox's server died {_ATTEMPTS} times in a row.", exit_code=EXIT_FAILED)

    def _own_folder(self, folder: Path) -> Path:
        inside = Path(folder).resolve()
        if not inside.is_relative_to(self.writable):
            raise UserError(f"The folder '{folder}' is not below the sandbox's '{self.writable}'.")
        inside.mkdir(parents=True, exist_ok=True)
        return inside


class Session:
    """A child that answers messages until it is closed or its limits end it."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._outcome: Outcome | None = None

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """The child's answer to one message. Raises `SandboxFailure` when it ended instead."""
        if self._outcome is None:
            self._conversation.expect_silence()
            self._conversation.send({"message": message})
            answer = self._conversation.next_event()
            if answer is not None:
                return answer
        raise SandboxFailure(self._finish())

    def close(self) -> Outcome:
        """Tell the child that no message comes any more; how it ended, at the latest when its time is up."""
        if self._outcome is None:
            self._conversation.end_messages()
        return self._finish()

    def _finish(self) -> Outcome:
        if self._outcome is None:
            try:
                self._outcome = self._conversation.outcome()
            finally:
                self._conversation.close()
        return self._outcome

    def kill(self) -> Outcome:
        """End the child now."""
        self._conversation.kill()
        return self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._conversation.kill()
        self.close()


def _existing(path: Path) -> Path:
    resolved = Path(path).resolve()
    if not resolved.exists():
        raise UserError(f"'{path}' does not exist, and the sandbox is asked to let it be read.")
    return resolved
