"""A closer look at the best candidates: TF-IDF over all their words, nothing left out and nothing reduced.

The vectors keep a few hundred directions, and of a long query the index looks up the rarest words only. For
the few passages that both have found, the whole comparison is cheap.
"""

import math
from collections import Counter
from collections.abc import Sequence

from model_discovery.library.ngrams import stems_of
from model_discovery.library.store import Store

_LONGEST_QUERY = 20_000


def closest(store: Store, query: str, candidates: Sequence[int]) -> list[int]:
    """The candidates by the cosine of their word weights with the query's, nearest first."""
    texts = store.texts_of(candidates)
    stems = {id_: Counter(stems_of(text)) for id_, text in texts.items()}
    asked = Counter(stems_of(query[:_LONGEST_QUERY]))
    seen = sorted(set(asked).union(*stems.values()))
    total, known = store.passages_in_all(), store.stem_frequencies(seen)
    idf = {stem: math.log((1 + total) / (1 + known.get(stem, 0))) + 1 for stem in seen}
    scores = {id_: _cosine(asked, counts, idf) for id_, counts in stems.items()}
    return sorted(scores, key=lambda id_: (-scores[id_], id_))


def _cosine(asked: Counter[str], counts: Counter[str], idf: dict[str, float]) -> float:
    """Without the query's length, which is the same for all."""
    weights = {stem: (1 + math.log(count)) * idf[stem] for stem, count in counts.items()}
    length = math.sqrt(sum(weight * weight for weight in weights.values()))
    shared = sum(
        (1 + math.log(count)) * idf[stem] * weights[stem] for stem, count in asked.items() if stem in weights
    )
    return shared / length if length else 0.0
