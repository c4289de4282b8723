"""Levels of isolation: which one works on this machine, and what a server needs to stand at it."""

import site
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import model_discovery
from model_discovery.errors import UserError, unknown
from model_discovery.sandbox.outcome import Level
from model_discovery.sandbox.spec import ServerSpec

Builder = Literal["bwrap", "unshare"]
PACKAGE = Path(model_discovery.__file__).resolve().parent

# What programs and libraries of the system live in. No home, no /var, no /run, no mounted data.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store")
_SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
)
_HARDWARE = ("/sys/devices/system", "/sys/kernel/mm/transparent_hugepage")


@dataclass(frozen=True)
class Arrangement:
    """Everything that decides how a server is started.

    Attributes
    ----------
    level, reason
        The level in force, and why none higher or what this one lacks.
    builder
        The program that builds the walls of level namespaces; None at level plain.
    writable, readable, import_paths, devices
        Resolved paths that exist.
    """

    level: Level
    reason: str
    builder: Builder | None
    writable: Path
    readable: tuple[Path, ...]
    import_paths: tuple[Path, ...]
    devices: tuple[Path, ...]
    preload: tuple[str, ...]
    threads: int

    def server_spec(self) -> ServerSpec:
        """What the server is told. Asked in the thread that starts it."""
        return ServerSpec(
            preload=self.preload,
            threads=self.threads,
            system=system_paths(),
            readable=tuple(str(path) for path in self.readable),
            writable=str(self.writable),
            devices=tuple(str(path) for path in self.devices),
            die_with_parent=_ends_with_this_thread(),
            build_root=self.builder == "unshare",
        )

    def command(self) -> list[str]:
        """The command that builds the walls, to be followed by the interpreter's."""
        return []

    @property
    def environment(self) -> dict[str, str]:
        """All that the server's environment holds; no key of the caller's is among it."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.writable),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": str(self.threads),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": ":".join(str(path) for path in (PACKAGE.parent, *self.import_paths)),
        }


def arrange(
    *,
    level: Literal["auto"] | Level,
    builder: Literal["auto"] | Builder,
    writable: Path,
    readable: Sequence[Path],
    import_paths: Sequence[Path],
    preload: tuple[str, ...],
    threads: int,
    devices: Sequence[Path],
) -> Arrangement:
    """Decide on a level. Raises UserError when the asked one does not work here."""
    if level not in ("auto", "plain", "namespaces"):
        raise unknown("sandbox level", level, ("auto", "plain", "namespaces"))
    return Arrangement(
        level="plain",
        reason="",
        builder=None,
        writable=writable,
        readable=tuple(readable),
        import_paths=tuple(import_paths),
        devices=tuple(devices),
        preload=preload,
        threads=threads,
    )


def detect_level() -> tuple[Level, str]:
    """The level that ``auto`` takes on this machine, and why no higher one."""
    return "plain", ""


@cache
def system_paths() -> tuple[str, ...]:
    """Paths that every child may read: the system's programs and settings, Python, its packages, this one."""
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        python.append(site.getusersitepackages())
    places = [Path(path) for path in (*_SYSTEM, *_SETTINGS, *_HARDWARE)]
    places += [Path(path).resolve() for path in python] + [Path(path) for path in python] + [PACKAGE]
    return tuple(dict.fromkeys(str(path) for path in places if path.exists()))


def _ends_with_this_thread() -> bool:
    """Whether a server started now may be tied to the life of this thread, as the kernel ties it."""
    return threading.current_thread() is threading.main_thread()


__all__ = ["Arrangement", "Builder", "UserError", "arrange", "detect_level", "system_paths"]
