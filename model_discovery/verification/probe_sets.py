"""Probes of what a trained model does with its context, made from the recipe's own held-out text.

Random words say nothing about a small model: it never saw such text. So every item is held-out text with one
edit, and the question is always the same: is a continuation more likely after the text as it was, or after
the text with an edit further back? The words that are scored are the same on both sides, so how likely they
are in themselves does not count; a model that looks at the last few tokens alone finds both sides alike and
is right half of the time.

=============  ====================================================================================
probe          the edit that makes the continuation less likely
=============  ====================================================================================
recall_near    a word occurs again, 2 to 4 tokens later; where it stood before, another word stands
recall_far     the same, 5 tokens later or more
copy           half of a repeated passage, 8 to 32 tokens long, was another one the first time
induction      ``A B … A`` asks for B; B has changed places with another word, so that it is there, but
               not after A; half of the time it is nearer then, half of the time further away
parity         strings of three words of two, each with a label that says whether one of them occurs an odd
               number of times; all eight strings but the one that is asked; all labels are exchanged
=============  ====================================================================================

Edits keep to pairs of neighbours that the training text has. Parity is there to be hard: copying the label of
the most similar string is wrong more often than right, and no small model is known to be above chance.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from model_discovery.errors import UserError
from model_discovery.seeds import derive
from model_discovery.verification.grammar.sampling import Draw, draws, pick, shuffled
from model_discovery.verification.item_sets import Choice, ChoiceSet
from model_discovery.verification.manifest import DataManifest, load_manifest
from model_discovery.verification.tokenizers import load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SUITE = "probes"
ITEMS, FEWEST = 300, 50
"""Items of a probe; one with fewer than the second number is left out."""

_TEXT_TOKENS = 200_000  # of either split; more does not change the probes of a recipe much
_PASSAGE = 120  # tokens at most: longer pieces of text cost time
_COMMON = 0.5  # the most frequent tokens that make up this share of the text tell nothing
_NEAR = 5
_TRIES = 60

T = TypeVar("T")
Ids = list[int]
Edit = tuple[Ids, Ids, Ids]
"""The context as it was, the context with an edit, and the continuation."""


def load_probes(data: Path, context: int) -> list[ChoiceSet]:
    """Make the probes of a recipe: always the same for the same prepared data.

    Parameters
    ----------
    data
        Folder of the prepared data.
    context
        Tokens that the model reads at once; no item is longer.

    Raises
    ------
    UserError
        The held-out text is too short for any of them.
    """
    text = _Text(load_manifest(data), min(context, _PASSAGE))
    sets = []
    for name, edits in _PROBES.items():
        draw = draws(derive(0, SUITE, name))
        items = tuple(_items(text, edits(text, draw), draw))
        if len(items) >= FEWEST:
            sets.append(ChoiceSet(SUITE, name, items))
    if not sets:
        raise UserError(
            f"The held-out text in {data} is too short for the suite '{SUITE}'.", hint="use more text"
        )
    return sets


@dataclass(frozen=True)
class _Text:
    """Prepared data as the probes look at it.

    Attributes
    ----------
    room
        Tokens that an item may have.
    """

    data: DataManifest
    room: int

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        return load_tokenizer(self.data.tokenizer)

    @cached_property
    def train(self) -> Ids:
        tokens: Ids = self.data.stream("train").tokens[:_TEXT_TOKENS].tolist()
        return tokens

    @cached_property
    def passages(self) -> list[Ids]:
        """Pieces of held-out documents, at most ``room`` long, none of them short."""
        tokens = self.data.stream("held_out").tokens[:_TEXT_TOKENS]
        ends = np.flatnonzero(tokens == self.data.separator_id).tolist()
        documents = [tokens[first + 1 : end].tolist() for first, end in pairwise(ends)]
        pieces = [one[at : at + self.room] for one in documents for at in range(0, len(one), self.room)]
        return [piece for piece in pieces if len(piece) >= self.room // 4]

    @cached_property
    def telling(self) -> frozenset[int]:
        """Tokens that are a word each, but not among the most frequent ones."""
        counts = np.bincount(self.train, minlength=self.data.vocab_size)
        order = np.argsort(-counts, kind="stable")
        common = int(np.searchsorted(np.cumsum(counts[order]), _COMMON * counts.sum())) + 1
        return frozenset(one for one in order[common:].tolist() if self._pieces.get(one, "")[:1] == " ")

    @cached_property
    def _pieces(self) -> dict[int, str]:
        """Tokens that are letters, as they are written after a word: with a space, where they begin one."""
        tokens = sorted({*self.train} - {self.data.separator_id})
        alone = {token: self.tokenizer.decode([token]).strip() for token in tokens}
        anchor = next((token for token in tokens if alone[token].isalpha()), tokens[0])
        after = {token: self.tokenizer.decode([anchor, token])[len(alone[anchor]) :] for token in tokens}
        return {token: after[token].rstrip() for token in tokens if alone[token].isalpha()}

    def words(self, passage: Ids) -> list[int]:
        """Places of whole words that are one telling token."""
        ends = [self._pieces.get(token, " ")[:1] == " " for token in (*passage[1:], self.data.separator_id)]
        return [place for place, end in enumerate(ends) if end and passage[place] in self.telling]

    @cached_property
    def neighbours(self) -> frozenset[tuple[int, int]]:
        """All pairs of tokens that follow each other."""
        return frozenset(pairwise(self.train))

    @cached_property
    def followers(self) -> dict[int, Ids]:
        """The telling tokens that follow each token."""
        found: dict[int, Ids] = {}
        for one, other in sorted(self.neighbours):
            if other in self.telling:
                found.setdefault(one, []).append(other)
        return found

    def follow(self, *tokens: int) -> bool:
        """Whether each of the tokens has been seen after the one before it."""
        return all(pair in self.neighbours for pair in pairwise(tokens))


def _items(text: _Text, edits: Iterator[Edit], draw: Draw) -> Iterator[Choice]:
    """Edits as items, the right context in either place; texts that are read as other tokens are not used."""
    made: set[tuple[str, ...]] = set()
    for right, wrong, ending in edits:
        whole, edited = (_as_text(text.tokenizer, tokens, ending) for tokens in (right, wrong))
        if whole is None or edited is None or whole[1] != edited[1] or (*whole, edited[0]) in made:
            continue
        made.add((*whole, edited[0]))
        contexts = (whole[0], edited[0]) if draw() < 0.5 else (edited[0], whole[0])
        yield Choice("", contexts, contexts.index(whole[0]), whole[1])
        if len(made) == ITEMS:
            return


def _as_text(tokenizer: "Tokenizer", context: Ids, ending: Ids) -> tuple[str, str] | None:
    """Both as texts with a space between them; ``None`` where these would be read as other tokens."""
    before, whole = tokenizer.decode(context), tokenizer.decode([*context, *ending])
    if not whole.startswith(f"{before} ") or not before.strip():
        return None
    if tokenizer.encode(before, add_special_tokens=False).ids != context:
        return None
    if tokenizer.encode(whole, add_special_tokens=False).ids != [*context, *ending]:
        return None
    return before, whole[len(before) + 1 :]


def _recall(text: _Text, draw: Draw, nearest: int, furthest: int) -> Iterator[Edit]:
    for passage in shuffled(text.passages, draw):
        last: dict[int, int] = {}
        places = []
        for place in text.words(passage):
            token = passage[place]
            if nearest <= place - last.get(token, place) < furthest:
                places.append((last[token], place))
            last[token] = place
        for earlier, place in shuffled(places, draw)[:2]:
            others = [
                other
                for other in text.followers.get(passage[max(0, earlier - 1)], [])
                if other not in passage and text.follow(other, passage[earlier + 1])
            ]
            if others:
                token, other, before = passage[place], pick(others, draw), passage[:place]
                yield before, [other if one == token else one for one in before], [token]


def _copy(text: _Text, draw: Draw) -> Iterator[Edit]:
    for half in _rounds((4, 8, 16)):
        passage, other = pick(text.passages, draw), pick(text.passages, draw)
        if min(len(passage), len(other)) < 2 * half or 4 * half > text.room:
            continue
        first = int(draw() * (len(passage) - 2 * half + 1))
        begin, end = passage[first : first + half], passage[first + half : first + 2 * half]
        if not text.follow(end[-1], begin[0]):
            continue
        for at in shuffled(range(len(other) - half + 1), draw):
            instead = other[at : at + half]
            if (
                instead[0] != end[0]
                and text.follow(begin[-1], instead[0])
                and text.follow(instead[-1], begin[0])
            ):
                yield [*begin, *end, *begin], [*begin, *instead, *begin], end
                break


def _induction(text: _Text, draw: Draw) -> Iterator[Edit]:
    made = [0, 0]
    for _ in _rounds((None,)):
        nearer = made[True] < made[False]
        passage = pick(text.passages, draw)[: text.room - 2]
        before = passage[: int(draw() * len(passage)) + 1]
        counts = Counter(before)
        words = [place for place in text.words(before) if counts[before[place]] == 1]
        if len(words) < 3:
            continue
        second = pick(words, draw)
        first_token, token = before[second - 1], before[second]
        if second == 0 or counts[first_token] > 1 or not text.follow(before[-1], first_token):
            continue
        places = [
            place
            for place in words
            if (second + 1 < place < len(before) - 1 if nearer else 0 < place < second - 1)
            and text.follow(before[place - 1], token)
            and text.follow(first_token, before[place])
        ]
        if places:
            place = pick(places, draw)
            edited = list(before)
            edited[second], edited[place] = edited[place], token
            made[nearer] += 1
            yield [*before, first_token], [*edited, first_token], [token]


def _parity(text: _Text, draw: Draw) -> Iterator[Edit]:
    words = [token for token in text.train if token in text.telling]
    for _ in _rounds((None,)):
        tokens = [pick(words, draw) for _ in range(4)]
        if len(set(tokens)) < 4:
            continue
        bits, labels = tokens[:2], tokens[2:]
        *shown, asked = shuffled(range(8), draw)
        strings = [[number >> place & 1 for place in range(3)] for number in (*shown, asked)]
        odd = [sum(string) % 2 for string in strings]
        right, wrong = (
            [
                token
                for string, is_odd in zip(strings, odd, strict=True)
                for token in (*(bits[bit] for bit in string), labels[is_odd ^ exchanged])
            ][:-1]
            for exchanged in (0, 1)
        )
        if len(right) < text.room:
            yield right, wrong, [labels[odd[-1]]]


def _rounds(values: tuple[T, ...]) -> Iterator[T]:
    """The values in turn, for as many tries as a probe has."""
    return islice(cycle(values), ITEMS * _TRIES)


_PROBES: Mapping[str, Callable[[_Text, Draw], Iterator[Edit]]] = MappingProxyType(
    {
        "recall_near": lambda text, draw: _recall(text, draw, 2, _NEAR),
        "recall_far": lambda text, draw: _recall(text, draw, _NEAR, text.room),
        "copy": _copy,
        "induction": _induction,
        "parity": _parity,
    }
)
