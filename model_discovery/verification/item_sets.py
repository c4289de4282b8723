"""Sets of items as a suite holds them, and how rows of JSONL are read."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from model_discovery.errors import UserError, nearest

GOOD, BAD = "sentence_good", "sentence_bad"


class Choice(NamedTuple):
    """One item: ``choices`` that could follow ``context``, of which ``choices[answer]`` is right.

    With an ``ending`` it is the other way round: ``choices`` are contexts, and the right one makes the ending
    more likely than the others do. All items of a set have one, or none has.
    """

    context: str
    choices: tuple[str, ...]
    answer: int = 0
    ending: str = ""


@dataclass(frozen=True)
class PairSet:
    """One set of minimal pairs ``(good, bad)``; right is a model that finds the good one more likely.

    ``group`` is what several sets of a suite have in common, such as a phenomenon.
    """

    suite: str
    name: str
    pairs: tuple[tuple[str, str], ...]
    group: str = ""

    @property
    def items(self) -> Iterator[Choice]:
        """The pairs as items without context."""
        return (Choice("", pair) for pair in self.pairs)

    @property
    def chance(self) -> float:
        """What guessing reaches."""
        return 0.5

    def __len__(self) -> int:
        return len(self.pairs)


@dataclass(frozen=True)
class ChoiceSet:
    """One set of items with any number of choices; ``group`` as in `PairSet`."""

    suite: str
    name: str
    items: tuple[Choice, ...]
    group: str = ""

    @property
    def chance(self) -> float:
        """What guessing reaches: the mean over items of one among their choices."""
        return sum(1 / len(item.choices) for item in self.items) / len(self.items)

    def __len__(self) -> int:
        return len(self.items)


ItemSet = PairSet | ChoiceSet


def checksum(sets: Iterable[ItemSet]) -> str:
    """Sixteen hex digits over all items, in their order."""
    digest = hashlib.sha256()
    for one in sets:
        digest.update(repr((one.name, one.group, list(one.items))).encode())
    return digest.hexdigest()[:16]


def read_rows(file: Path, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Objects of a JSONL file, each with sentences in ``columns``; ``UserError`` with the line otherwise."""
    count = 0
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                yield _row(line, f"{file}, line {number}", columns)
                count += 1
    except OSError as error:
        raise UserError(f"Cannot read {file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text.") from error
    if not count:
        raise UserError(f"{file} has no rows.")


def _row(line: str, where: str, columns: tuple[str, ...]) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where} is not JSON.") from error
    if not isinstance(row, dict):
        raise UserError(f"{where} is not an object.")
    for column in columns:
        if column not in row:
            raise UserError(f"{where} has no column '{column}'.{nearest(column, row)}")
        if not isinstance(row[column], str) or not row[column].strip():
            raise UserError(f"{where}: '{column}' is not a sentence.")
    return row
