"""Levels of isolation: which one works on this machine, and what a server needs to stand at it."""

import shutil
import site
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import model_discovery
from model_discovery.errors import UserError, unknown
from model_discovery.sandbox import seccomp
from model_discovery.sandbox.confine import standing_walls
from model_discovery.sandbox.outcome import Level
from model_discovery.sandbox.process import START_FAILED, ServerProcess
from model_discovery.sandbox.spec import ServerSpec
from model_discovery.sandbox.view import bwrap_command, unshare_command

Builder = Literal["bwrap", "unshare"]
BUILDERS: tuple[Builder, ...] = ("bwrap", "unshare")
_HINT = "install bubblewrap, allow unprivileged user namespaces, or take level 'plain'"
_NO_LANDLOCK = "this kernel has no Landlock: files are guarded by the other walls only"
_NO_SECCOMP = (
    "system calls cannot be filtered here: processes and sockets are guarded by the other walls only"
)
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
    network: bool = False

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
            network=self.network,
        )

    def command(self) -> list[str]:
        """The command that builds the walls, to be followed by the interpreter's; empty at level plain."""
        if self.builder == "bwrap":
            return bwrap_command(self.server_spec())
        return unshare_command(self.server_spec()) if self.builder == "unshare" else []

    @property
    def environment(self) -> dict[str, str]:
        """All that the server's environment holds; no key of the caller's is among it."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.writable),
            "TMPDIR": str(self.writable),
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
    network: bool = False,
) -> Arrangement:
    """Decide on a level. Raises UserError when the asked one does not work here."""
    if level not in ("auto", "plain", "namespaces"):
        raise unknown("sandbox level", level, ("auto", "plain", "namespaces"))
    if network and not seccomp.supported():
        raise UserError(
            "This machine cannot filter system calls, so a connection could not be closed to foreign code.",
            hint="train with one process",
        )
    found, why_not = (None, "level plain was asked for") if level == "plain" else _find_builder(builder)
    if level == "namespaces" and found is None:
        raise UserError(f"The sandbox level 'namespaces' does not work here: {why_not}.", hint=_HINT)
    return Arrangement(
        level="namespaces" if found else "plain",
        reason=_reason(why_not if found is None else ""),
        builder=found,
        writable=writable,
        readable=tuple(readable),
        import_paths=tuple(import_paths),
        devices=tuple(devices),
        preload=preload,
        threads=threads,
        network=network,
    )


def detect_level() -> tuple[Level, str]:
    """The level that ``auto`` takes here, and why no higher one or which of its walls is missing."""
    found, why_not = _find_builder("auto")
    return ("namespaces", _reason("")) if found else ("plain", _reason(why_not))


def _reason(why_no_namespaces: str) -> str:
    walls = standing_walls()
    lacking = [
        text
        for name, text in (("landlock", _NO_LANDLOCK), ("seccomp", _NO_SECCOMP))
        if not any(wall.startswith(name) for wall in walls)
    ]
    return "; ".join(text for text in (why_no_namespaces, *lacking) if text)


def _find_builder(builder: Literal["auto"] | Builder) -> tuple[Builder | None, str]:
    """The first builder that works, or why none does."""
    failures: list[str] = []
    for candidate in BUILDERS if builder == "auto" else (builder,):
        failure = builder_failure(candidate)
        if not failure:
            return candidate, ""
        failures.append(failure)
    return None, "; ".join(failures)


@cache
def builder_failure(builder: Builder) -> str:
    """Why a builder does not work here, empty when it does: a server without torch is started in it."""
    if shutil.which(builder) is None:
        return f"{builder} is not installed"
    with tempfile.TemporaryDirectory(prefix="model-discovery-") as folder:
        trial = Arrangement("namespaces", "", builder, Path(folder).resolve(), (), (), (), (), 1)
        server = ServerProcess(trial.server_spec(), trial.command(), trial.environment)
        try:
            server.wait_ready()
        except UserError as error:
            return f"{builder} does not work: {error.message.removeprefix(START_FAILED)}"
        finally:
            server.close()
    return ""


@cache
def system_paths() -> tuple[str, ...]:
    """Paths that every child may read: the system's programs and settings, Python, its packages, this one."""
    python = [
        *_interpreter_links(),
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sys.base_exec_prefix,
        *site.getsitepackages(),
    ]
    if site.ENABLE_USER_SITE:
        python.append(site.getusersitepackages())
    places = [Path(path) for path in (*_SYSTEM, *_SETTINGS, *_HARDWARE)]
    places += [Path(path).resolve() for path in python] + [Path(path) for path in python] + [PACKAGE]
    return tuple(dict.fromkeys(str(path) for path in places if path.exists()))


def _interpreter_links() -> list[str]:
    """The files by which a virtual environment's interpreter leads to the real one."""
    links = [Path(sys.executable)]
    while links[-1].is_symlink():
        links.append(links[-1].parent / links[-1].readlink())
    return [str(path) for path in links[1:]]


def _ends_with_this_thread() -> bool:
    """Whether a server started now may be tied to the life of this thread, as the kernel ties it."""
    return threading.current_thread() is threading.main_thread()
