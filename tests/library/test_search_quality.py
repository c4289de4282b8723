"""The default search on titles and abstracts of real papers: no less than was measured."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from library_makers import own_library, paper, passage


def abstracts(shared_data: Path) -> Iterator[tuple[str, str]]:
    for line in (shared_data / "papers" / "references.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["abstract"]:
            yield row["title"], row["abstract"]


def recall(folder: Path, pairs: list[tuple[str, str]]) -> float:
    """Share of queries whose own text is among the first five; the texts stand alone, without titles."""
    with own_library(folder) as library:
        library.add_all(
            (paper(str(n)).model_copy(update={"title": ""}), [passage(text)])
            for n, (_, text) in enumerate(pairs)
        )
        found = [
            str(n) in [hit.paper.id for hit in library.search(query, k=5)]
            for n, (query, _) in enumerate(pairs)
            if query
        ]
        return sum(found) / len(found)


def test_a_title_finds_its_abstract(shared_data: Path, tmp_path: Path) -> None:
    pairs = list(abstracts(shared_data))
    assert len(pairs) == 294
    assert recall(tmp_path, pairs) >= 0.95


def test_the_last_sentence_finds_the_rest(shared_data: Path, tmp_path: Path) -> None:
    pairs = []
    for _, abstract in abstracts(shared_data):
        *rest, last = re.split(r"(?<=[.!?])\s+", abstract.strip())
        pairs.append((last, " ".join(rest)) if rest else ("", last))
    assert sum(bool(query) for query, _ in pairs) == 289
    assert recall(tmp_path, pairs) >= 0.62
