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
    settle.HEAPS = (1 << 30,)  # is refused
settle.settle()
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = torch.ones(16 << 20)  # 64 MB
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(int(l.split()[1]) for l in open("/proc/self/smaps") if l.startswith("AnonHugePages")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
@pytest.mark.parametrize("room", [0, 900 << 20])
def test_memory_is_kept_and_its_pages_are_large(room: int) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(room)], capture_output=True, text=True, env=environment, check=True
    )
    faults, huge = map(int, run.stdout.split())
    assert faults < 100  # of 16,384 pages
    if not room and SWITCH.exists() and "[never]" not in SWITCH.read_text():
        assert huge >= 32 << 10  # of 64 MB; the kernel may not have found all of it
