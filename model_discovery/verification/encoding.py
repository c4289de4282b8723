"""Texts to token rows in batches, and the model's answers back to the texts; no model and no lm-eval here.

Contexts and continuations become tokens as lm-eval's own runners do it: encoded together, cut where the
context ends, the beginning dropped where the model cannot read it all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model_discovery.errors import UserError

BATCH_TOKENS = 1024

Row = tuple[tuple[int, ...], int]
"""Tokens, and the position (at least 1) from which they count."""

Answer = tuple[float, bool]
"""Log-likelihood in nats of the tokens that count, and whether each was the model's first choice."""

Texts = Sequence[tuple[str, str]]
"""Contexts with their continuations."""


@dataclass(frozen=True)
class ScoreBatch:
    """Token rows to be scored together; row ``i`` counts from ``starts[i]`` (at least 1) on."""

    rows: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]


Scorer = Callable[[ScoreBatch], Sequence[Answer]]


@dataclass(frozen=True)
class Plan:
    """What a model is asked: ``places[i]`` is where request ``i`` stands in the batches put end to end.

    ``cut`` requests were longer than the model reads and lost their beginning.
    """

    batches: tuple[ScoreBatch, ...]
    places: tuple[int, ...]
    cut: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that the model reads, padding included."""
        return sum(len(batch.rows) * (max(map(len, batch.rows)) - 1) for batch in self.batches)


@dataclass(frozen=True)
class Encoder:
    """How texts become token rows.

    Attributes
    ----------
    encode
        Tokens of a text, without special tokens.
    separator
        Token that stands before a document; what a text without context is conditioned on.
    max_length
        Tokens that the model reads at once.
    """

    encode: Callable[[str], list[int]]
    separator: int
    max_length: int

    def plan(self, texts: Texts) -> Plan:
        """The requests as rows in batches; a pure function of the tokenizer, ``max_length`` and ``texts``."""
        found = [self.pair(context, continuation) for context, continuation in texts]
        cut = sum(len(context) + len(continuation) > self.max_length + 1 for context, continuation in found)
        return plan_rows([self.row(context, continuation) for context, continuation in found], cut)

    def pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Tokens of a context and of its continuation; spaces between them go with the continuation."""
        bare = context.rstrip()
        if not bare:
            after = self.encode(context + continuation)
            return ([self.separator], after) if after[:1] != [self.separator] else (after[:1], after[1:])
        whole = self.encode(context + continuation)
        before = self.encode(bare)
        return before, whole[len(before) :]

    def row(self, context: list[int], continuation: list[int]) -> Row:
        """One row; of what is too long the end is kept."""
        if not continuation:
            raise UserError("An item of a suite has no tokens to score.")
        tokens = (*context, *continuation)[-(self.max_length + 1) :]  # the last is predicted, not read
        return tokens, max(1, len(tokens) - len(continuation))


def plan_rows(rows: Sequence[Row], cut: int = 0) -> Plan:
    """Rows as batches; each different row is asked once."""
    batches = make_batches(rows)
    order = [row for batch in batches for row in zip(batch.rows, batch.starts, strict=True)]
    place = {row: index for index, row in enumerate(order)}
    return Plan(tuple(batches), tuple(place[row] for row in rows), cut)


def make_batches(rows: Sequence[Row], batch_tokens: int = BATCH_TOKENS) -> list[ScoreBatch]:
    """Each different row once, the longest first, about ``batch_tokens`` tokens with padding together."""
    unique = sorted(dict.fromkeys(rows), key=lambda row: (-len(row[0]), row))
    batches = []
    first = 0
    while first < len(unique):
        size = max(1, batch_tokens // (len(unique[first][0]) - 1))
        part = unique[first : first + size]
        batches.append(ScoreBatch(tuple(row for row, _ in part), tuple(start for _, start in part)))
        first += size
    return batches


def ask(plan: Plan, scorer: Scorer) -> list[Answer]:
    """The model's answer to every request of a plan, in their order."""
    answers = [answer for batch in plan.batches for answer in scorer(batch)]
    return [answers[place] for place in plan.places]
