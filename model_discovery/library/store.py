"""The database of a library: papers, passages, their words and vectors. Everything else is made from it.

One SQLite file in WAL mode: many may read while one writes, and what a transaction has not finished never
was. ``epoch`` counts the changes after which vectors made before are void or gone.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.library.ngrams import Counts, Stems, counted_stems, words_of
from model_discovery.library.opening import look, obstacle, open_to_read, open_to_write
from model_discovery.library.types import Paper, Passage
from model_discovery.sqlite import transaction

T = TypeVar("T")
FORMAT = 4
_TOGETHER = 20_000  # rows in memory at once, where all are read
_TRIES = 5

_SCHEMA = f"""
CREATE TABLE facts(name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE learned(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE papers(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
                    title TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE passages(id INTEGER PRIMARY KEY AUTOINCREMENT, paper INTEGER NOT NULL REFERENCES papers(number),
                      section TEXT NOT NULL, page INTEGER, text TEXT NOT NULL);
CREATE INDEX papers_of_source ON papers(source);
CREATE INDEX passages_of_paper ON passages(paper);
CREATE TABLE vectors(passage INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(title, text, content='', tokenize='unicode61');
CREATE TABLE stems(passage INTEGER PRIMARY KEY, stems BLOB NOT NULL, counts BLOB NOT NULL);
CREATE TABLE frequencies(epoch INTEGER PRIMARY KEY, last INTEGER NOT NULL, stems BLOB NOT NULL,
                         passages BLOB NOT NULL);
INSERT INTO facts VALUES ('format', {FORMAT}), ('epoch', 0), ('passages', 0);
"""

Ids = np.ndarray[Any, np.dtype[np.int64]]
Matrix = np.ndarray[Any, np.dtype[np.float32]]


class Store:
    """An open database.

    ``read_only`` where it cannot be written to; ``opened`` counts how often it was opened anew, after which
    nothing that was read before counts.

    Parameters
    ----------
    file
        Made when it does not exist.

    Raises
    ------
    UserError
        It is no library, of a newer release, or cannot be read or written; also from every method.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._obstacle = obstacle(file)
        self.read_only = self._obstacle is not None
        self.opened = 0
        with self.plain_errors():
            if self.read_only:
                self._connection, self._seen = open_to_read(file)
                self.at_one_moment(self._prepare)
            else:
                self._connection = open_to_write(file)
                self._prepare()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """What SQLite says, as one line with the file and what to do."""
        try:
            yield
        except sqlite3.ProgrammingError:  # the caller's mistake, such as another thread; the file is whole
            raise
        except sqlite3.OperationalError as error:
            folder = self.file.parent
            hint = f"nothing was lost; {folder} has to be writable, with room on its disk"
            raise UserError(f"{self.file}: {error}.", hint=hint, exit_code=EXIT_FAILED) from None
        except sqlite3.DatabaseError as error:
            hint = f"move {self.file.parent} away and add the papers again, or restore the file"
            raise UserError(f"{self.file} is damaged: {error}.", hint=hint, exit_code=EXIT_FAILED) from None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is written inside is there afterwards, or nothing of it."""
        self.require_writable()
        with self.plain_errors(), transaction(self._connection):
            yield

    def require_writable(self) -> None:
        """Refuse to change a library that can only be read."""
        if self._obstacle is not None:
            raise UserError(
                f"The library in {self.file.parent} is read-only: {self._obstacle} cannot be written to.",
                hint="it can be searched; to change it, copy the folder and name the copy in LIBRARY_DIR",
                exit_code=EXIT_FAILED,
            )

    def at_one_moment(self, work: Callable[[], T]) -> T:
        """What ``work`` returns; all that it reads is of one moment.

        It is done again where the file was changed meanwhile and SQLite could not know: see `opening`.
        """
        for _ in range(_TRIES):
            try:
                with self._reading():
                    result = work()
            except (UserError, LookupError, ValueError):
                if not self._opened_again():
                    raise
                continue
            if not self.read_only or self._seen.live or not self._opened_again():
                return result
        raise UserError(
            f"{self.file} is changed all the time while it is read.", hint="try again", exit_code=EXIT_FAILED
        )

    def _opened_again(self) -> bool:
        """Open a file that is only read anew when it was changed; whether it was."""
        if not self.read_only or look(self.file) == self._seen:
            return False
        with self.plain_errors():
            connection, self._seen = open_to_read(self.file)
        self._connection.close()
        self._connection = connection
        self.opened += 1
        return True

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if self._connection.in_transaction:
            yield
            return
        with self.plain_errors():
            try:
                self._connection.execute("BEGIN")
                yield
            finally:
                if self._connection.in_transaction:  # an error of the disk has ended it
                    self._connection.execute("ROLLBACK")

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query."""
        with self.plain_errors():
            return self._connection.execute(query, values).fetchall()

    def one(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row, None without rows."""
        rows = self.rows(query, values)
        return rows[0][0] if rows else None

    def fact(self, name: str) -> Any:
        """Something the library knows of itself, None when it does not."""
        return self.one("SELECT value FROM facts WHERE name = ?", (name,))

    def set_fact(self, name: str, value: Any) -> None:
        """Write a fact; within `writing`."""
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @property
    def learned(self) -> bytes | None:
        """What the embedder has learned; large, so in a table of its own."""
        return self.one("SELECT data FROM learned")  # type: ignore[no-any-return]

    def set_learned(self, data: bytes) -> None:
        """Write what the embedder has learned; within `writing`."""
        self._connection.execute("INSERT OR REPLACE INTO learned VALUES (1, ?)", (data,))

    @property
    def epoch(self) -> int:
        """Counts the changes that made older vectors void."""
        return int(self.fact("epoch"))

    def add(self, paper: Paper, passages: Sequence[Passage], source: str) -> list[int]:
        """Write a paper; within `writing`. Returns the ids of its passages."""
        execute = self._connection.execute
        data = paper.model_copy(update={"source": source}).model_dump_json()
        number = execute(
            "INSERT INTO papers(id, source, title, data) VALUES (?, ?, ?, ?)",
            (paper.id, source, paper.title, data),
        ).lastrowid
        rows = [
            execute(
                "INSERT INTO passages(paper, section, page, text) VALUES (?, ?, ?, ?)",
                (number, one.section, one.page, one.text),
            )
            for one in passages
        ]
        ids = [int(row.lastrowid or 0) for row in rows]
        names = _names(paper)
        self._index([(id_, names, one.text) for id_, one in zip(ids, passages, strict=True)])
        return ids

    def _index(self, passages: Sequence[tuple[int, str, str]], *, gone: bool = False) -> None:
        """Enter the words of ``(id, names, text)``, or strike them out."""
        command, value = ("words, ", "'delete', ") if gone else ("", "")
        for id_, names, text in passages:
            in_title, in_text = words_of(names), words_of(text)
            self._connection.execute(
                f"INSERT INTO words({command}rowid, title, text) VALUES ({value}?, ?, ?)",
                (id_, " ".join(in_title), " ".join(in_text)),
            )
            if gone:
                self._connection.execute("DELETE FROM stems WHERE passage = ?", (id_,))
            else:
                stems, counts = counted_stems(in_title + in_text)
                row = (id_, stems.tobytes(), counts.tobytes())
                self._connection.execute("INSERT INTO stems VALUES (?, ?, ?)", row)
        more = -len(passages) if gone else len(passages)
        self.set_fact("passages", self.passages_in_all() + more)

    def passages_in_all(self) -> int:
        """How many passages there are."""
        return int(self.fact("passages"))

    def passages_of_cards(self) -> Ids:
        """Ids of the passages of all cards."""
        rows = self.rows(
            "SELECT passages.id FROM papers JOIN passages ON paper = number WHERE source = 'cards'"
        )
        return np.array([id_ for (id_,) in rows], dtype=np.int64)

    def stems_of(self, passages: Sequence[int]) -> dict[int, tuple[Stems, Counts]]:
        """The stems of some passages, and how often each occurs in them."""
        marks = ", ".join("?" * len(passages))
        rows = self.rows(f"SELECT passage, stems, counts FROM stems WHERE passage IN ({marks})", passages)
        return {id_: (_integers(stems), _integers(counts)) for id_, stems, counts in rows}

    def stems(self, after: int = 0) -> Iterator[tuple[int, list[Stems]]]:
        """Stems of the passages whose id is greater, some thousands at a time, and the last of their ids."""
        query = f"SELECT passage, stems FROM stems WHERE passage > ? ORDER BY passage LIMIT {_TOGETHER}"
        while rows := self.rows(query, (after,)):
            after = rows[-1][0]
            yield after, [_integers(stems) for _, stems in rows]

    def kept_frequencies(self) -> tuple[int, Stems, Counts]:
        """The last passage whose stems were counted, the stems (sorted), and how many passages have each.

        Nothing when a passage has gone since.
        """
        rows = self.rows("SELECT last, stems, passages FROM frequencies WHERE epoch = ?", (self.epoch,))
        last, stems, passages = rows[0] if rows else (0, b"", b"")
        return last, _integers(stems), _integers(passages)

    def keep_frequencies(self, last: int, stems: Stems, passages: Counts) -> None:
        """Write what `kept_frequencies` reads; within `writing`."""
        self._connection.execute("DELETE FROM frequencies")
        row = (self.epoch, last, stems.tobytes(), passages.tobytes())
        self._connection.execute("INSERT INTO frequencies VALUES (?, ?, ?, ?)", row)

    def add_vectors(self, passages: Sequence[int], vectors: Matrix) -> None:
        """Write the vectors of passages, rounded to 16 bits; within `writing`."""
        rows = zip(passages, (vector.tobytes() for vector in vectors.astype(np.float16)), strict=True)
        self._connection.executemany("INSERT INTO vectors VALUES (?, ?)", rows)

    def remove(self, number: int) -> None:
        """Take a paper out; within `writing`."""
        execute = self._connection.execute
        names = _names(paper_of(self.one("SELECT data FROM papers WHERE number = ?", (number,))))
        rows = self.rows("SELECT id, text FROM passages WHERE paper = ?", (number,))
        gone = [(id_, names, text) for id_, text in rows]
        self._index(gone, gone=True)
        self._connection.executemany("DELETE FROM vectors WHERE passage = ?", [(id_,) for id_, _, _ in gone])
        execute("DELETE FROM passages WHERE paper = ?", (number,))
        execute("DELETE FROM papers WHERE number = ?", (number,))
        self.new_epoch()

    def forget_vectors(self) -> None:
        """Take all vectors out; within `writing`."""
        self._connection.execute("DELETE FROM vectors")
        self.new_epoch()

    def new_epoch(self) -> None:
        """From now on vectors read before are void; within `writing`."""
        self.set_fact("epoch", self.epoch + 1)

    def vectors(self, after: int = 0) -> Iterator[tuple[Ids, Matrix]]:
        """Ids and vectors of the passages whose id is greater, in order, some thousands at a time."""
        query = f"SELECT passage, vector FROM vectors WHERE passage > ? ORDER BY passage LIMIT {_TOGETHER}"
        while rows := self.rows(query, (after,)):
            ids = np.fromiter((id_ for id_, _ in rows), dtype=np.int64, count=len(rows))
            flat = np.frombuffer(b"".join(vector for _, vector in rows), dtype=np.float16)
            yield ids, flat.reshape(len(rows), -1).astype(np.float32)
            after = rows[-1][0]

    def shape_of_vectors(self) -> tuple[int, int, int]:
        """The last passage that has a vector, how many have, and how long a vector is; zeros without any."""
        query = "SELECT ifnull(max(passage), 0), count(*), ifnull(max(length(vector)), 0) / 2 FROM vectors"
        return tuple(self.rows(query)[0])

    def texts(self) -> Iterator[tuple[list[int], list[str]]]:
        """Ids and texts (with their titles) of all passages, in order, some thousands at a time."""
        query = (
            "SELECT passages.id, title || char(10) || text FROM passages JOIN papers ON number = paper "
            f"WHERE passages.id > ? ORDER BY passages.id LIMIT {_TOGETHER}"
        )
        after = 0
        while rows := self.rows(query, (after,)):
            yield [id_ for id_, _ in rows], [text for _, text in rows]
            after = rows[-1][0]

    def _prepare(self) -> None:
        """Make the tables; leave what is there alone."""
        kind = self.one("SELECT value FROM facts WHERE name = 'format'") if self._has_tables() else None
        if kind is None:
            with self.writing():
                if not self._has_tables():
                    for statement in _SCHEMA.strip().split(";\n"):
                        self._connection.execute(statement)
        elif int(kind) > FORMAT:
            raise UserError(f"{self.file} was made by a newer release.", hint="upgrade model-discovery")
        elif int(kind) < FORMAT:
            hint = f"move {self.file.parent} away and add the papers again"
            raise UserError(f"{self.file} was made by an earlier version and cannot be read.", hint=hint)

    def _has_tables(self) -> bool:
        return bool(self.one("SELECT 1 FROM sqlite_master WHERE name = 'facts'"))


def _names(paper: Paper) -> str:
    """What a paper is called by: its title, and the id of a card (``gla``), which is how people name it."""
    return f"{paper.title} {paper.id.replace('_', ' ')}" if paper.source == "cards" else paper.title


def _integers(data: bytes) -> Stems:
    return np.frombuffer(data, dtype=np.uint32)


def paper_of(data: str) -> Paper:
    """The paper in a row of the table."""
    return Paper.model_validate(json.loads(data))
