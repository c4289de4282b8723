"""What this machine can do, and what to do for more."""

import os
import shutil
import socket
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One line of the examination: ``ok`` says whether it could not be better; ``more`` how to better it."""

    what: str
    value: str
    ok: bool
    more: str = ""


def examine() -> list[Fact]:
    """Look at Python, devices, memory, sandbox, keys, network and data; nothing is changed."""
    return [
        _python(),
        *_devices(),
        _memory(),
        _sandbox(),
        *_keys(),
        _tracking(),
        _plots(),
        _network(),
        *_folders(),
    ]


def print_findings(facts: list[Fact]) -> None:
    """A table with a remedy under each thing that could be better."""
    from rich.table import Table

    from model_discovery.system.progress import make_console

    table = Table(box=None, pad_edge=False)
    for title in ("what", "this machine", "for more"):
        table.add_column(title, overflow="fold")
    for fact in facts:
        table.add_row(fact.what, fact.value, "" if fact.ok else fact.more)
    make_console().print(table)


def _python() -> Fact:
    version = ".".join(map(str, sys.version_info[:3]))
    return Fact("python", version, sys.version_info >= (3, 11), "3.11 or newer")


def _devices() -> list[Fact]:
    import torch

    cores = len(os.sched_getaffinity(0))
    facts = [Fact("cores", f"{cores}", True), Fact("torch", torch.__version__, True)]
    if torch.cuda.is_available():
        names = sorted({torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())})
        facts.append(Fact("gpu", f"{torch.cuda.device_count()} x {', '.join(names)}", True))
    else:
        more = "scales above 5M want a GPU; everything below runs here"
        facts.append(Fact("gpu", "none", False, more))
    return facts


def _memory() -> Fact:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return Fact("memory", f"{pages:.1f} GiB", pages >= 3.5, "4 GiB for two workers")


def _sandbox() -> Fact:
    from model_discovery.sandbox import detect_level, standing_walls

    level, reason = detect_level()
    remedy = "install bubblewrap, or allow unprivileged user namespaces" if level == "plain" else ""
    walls = ", ".join(standing_walls()) or "limits only"
    return Fact("sandbox", f"{level} ({walls})", not reason, "; ".join(filter(None, (reason, remedy))))


def _keys() -> list[Fact]:
    from model_discovery.config import Settings

    settings = Settings()
    uses = {
        "openai_api_key": "LLM designers (--designer agentic); doctor --llm tries it",
        "anthropic_api_key": "LLM designers (--designer agentic); doctor --llm tries it",
        "hf_token": "export --push",
        "s2_api_key": "Semantic Scholar: more searches a minute",
    }
    return [
        Fact(name.upper(), "set", True)
        if getattr(settings, name)
        else Fact(name.upper(), "not set", False, f"for {use}; optional")
        for name, use in uses.items()
    ]


def _tracking() -> Fact:
    from model_discovery.tracking import Tracker
    from model_discovery.tracking.wandb_runs import host, why_offline

    if absent := [kind for kind in ("wandb", "tensorboard") if Tracker.absent(kind)]:
        value = f"{' and '.join(absent)} not installed"
        return Fact("tracking", value, False, "for --track: pip install 'model-discovery[track]'; optional")
    if why := why_offline():
        more = "set WANDB_API_KEY to have --track wandb upload; optional"
        return Fact("tracking", f"tensorboard; wandb offline, {why}", False, more)
    return Fact("tracking", f"tensorboard; wandb with a key for {host()[0]}; off without --track", True)


def _plots() -> Fact:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        return Fact(
            "plots", "matplotlib not installed", False, "pip install 'model-discovery[plots]'; optional"
        )
    return Fact("plots", "matplotlib", True)


def _network() -> Fact:
    try:
        socket.create_connection(("huggingface.co", 443), timeout=2).close()
    except OSError:
        return Fact("network", "hub not reached", False, "not needed: grammar and text recipes work offline")
    return Fact("network", "hub reached", True)


def _folders() -> list[Fact]:
    from model_discovery.config import Settings

    settings = Settings()
    facts = []
    for name, folder in (
        ("DATA_DIR", settings.data_dir),
        ("CKPT_DIR", settings.ckpt_dir),
        ("TRACK_DIR", settings.track_dir),
        ("LIBRARY_DIR", settings.library_dir),
    ):
        held = sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
        existing = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
        free = shutil.disk_usage(existing).free / 2**30
        writable = os.access(existing, os.W_OK)
        value = f"{folder} ({held} entries, {free:.0f} GiB free)" if writable else f"{folder} (not writable)"
        facts.append(Fact(name, value, writable and free > 1, f"choose another folder with {name}=…"))
    return facts
