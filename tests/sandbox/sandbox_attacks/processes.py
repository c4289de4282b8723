"""Starting, seeing, stopping and outliving processes; sockets."""

import ctypes
import fcntl
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from sandbox_attacks.files import attempts


def start(request: dict, channel: object) -> dict:
    """Start a process in one of many ways."""
    ways = {
        "fork": os.fork,
        "subprocess": lambda: subprocess.run(["/bin/true"], check=True),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "multiprocessing": _multiprocessing,
        "wrapped": _wrapped,
    }
    ways[request["way"]]()
    return {}


def _multiprocessing() -> None:
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()


def _wrapped() -> None:
    try:
        os.fork()
    except OSError as error:
        raise ValueError("could not make the model") from error


def raw_clone(request: dict, channel: object) -> dict:
    """The system call itself, and the shell by way of the C library."""
    libc = ctypes.CDLL(None, use_errno=True)
    marker = Path("marker")
    result = libc.syscall(56 if os.uname().machine == "x86_64" else 220, signal.SIGCHLD, 0, 0, 0, 0)
    if result == 0:
        marker.write_text("alive")
        os._exit(0)
    os.system(f"touch {marker.absolute()}")
    time.sleep(0.2)
    return {"clone": result, "marker": marker.exists()}


def fork_bomb(request: dict, channel: object) -> dict:
    while True:
        try:
            os.fork()
        except OSError:
            if request.get("give up"):
                raise


def stay_behind(request: dict, channel: object) -> dict:
    """Children in sessions of their own, while the call goes on."""
    for _ in range(5):
        subprocess.Popen(["sleep", "60"], start_new_session=True)
    time.sleep(5)
    return {}


def leave_behind(request: dict, channel: object) -> dict:
    """Orphans: their parent ends at once, the call goes on."""
    _orphan()
    time.sleep(5)
    return {}


def slip_away(request: dict, channel: object) -> dict:
    """An orphan, and the call ends before anybody may have looked."""
    _orphan()
    return {}


def _orphan() -> None:
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    os.waitpid(middle, 0)


def thread_bomb(request: dict, channel: object) -> dict:
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def few_threads(request: dict, channel: object) -> dict:
    seen: list[int] = []
    threads = [threading.Thread(target=seen.append, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"sum": sum(seen)}


def background(request: dict, channel: object) -> dict:
    """Return at once and leave a thread that wants to go on."""

    def linger() -> None:
        time.sleep(0.5)
        Path("lingered").write_text("still here")

    threading.Thread(target=linger).start()
    return {}


def touch_others(request: dict, channel: object) -> dict:
    """See, signal, trace and limit other processes, the server and the caller among them."""
    libc = ctypes.CDLL(None, use_errno=True)
    server, caller = os.getppid(), request["caller"]

    def call(function: object, *arguments: object) -> int:
        result = function(*arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), "refused")
        return result

    def own_signals(pid: int) -> None:
        reading, writing = os.pipe()
        fcntl.fcntl(reading, fcntl.F_SETOWN, pid)
        fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC)
        os.write(writing, b"x")

    return attempts(
        {
            "list": lambda: list(Path("/proc").iterdir()),
            "see the server": lambda: Path(f"/proc/{server}/cmdline").read_text(),
            "kill the server": lambda: os.kill(server, signal.SIGKILL),
            "kill the caller": lambda: os.kill(caller, signal.SIGKILL),
            "kill the group": lambda: os.kill(0, signal.SIGKILL),
            "kill everything": lambda: os.kill(-1, signal.SIGKILL),
            "kill by descriptor": lambda: own_signals(server),
            "pidfd": lambda: os.pidfd_open(server),
            "trace": lambda: call(libc.ptrace, 16, server, 0, 0),
            "limits of the server": lambda: resource.prlimit(server, resource.RLIMIT_NOFILE, (0, 0)),
            "priority": lambda: os.setpriority(os.PRIO_PROCESS, server, 19),
            "affinity": lambda: os.sched_setaffinity(server, {0}),
            "memory of the server": lambda: Path(f"/proc/{server}/mem").open("rb").read(1),
            "namespaces": lambda: call(libc.unshare, 0x10000000),
            "mount": lambda: call(libc.mount, b"none", b"/proc", b"tmpfs", 0, None),
            "outlive the server": lambda: call(libc.prctl, 1, 0, 0, 0, 0),
            "more files": lambda: _raise_limit(resource.RLIMIT_FSIZE),
        }
    )


def _raise_limit(limit: int) -> None:
    try:
        resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError as error:
        raise PermissionError(str(error)) from error


def connect(request: dict, channel: object) -> dict:
    """Reach the network in one of many ways."""
    address = ("127.0.0.1", request.get("port", 9))
    ways = {
        "tcp": lambda: socket.create_connection(address, timeout=1),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", address),
        "unix": lambda: socket.socket(socket.AF_UNIX).connect(request["path"]),
        "abstract": lambda: socket.socket(socket.AF_UNIX).connect("\0" + request["path"]),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)),
        "dns": lambda: socket.getaddrinfo("example.org", 80),
        "url": lambda: urllib.request.urlopen("http://127.0.0.1:9/", timeout=1),
        "pair": socket.socketpair,
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    }
    ways[request["way"]]()
    return {}


def swallow(request: dict, channel: object) -> dict:
    """Try, fail, go on with honest work."""
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    except OSError:
        return {"went on": True}
    return {"went on": False}


def identity(request: dict, channel: object) -> dict:
    return {"pid": os.getpid(), "server": os.getppid(), "python": sys.executable}


def programs(request: dict, channel: object) -> dict:
    """What a program says when it is started, and what a started one reaches."""
    tries = {
        "secret": f"cat {request['secret']}",
        "write": f"touch {request['secret']}.new",
        "mode": f"chmod 777 {request['secret']}",
        "network": f"{sys.executable} -c 'import socket; socket.socket()'",
        "namespaces": "unshare --user true",
        "kill": f"kill -9 {request['caller']}",
    }
    said = subprocess.run(["/bin/echo", "started"], capture_output=True, text=True, check=True).stdout
    codes = {name: subprocess.run(["/bin/sh", "-c", line]).returncode for name, line in tries.items()}
    environment = subprocess.run(["/usr/bin/env"], capture_output=True, text=True, check=True).stdout
    return {"said": said, "codes": codes, "environment": environment}


def leave_programs(request: dict, channel: object) -> dict:
    """One in the background, one in a session of its own, one whose parent has gone."""
    subprocess.Popen(["/bin/sleep", "1000"])
    subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
    if request.get("orphan"):
        subprocess.run(["/bin/sh", "-c", "sleep 1000 &"])
        time.sleep(5)
    return {}


def burn_in_a_program(request: dict, channel: object) -> dict:
    code = {
        "time": "while True: pass",
        "memory": "a = [b'x' * (10**6 + i) for i in range(110)]; import time; time.sleep(30)",
    }[request["what"]]
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    for process in started:
        process.wait()
    return {}


def many_programs(request: dict, channel: object) -> dict:
    for _ in range(200):
        subprocess.Popen(["/bin/sleep", "1000"])
    time.sleep(5)
    return {}
