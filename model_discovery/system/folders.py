"""Folders that work is written into."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_discovery.errors import UserError


def folder_or_error(path: Path) -> Path:
    """Create a folder that work is to be written below, or say why it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot create the folder {path}: {error.strerror}.",
            hint="choose another with DATA_DIR or CKPT_DIR, or run in a folder you may write",
        ) from None
    if not os.access(path, os.W_OK):
        raise UserError(
            f"The folder {path} is read-only.",
            hint="choose another with DATA_DIR or CKPT_DIR, or change its rights",
        )
    return path


def campaign_folder(campaign: str) -> Path:
    """Where the folders of a campaign's jobs lie."""
    from model_discovery.config import Settings

    return Settings().ckpt_dir.absolute() / campaign


@contextmanager
def work_folder() -> Iterator[Path]:
    """A folder that a sandbox may write into, gone afterwards."""
    from model_discovery.config import Settings

    root = folder_or_error(Settings().ckpt_dir / "check").resolve()
    with tempfile.TemporaryDirectory(dir=root) as folder:
        yield Path(folder)
