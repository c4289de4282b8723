"""Documents of one part of a source, in order, from any place on; and several parts mixed by size.

Nothing here is random: a mixture always takes the next document from the source that is furthest behind its
share, so the same sources give the same documents in the same order.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from model_discovery.verification.hub import STRANDS, Opened, check_text, reading

if TYPE_CHECKING:
    from datasets import IterableDataset

ROWS = 256

T = TypeVar("T")
Place = dict[str, Any]
"""Where a strand stands, as plain data."""


class Strand(Generic[T]):
    """Documents of one part, treated in batches one batch ahead in another thread.

    Parameters
    ----------
    opened
        The source.
    part
        Its rows.
    treat
        From a batch of documents to as many items.
    pool
        Threads for what is read ahead.
    place
        Where to begin, as `place` told; the beginning unless given.
    """

    def __init__(
        self,
        opened: Opened,
        part: "IterableDataset",
        treat: Callable[[list[str]], list[T]],
        pool: ThreadPoolExecutor,
        place: Place | None = None,
    ) -> None:
        self._source, self._join, self._treat, self._pool = opened.source, opened.join, treat, pool
        self._held: list[str] = list(place["held"]) if place else []
        if place and place["rows"] is not None:
            part.load_state_dict(place["rows"])
        self._rows, self._batches = part, part.iter(batch_size=ROWS)
        self._next_rows = place["rows"] if place else None
        self._start: Place = {"rows": self._next_rows, "held": self._held}
        self._items: list[T] = []
        self._taken = 0
        self._ahead: Future[tuple[Place, list[T]] | None] | None = pool.submit(self._read)
        for _ in range(place["taken"] if place else 0):
            self.take()

    @property
    def place(self) -> Place:
        """Where it stands: a strand opened there gives the same items as this one from now on."""
        return {**self._start, "taken": self._taken}

    def take(self) -> T | None:
        """The next item; ``None`` at the end."""
        while self._taken >= len(self._items):
            found = self._ahead.result() if self._ahead else None
            if found is None:
                self._ahead = None
                return None
            self._start, self._items = found
            self._taken = 0
            self._ahead = self._pool.submit(self._read)
        self._taken += 1
        return self._items[self._taken - 1]

    def close(self) -> None:
        """Let its file go; nothing of it may be read any more."""
        self._batches.close()

    def _read(self) -> tuple[Place, list[T]] | None:
        """The next batch and the place before it; runs in one thread at a time."""
        start: Place = {"rows": self._next_rows, "held": list(self._held)}
        with reading(self._source):
            table = next(self._batches, None)
            values = (
                [] if table is None else table.column(0).to_pylist()
            )  # here JSON is found not to be UTF-8
        if table is None:
            documents = self._flush()
            return (start, self._treat(documents)) if documents else None
        self._next_rows = self._rows.state_dict()
        texts = [check_text(self._source, value) for value in values]
        documents = list(self._joined(texts)) if self._join else [text for text in texts if text.strip()]
        return start, self._treat(documents)

    def _joined(self, texts: Sequence[str]) -> Iterator[str]:
        length = sum(map(len, self._held))
        for text in texts:
            self._held.append(text)
            length += len(text)
            if length >= self._join:
                yield from self._flush()
                length = 0

    def _flush(self) -> list[str]:
        document = "\n".join(self._held).strip()
        self._held.clear()
        return [document] if document else []


@contextmanager
def open_strands(
    opened: Sequence[Opened],
    treat: Callable[[list[str]], list[T]],
    places: Sequence[Sequence[Place | None]] = (),
) -> Iterator[list[list[Strand[T]]]]:
    """Strands of all sources, from ``places`` on where they are given.

    At the end threads and files are closed, in this order: a parquet file that is still open when Python
    stops can keep it from stopping. Arrow reads ahead in threads of its own; they are waited for.
    """
    pool = ThreadPoolExecutor(STRANDS)
    strands: list[list[Strand[T]]] = []
    try:
        for index, one in enumerate(opened):
            known = places[index] if places else [None] * len(one.parts)
            strands.append([])
            for part, place in zip(one.parts, known, strict=True):
                strands[-1].append(Strand(one, part, treat, pool, place))
        yield strands
    finally:
        pool.shutdown(cancel_futures=True)
        for strand in (strand for of_one in strands for strand in of_one):
            strand.close()
        _let_readers_finish()


def _let_readers_finish(seconds: float = 2.0) -> None:
    """Wait until no other thread of this process has work.

    A reader that asks for Python's lock while Python stops ends the process by SIGABRT, and Arrow cannot be
    asked whether it still reads.
    """
    end, quiet = time.monotonic() + seconds, 0
    while quiet < 3 and time.monotonic() < end:
        time.sleep(0.01)
        quiet = 0 if _others_work() else quiet + 1


def _others_work() -> bool:
    """Whether another thread runs, wants to, or waits for a disk; never where there is no /proc."""
    mine = str(threading.get_native_id())
    for task in Path("/proc/self/task").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if task.name != mine and (task / "stat").read_text().rpartition(")")[2].split()[0] in "RD":
                return True
    return False


class Mixture(Generic[T]):
    """Items of several sources, each getting its share of ``size``; within a source its strands take turns.

    Parameters
    ----------
    sources
        Strands of each source.
    weights
        Shares of the sources, relative to each other.
    sizes
        What each strand has given already; nothing unless told.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[Strand[T]]],
        weights: Sequence[float],
        size: Callable[[T], int],
        sizes: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self._sources, self._weights, self._size = sources, weights, size
        self.sizes = [list(part) for part in sizes] if sizes else [[0] * len(strands) for strands in sources]
        self._live = [list(range(len(strands))) for strands in sources]

    def __iter__(self) -> Iterator[tuple[int, T]]:
        while live := [index for index, strands in enumerate(self._live) if strands]:
            source = min(live, key=lambda index: sum(self.sizes[index]) / self._weights[index])
            strand = min(self._live[source], key=lambda index: self.sizes[source][index])
            item = self._sources[source][strand].take()
            if item is None:
                self._live[source].remove(strand)
                continue
            self.sizes[source][strand] += self._size(item)
            yield source, item

    @property
    def ended(self) -> tuple[int, ...]:
        """Sources that have nothing more to give."""
        return tuple(index for index, strands in enumerate(self._live) if not strands)

    @property
    def places(self) -> list[list[Place]]:
        """Where the strands stand."""
        return [[strand.place for strand in strands] for strands in self._sources]
