"""Where a recipe's text comes from: data sets of the hub or of a local folder, and their mixture, as data."""

import hashlib
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from model_discovery.errors import UserError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
ENDS = 1 << 20


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Frozen):
    """One data set of a mixture.

    Attributes
    ----------
    dataset
        ``owner/name`` on the hub, or the absolute path of a folder or file in one of the hub's layouts.
    config, split, text_field, revision
        Which part of it, and the column that holds the text. Without a revision the newest is taken, and
        the manifest says which that was.
    weight
        Share of the training tokens, relative to the other sources.
    join
        Neighbouring rows are joined by line ends into documents of at least so many characters; 0 leaves
        each row a document. Unless told, rows that are lines of text files are joined to 1,024.
    checksum
        Of a local data set's files; empty on the hub.
    size
        How big it is, in words.
    """

    dataset: str
    config: str | None = None
    split: str = "train"
    text_field: str = "text"
    revision: str | None = None
    weight: PositiveFloat = 1.0
    join: NonNegativeInt | None = None
    checksum: str = ""
    size: str = ""

    @property
    def name(self) -> str:
        """How messages and manifests call it."""
        name = Path(self.dataset).name if self.checksum else self.dataset
        return f"{name}:{self.config}" if self.config else name


class HubData(_Frozen):
    """A mixture of data sets.

    Attributes
    ----------
    held_out_tokens
        About how many tokens are held out, each source its share, by whole documents.
    unique_tokens
        ``scale``: as many training tokens are made as the scale trains on. ``all``: everything there is,
        once for all scales, which fits data sets that a long run goes over several times.
    """

    sources: tuple[Source, ...] = Field(min_length=1)
    held_out_tokens: PositiveInt = 100_000
    unique_tokens: Literal["scale", "all"] = "scale"

    @model_validator(mode="after")
    def _no_source_twice(self) -> Self:
        parts = [(source.dataset, source.config, source.split) for source in self.sources]
        if len(set(parts)) < len(parts):
            raise ValueError("a source is listed twice")
        return self

    def identity(self) -> dict[str, Any]:
        """What decides the text: not where local files lie, nor words about them."""
        data = self.model_dump(mode="json")
        for source in data["sources"]:
            del source["size"]
            if source["checksum"]:
                del source["dataset"]
        return data

    @property
    def remote(self) -> tuple[Source, ...]:
        """Sources that need the network."""
        return tuple(source for source in self.sources if not source.checksum)


def local_source(path: Path, **fields: Any) -> Source:
    """A source over a local folder or file; ``UserError`` when there is nothing."""
    path = path.expanduser().resolve()
    if not path.exists():
        raise UserError(f"There is no data set at {path}.", hint="give a folder or a file")
    return Source(dataset=str(path), checksum=_checksum(path), **fields)


def local_size(source: Source) -> int:
    """Bytes of a local source's files."""
    return sum(file.stat().st_size for _, file in _files(Path(source.dataset)))


def _checksum(path: Path) -> str:
    """Over the names and sizes of all files and the first and last megabyte of each: a whole read would take
    minutes where the data is large.
    """
    digest = hashlib.sha256()
    for name, file in _files(path):
        size = file.stat().st_size
        digest.update(f"{name}\0{size}\0".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(ENDS))
            opened.seek(max(ENDS, size - ENDS))
            digest.update(opened.read(ENDS))
    return digest.hexdigest()


def _files(path: Path) -> list[tuple[str, Path]]:
    if path.is_file():
        return [(path.name, path)]
    found = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    return sorted(item for item in found.items() if not any(p.startswith(".") for p in Path(item[0]).parts))
