"""What is drawn from: one set of frequency tables a topic, so that the words of a document belong together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from model_discovery.verification.grammar.lexicon import THINGS, Lexicon, Noun, Verb
from model_discovery.verification.grammar.sampling import T, Weighted

TOPICS = 6
BOOST = 6.0


def held_out_pair(first: int, second: int) -> bool:
    """Whether two words, by number, never meet in training: one pair in five."""
    return (31 * first + 17 * second) % 5 == 0


@dataclass(frozen=True)
class Topic:
    """Frequency tables of one topic."""

    persons: Weighted[Noun]
    beings: Weighted[Noun]
    places: Weighted[Noun]
    by_kind: dict[str, Weighted[Noun]]
    things: Weighted[Noun]
    anything: Weighted[Noun]
    transitive: Weighted[Verb]
    towards: dict[str, Weighted[Verb]]
    intransitive: Weighted[Verb]
    creaking: Weighted[Verb]


class Tables:
    """Tables of a lexicon: one :class:`Topic` each, and the closed classes."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.topics = tuple(_topic(lexicon, number) for number in range(TOPICS))
        self.singular_determiners = Weighted(
            ["the", "a", "this", "that", "every", "each", "no", "some"], [40, 26, 8, 8, 6, 4, 4, 4]
        )
        self.plural_determiners = Weighted(
            [
                "the",
                "these",
                "those",
                "all",
                "many",
                "few",
                "some",
                "no",
                "several",
                "both",
                "most",
                "two",
                "three",
            ],
            [36, 9, 9, 6, 6, 6, 6, 4, 4, 3, 3, 4, 3],
        )
        self.prepositions = Weighted(
            ["in", "near", "on", "behind", "with", "under", "beside", "at", "above", "from"]
        )
        self.where = Weighted(["in", "near", "behind", "at", "beside"])
        self.modals = Weighted(["will", "can", "must", "may"])
        self.frequency = Weighted(["often", "always", "sometimes", "rarely"])
        self.manner = Weighted(lexicon.manner)
        self.names = Weighted(lexicon.names, flat=6.0)
        self.joiners = Weighted(["and", "but", "because", "while"])
        self.times = Weighted(["today", "yesterday", "now", "again"])
        self.positive_adverbs = Weighted(["often", "already", "always"])
        self.clausal = Weighted(lexicon.clausal)
        self.wondering = Weighted(lexicon.wondering)
        self.giving = Weighted(lexicon.giving)
        self.negative = (Weighted(["no"]), Weighted(["no", "few"]))
        self.positive = (
            Weighted(["the", "this", "that", "some", "every"]),
            Weighted(["the", "these", "those", "some", "many", "most"]),
        )
        self.weak = (
            Weighted(["a", "no", "some"]),
            Weighted(["some", "many", "no", "few", "several", "two", "three"]),
        )

    @cached_property
    def person_adjectives(self) -> tuple[Weighted[str], ...]:
        """Adjectives of people; a noun takes the table of its number modulo their count."""
        return _rotations(lexicon_words=self.lexicon.person_adjectives)

    @cached_property
    def thing_adjectives(self) -> tuple[Weighted[str], ...]:
        """Adjectives of anything else."""
        return _rotations(lexicon_words=(*self.lexicon.thing_adjectives, *self.lexicon.colours))


def _rotations(lexicon_words: Sequence[str], count: int = 5) -> tuple[Weighted[str], ...]:
    step = max(1, len(lexicon_words) // count)
    return tuple(
        Weighted([*lexicon_words[step * turn :], *lexicon_words[: step * turn]], flat=0.5)
        for turn in range(count)
    )


def _topic(lexicon: Lexicon, number: int) -> Topic:
    def weigh(items: Sequence[T], index: Callable[[T], int], flat: float = 1.5) -> Weighted[T]:
        weights = [
            (BOOST if index(item) % TOPICS == number else 1.0) / (rank + flat)
            for rank, item in enumerate(items)
        ]
        return Weighted(items, weights)

    def nouns(items: Sequence[Noun]) -> Weighted[Noun]:
        return weigh(items, lambda noun: noun.index)

    def verbs(items: Sequence[Verb]) -> Weighted[Verb]:
        return weigh(items, lambda verb: verb.index)

    by_kind = {kind: nouns(lexicon.things[kind]) for kind in THINGS}
    by_kind |= {
        "person": nouns(lexicon.persons),
        "animal": nouns(lexicon.animals),
        "place": nouns(lexicon.places),
    }
    things = _interleaved([lexicon.things[kind] for kind in THINGS])
    beings = _interleaved([lexicon.persons, lexicon.persons[1:], lexicon.animals])
    kinds = ("person", "animal", "place", *THINGS)
    return Topic(
        persons=by_kind["person"],
        beings=nouns(beings),
        places=by_kind["place"],
        by_kind=by_kind,
        things=nouns(things),
        anything=nouns(_interleaved([lexicon.persons, things, lexicon.places, lexicon.animals])),
        transitive=verbs(lexicon.transitive),
        towards={
            kind: verbs([verb for verb in lexicon.transitive if kind in verb.objects]) for kind in kinds
        },
        intransitive=verbs(lexicon.intransitive),
        creaking=verbs(lexicon.creaking),
    )


def _interleaved(groups: Sequence[Sequence[Noun]]) -> list[Noun]:
    """Members of all groups by rank, each once."""
    longest = max(map(len, groups))
    ranked = [group[rank] for rank in range(longest) for group in groups if rank < len(group)]
    return list(dict.fromkeys(ranked))
