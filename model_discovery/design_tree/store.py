"""One open database: transactions, and errors turned into words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Insert, Table, insert
from sqlalchemy.exc import DBAPIError, StatementError

from model_discovery.design_tree.connecting import Place
from model_discovery.design_tree.faults import explain
from model_discovery.design_tree.opening import open_engine


class Store:
    """Base of `DesignTree`: the engine, and the two kinds of transaction.

    A write takes the database's write lock at its start, so what it reads stays true until it commits.
    """

    def __init__(self, location: str | Path, *, create: bool = True) -> None:
        self.place: Place = Place.of(location)
        self.engine: Engine = open_engine(self.place, create=create)
        self._readers = self.engine.execution_options(design_tree_read_only=True)

    def close(self) -> None:
        """Close the database; every method that returned has been committed already."""
        self.engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """A transaction: all of it or nothing, also after a kill."""
        with self._explained(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """One consistent view, which waits for nobody and holds up nobody."""
        with self._explained(), self._readers.begin() as connection:
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if (told := explain(error.orig, self.place.shown)) is not None:
                raise told from error
            raise
        except StatementError as error:
            # A payload that is no JSON: the sentence of `dump_json`, not the statement with its parameters.
            if isinstance(error.orig, ValueError):
                raise ValueError(str(error.orig)) from None
            raise


@cache
def _insertion(table: Table) -> Insert:
    # Making a statement costs more than running it.
    return insert(table)


def insert_row(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Insert one row and return its id."""
    result = connection.execute(_insertion(table), values)
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def columns(table: Table, row: type) -> list[Column[Any]]:
    """The columns that the fields of a row's dataclass are read from, in the order of the fields."""
    return [table.c[field.name] for field in fields(row)]
