"""Search by words: BM25 of SQLite's FTS5. Any text is a query, and none takes long."""

from typing import Literal

from model_discovery.library.frequencies import Frequencies
from model_discovery.library.ngrams import stems_of, words_of_query
from model_discovery.library.store import Store

Only = Literal["cards", "papers"]

MOST_WORDS = 32
# A word of a title, or of a card's id, counts as much as so many of the text.
_OF_TITLE = 2.0
# Places in the index that a query may visit; about a microsecond each.
MOST_PLACES = 6_000
_OF_CARDS = "(SELECT passages.id FROM papers JOIN passages ON paper = number WHERE source = 'cards')"
_WHERE = {
    None: "",
    "cards": f"AND +rowid IN {_OF_CARDS}",
    "papers": f"AND +rowid NOT IN {_OF_CARDS}",
}


def lexical_search(
    store: Store, frequencies: Frequencies, query: str, n: int, only: Only | None = None
) -> list[int]:
    """Ids of the passages that have words of the query, best first, at most ``n``."""
    words = telling_words(frequencies, query)
    if not words:
        return []
    match = " OR ".join(f'"{word}"' for word in words)
    rows = store.rows(
        f"SELECT rowid FROM words WHERE words MATCH ? {_WHERE[only]} "
        f"ORDER BY bm25(words, {_OF_TITLE}), rowid LIMIT ?",
        (match, n),
    )
    return [int(row[0]) for row in rows]


def telling_words(frequencies: Frequencies, query: str) -> list[str]:
    """The words of a query that are looked up: the rarest, until they are `MOST_WORDS` or `MOST_PLACES`.

    A word that more passages have than that says little by itself, and is left to the vectors. A word is
    taken to be in every passage that has its stem.
    """
    words = list(dict.fromkeys(words_of_query(query)))
    counts = frequencies.of(stems_of(words)).tolist()
    known = {word: count for word, count in zip(words, counts, strict=True) if count}
    chosen, places = [], 0
    for word in sorted(known, key=lambda word: known[word])[:MOST_WORDS]:
        places += known[word]
        if places > MOST_PLACES:
            break
        chosen.append(word)
    return chosen
