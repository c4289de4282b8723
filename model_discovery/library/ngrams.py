"""What a text is made of: its words, their stems, and the character n-grams within them."""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Stems = np.ndarray[Any, np.dtype[np.uint32]]
Counts = np.ndarray[Any, np.dtype[np.uint32]]

_WORD = re.compile(r"[^\W_]+")
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SPACE = 32
_LONGEST_QUERY = 20_000


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and without accents; ligatures are taken apart.

    Everything that is neither letter nor digit separates them.
    """
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _WORD.findall(text.lower())


def words_of_query(text: str) -> list[str]:
    """The words of a query; what comes after as many letters as no query has is left out."""
    return words_of(text[:_LONGEST_QUERY])


def stems_of(words: Sequence[str]) -> Stems:
    """Hashes of words cut to six letters; most forms of a word are one then."""
    return np.fromiter(map(_stem_hash, words), dtype=np.uint32, count=len(words))


def counted_stems(words: Sequence[str]) -> tuple[Stems, Counts]:
    """The stems of some words, each once and sorted, and how often each occurs."""
    stems, counts = np.unique(stems_of(words), return_counts=True)
    return stems, counts.astype(np.uint32)


def ngram_hashes(text: str, least: int = 3, most: int = 5) -> Hashes:
    """A hash for every run of ``least`` to ``most`` characters that does not reach over a space.

    Every word stands between two spaces, so that its beginning and its end are told apart from its middle,
    and a word of one to three letters is a run of its own.
    """
    padded = f" {' '.join(words_of(text))} "
    letters = np.frombuffer(padded.encode("utf-32-le", "replace"), dtype="<u4").astype(np.uint64)
    space = letters == _SPACE
    found, rolling = [], letters
    for n in range(2, most + 1):
        if len(letters) < n:
            break
        rolling = rolling[:-1] * MULTIPLIER + letters[n - 1 :]
        if n < least:
            continue
        crosses = np.zeros(len(rolling), dtype=bool)
        for offset in range(1, n - 1):
            crosses |= space[offset : offset + len(rolling)]
        found.append((rolling ^ (rolling >> np.uint64(29)))[~crosses] + np.uint64(n))
    return np.concatenate(found) if found else np.zeros(0, dtype=np.uint64)


@lru_cache(maxsize=100_000)
def _stem_hash(word: str) -> int:
    return zlib.crc32(word[:6].encode("utf-8", "replace"))
