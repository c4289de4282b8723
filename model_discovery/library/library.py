"""The paper library: shipped cards and papers of one's own, added, kept and searched."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from model_discovery.errors import EXIT_FAILED, UserError, unknown
from model_discovery.library.closeness import closest
from model_discovery.library.embedders import Embedder, EmbedderFacts, embedder_of
from model_discovery.library.frequencies import Frequencies
from model_discovery.library.fusion import fuse
from model_discovery.library.lexical import Only, lexical_search
from model_discovery.library.store import Store, paper_of
from model_discovery.library.types import Hit, Paper, Passage, Source, Stats
from model_discovery.library.vectors import VectorIndex, write_file
from model_discovery.shipped import shipped_folder

LOCAL: tuple[Only, ...] = ("cards", "papers")
_CANDIDATES, _LOOKED_AT = 100, 50
# What is newer than the vector file is searched beside it, until it is this many vectors or a tenth of all.
_BEHIND, _BEHIND_SHARE = 2_000, 0.1
_STALE = 1.5


class PaperLibrary:
    """A folder with papers and their index. Open one with `PaperLibrary.open`; use it from one thread.

    ``notes`` are lines for the reader: what was found damaged and made again, what could not be done. A
    folder that cannot be written to is searched as it is.
    """

    def __init__(self, folder: Path, store: Store, embedder: Embedder) -> None:
        self.folder = folder
        self.notes: list[str] = []
        self._store = store
        self._embedder = embedder
        self._vectors: VectorIndex | None = None
        self._opened = 0
        self._frequencies: Frequencies | None = None
        self._file_lock: Any = None
        self._looked_after = False

    @classmethod
    def open(
        cls, folder: Path, *, embedder: str = "lexical-svd", cards: Path | None = None, rebuild: bool = False
    ) -> Self:
        """Open the library of a folder, made on first use; takes up shipped cards that are new or changed.

        Parameters
        ----------
        embedder
            ``lexical-svd``, ``sentence-transformers:NAME`` or ``litellm:MODEL``.
        cards
            Folder of cards, the shipped ones unless told.
        rebuild
            Embed everything again when the index was made by another embedder, instead of an error.

        Raises
        ------
        UserError
            The index was made by another embedder, or the folder cannot be used.
        """
        chosen = embedder_of(embedder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"The library folder {folder} cannot be made: {error.strerror}.", hint="set LIBRARY_DIR"
            ) from None
        library = cls(folder, Store(folder / "library.db"), chosen)
        library._settle_embedder(rebuild)
        library._refresh_cards(shipped_folder("library/papers") if cards is None else cards)
        return library

    def require_writable(self) -> None:
        """Refuse, with a `UserError`, what cannot be done in a folder that cannot be written to."""
        self._store.require_writable()

    def close(self) -> None:
        """Let go of the files."""
        self._store.close()

    def add(self, paper: Paper, passages: Sequence[Passage]) -> bool:
        """Add a paper of one's own; False when the library has one of its id already.

        Raises
        ------
        UserError
            It could not be embedded or written; nothing of it was added.
        """
        return self.add_all([(paper, passages)]) == 1

    def add_all(self, papers: Iterable[tuple[Paper, Sequence[Passage]]]) -> int:
        """Add papers of one's own, all or none; returns how many were new."""
        with self._lock():
            new: dict[str, tuple[Paper, Sequence[Passage]]] = {}
            for paper, passages in papers:
                if paper.id not in new and self.paper(paper.id) is None:
                    new[paper.id] = (paper, passages)
            self._write("papers", list(new.values()))
        return len(new)

    def replace(self, id: str, paper: Paper, passages: Sequence[Passage]) -> bool:
        """Put a paper in the place of another, at once; False when that one is gone or this is there."""
        with self._lock():
            number = self._store.one("SELECT number FROM papers WHERE id = ?", (id,))
            if number is None or (paper.id != id and self.paper(paper.id) is not None):
                return False
            self._write("papers", [(paper, passages)], gone=[number])
        return True

    def remove(self, id: str) -> bool:
        """Take a paper out; False when there is none of that id."""
        with self._lock():
            number = self._store.one("SELECT number FROM papers WHERE id = ?", (id,))
            if number is None:
                return False
            with self._store.writing():
                self._store.remove(number)
            self._look_after()
        return True

    def search(self, query: str, k: int = 10, sources: Sequence[Source] = LOCAL) -> list[Hit]:
        """The passages that answer a query best, of different papers as long as there are enough of them.

        Three rankings are fused: by vectors, by words, and by a closer look at the best of these two. Any
        text is a query; one without a word finds nothing.
        """
        chosen = _local(sources)
        if k < 1 or not chosen:
            return []
        only = chosen[0] if len(chosen) == 1 else None
        self._look_after_once()
        return self._store.at_one_moment(lambda: self._search(query, k, only))

    def papers(self) -> list[Paper]:
        """All papers: the cards, then one's own in the order they were added."""
        rows = self._read("SELECT data FROM papers ORDER BY source, number")
        return [paper_of(data) for (data,) in rows]

    def paper(self, id: str) -> Paper | None:
        """The paper of that id, None when there is none."""
        rows = self._read("SELECT data FROM papers WHERE id = ?", (id,))
        return paper_of(rows[0][0]) if rows else None

    def passages(self, id: str) -> list[Passage]:
        """The passages of a paper in their order."""
        rows = self._read(
            "SELECT section, text, page FROM passages JOIN papers ON number = paper "
            "WHERE papers.id = ? ORDER BY passages.id",
            (id,),
        )
        return [Passage(section=section, text=text, page=page) for section, text, page in rows]

    def stats(self) -> Stats:
        """What the library holds, and what its index is made of."""
        self._look_after_once()
        return self._store.at_one_moment(self._stats)

    def _search(self, query: str, k: int, only: Only | None) -> list[Hit]:
        vectors, frequencies = self._current()
        depth = max(_CANDIDATES, 5 * k)
        words = lexical_search(self._store, frequencies, query, depth, only)
        [vector] = self._embedder.embed([query])
        cards = None if only is None else self._store.passages_of_cards()
        nearest = vectors.search(vector, depth, cards, inside=only == "cards")
        candidates = [id_ for id_, _ in fuse([nearest, words])]
        closer = closest(self._store, frequencies, query, candidates[:_LOOKED_AT])
        return self._hits(self._chosen(fuse([nearest, words, closer]), k))

    def _stats(self) -> Stats:
        vectors, _ = self._current()
        papers = dict(self._store.rows("SELECT source, count(*) FROM papers GROUP BY source"))
        passages = dict(
            self._store.rows(
                "SELECT source, count(*) FROM passages JOIN papers ON number = paper GROUP BY source"
            )
        )
        size = sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())
        return Stats(
            folder=str(self.folder), papers=papers, passages=passages, embedder=self._embedder.facts.name,
            dimensions=vectors.dimensions, index=vectors.kind, size=size, dollars=self._store.fact("dollars"),
        )  # fmt: skip

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._store.at_one_moment(lambda: self._store.rows(query, values))

    def _lock(self) -> Any:
        """One writer at a time; who holds it may take it again."""
        from filelock import FileLock

        self.require_writable()
        if self._file_lock is None:
            self._file_lock = FileLock(self.folder / "library.lock")
        return self._file_lock

    def _write(
        self, source: str, papers: Sequence[tuple[Paper, Sequence[Passage]]], gone: Sequence[int] = ()
    ) -> None:
        """Add papers and take others out in one transaction, then bring the index up to date."""
        self._current()
        texts = [f"{paper.title}\n{one.text}" for paper, passages in papers for one in passages]
        vectors = self._embedder.embed(texts)
        dollars = self._embedder.dollars(texts)
        with self._store.writing():
            for number in gone:
                self._store.remove(number)
            ids = [id_ for paper, passages in papers for id_ in self._store.add(paper, passages, source)]
            if self._store.fact("embedder") is None:
                self._store.set_fact("embedder", self._embedder.facts.model_dump_json())
            self._store.add_vectors(ids, vectors)
            if dollars is not None:
                self._add_dollars(dollars)
        self._look_after()

    def _add_dollars(self, dollars: float) -> None:
        self._store.set_fact("dollars", (self._store.fact("dollars") or 0.0) + dollars)

    def _embed_all(self) -> None:
        """Learn anew from all passages and embed them; the vectors of before go in the same transaction."""
        try:
            count = self._store.passages_in_all()
            learned = self._embedder.fit((text for _, texts in self._store.texts() for text in texts), count)
            with self._store.writing():
                self._store.forget_vectors()
                for ids, texts in self._store.texts():
                    self._store.add_vectors(ids, self._embedder.embed(texts))
                    if (dollars := self._embedder.dollars(texts)) is not None:
                        self._add_dollars(dollars)
                self._store.set_learned(learned)
                self._store.set_fact("fitted", count)
                self._store.set_fact("embedder", self._embedder.facts.model_dump_json())
        finally:
            self._vectors = None  # or, after a failure, the embedder would not be that of the vectors
        self._write_vectors()

    def _look_after_once(self) -> None:
        """Before the first search, unless another process is at it: what it was killed before is done."""
        from filelock import Timeout

        if self._looked_after or self._store.read_only:
            return
        self._looked_after = True
        try:
            with self._lock().acquire(timeout=0):
                self._look_after()
        except (Timeout, OSError):
            return

    def _look_after(self) -> None:
        """Bring what is made of the passages up to date with them; under the lock.

        What fails is a note: nothing depends on it but speed and how well is found.
        """
        try:
            fitted = self._store.fact("fitted") or 0
            if self._embedder.learns and self._store.passages_in_all() > _STALE * fitted:
                self._embed_all()
            vectors, frequencies = self._current()
            behind = max(_BEHIND, _BEHIND_SHARE * self._store.passages_in_all())
            if (vectors.damaged or vectors.behind > behind) and self._write_vectors() and vectors.damaged:
                self.notes.append(f"{vectors.damaged}: made again from the database.")
            if frequencies.behind > behind:
                with self._store.writing():
                    self._store.keep_frequencies(frequencies.last, *frequencies.all())
                self._frequencies = None
        except UserError as error:
            self.notes.append(f"The index could not be brought up to date: {error.message}")

    def _write_vectors(self) -> bool:
        """Write the vector file; a failure is a note, as the database has the vectors too."""
        try:
            write_file(self.folder, self._store)
        except (OSError, RuntimeError) as error:
            self.notes.append(f"{self.folder}: the vector file could not be written: {error}")
            return False
        self._vectors = None
        return True

    def _current(self) -> tuple[VectorIndex, Frequencies]:
        """The vectors and the frequencies of stems as the database has them now."""
        epoch, opened = self._store.epoch, self._store.opened
        if opened != self._opened:
            self._vectors = self._frequencies = None
        if self._vectors is None or self._vectors.epoch != epoch:
            self._learned()
            self._vectors = VectorIndex(self.folder, self._store)
            if self._vectors.damaged and self._store.read_only:
                self.notes.append(f"{self._vectors.damaged}: vectors are read from the database.")
        else:
            self._vectors.extend(self._store)
        if self._frequencies is None or self._frequencies.epoch != epoch:
            self._frequencies = Frequencies(self._store)
        else:
            self._frequencies.extend(self._store)
        self._opened = opened
        return self._vectors, self._frequencies

    def _learned(self) -> None:
        if self._embedder.learns and (learned := self._store.learned) is not None:
            self._embedder.restore(learned)

    def _chosen(self, ranked: Sequence[tuple[int, float]], k: int) -> list[tuple[int, float]]:
        """The best ``k``: the best of every paper first, then further ones; in the order of their scores."""
        papers = self._by_id("SELECT id, paper FROM passages WHERE id IN", [id_ for id_, _ in ranked])
        seen: set[int] = set()
        first: list[int] = []
        further: list[int] = []
        for place, (id_, _) in enumerate(ranked):
            if id_ in papers:
                [paper] = papers[id_]
                (further if paper in seen else first).append(place)
                seen.add(paper)
        return [ranked[place] for place in sorted((first + further)[:k])]

    def _hits(self, chosen: Sequence[tuple[int, float]]) -> list[Hit]:
        found = self._by_id(
            "SELECT passages.id, data, section, page, text FROM passages JOIN papers ON number = paper "
            "WHERE passages.id IN",
            [id_ for id_, _ in chosen],
        )
        hits = []
        for id_, score in chosen:
            data, section, page, text = found[id_]
            paper = paper_of(data)
            hits.append(
                Hit(paper=paper, passage=text, section=section, page=page, score=score, source=paper.source)
            )
        return hits

    def _by_id(self, query: str, ids: Sequence[int]) -> dict[int, tuple[Any, ...]]:
        rows = self._store.rows(f"{query} ({', '.join('?' * len(ids))})", ids)
        return {row[0]: row[1:] for row in rows}

    def _settle_embedder(self, rebuild: bool) -> None:
        """Refuse an index that another embedder has made, or make it again."""
        kept = self._store.fact("embedder")
        mine = self._embedder.facts
        if kept is None or (theirs := EmbedderFacts.model_validate_json(kept)) == mine:
            return
        if not rebuild and not (self._embedder.learns and theirs.name == mine.name):
            raise UserError(
                f"The index in {self.folder} was made by the embedder '{theirs.name}', not by '{mine.name}'.",
                hint=f"set LIBRARY_EMBEDDER={theirs.name}, or take another LIBRARY_DIR",
                exit_code=EXIT_FAILED,
            )
        if self._store.read_only:
            raise UserError(
                f"The index in {self.folder} was made by '{theirs.name}' {theirs.version}, not "
                f"{mine.version}, and cannot be made again: the folder is read-only.",
                hint="have its owner open it with this release, or name a copy in LIBRARY_DIR",
                exit_code=EXIT_FAILED,
            )
        with self._lock():
            if self._store.fact("embedder") != kept:  # another process has done it meanwhile
                self._settle_embedder(rebuild)
                return
            self._embed_all()
        self.notes.append(f"{self.folder}: embedded again by '{mine.name}' {mine.version}.")

    def _refresh_cards(self, folder: Path) -> None:
        """Bring the cards up to date with their files."""
        digest = _digest_of(folder)
        if self._store.fact("cards") == digest:
            return
        if self._store.read_only:
            self.notes.append(f"{self.folder} is read-only: its cards are those of another release.")
            return
        from model_discovery.library.cards import load_cards

        with self._lock():
            kept = dict(self._store.rows("SELECT id, number FROM papers WHERE source = 'cards'"))
            new = []
            for id_, card in load_cards(folder).items():
                paper, passages = card.paper(), card.passages()
                old = self.paper(id_)
                if old == paper and self.passages(id_) == passages:
                    del kept[id_]
                elif old is None or old.source == "cards":
                    new.append((paper, passages))
            self._write("cards", new, gone=sorted(kept.values()))
            with self._store.writing():
                self._store.set_fact("cards", digest)


def _digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.yaml")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _local(sources: Sequence[Source]) -> list[Only]:
    for source in sources:
        if source not in LOCAL:
            raise unknown("source of the library", source, LOCAL)
    return [source for source in LOCAL if source in sources]
