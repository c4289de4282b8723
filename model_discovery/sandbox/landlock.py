"""Landlock: the kernel's own list of what a process may open. It needs no privilege and cannot be undone."""

import ctypes
import os
import stat
from collections.abc import Iterable

from model_discovery.sandbox import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_TCP = 1 << 0 | 1 << 1  # bind, connect; nowhere
_SCOPES = 1 << 0 | 1 << 1  # abstract sockets and signals, within the child only

READ = _READ_FILE | _READ_DIR
RUN = READ | _EXECUTE
# Neither links nor special files: whoever reads the folder afterwards must not be led out of it.
WRITE = READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL_DEV

_FS_RIGHTS_BY_ABI = (13, 14, 15, 15, 16)  # how many of the rights above each ABI knows


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def abi() -> int:
    """Version of Landlock in the running kernel, 0 when there is none."""
    try:
        return kernel.syscall(_CREATE, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict(rules: Iterable[tuple[str, int]], *, network: bool = False) -> None:
    """Leave this process the paths in `rules`, each with its rights, and what lies below them.

    Paths that do not exist are passed over. With `network` connections are let be. Needs ``no_new_privs``.
    Raises OSError.
    """
    version = abi()
    handled = (1 << _FS_RIGHTS_BY_ABI[min(version, len(_FS_RIGHTS_BY_ABI)) - 1]) - 1
    ruleset = _Ruleset(handled, _TCP if version >= 4 and not network else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    handle = kernel.syscall(_CREATE, ctypes.byref(ruleset), size, 0)
    try:
        for path, rights in rules:
            _allow(handle, path, rights & handled)
        kernel.syscall(_RESTRICT, handle, 0)
    finally:
        os.close(handle)


def _allow(handle: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        rule = _PathRule(rights, descriptor)
        kernel.syscall(_ADD, handle, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
