"""What a text is made of: its words and the character n-grams within them, as 64-bit hashes."""

import re
import zlib
from functools import lru_cache
from typing import Any

import numpy as np

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

_WORD = re.compile(r"[^\W_]+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SPACE = 32


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case; everything that is neither letter nor digit separates them."""
    return _WORD.findall(text.lower())


def word_hashes(text: str) -> Hashes:
    """A hash for every word, in order."""
    return np.array([_word_hash(word) for word in words_of(text)], dtype=np.uint64)


def ngram_hashes(text: str, least: int = 3, most: int = 5) -> Hashes:
    """A hash for every run of ``least`` to ``most`` characters that does not reach over a space.

    Every word stands between two spaces, so that its beginning and its end are told apart from its middle.
    """
    padded = f" {' '.join(words_of(text))} "
    letters = np.frombuffer(padded.encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    space = letters == _SPACE
    found, rolling = [], letters
    for n in range(2, most + 1):
        if len(letters) < n:
            break
        rolling = rolling[:-1] * _MULTIPLIER + letters[n - 1 :]
        if n < least:
            continue
        crosses = np.zeros(len(rolling), dtype=bool)
        for offset in range(1, n - 1):
            crosses |= space[offset : offset + len(rolling)]
        found.append((rolling ^ (rolling >> np.uint64(29)))[~crosses] + np.uint64(n))
    return np.concatenate(found) if found else np.zeros(0, dtype=np.uint64)


@lru_cache(maxsize=200_000)
def _word_hash(word: str) -> int:
    data = word.encode("utf-8", "replace")
    return zlib.crc32(data) << 32 | zlib.crc32(data[::-1])
