"""Search by words: BM25 of SQLite's FTS5, with queries that any text can be."""

from model_discovery.library.ngrams import words_of
from model_discovery.library.store import Store

MOST_WORDS = 32
_LONGEST_QUERY = 20_000
_TITLE_WEIGHT, _TEXT_WEIGHT = 1.0, 1.0


def lexical_search(store: Store, query: str, n: int, sources: tuple[str, ...] | None) -> list[int]:
    """Ids of the passages that have words of the query, best first, at most ``n``.

    Of a long query the rarest words count. ``sources`` None means all.
    """
    words = list(dict.fromkeys(words_of(query[:_LONGEST_QUERY])))
    if not words:
        return []
    match = " OR ".join(f'"{word}"' for word in words[:MOST_WORDS])
    where, values = "", []
    if sources is not None:
        where = (
            "AND rowid IN (SELECT passages.id FROM passages JOIN papers ON number = paper "
            f"WHERE source IN ({', '.join('?' * len(sources))}))"
        )
        values = list(sources)
    rows = store.rows(
        f"SELECT rowid FROM words WHERE words MATCH ? {where} "
        f"ORDER BY bm25(words, {_TITLE_WEIGHT}, {_TEXT_WEIGHT}), rowid LIMIT ?",
        (match, *values, n),
    )
    return [int(row[0]) for row in rows]
