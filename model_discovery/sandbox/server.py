"""The sandbox's server: one isolated, single-threaded process that forks a child for each call.

Started by `process.ServerProcess` as ``python -m model_discovery.sandbox.server CONTROL PARENT`` with two
inherited descriptors: a packet socket to the caller, and a pidfd of the caller (-1 where there are none). It
trusts the caller and nothing that its children say; what it reports of them was seen from outside.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import replace

from model_discovery.sandbox import child, kernel, mounts
from model_discovery.sandbox.confine import default_memory_mb, standing_walls
from model_discovery.sandbox.running import Running, kill_orphans
from model_discovery.sandbox.spec import (
    ACCEPTED,
    MAX_PACKET,
    CallSpec,
    Ready,
    ServerSpec,
    pack,
    unpack_call,
    unpack_server,
)
from model_discovery.sandbox.watch import own_children

TICK_SECONDS = 0.02


class Server:
    """The loop over the caller's orders and the children that run.

    Parameters
    ----------
    control
        Packets from the caller, each with the call's channel and report sockets attached.
    parent
        A pidfd of the caller, or -1.
    spec
        How this server was prepared.
    """

    def __init__(self, control: socket.socket, parent: int, spec: ServerSpec) -> None:
        self._control = control
        self._parent = parent
        self._spec = spec
        self._running: list[Running] = []

    def serve(self) -> None:
        """Run until the caller closes the control socket or ends; no child is left behind."""
        try:
            while self._turn():
                pass
        finally:
            kill_orphans(set())

    def _turn(self) -> bool:
        """One round of waiting and looking; False once the caller is gone."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if self._parent >= 0:
            poll.register(self._parent, select.POLLIN)
        for running in self._running:
            for descriptor, events in running.interests():
                poll.register(descriptor, events)
        ready = {descriptor for descriptor, _ in poll.poll(TICK_SECONDS * 1000 if self._running else None)}
        if self._parent in ready:
            return False
        if self._control.fileno() in ready and not self._take_order():
            return False
        for running in self._running:
            running.step(self._pids() - {running.pid})
        self._refuse_orphans()
        self._running = [running for running in self._running if not running.done]
        return True

    def _pids(self) -> set[int]:
        return {running.pid for running in self._running if running.alive}

    def _refuse_orphans(self) -> None:
        """A process that a child left behind comes to this one, its parent in the kernel's eyes."""
        known = self._pids()
        if set(own_children()) <= known:
            return
        kill_orphans(known)
        for running in self._running if len(known) == 1 else ():
            running.kill("fork", "left another process behind")

    def _take_order(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, MAX_PACKET, 2)
        if not data:
            return False
        call = unpack_call(data)
        limits = replace(call.limits, memory_mb=call.limits.memory_mb or default_memory_mb())
        self._fork(replace(call, limits=limits), *descriptors)
        return True

    def _fork(self, call: CallSpec, channel: int, report: int) -> None:
        output, printed = os.pipe()
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            child.run(self._spec, call, channel, printed, server)
        os.close(channel)
        os.close(printed)
        with suppress(OSError):  # the caller may be gone; the next look notices
            os.write(report, ACCEPTED)
        self._running.append(Running(pid, call, self._spec.threads, output, report))


def prepare(spec: ServerSpec) -> tuple[str, ...]:
    """Load what the calls need, and make it cheap to fork. Names of the walls that stand."""
    if spec.build_root:
        mounts.enter(spec)
    kernel.adopt_orphans()
    kernel.drop_privileges()
    for module in spec.preload:
        importlib.import_module(module)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(spec.threads)
    gc.collect()
    gc.freeze()  # a collection in a child must not touch, and so copy, the pages it shares with this process
    return standing_walls()


def main() -> None:
    """Prepare, say so, serve."""
    original_parent = os.getppid()
    control, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    control.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to decide
    os.environ.pop("PYTHONPATH", None)  # has done its work; a child has no programs to start
    data = control.recv(MAX_PACKET)
    if not data:
        return
    spec = unpack_server(data)
    if spec.die_with_parent:
        kernel.die_with_parent(original_parent)
    try:
        walls = prepare(spec)
    except Exception as error:  # the caller shows it: a preload that fails is its mistake, or the machine's
        control.send(pack(Ready(error=child.one_line(error))))
        return
    control.send(pack(Ready(walls=walls)))
    Server(control, parent, spec).serve()


if __name__ == "__main__":
    main()
    os._exit(0)  # everything is closed; taking torch apart would only cost time
