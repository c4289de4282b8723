"""Which items of the suites occur in the training text.

An item of at most thirteen words counts as found where its words stand in the training text from the
beginning of a sentence to the end of one; of a longer one, thirteen words in a row do (Brown et al. 2020,
arXiv:2005.14165, appendix C). Minimal pairs are short, so nothing but the whole sentence says that one was
seen: "the child dies" inside a longer sentence is ordinary English. Case, white space and punctuation do not
count.

The training text is read back from its token stream, so what is looked at is what is trained on: about three
million tokens a second on one core, in memory for some megabytes of text.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from model_discovery.errors import UserError
from model_discovery.verification.item_sets import Choice, ItemSet, checksum
from model_discovery.verification.manifest import REMAKE, DataManifest
from model_discovery.verification.tokenizers import load_tokenizer
from model_discovery.verification.words import Hashes, HashIndex, Places, Words, hash_runs, hash_words

if TYPE_CHECKING:
    from model_discovery.verification.task_suites import TaskSuite

LONGEST_RUN = 13
EXAMPLES = 5
_CHUNK = 1 << 18
_RULES = 1

OnRead = Callable[[int, int], None]


@dataclass(frozen=True)
class SuiteTexts:
    """The items of a suite as text, by set: only made where nobody has looked for them yet.

    ``checksum`` is over everything the texts are made from.
    """

    checksum: str
    make: Callable[[], Mapping[str, Sequence[str]]]


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


def item_texts(sets: Iterable[ItemSet]) -> dict[str, SuiteTexts]:
    """What a model would have seen of each suite: an item with its right choice."""
    by_suite: dict[str, list[ItemSet]] = {}
    for one in sets:
        by_suite.setdefault(one.suite, []).append(one)
    return {suite: SuiteTexts(checksum(own), partial(_set_texts, own)) for suite, own in by_suite.items()}


def _set_texts(sets: Iterable[ItemSet]) -> dict[str, list[str]]:
    return {one.name: [_item_text(item) for item in one.items] for one in sets}


def _item_text(item: Choice) -> str:
    parts = (item.context, item.choices[item.answer], item.ending)
    return " ".join(part for part in parts if part)


def task_texts(suites: "Iterable[TaskSuite]") -> dict[str, SuiteTexts]:
    """The same of suites that are tasks of lm-eval; the words of a task's template count as its item's."""
    return {suite.suite: SuiteTexts(_tasks_checksum(suite), partial(_task_texts, suite)) for suite in suites}


def _tasks(suite: "TaskSuite") -> dict[str, Any]:
    return {name: task for entry in suite.entries.values() for name, task in entry["tasks"].items()}


def _tasks_checksum(suite: "TaskSuite") -> str:
    parts = [
        (name, task.dump_config(), getattr(task.eval_docs, "_fingerprint", None), len(task.eval_docs))
        for name, task in _tasks(suite).items()
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _task_texts(suite: "TaskSuite") -> dict[str, list[str]]:
    return {name: [_task_text(task, doc) for doc in task.eval_docs] for name, task in _tasks(suite).items()}


def _task_text(task: Any, doc: Any) -> str:
    context, target = task.doc_to_text(doc), task.doc_to_target(doc)
    right = target[0] if isinstance(target, list) and target else target
    if task.OUTPUT_TYPE == "multiple_choice":
        choices = task.doc_to_choice(doc)
        context = choices[context] if isinstance(context, int) else context  # the choices precede the target
        right = choices[right] if isinstance(right, int) else right
    return f"{context} {right}".strip()


def check_contamination(
    data: DataManifest, suites: Mapping[str, SuiteTexts], on_read: OnRead | None = None
) -> dict[str, Contamination]:
    """Look for the items of the suites in the training stream of ``data``.

    Results are kept beside the data, by the checksums of both, and found there the next time; of two
    processes one looks and the other waits. Where the folder cannot be written they are not kept.

    Parameters
    ----------
    suites
        By name, as `item_texts` and `task_texts` make them.
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


def _key(data: DataManifest, own: SuiteTexts) -> str:
    return hashlib.sha256(f"{_RULES} {data.checksum} {own.checksum}".encode()).hexdigest()[:16]


def _without(suites: Mapping[str, SuiteTexts], known: Container[str]) -> dict[str, SuiteTexts]:
    return {suite: own for suite, own in suites.items() if suite not in known}


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
        for suite, own in suites.items()
        for name, texts in own.make().items()
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
    count = Counter(suite for suite, _, _ in items)
    found = [items[place] for place in np.flatnonzero(seen)]
    return {suite: _sum_up(suite, count[suite], found) for suite in suites}


def _sum_up(suite: str, items: int, found: list[tuple[str, str, str]]) -> Contamination:
    own = [(name, text) for its, name, text in found if its == suite]
    return Contamination(
        items=items,
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
        separators = np.flatnonzero(piece == data.separator_id)
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
