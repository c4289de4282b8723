"""The few system calls that Python does not offer."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def syscall(number: int, *arguments: object) -> int:
    """Result of a raw system call; raises OSError as Python's own wrappers do."""
    converted = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *converted))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, value: int, pointer: object = 0) -> None:
    """prctl(2); raises OSError."""
    third = ctypes.c_ulong(pointer) if isinstance(pointer, int) else pointer
    if (
        _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), third, ctypes.c_ulong(0), ctypes.c_ulong(0))
        != 0
    ):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2); raises OSError that names the target."""
    arguments = [None if text is None else text.encode() for text in (source, target, kind)]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def unmount(target: str, flags: int) -> None:
    """umount2(2); raises OSError that names the target."""
    if _libc.umount2(target.encode(), ctypes.c_int(flags)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def die_with_parent(parent: int) -> None:
    """Be killed when the process (the thread, says Linux) that made this one ends, or already has."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none is lost from sight."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def drop_privileges() -> None:
    """Give up every capability, and the hope of regaining one through a set-uid program."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    nothing = (_CapabilityData * 2)()
    if _libc.capset(ctypes.byref(header), nothing) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
