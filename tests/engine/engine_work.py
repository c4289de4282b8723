"""Jobs that the engine's tests run in real workers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from model_discovery.engine import JobContext
from model_discovery.errors import UserError


class Kept:
    """A resource that writes down its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.uses = 0

    def close(self) -> None:
        self.path.write_text(f"closed after {self.uses}")


def echo(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    return {"request": request, "folder": str(context.folder), "threads": context.threads, "pid": os.getpid()}


def environment(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    return {
        "variables": {name: os.environ.get(name) for name in request["names"]},
        "torch": "torch" in sys.modules,
    }


def slot(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    time.sleep(request["seconds"])
    card = context.slot.card
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"visible": visible, "card": card and card.id, "share": context.slot.share}


def torch_threads(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    import torch

    return {"threads": torch.get_num_threads()}


def report(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    for step in range(request["steps"]):
        context.report(step=step, loss=float(step))
    return {"steps": request["steps"]}


def say(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    print("from python")
    os.write(1, b"from the descriptor\n")
    subprocess.run(["echo", "from a child"], check=True)
    return {}


def sleep(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    context.report(pid=os.getpid())
    time.sleep(request.get("seconds", 600))
    return {"pid": os.getpid()}


def die(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    print("last words", flush=True)
    os.kill(os.getpid(), getattr(signal, request["signal"]))
    time.sleep(600)
    return {}


def leave(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    os._exit(request["status"])


def fail(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    if request["kind"] == "user":
        raise UserError("The corpus is empty.", hint="give a folder with text")
    if request["kind"] == "exit":
        sys.exit(3)
    raise ValueError("two\nlines")


def give(request: dict[str, Any], context: JobContext) -> Any:
    return {
        "nan": {"losses": {"held_out": float("nan")}},
        "object": {"path": context.folder},
        "list": [1],
        "big": {"text": "x" * 3_000_000},
    }[request["what"]]


def keep(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    kept = context.keep("it", lambda: Kept(Path(request["path"])))
    kept.uses += 1
    if request.get("fail"):
        raise UserError("no") if request["fail"] == "user" else RuntimeError("broken")
    return {"uses": kept.uses}


def grandchild(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    child = subprocess.Popen(["sleep", "600"])
    context.report(pid=os.getpid(), child=child.pid)
    time.sleep(600)
    return {}


def hang(request: dict[str, Any], channel: Any) -> dict[str, Any]:
    """Runs inside a sandbox."""
    channel.send({"here": True})
    time.sleep(600)
    return {}


def sandboxed(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """A worker whose sandbox is busy."""
    from model_discovery.sandbox import Limits, Sandbox

    here = Path(__file__).parent
    sandbox = context.keep(
        "sandbox", lambda: Sandbox(writable=context.folder, preload=(), import_paths=[here])
    )
    limits = Limits(wall_seconds=600)
    sandbox.call(
        "engine_work:hang",
        {},
        folder=context.folder / "call",
        limits=limits,
        on_event=lambda event: context.report(pid=os.getpid()),
    )
    return {}


def sometimes(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Ends in the way it is asked to."""
    time.sleep(request["seconds"])
    if request["way"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if request["way"] == "fail":
        raise RuntimeError("asked to")
    return {"text": "x" * 100_000}
