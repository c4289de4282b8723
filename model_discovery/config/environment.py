"""The variables that this process may read."""

import os
from pathlib import Path


def environment() -> dict[str, str]:
    """The variables of this process, and below them those of ``.env`` in the working folder."""
    from dotenv import dotenv_values

    return {**{k: v for k, v in dotenv_values(Path(".env")).items() if v}, **os.environ}
