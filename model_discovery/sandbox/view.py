"""What a server is shown of the file system, and the bubblewrap command that shows it.

Nothing is there but what is listed: the system's programs, Python and its packages, this package, the
readable paths and the one writable folder. So homes, keys and other data need not be found to be hidden.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model_discovery.sandbox.spec import ServerSpec

# Not /dev/zero: mapped as shared it is memory that no size of the process shows.
DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")
_BWRAP_FLAGS = {"read": "--ro-bind", "write": "--bind", "device": "--dev-bind"}


@dataclass(frozen=True)
class Bind:
    """One path of the view: the machine's own, or a link and its target."""

    path: str
    kind: Literal["read", "write", "device", "link"]
    target: str = ""


def binds(spec: ServerSpec) -> list[Bind]:
    """The view, outer folders first: what lies deeper is laid over what it lies in."""
    found: dict[str, Bind] = {}
    for path in (*spec.system, *spec.readable):
        is_link = Path(path).is_symlink()
        found[path] = Bind(path, "link", str(Path(path).readlink())) if is_link else Bind(path, "read")
    for path in spec.devices:
        found[path] = Bind(path, "device")
    found[spec.writable] = Bind(spec.writable, "write")
    folders = [bind.path for bind in found.values() if bind.kind != "link"]
    shown = [bind for bind in found.values() if bind.kind != "link" or not _inside(bind.path, folders)]
    return sorted(shown, key=lambda bind: (bind.path.count("/"), bind.path))


def _inside(path: str, folders: list[str]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def bwrap_command(spec: ServerSpec) -> list[str]:
    """The bubblewrap command for a view, to be followed by the server's own."""
    command = ["bwrap", "--unshare-user-try", "--unshare-cgroup-try", "--unshare-ipc", "--unshare-pid"]
    command += ["--unshare-uts", "--cap-drop", "ALL", *([] if spec.network else ["--unshare-net"])]
    if spec.die_with_parent:
        command.append("--die-with-parent")
    command += ["--proc", "/proc", "--dev", "/dev", "--dir", "/tmp"]
    for bind in binds(spec):
        if bind.kind == "link":
            command += ["--symlink", bind.target, bind.path]
        else:
            command += [_BWRAP_FLAGS[bind.kind], bind.path, bind.path]
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--"]


def unshare_command(spec: ServerSpec) -> list[str]:
    """New namespaces; the server then builds the view itself, with `mounts.enter`."""
    namespaces = ["--user", "--map-root-user", "--mount", "--pid", "--ipc", "--uts"]
    network = [] if spec.network else ["--net"]
    return ["unshare", *namespaces, *network, "--fork", "--kill-child", "--"]
