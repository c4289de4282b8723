"""English-like text from a written grammar and a seed, and minimal pairs that test what it teaches."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal

from model_discovery.seeds import derive
from model_discovery.verification.grammar.documents import speak
from model_discovery.verification.grammar.lexicon import Lexicon, make_lexicon
from model_discovery.verification.grammar.pairs import PHENOMENA, Phenomenon, write_pair_sets
from model_discovery.verification.grammar.phrases import Speaker
from model_discovery.verification.grammar.sampling import draws
from model_discovery.verification.grammar.tables import Tables

__all__ = ["PHENOMENA", "Grammar", "Lexicon", "Phenomenon"]


class Grammar:
    """The language of a seed.

    Parameters
    ----------
    seed
        Decides the invented words, their frequencies and every sentence.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.lexicon = make_lexicon(seed)

    @cached_property
    def words(self) -> list[str]:
        """The vocabulary in alphabetical order."""
        return self.lexicon.words()

    @cached_property
    def tables(self) -> Tables:
        """Frequency tables."""
        return Tables(self.lexicon)

    def documents(self, split: Literal["train", "held_out"]) -> Iterator[list[str]]:
        """Documents as words, without end, always the same.

        Those held out also have the pairings of words that training never shows.
        """
        source = draws(derive(self.seed, "documents", split))
        return speak(Speaker(self.tables, source, anything_goes=split == "held_out"))

    def write_pairs(self, folder: Path, count: int) -> tuple[str, ...]:
        """Write the minimal pairs, ``count`` a phenomenon, as JSONL; returns the names of the phenomena."""
        return write_pair_sets(self.tables, self.seed, folder, count)
