"""In how many passages each stem occurs: counted up to a passage and kept, and in memory what came after it.

A row of a table for each stem would cost more to change than all else of adding a paper.
"""

from collections import Counter

import numpy as np

from model_discovery.library.ngrams import Counts, Stems
from model_discovery.library.store import Store


class Frequencies:
    """The frequencies of a library's stems at one moment.

    ``behind`` is how many passages are counted in memory only.
    """

    def __init__(self, store: Store) -> None:
        self.epoch = store.epoch
        self.behind = 0
        self.last, self._stems, self._passages = store.kept_frequencies()
        self._later: Counter[int] = Counter()
        self.extend(store)

    def extend(self, store: Store) -> None:
        """Count the passages written since."""
        for last, passages in store.stems(self.last):
            stems, counts = np.unique(np.concatenate(passages), return_counts=True)
            self._later.update(dict(zip(stems.tolist(), counts.tolist(), strict=True)))
            self.last, self.behind = last, self.behind + len(passages)

    def of(self, stems: Stems) -> Counts:
        """How many passages have each of some stems."""
        later = self._later
        found = np.fromiter((later[stem] for stem in stems.tolist()), dtype=np.uint32, count=len(stems))
        if len(self._stems):
            places = np.minimum(np.searchsorted(self._stems, stems), len(self._stems) - 1)
            found += np.where(self._stems[places] == stems, self._passages[places], 0).astype(np.uint32)
        return found

    def all(self) -> tuple[Stems, Counts]:
        """Every stem, sorted, and how many passages have it."""
        later = np.fromiter(self._later, dtype=np.uint32, count=len(self._later))
        stems = np.union1d(self._stems, later)
        return stems, self.of(stems)
