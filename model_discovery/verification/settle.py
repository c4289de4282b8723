"""Settings of a training process that change no bit of a result and are worth 5 to 25 % of its speed."""

import ctypes
import sys

import torch

HUGE_PAGE = 2 << 20
HEAPS = (1 << 30, 1 << 28)  # bytes of heap in huge pages: the first of them that the process may have

# glibc's mallopt: keep freed memory instead of giving it back and faulting it in again at every step.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MADV_HUGEPAGE = 14


def settle() -> None:
    """Flush denormals; let the allocator keep its memory, in huge pages where the kernel has them."""
    torch.set_flush_denormal(True)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # not in every C library
            libc.mallopt(_M_MMAP_THRESHOLD, (1 << 30) + HUGE_PAGE)
            libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
            _ask_for_huge_pages(libc)
            libc.mallopt(_M_TOP_PAD, 64 << 20)


def _ask_for_huge_pages(libc: ctypes.CDLL) -> None:
    """Grow the heap once and mark what was added: its pages are huge when they are first touched.

    Going through a step's activations is a walk over tens of megabytes, and with small pages a part of that
    time is spent on finding them. Takes addresses, no memory.
    """
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_ssize_t, (ctypes.c_ssize_t,)
    for size in HEAPS:
        if libc.sbrk(size + HUGE_PAGE) != -1:  # asked first: after a refusal malloc works with small pieces
            libc.sbrk(-size - HUGE_PAGE)
            start = libc.malloc(size)
            first = -(-start // HUGE_PAGE) * HUGE_PAGE
            libc.madvise(first, (start + size - first) // HUGE_PAGE * HUGE_PAGE, _MADV_HUGEPAGE)
            libc.free(start)
            return
