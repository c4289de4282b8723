"""A training process's memory: kept, and in huge pages where the kernel has them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")
CHILD = """
import resource, sys
import torch
from model_discovery.verification import settle
room = int(sys.argv[1])
if room:
    used = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmData")) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (used + room, used + room))
settle.settle()
for _ in range(12):  # the first eight may take new memory: small rests between them are kept apart
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = torch.ones(4 << 20)  # 16 MB
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(int(l.split()[1]) for l in open("/proc/self/smaps") if l.startswith("AnonHugePages")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_is_kept_and_its_pages_are_large() -> None:
    faults, huge = run_with(room=0)
    assert faults < 100  # of 4,096 pages
    if SWITCH.exists() and "[never]" not in SWITCH.read_text():
        assert huge >= 8 << 10  # of at least 16 MB; the kernel may not have found all of it


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_a_limit_below_the_larger_heap_is_no_error() -> None:
    run_with(room=500 << 20)


def run_with(room: int) -> tuple[int, int]:
    """Page faults of the last block with ``room`` bytes left (0: all), and kilobytes in huge pages."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD, str(room)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    faults, huge = map(int, run.stdout.split())
    return faults, huge
