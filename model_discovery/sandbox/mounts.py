"""The view of `view.binds`, built by the server itself inside fresh namespaces (`unshare`, no bubblewrap).

A memory file system becomes the new root; every path of the view is bound into it, read-only but one; the old
root is let go.
"""

import ctypes
import os
import stat
from pathlib import Path

from model_discovery.sandbox import kernel
from model_discovery.sandbox.spec import ServerSpec
from model_discovery.sandbox.view import DEVICES, Bind, binds

_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 1 << 18
_NO_SETUID, _NO_DEVICES, _NO_EXECUTION = 2, 4, 8
_DETACH = 2
_MOUNT_SETATTR = 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTRIBUTE_READ_ONLY, _ATTRIBUTE_NO_SETUID = 1, 2
_NEW_ROOT = "/tmp"  # any folder that every system has; nothing is changed outside these namespaces


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


def enter(spec: ServerSpec) -> None:
    """Move this process, alone in its mount namespace, into the view. Raises OSError."""
    shown = [*(Bind(path, "device") for path in DEVICES), *binds(spec)]
    # Opened before the new root covers a folder that one of them lies in.
    sources = {bind.path: os.open(bind.path, os.O_PATH) for bind in shown if bind.kind != "link"}
    kernel.mount(None, "/", None, _RECURSIVE | _PRIVATE)
    kernel.mount("tmpfs", _NEW_ROOT, "tmpfs", _NO_SETUID, "mode=755")
    for bind in shown:
        _show(bind, sources.get(bind.path, -1))
    Path(_NEW_ROOT, "tmp").mkdir(exist_ok=True)
    Path(_NEW_ROOT, "proc").mkdir()
    kernel.mount("proc", f"{_NEW_ROOT}/proc", "proc", _NO_SETUID | _NO_DEVICES | _NO_EXECUTION)
    _make_read_only(_NEW_ROOT, recursive=False)
    for descriptor in sources.values():
        os.close(descriptor)
    os.chdir(_NEW_ROOT)
    kernel.syscall(_PIVOT_ROOT[os.uname().machine], b".", b".")
    kernel.unmount(".", _DETACH)
    os.chdir("/")


def _show(bind: Bind, source: int) -> None:
    target = Path(_NEW_ROOT + bind.path)
    if not target.parent.exists():
        target.parent.mkdir(parents=True)
    if bind.kind == "link":
        target.symlink_to(bind.target)
        return
    if not target.exists():
        if stat.S_ISDIR(os.fstat(source).st_mode):
            target.mkdir()
        else:
            target.touch()
    kernel.mount(f"/proc/self/fd/{source}", str(target), None, _BIND | _RECURSIVE)
    if bind.kind == "read":
        _make_read_only(str(target), recursive=True)


def _make_read_only(target: str, *, recursive: bool) -> None:
    attributes = _Attributes(_ATTRIBUTE_READ_ONLY | _ATTRIBUTE_NO_SETUID, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    kernel.syscall(
        _MOUNT_SETATTR,
        _AT_FDCWD,
        target.encode(),
        flags,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
