"""Which items of the suites occur in the training text.

An item of at most thirteen words counts as found where its words stand in the training text from the
beginning of a sentence to the end of one; of a longer one, thirteen words in a row do (Brown et al. 2020,
arXiv:2005.14165, appendix C). Minimal pairs have two to fifteen words, so nothing but the whole sentence says
that one was seen: "the child dies" inside a longer sentence is ordinary English. Case, white space and
punctuation do not count.

The training text is read back from its token stream, so what is looked at is what is trained on. A million
tokens and more a second on one core, and memory for a few megabytes of text.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from model_discovery.errors import UserError
from model_discovery.verification.item_sets import ItemSet
from model_discovery.verification.manifest import REMAKE, DataManifest
from model_discovery.verification.tokenizers import SEPARATOR_ID, load_tokenizer
from model_discovery.verification.words import Hashes, HashIndex, Places, Words, hash_runs, hash_words

LONGEST_RUN = 13
EXAMPLES = 5
_CHUNK = 1 << 18
_RULES = 1

OnRead = Callable[[int, int], None]
SuiteTexts = Mapping[str, Sequence[str]]


class Contamination(BaseModel):
    """How many items of a suite were found in the training text.

    Attributes
    ----------
    by_set
        Items found by set; a set of which none was found is not listed.
    examples
        The first few that were found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: NonNegativeInt
    found: NonNegativeInt
    by_set: dict[str, NonNegativeInt] = {}
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Share of the items that were found; 0 of a suite without any."""
        return self.found / self.items if self.items else 0.0


def item_texts(sets: Iterable[ItemSet]) -> dict[str, dict[str, list[str]]]:
    """What a model would have seen, by suite and set: each item's context with its right choice."""
    texts: dict[str, dict[str, list[str]]] = {}
    for one in sets:
        items = [f"{item.context} {item.choices[item.answer]}".strip() for item in one.items]
        texts.setdefault(one.suite, {})[one.name] = items
    return texts


def check_contamination(
    data: DataManifest, suites: Mapping[str, SuiteTexts], on_read: OnRead | None = None
) -> dict[str, Contamination]:
    """Look for the items of the suites in the training stream of ``data``.

    Results are kept beside the data, by the checksums of both, and found there the next time; of two
    processes one looks and the other waits. Where the folder cannot be written they are not kept.

    Parameters
    ----------
    suites
        Items as text, by suite and set: `item_texts` makes them.
    on_read
        Told the tokens read so far and in all.
    """
    files = {
        suite: data.folder / f"contamination-{_key(data, texts)}.json" for suite, texts in suites.items()
    }
    if not os.access(data.folder, os.W_OK):
        known = _load(files)
        return known | _search(data, _without(suites, known), on_read)
    if len(known := _load(files)) < len(suites):
        with FileLock(data.folder / "contamination.lock"):
            known = _load(files)
            for suite, found in _search(data, _without(suites, known), on_read).items():
                _store(files[suite], found)
                known[suite] = found
    return {suite: known[suite] for suite in suites}


def _key(data: DataManifest, texts: SuiteTexts) -> str:
    content = json.dumps([_RULES, data.checksum, texts])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _without(suites: Mapping[str, SuiteTexts], known: Container[str]) -> dict[str, SuiteTexts]:
    return {suite: texts for suite, texts in suites.items() if suite not in known}


def _load(files: Mapping[str, Path]) -> dict[str, Contamination]:
    known = {}
    for suite, file in files.items():
        with contextlib.suppress(FileNotFoundError, ValidationError):
            known[suite] = Contamination.model_validate_json(file.read_bytes())
    return known


def _store(file: Path, found: Contamination) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def _search(
    data: DataManifest, suites: Mapping[str, SuiteTexts], on_read: OnRead | None
) -> dict[str, Contamination]:
    items = [
        (suite, name, text)
        for suite, sets in suites.items()
        for name, texts in sets.items()
        for text in texts
    ]
    probes = _make_probes(hash_words([text for _, _, text in items]))
    for texts, read in _training_texts(data) if probes else ():
        words = hash_words(texts)
        for length, runs in enumerate(hash_runs(words.hashes, max(probes)), 1):
            for probe in probes.get(length, ()):
                probe.look(words, runs)
        if on_read:
            on_read(read, data.train_tokens)
    seen = np.zeros(len(items), np.bool_)
    for probe in (probe for several in probes.values() for probe in several):
        seen[probe.found()] = True
    found = [items[place] for place in np.flatnonzero(seen)]
    return {suite: _sum_up(suite, sets, found) for suite, sets in suites.items()}


