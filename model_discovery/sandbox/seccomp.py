"""A filter on system calls: no process, no socket, no hand on another process or on the system.

Refused calls answer with an error number, not with a signal, so that Python shows a named exception. A
refused process says ``ECHILD`` ("No child processes") and a refused socket ``ENETDOWN`` ("Network is down"):
numbers that such calls do not give otherwise, by which `child.classify` knows what was tried.
"""

import ctypes
import errno
import os
import platform
from dataclasses import dataclass

from model_discovery.sandbox import kernel

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_SET_FILTER, _ALL_THREADS = 1, 1  # of seccomp(2), which alone reaches threads that run already
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_LOAD, _AND, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_BIT = 0x40000000
_FIRST_UNKNOWN = (
    463  # calls that came to the kernel after this list was made (mseal is 462) do not exist here
)
# A thread as the C library makes it: with the memory, folder, open files and signals of its process.
_THREAD = 0x00010000 | 0x0100 | 0x0200 | 0x0400 | 0x0800
# Of a process: namespaces of its own, and the server as its parent.
_APART = 0x7E020000 | 0x8000
_SHARED_ANONYMOUS = 0x01 | 0x20  # memory that `madvise` hides from the resident size without giving it back
_OPEN_TRUNCATE, _OPEN_ACCESS = 0x200, 0x3

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True)
class Machine:
    """What the filter has to know of a processor: its name for the kernel, and its column in `_NUMBERS`."""

    audit_arch: int
    column: int


_MACHINES = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}

# System call numbers: x86_64, aarch64 (None where it does not exist).
_PROCESSES: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
}
_NETWORK: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "connect": (42, 203),
    # on a socket that is there, the channel: it is read and written; it carries no descriptors away
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "recvmmsg": (299, 243),
    "shutdown": (48, 210),
    "getsockname": (51, 204),
    "getpeername": (52, 205),
    "getsockopt": (55, 209),
    "setsockopt": (54, 208),
}
# On a socket that is connected already.
_TRAFFIC = (
    *("sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "shutdown"),
    *("getsockname", "getpeername", "getsockopt", "setsockopt"),
)
# With this flag a socket that listened and was shut down connects to whom it is told.
_MSG_FASTOPEN, _SENDING_FLAGS = 0x20000000, {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}
_FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # what Landlock does not see: properties of files that can be named, though not opened
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "inotify_add_watch": (254, 27),
    # what Landlock does not see in its first versions, or where it is missing
    "truncate": (76, 45),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "mknod": (133, None),
    "mknodat": (259, 33),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # the kernel's large surfaces
    "bpf": (321, 280),
    "seccomp": (317, 277),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "syslog": (103, 116),
    # memory that outlives the process or that its resident size does not show
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    # the machine
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
}
_CLONE, _MMAP, _OPEN, _OPENAT = (56, 220), (9, 222), (2, None), (257, 56)
_UNREADABLE = {"clone3": (435, 435), "openat2": (437, 437)}  # their flags lie where no filter can look
_PRCTL, _FCNTL, _IOCTL = (157, 167), (72, 25), (16, 29)
_OWN_PROCESS = {"kill": (62, 129), "tgkill": (234, 131)}
_SELF_ONLY = {  # their first argument is a process, 0 for the caller
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
}
# prctl: names of threads and of memory, and questions. Not: who is told of the parent's death, who may trace.
_PRCTL_ALLOWED = (15, 16, 0x53564D41, 2, 3, 7, 21, 23, 27, 30, 39, 42)
_FCNTL_OWNERS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: signals sent through a descriptor
_IOCTL_REFUSED = (
    *(0x8901, 0x8902, 0x5412, 0x541C),  # FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX
    # FS_IOC_SETFLAGS (64 and 32 bits), FS_IOC_FSSETXATTR, FS_IOC_SETVERSION: change a file opened for reading
    *(0x40086602, 0x40046602, 0x401C5820, 0x40087602),
)


class _Filter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filters", ctypes.POINTER(_Filter)))


def supported() -> bool:
    """Whether this kernel filters system calls and this processor's numbers are known."""
    if platform.machine() not in _MACHINES:
        return False
    try:
        kernel.prctl(_PR_SET_SECCOMP, _MODE_FILTER, 0)
    except OSError as error:
        return error.errno == errno.EFAULT  # it looked at our (missing) filter, so it takes filters
    return False


