"""What is drawn from: frequency tables of nouns and verbs, and the closed classes."""

from collections.abc import Sequence

from model_discovery.verification.grammar.lexicon import THINGS, Lexicon, Noun, Verb
from model_discovery.verification.grammar.sampling import Weighted

ORDERS = 5
NOUN_KINDS = ("person", "animal", "place", *THINGS)


def held_out_pair(first: int, second: int) -> bool:
    """Whether two words, by number, never meet in training: one pair in five."""
    return (31 * first + 17 * second) % 5 == 0


class Tables:
    """How often each word of a lexicon is said.

    ``nouns`` is by kind; besides the kinds of the lexicon there are ``being``, ``thing`` and ``anything``.
    ``towards`` has the verbs that take an object of a kind.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.nouns = _noun_tables(lexicon)
        self.transitive = Weighted(lexicon.transitive)
        self.towards: dict[str, Weighted[Verb]] = {
            kind: Weighted([verb for verb in lexicon.transitive if kind in verb.objects])
            for kind in NOUN_KINDS
        }
        self.intransitive = Weighted(lexicon.intransitive)
        self.creaking = Weighted(lexicon.creaking)
        self.clausal = Weighted(lexicon.clausal)
        self.wondering = Weighted(lexicon.wondering)
        self.giving = Weighted(lexicon.giving)
        self.names = Weighted(lexicon.names, flat=12.0)
        self.roles = Weighted(lexicon.roles, flat=6.0)
        self.person_adjectives = _rotations(lexicon.person_adjectives)
        self.thing_adjectives = _rotations((*lexicon.thing_adjectives, *lexicon.colours))
        self.manner = Weighted(lexicon.manner)
        self._closed_classes()

    def _closed_classes(self) -> None:
        self.singular_determiners = _words("the:40 a:26 this:8 that:8 every:6 each:4 no:4 some:4")
        self.plural_determiners = _words(
            "the:36 these:9 those:9 all:6 many:6 few:6 some:6 no:4 several:4 both:3 most:3 two:4 three:3"
        )
        self.negative = (_words("no"), _words("no few"))
        self.positive = (_words("the this that some every"), _words("the these those some many most"))
        self.weak = (_words("a no some"), _words("some many no few several two three"))
        self.prepositions = _words("in near on behind with under beside at above from")
        self.where = _words("in near behind at beside")
        self.modals = _words("will can must may")
        self.frequency = _words("often never always sometimes rarely")
        self.positive_adverbs = _words("often already always")
        self.joiners = _words("and but because while")
        self.times = _words("today tonight now again")


def _words(text: str) -> Weighted[str]:
    """``word:weight`` each, or words in the order of their frequency."""
    if ":" not in text:
        return Weighted(text.split())
    pairs = [entry.split(":") for entry in text.split()]
    return Weighted([word for word, _ in pairs], [float(weight) for _, weight in pairs])


def _rotations(words: Sequence[str]) -> tuple[Weighted[str], ...]:
    """The same adjectives in ``ORDERS`` orders of frequency; a noun's number says which is its own."""
    step = max(1, len(words) // ORDERS)
    orders = ([*words[step * turn :], *words[: step * turn]] for turn in range(ORDERS))
    return tuple(Weighted(order, flat=0.5) for order in orders)


def _noun_tables(lexicon: Lexicon) -> dict[str, Weighted[Noun]]:
    things = _interleaved([lexicon.things[kind] for kind in THINGS])
    classes: dict[str, Sequence[Noun]] = {
        **lexicon.things,
        "person": lexicon.persons,
        "animal": lexicon.animals,
        "place": lexicon.places,
        "being": _interleaved([lexicon.persons, lexicon.persons[1:], lexicon.animals]),
        "thing": things,
        "anything": _interleaved([lexicon.persons, things, lexicon.places, lexicon.animals, lexicon.roles]),
    }
    return {kind: Weighted(nouns) for kind, nouns in classes.items()}


def _interleaved(groups: Sequence[Sequence[Noun]]) -> list[Noun]:
    """Members of all groups by rank, each once."""
    longest = max(map(len, groups))
    ranked = [group[rank] for rank in range(longest) for group in groups if rank < len(group)]
    return list(dict.fromkeys(ranked))
