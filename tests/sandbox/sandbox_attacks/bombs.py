"""Wanting more than the limits: time, memory, disk, output."""

import ctypes
import mmap
import os
import signal
import sys
import threading
import time
from pathlib import Path

MB = 1024 * 1024


def loop(request: dict, channel: object) -> dict:
    while True:
        pass


def stubborn_loop(request: dict, channel: object) -> dict:
    """Ignores every signal it may ignore and every exception."""
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue


def sleep(request: dict, channel: object) -> dict:
    time.sleep(3600)
    return {}


def stop_itself(request: dict, channel: object) -> dict:
    os.kill(os.getpid(), signal.SIGSTOP)
    return {}


def burn(request: dict, channel: object) -> dict:
    """Two threads in code that lets go of the interpreter's lock."""
    import hashlib

    data = b"x" * (8 * MB)

    def work() -> None:
        while True:
            hashlib.sha256(data)

    threading.Thread(target=work, daemon=True).start()
    work()
    return {}


def torch_loop(request: dict, channel: object) -> dict:
    """One operation that takes minutes and never returns to Python meanwhile."""
    import torch

    values = torch.randn(50_000_000 if request.get("large") else 6000, 1 if request.get("large") else 6000)
    return {"sum": float(torch.linalg.svd(values)[1].sum())}


def memory(request: dict, channel: object) -> dict:
    """Touch memory by one of many ways, fast or slowly, far above the limit."""
    size, pause = request["mb"] * MB, request.get("pause", 0.0)
    way = request["way"]
    if way == "bytes":
        return {"size": len(bytearray(size))}
    if way == "torch":
        import torch

        return {"size": torch.ones(size // 4).numel()}
    if way == "c":
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        libc.malloc.argtypes = [ctypes.c_size_t]
        place = libc.malloc(size)
        if not place:
            raise MemoryError
        ctypes.memset(place, 1, size)
        return {"size": size}
    return _in_pieces(size, pause, shared=way == "shared")


def _in_pieces(size: int, pause: float, *, shared: bool) -> dict:
    kept = []
    for _ in range(0, size, 4 * MB):
        flags = mmap.MAP_ANONYMOUS | (mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE)
        piece = mmap.mmap(-1, 4 * MB, flags=flags)
        piece[:: mmap.PAGESIZE] = b"x" * (4 * MB // mmap.PAGESIZE)
        kept.append(piece)
        time.sleep(pause)
    return {"size": size}


def caught_memory(request: dict, channel: object) -> dict:
    try:
        bytearray(request["mb"] * MB)
    except MemoryError:
        return {"went on": True}
    return {"went on": False}


def disk(request: dict, channel: object) -> dict:
    """Fill the folder in one of many ways."""
    way, chunk = request["way"], b"x" * MB
    if way == "one file":
        with Path("big").open("wb") as file:
            while True:
                file.write(chunk)
    if way == "sparse":
        with Path("sparse").open("wb") as file:
            file.truncate(1 << 40)
    if way == "allocate":
        descriptor = os.open("allocated", os.O_CREAT | os.O_WRONLY)
        os.posix_fallocate(descriptor, 0, 1 << 40)
    if way == "deleted":
        kept = [_deleted_file(Path(f"deleted{number}"), chunk * 5) for number in range(4)]
        time.sleep(60)
        return {"kept": len(kept)}
    number = 0
    while True:
        number += 1
        path = Path(f"file{number}")
        if way == "empty files":
            path.touch()
        elif way == "folders":
            path.mkdir()
        else:
            path.write_bytes(chunk)


def _deleted_file(path: Path, data: bytes) -> int:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    path.unlink()
    os.write(descriptor, data)
    return descriptor


def output(request: dict, channel: object) -> dict:
    way, line = request["way"], "x" * 1000 + "\n"
    if way == "print":
        for _ in range(1_000_000):
            print(line)
    if way == "stderr":
        for _ in range(1_000_000):
            sys.stderr.write(line)
    while True:
        os.write(1, line.encode() * 100)


def some_output(request: dict, channel: object) -> dict:
    print("to stdout", flush=True)
    print("to stderr", file=sys.stderr, flush=True)
    return {"stdin": sys.stdin.read()}
