"""Search by vectors: a FAISS file that is mapped into memory, and in memory what came after it.

The database has every vector; the file only saves reading them. It is written aside and renamed, and a
manifest says what it holds. A file that is missing, damaged or of another epoch is made again.
"""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from model_discovery.library.lexical_svd import Matrix
from model_discovery.library.store import Store

FLAT_UP_TO = 200_000
# Of the lists, one in so many is looked into. Texts hardly form clusters: of 225,000 vectors a fifth of the
# lists has 94 % of the ten nearest, in half the time of an exact search; a fortieth of them has 57 %.
_PROBED = 5


class Manifest(BaseModel):
    """What the vector file holds: vectors of ``epoch`` up to passage ``last``, ``count`` of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    size: int
    epoch: int
    last: int
    count: int
    dimensions: int
    kind: str


class VectorIndex:
    """The vectors of a library's passages at one moment.

    ``damaged`` says what was wrong with the file when it could not be used; empty when nothing was.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self.damaged = ""
        self.epoch = store.epoch
        self._main: Any = None
        self._tail: Any = None
        self.manifest = self._open()
        self.last = self.manifest.last if self.manifest else 0
        self.count = self.manifest.count if self.manifest else 0
        self.extend(store)

    @property
    def kind(self) -> str:
        """How the vectors are searched."""
        return self.manifest.kind if self.manifest else "flat"

    @property
    def dimensions(self) -> int:
        """Length of a vector, 0 without any."""
        index = self._tail if self._main is None else self._main
        return 0 if index is None else int(index.d)

    @property
    def behind(self) -> int:
        """How many vectors are not in the file."""
        return self.count - (self.manifest.count if self.manifest else 0)

    def extend(self, store: Store) -> None:
        """Take in the vectors written since."""
        for ids, vectors in store.vectors(self.last):
            if self._tail is None:
                self._tail = _flat(vectors.shape[1])
            self._tail.add_with_ids(vectors, ids)
            self.last = int(ids[-1])
            self.count += len(ids)

    def search(self, vector: Matrix, n: int, cards: Any = None, *, inside: bool = True) -> list[int]:
        """Ids of the nearest passages, nearest first; with ``cards`` only those among these ids, or (not
        ``inside``) only others.
        """
        faiss = _faiss()
        chosen = None if cards is None else faiss.IDSelectorBatch(cards)
        chosen = chosen if inside or chosen is None else faiss.IDSelectorNot(chosen)
        found: list[tuple[float, int]] = []
        for index in (self._main, self._tail):
            if index is not None:
                parameters = _parameters(index, chosen)
                scores, ids = index.search(vector.reshape(1, -1), n, params=parameters)
                found += [(-float(s), int(i)) for s, i in zip(scores[0], ids[0], strict=True) if i >= 0]
        return [id_ for score, id_ in sorted(found)[:n] if score < 0]

    def _open(self) -> Manifest | None:
        before = None
        while (manifest := self._read_manifest()) != before and manifest is not None:
            self.damaged = "" if manifest.epoch != self.epoch else self._map(manifest)
            if not self.damaged:
                return manifest if self._main is not None else None
            before = manifest  # another process may have written a new one meanwhile
        return None

    def _map(self, manifest: Manifest) -> str:
        """Map the file into memory; returns what is wrong with it."""
        faiss = _faiss()
        file = self._folder / manifest.file
        try:
            size = file.stat().st_size
            if size != manifest.size:
                return f"{file} has {size:,} of {manifest.size:,} bytes"
            self._main = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
        except (OSError, RuntimeError) as error:
            return f"{file} cannot be read: {' '.join(str(error).split())[:200]}"
        return ""

    def _read_manifest(self) -> Manifest | None:
        file = self._folder / "manifest.json"
        try:
            return Manifest.model_validate_json(file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            self.damaged = f"{file} cannot be read: {' '.join(str(error).split())[:200]}"
            return None


def write_file(folder: Path, store: Store) -> Manifest:
    """Write the file and its manifest for all vectors there are; files of before go. Under the lock.

    Raises
    ------
    OSError, RuntimeError
        It could not be written. What was there before is still there.
    """
    faiss = _faiss()
    epoch, (last, count, width) = store.epoch, store.shape_of_vectors()
    kind, index = _index_of(store, count, width)
    file = folder / f"vectors-{epoch}-{last}.faiss"
    aside = file.with_suffix(".partial")
    faiss.write_index(index, str(aside))
    aside.replace(file)
    manifest = Manifest(
        file=file.name, size=file.stat().st_size, epoch=epoch, last=last, count=count,
        dimensions=width, kind=kind,
    )  # fmt: skip
    aside = folder / "manifest.partial"
    aside.write_text(json.dumps(manifest.model_dump(), indent=2) + "\n", "utf-8")
    aside.replace(folder / "manifest.json")
    for old in (*folder.glob("vectors-*.faiss"), *folder.glob("*.partial")):
        if old != file:
            old.unlink(missing_ok=True)
    return manifest


def _index_of(store: Store, count: int, width: int) -> tuple[str, Any]:
    """An exact index; above `FLAT_UP_TO` vectors one that looks into the nearest lists only."""
    kind, index = ("flat", _flat(width)) if count <= FLAT_UP_TO else _lists(store, count, width)
    for ids, vectors in store.vectors():
        index.add_with_ids(vectors, ids)
    return kind, index


def _lists(store: Store, count: int, width: int) -> tuple[str, Any]:
    """Inverted lists, empty; their centres are learned from some of the vectors at even distances."""
    faiss = _faiss()
    lists = int(4 * np.sqrt(count))
    inverted = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width), width, lists, _half(), faiss.METRIC_INNER_PRODUCT
    )
    inverted.cp.seed, inverted.cp.niter = 1, 8
    step = max(1, count // (40 * lists))
    inverted.train(np.concatenate([vectors[::step] for _, vectors in store.vectors()]))
    return f"{lists} lists, one in {_PROBED} probed", inverted


def _flat(width: int) -> Any:
    faiss = _faiss()
    return faiss.IndexIDMap2(faiss.IndexScalarQuantizer(width, _half(), faiss.METRIC_INNER_PRODUCT))


def _half() -> Any:
    """16 bits a number, which is what the database has: nothing is lost, and a search reads half as much."""
    return _faiss().ScalarQuantizer.QT_fp16


def _parameters(index: Any, chosen: Any) -> Any:
    faiss = _faiss()
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(nprobe=index.nlist // _PROBED, sel=chosen)
    return None if chosen is None else faiss.SearchParameters(sel=chosen)


def _faiss() -> Any:
    """The library, loaded when it is needed; its stubs lack what is used here."""
    return importlib.import_module("faiss")
