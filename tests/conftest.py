"""Fixtures shared by every room."""

import os
from pathlib import Path

# Before torch is imported anywhere: two OpenMP threads on a busy small machine are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real text and BLiMP files beside the checkout; tests that need them skip elsewhere."""
    folder = Path(os.environ.get("MODEL_DISCOVERY_SHARED_DATA", SHARED_DATA))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: real corpus and BLiMP files are not on this machine")
    return folder
