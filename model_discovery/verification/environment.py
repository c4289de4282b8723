"""The machine and the packages that a number was made with; what cannot be told is absent."""

import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import model_discovery
from model_discovery.verification.report import Machine

_PACKAGES = ("model-discovery", "torch", "numpy", "tokenizers", "safetensors", "lm-eval")
_SECONDS = 10.0  # for a program that is asked; a driver that hangs must not hold up a verification


def describe_machine(threads: int) -> Machine:
    """This machine, and how many threads a training on it has."""
    return Machine(
        os=platform.platform(),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        threads=threads,
        gpus=_gpus(),
        package=_package(),
        commit=_commit(),
    )


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a checkout that was not installed
            continue
    return found


@cache
def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def _gpus() -> tuple[str, ...]:
    """Name and driver of each GPU, as the driver's own program tells them."""
    answer = _ask("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return tuple(line.strip().replace(",", ", driver", 1) for line in answer.splitlines() if "," in line)


@cache
def _package() -> str:
    """Over names and contents of all source files of this package."""
    root, digest = Path(model_discovery.__file__).resolve().parent, hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def _commit() -> str:
    """Commit of the checkout that this package runs from, ``-dirty`` where its files differ from it."""
    root = Path(model_discovery.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    return _ask(
        "git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"
    ).strip()


def _ask(program: str, *arguments: str) -> str:
    """What a program prints; nothing where it is missing or fails."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