def install(*, shared_memory: bool, connected: bool = False, programs: bool = False) -> None:
    """Filter this process from now on, all its threads, for good.

    `connected`: it goes on using the sockets it has. `programs`: it may start some, all of them
    filtered. Needs ``no_new_privs``. Raises OSError.
    """
    machine = _MACHINES[platform.machine()]
    program = build(machine, os.getpid(), shared_memory=shared_memory, connected=connected, programs=programs)
    filters = (_Filter * len(program))(*(_Filter(*instruction) for instruction in program))
    pointer = ctypes.byref(_Program(len(program), filters))
    if not connected:
        kernel.prctl(_PR_SET_SECCOMP, _MODE_FILTER, pointer)
        return
    number = _FORBIDDEN["seccomp"][machine.column]
    assert number is not None
    if thread := kernel.syscall(number, _SET_FILTER, _ALL_THREADS, pointer):
        raise OSError(errno.EPERM, f"the filter could not reach thread {thread}")


def build(
    machine: Machine,
    pid: int,
    *,
    shared_memory: bool = False,
    connected: bool = False,
    programs: bool = False,
) -> list[Instruction]:
    """The filter for a process called `pid`.

    `shared_memory`: it may map some, as a GPU's driver does. `connected`: it may use the sockets it has.
    `programs`: it may start processes and programs.
    """
    column = machine.column
    program: list[Instruction] = [
        _load(_ARCH_AT),
        (_JUMP_EQUAL, 1, 0, machine.audit_arch),
        _refuse(errno.EPERM),  # another architecture's call table (32-bit calls on x86_64)
        _load(_NUMBER_AT),
        (_JUMP_GREATER_EQUAL, 0, 1, _X32_BIT),
        _refuse(errno.EPERM),
    ]
    processes = {} if programs else _PROCESSES
    for table, code in ((processes, errno.ECHILD), (_NETWORK, errno.ENETDOWN), (_FORBIDDEN, errno.EPERM)):
        for name, numbers in table.items():
            body = [_refuse(code)]
            if connected and name in _TRAFFIC:
                flags, bits = _SENDING_FLAGS.get(name), _MSG_FASTOPEN
                body = [] if flags is None else _with_bits(flags, bits, bits, code, allowed=False)
            program += _when(numbers[column], body) if body else []
    program += [(_JUMP_GREATER_EQUAL, 0, 1, _FIRST_UNKNOWN), _refuse(errno.ENOSYS)]
    for numbers in _UNREADABLE.values():  # the C library then takes the older call
        program += _when(numbers[column], [_refuse(errno.ENOSYS)])
    bits, value = (_APART, 0) if programs else (_THREAD, _THREAD)
    program += _when(_CLONE[column], _with_bits(0, bits, value, errno.ECHILD, allowed=True))
    if not shared_memory:
        bits = _SHARED_ANONYMOUS
        program += _when(_MMAP[column], _with_bits(3, bits, bits, errno.ENOMEM, allowed=False))
    for numbers, flags in ((_OPEN, 1), (_OPENAT, 2)):  # emptying a file while opening it for reading
        bits = _OPEN_TRUNCATE | _OPEN_ACCESS
        program += _when(numbers[column], _with_bits(flags, bits, _OPEN_TRUNCATE, errno.EPERM, allowed=False))
    for numbers in _OWN_PROCESS.values():
        program += _when(numbers[column], _only((pid,)))
    for numbers in _SELF_ONLY.values():
        program += _when(numbers[column], _only((0,)))
    program += _when(_PRCTL[column], _only(_PRCTL_ALLOWED))
    program += _when(_FCNTL[column], _all_but(_FCNTL_OWNERS))
    program += _when(_IOCTL[column], _all_but(_IOCTL_REFUSED))
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _when(number: int | None, body: list[Instruction]) -> list[Instruction]:
    """Run `body`, which has to return, for one system call."""
    return [] if number is None else [(_JUMP_EQUAL, 0, len(body), number), *body]


def _only(values: tuple[int, ...]) -> list[Instruction]:
    """Allow these first arguments."""
    checks = [(_JUMP_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)]
    return [_argument(0), *checks, _refuse(errno.EPERM), (_RETURN, 0, 0, _ALLOW)]


def _all_but(values: tuple[int, ...]) -> list[Instruction]:
    """Refuse these second arguments."""
    checks = [(_JUMP_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)]
    return [_argument(1), *checks, (_RETURN, 0, 0, _ALLOW), _refuse(errno.EPERM)]


def _with_bits(index: int, bits: int, value: int, code: int, *, allowed: bool) -> list[Instruction]:
    """Allow, or refuse with `code`, the calls whose argument has `value` in these bits; else the reverse."""
    yes, no = (_RETURN, 0, 0, _ALLOW), _refuse(code)
    then, otherwise = (yes, no) if allowed else (no, yes)
    return [_argument(index), (_AND, 0, 0, bits), (_JUMP_EQUAL, 0, 1, value), then, otherwise]


def _load(offset: int) -> Instruction:
    return _LOAD, 0, 0, offset


def _argument(index: int) -> Instruction:
    return _load(_ARGUMENTS_AT + 8 * index)  # low half: both machines are little-endian


def _refuse(code: int) -> Instruction:
    return _RETURN, 0, 0, _ERRNO | code
