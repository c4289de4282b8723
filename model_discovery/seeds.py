"""Randomness by name: every draw has a seed derived from the campaign's and from what is drawn."""

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A seed in ``[0, 2**63)`` for the draw called ``names``, the same on every machine and in every process.

    >>> derive(0, "parents", 3) == derive(0, "parents", 3) != derive(0, "parents", 4)
    True
    """
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