def _sum_up(suite: str, sets: SuiteTexts, found: list[tuple[str, str, str]]) -> Contamination:
    own = [(name, text) for its, name, text in found if its == suite]
    return Contamination(
        items=sum(map(len, sets.values())),
        found=len(own),
        by_set=dict(Counter(name for name, _ in own)),
        examples=tuple(dict.fromkeys(text for _, text in own))[:EXAMPLES],
    )


class _Probe:
    """Runs of ``length`` words that are looked for; ``whole`` ones only as a sentence of their own.

    ``places`` says where in the words of the items they begin, ``items`` which item each belongs to.
    """

    def __init__(self, words: Words, length: int, places: Places, items: Places, *, whole: bool) -> None:
        self._length, self._whole, self._items = length, whole, items
        parts = words.hashes[places[:, None] + np.arange(length)]
        *_, runs = hash_runs(parts.T, length)
        self._index = HashIndex(runs[0])
        self._parts = np.empty((len(self._index.known), length), np.uint64)
        self._parts[self._index.rows] = parts
        self._seen = np.zeros(len(self._parts), np.bool_)

    def look(self, words: Words, runs: Hashes) -> None:
        """Look through words of training text, whose runs of this length are ``runs``."""
        places, rows = self._index.find(runs)
        stops = places + self._length
        ends = np.cumsum(words.counts)
        real = stops <= ends[np.searchsorted(ends, places, side="right")]
        real &= (words.hashes[places[:, None] + np.arange(self._length)] == self._parts[rows]).all(axis=1)
        if self._whole:
            opens = np.append(words.opens, True)
            real &= opens[places] & opens[stops]
        self._seen[rows[real]] = True

    def found(self) -> Places:
        """Items of which a run was seen, with repetitions."""
        return self._items[self._seen[self._index.rows]]


def _make_probes(words: Words) -> dict[int, list[_Probe]]:
    """What to look for, by the number of words."""
    starts = np.cumsum(words.counts) - words.counts
    probes: dict[int, list[_Probe]] = {}
    for length in sorted(set(words.counts[(words.counts > 0) & (words.counts <= LONGEST_RUN)].tolist())):
        items = np.flatnonzero(words.counts == length)
        probes[length] = [_Probe(words, length, starts[items], items, whole=True)]
    extra = np.maximum(words.counts - LONGEST_RUN + 1, 0) * (words.counts > LONGEST_RUN)
    if extra.any():
        items = np.repeat(np.arange(len(extra)), extra)
        inside = np.arange(len(items)) - np.repeat(np.cumsum(extra) - extra, extra)
        long = _Probe(words, LONGEST_RUN, starts[items] + inside, items, whole=False)
        probes.setdefault(LONGEST_RUN, []).append(long)
    return probes


def _training_texts(data: DataManifest) -> Iterator[tuple[list[str], int]]:
    """Documents of the training stream, some at a time, and the tokens read by then."""
    tokenizer = load_tokenizer(data.tokenizer)
    tokens = data.stream("train").tokens
    start, size = 0, _CHUNK
    while start < len(tokens) - 1:
        piece = np.asarray(tokens[start : start + size])
        separators = np.flatnonzero(piece == SEPARATOR_ID)
        if len(separators) < 2:
            if start + size >= len(tokens):
                raise UserError(
                    f"Prepared data is damaged: {data.folder} has no last separator.", hint=REMAKE
                )
            size *= 2  # a document longer than this
            continue
        documents = [piece[a + 1 : b].tolist() for a, b in pairwise(separators)]
        start, size = start + int(separators[-1]), _CHUNK
        yield tokenizer.decode_batch(documents, skip_special_tokens=False), start + 1
