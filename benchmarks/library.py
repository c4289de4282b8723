"""The paper library at size: building, opening, searching and adding, all in one run.

    .venv/bin/python benchmarks/library.py [--passages 100000] [--queries 200] [--keep FOLDER]

Text is made here, without any data: words with Zipf's frequencies, each paper with words of its own topic.
Milliseconds are
processor time of one thread, which a busy machine hardly changes. Queries are pieces of passages (8 words as
in a title, 20 as in a sentence, 150 as in a paragraph), and common words alone.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from model_discovery.library.library import PaperLibrary
from model_discovery.library.types import Paper, Passage
from model_discovery.seeds import derive

WORDS, PER_PAPER, TOPIC = 120_000, 50, 300
LETTERS = (
    ["b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "pl", "ch"],
    ["a", "e", "i", "o", "u", "ea", "ou"],
    ["", "", "n", "r", "s", "l", "nt"],
)


def vocabulary(rng: np.random.Generator) -> list[str]:
    """Words of one to four syllables, the frequent ones shorter, as in a language."""
    words: dict[str, None] = {}
    while len(words) < WORDS:
        most = 1 + min(3, int(np.log10(10 + len(words))))
        syllables = int(rng.integers(max(1, most - 1), most + 1))
        words["".join(str(rng.choice(part)) for _ in range(syllables) for part in LETTERS)] = None
    return list(words)


def papers(count: int, rng: np.random.Generator) -> Iterator[tuple[Paper, list[Passage]]]:
    """Papers of `PER_PAPER` passages of 100 to 200 words; a third of the words are of the paper's topic."""
    words = np.array(vocabulary(rng))
    odds = np.cumsum(1 / (2.7 + np.arange(1, WORDS + 1)) ** 1.05)
    within = np.cumsum(1 / np.arange(1, TOPIC + 1))
    for number in range(count):
        topic = rng.integers(200, WORDS, TOPIC)
        passages = []
        for _ in range(PER_PAPER):
            length = int(rng.integers(100, 200))
            common = np.searchsorted(odds, rng.random(length) * odds[-1])
            own = topic[np.searchsorted(within, rng.random(length) * within[-1])]
            text = " ".join(words[np.where(rng.random(length) < 0.33, own, common)])
            passages.append(Passage(section="Method", page=1, text=text))
        yield Paper(id=f"paper-{number}", title=" ".join(words[topic[:8]]), source="papers"), passages


def open_library(folder: Path) -> PaperLibrary:
    """The library of a folder, without the shipped cards."""
    return PaperLibrary.open(folder, cards=folder / "no cards")


def timed(work: Any, *values: Any) -> tuple[float, Any]:
    """Milliseconds of processor time, and the result."""
    start = time.process_time()
    result = work(*values)
    return 1e3 * (time.process_time() - start), result


def queries(library: PaperLibrary, count: int, rng: np.random.Generator) -> dict[str, list[str]]:
    """Queries by kind, taken from passages that are there."""
    ids = [paper.id for paper in library.papers()]
    found: dict[str, list[str]] = {"8 words": [], "20 words": [], "150 words": [], "8 common words": []}
    common = [word for passage in library.passages(ids[0]) for word in passage.text.split()]
    common = [word for word in dict.fromkeys(common) if len(word) <= 3]
    for _ in range(count):
        passages = library.passages(ids[int(rng.integers(len(ids)))])
        text = passages[int(rng.integers(len(passages)))].text.split()
        for kind, length in (("8 words", 8), ("20 words", 20), ("150 words", 150)):
            start = int(rng.integers(max(1, len(text) - length)))
            found[kind].append(" ".join(text[start : start + length]))
        found["8 common words"].append(" ".join(str(word) for word in rng.choice(common, 8)))
    return found


def report(name: str, milliseconds: list[float]) -> None:
    """Median, 95th percentile and worst."""
    ordered = sorted(milliseconds)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    print(
        f"{name}: median {statistics.median(ordered):.1f} ms, p95 {p95:.1f}, worst {ordered[-1]:.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="build in this folder, or measure what is there")
    chosen = parser.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="library-"))
    rng = np.random.default_rng(derive(0, "library benchmark"))
    count = chosen.passages // PER_PAPER
    made = papers(count + 100, rng)
    library = open_library(folder)
    if len(library.papers()) < count:
        first = [next(made) for _ in range(count)]
        spent, _ = timed(library.add_all, first)
        print(f"built {chosen.passages:,} passages of {count:,} papers in {spent / 1e3:.0f} s")
    library.close()
    opening = []
    for _ in range(5):
        spent, library = timed(open_library, folder)
        opening.append(spent + timed(library.search, "first search of all")[0])
    report("opening and a first search", opening)
    print(library.stats())
    asked = queries(library, chosen.queries, rng)
    for kind, texts in asked.items():
        report(f"query of {kind}", [timed(library.search, text)[0] for text in texts])
        report(
            f"query of {kind}, own papers only",
            [timed(library.search, text, 10, ("papers",))[0] for text in texts[:50]],
        )
    adding = []
    for n in range(50):
        paper, passages = next(made)
        adding.append(
            timed(library.add, paper.model_copy(update={"id": f"new-{n}-{time.time()}"}), passages)[0]
        )
    report(f"adding a paper of {PER_PAPER} passages", adding)
    for note in library.notes:
        print(note)


if __name__ == "__main__":
    main()
