"""Fixtures shared by every room."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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


@contextmanager
def _own_hf_modules(folder: Path) -> Iterator[None]:
    import transformers.dynamic_module_utils as dynamic

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "transformers_modules"]:
            del sys.modules[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic, "HF_MODULES_CACHE", str(folder / "modules"))
        patch.setattr(sys, "path", [*sys.path])
        forget()  # a package imported from another folder would be looked into first
        yield
    forget()


@pytest.fixture(scope="session")
def own_hf_modules() -> Callable[[Path], AbstractContextManager[None]]:
    """Inside, transformers keeps its copies of exported code below a folder, and knows of no others."""
    return _own_hf_modules
