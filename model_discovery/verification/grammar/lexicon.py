"""The words: about 600 forms, real and invented, each class in the order of its frequency."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model_discovery.seeds import derive
from model_discovery.verification.grammar.sampling import Draw, draws, pick, shuffled

MASCULINE, FEMININE, NEUTER, EITHER = "m", "f", "n", "e"
THINGS = ("food", "tool", "vessel", "dress", "text", "room", "machine", "jewel")


@dataclass(frozen=True, eq=False, slots=True)
class Noun:
    """A noun; ``kind`` is ``person``, ``animal``, ``place`` or one of ``THINGS``; ``index`` is its number."""

    index: int
    singular: str
    plural: str
    kind: str
    gender: str


@dataclass(frozen=True, eq=False, slots=True)
class Verb:
    """A verb: third person singular, base and past; ``objects`` are the kinds of nouns it takes."""

    index: int
    singular: str
    base: str
    past: str
    objects: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Name:
    """A person's name."""

    index: int
    text: str
    gender: str


@dataclass(frozen=True)
class Lexicon:
    """All open classes, the frequent words first."""

    persons: tuple[Noun, ...]
    animals: tuple[Noun, ...]
    places: tuple[Noun, ...]
    things: dict[str, tuple[Noun, ...]]
    names: tuple[Name, ...]
    transitive: tuple[Verb, ...]
    intransitive: tuple[Verb, ...]
    creaking: tuple[Verb, ...]
    clausal: tuple[Verb, ...]
    wondering: tuple[Verb, ...]
    giving: tuple[Verb, ...]
    person_adjectives: tuple[str, ...]
    thing_adjectives: tuple[str, ...]
    colours: tuple[str, ...]
    manner: tuple[str, ...]

    @property
    def nouns(self) -> tuple[Noun, ...]:
        """Every noun."""
        things = (noun for kind in THINGS for noun in self.things[kind])
        return (*self.persons, *self.animals, *self.places, *things)

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """Every verb."""
        return (
            *self.transitive, *self.intransitive, *self.creaking, *self.clausal, *self.wondering, *self.giving
        )  # fmt: skip

    def words(self) -> list[str]:
        """Every form of every word, closed classes included, in alphabetical order."""
        words = [
            *FUNCTION_WORDS,
            *self.person_adjectives,
            *self.thing_adjectives,
            *self.colours,
            *self.manner,
        ]
        words += [name.text for name in self.names]
        words += [form for noun in self.nouns for form in (noun.singular, noun.plural)]
        words += [form for verb in self.verbs for form in (verb.singular, verb.base, verb.past)]
        if len(words) != len(set(words)):
            twice = sorted({word for word in words if words.count(word) > 1})
            raise ValueError(f"words in two classes: {twice}")
        return sorted(words)


FUNCTION_WORDS = [
    ".",
    "?",
    ",",
    "the",
    "a",
    "an",
    "this",
    "that",
    "these",
    "those",
    "every",
    "each",
    "no",
    "few",
    "many",
    "all",
    "some",
    "several",
    "most",
    "both",
    "two",
    "three",
    "he",
    "she",
    "it",
    "they",
    "him",
    "her",
    "them",
    "his",
    "their",
    "its",
    "himself",
    "herself",
    "itself",
    "themselves",
    "there",
    "who",
    "which",
    "what",
    "where",
    "is",
    "are",
    "was",
    "were",
    "has",
    "have",
    "does",
    "do",
    "did",
    "will",
    "can",
    "must",
    "may",
    "not",
    "never",
    "ever",
    "any",
    "in",
    "on",
    "at",
    "near",
    "behind",
    "under",
    "beside",
    "above",
    "with",
    "from",
    "to",
    "by",
    "of",
    "and",
    "but",
    "or",
    "because",
    "while",
    "if",
    "whether",
    "live",
    "lives",
    "own",
    "owns",
    "yes",
    "often",
    "always",
    "sometimes",
    "rarely",
    "today",
    "yesterday",
    "now",
    "again",
    "already",
]

_MEN = "king boy man:men brother prince monk uncle wizard waiter"
_WOMEN = "queen girl woman:women sister princess:princesses nun aunt witch:witches waitress:waitresses"
_ROLES = "doctor baker teacher child:children singer farmer guard painter sailor lawyer poet student"
_ANIMALS = "dog cat horse mouse:mice wolf:wolves goose:geese rabbit fox:foxes"
_PLACES = "garden tower forest market castle kitchen village harbour cave mill valley chapel"
_THINGS = {
    "food": "apple loaf:loaves cake onion",
    "tool": "knife:knives hammer rope shovel",
    "vessel": "box:boxes basket bottle bag",
    "dress": "coat hat shoe scarf:scarves",
    "text": "letter book song poem",
    "room": "chair table lamp mirror",
    "machine": "clock wagon boat engine",
    "jewel": "ring crown coin pearl",
}
_TRANSITIVE = {
    "help": "person",
    "find": "person jewel tool",
    "carry:carries:carried": "vessel food",
    "admire": "person jewel",
    "open": "vessel text",
    "eat:eats:ate": "food",
    "follow": "person animal",
    "hide:hides:hid": "jewel text",
    "mend": "machine dress",
    "greet": "person",
    "break:breaks:broke": "tool room",
    "write:writes:wrote": "text",
    "wear:wears:wore": "dress jewel",
    "chase": "animal",
    "clean": "room vessel",
    "cook": "food",
    "praise": "person text",
    "sell:sells:sold": "machine food",
    "feed:feeds:fed": "animal",
    "paint": "room machine",
    "lift": "vessel tool",
    "visit": "person place",
    "fold": "dress",
    "drive:drives:drove": "machine",
    "fear": "animal person",
    "drop": "tool jewel",
}
_INTRANSITIVE = "sleep:sleeps:slept laugh wait smile dance cough:coughs:coughed wander arrive complain snore"
_CREAKING = "vanish:vanishes:vanished fall:falls:fell shine:shines:shone rattle"
_CLAUSAL = "think:thinks:thought say:says:said believe claim hope"
_WONDERING = "know:knows:knew remember forget:forgets:forgot wonder"
_GIVING = "give:gives:gave show send:sends:sent"
_PERSON_ADJECTIVES = "happy tired clever proud brave lazy gentle rude"
_THING_ADJECTIVES = "heavy dusty cheap wooden broken tiny golden"
_COLOURS = "red blue green white black yellow"
_MANNER = "slowly quickly quietly gladly badly carefully"
_IRREGULAR_PAST = {"drop": "dropped", "find": "found"}


def make_lexicon(seed: int) -> Lexicon:
    """The lexicon of a seed: invented words and the order of frequency in each class differ with it."""
    draw = draws(derive(seed, "lexicon"))
    coin = _Coiner(draw)
    nouns = _Numbered()

    def both(words: str, invented: int, kind: str, gender: str) -> list[Noun]:
        return [
            *nouns.real(words, kind, gender),
            *(nouns.invented(coin(), kind, gender) for _ in range(invented)),
        ]

    def mixed(parts: Iterable[list[Noun]]) -> tuple[Noun, ...]:
        return tuple(shuffled([noun for part in parts for noun in part], draw))

    persons = mixed(
        [
            both(_MEN, 2, "person", MASCULINE),
            both(_WOMEN, 2, "person", FEMININE),
            both(_ROLES, 0, "person", EITHER),
        ]
    )
    animals = mixed([both(_ANIMALS, 3, "animal", NEUTER)])
    places = mixed([both(_PLACES, 3, "place", NEUTER)])
    things = {kind: mixed([both(_THINGS[kind], 2, kind, NEUTER)]) for kind in THINGS}
    verbs = _Verbs()
    return Lexicon(
        persons=persons,
        animals=animals,
        places=places,
        things=things,
        names=_names(coin, draw),
        transitive=tuple(shuffled(verbs.transitive(_TRANSITIVE), draw)),
        intransitive=tuple(shuffled([*verbs.plain(_INTRANSITIVE), *verbs.coined(coin, 4)], draw)),
        creaking=tuple(shuffled(verbs.plain(_CREAKING), draw)),
        clausal=tuple(verbs.plain(_CLAUSAL)),
        wondering=tuple(verbs.plain(_WONDERING)),
        giving=tuple(verbs.plain(_GIVING)),
        person_adjectives=_adjectives(_PERSON_ADJECTIVES, 4, coin, draw),
        thing_adjectives=_adjectives(_THING_ADJECTIVES, 4, coin, draw),
        colours=_adjectives(_COLOURS, 0, coin, draw),
        manner=_adjectives(_MANNER, 2, coin, draw),
    )


class _Coiner:
    """Makes up words of two or three syllables, none twice and none that is English here."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._used: list[str] = []

    def __call__(self, ending: str = "") -> str:
        while True:
            word = "".join(pick("bdfgklmnprtvz", self._draw) + pick("aeiou", self._draw) for _ in range(2))
            word += ending or pick(("b", "ck", "f", "g", "lt", "m", "nk", "p", "rd", "x"), self._draw)
            if word not in self._used:
                self._used.append(word)
                return word


class _Numbered:
    """Nouns with running numbers."""

    def __init__(self) -> None:
        self._next = 0

    def real(self, words: str, kind: str, gender: str) -> list[Noun]:
        pairs = [word.partition(":") for word in words.split()]
        return [self._noun(word, plural or word + "s", kind, gender) for word, _, plural in pairs]

    def invented(self, word: str, kind: str, gender: str) -> Noun:
        return self._noun(word, word + "s", kind, gender)

    def _noun(self, singular: str, plural: str, kind: str, gender: str) -> Noun:
        self._next += 1
        return Noun(self._next - 1, singular, plural, kind, gender)


class _Verbs:
    """Verbs with running numbers."""

    def __init__(self) -> None:
        self._next = 0

    def plain(self, words: str) -> list[Verb]:
        return [self._verb(word) for word in words.split()]

    def coined(self, coin: _Coiner, count: int) -> list[Verb]:
        return [self._verb(coin()) for _ in range(count)]

    def transitive(self, words: dict[str, str]) -> list[Verb]:
        return [self._verb(word, tuple(kinds.split())) for word, kinds in words.items()]

    def _verb(self, word: str, objects: tuple[str, ...] = ()) -> Verb:
        parts = word.split(":")
        base = parts[0]
        singular = parts[1] if len(parts) > 1 else base + "s"
        past = (
            parts[2]
            if len(parts) > 1
            else _IRREGULAR_PAST.get(base, base + ("d" if base.endswith("e") else "ed"))
        )
        self._next += 1
        return Verb(self._next - 1, singular, base, past, objects)


def _names(coin: _Coiner, draw: Draw) -> tuple[Name, ...]:
    texts = [(coin("la"), FEMININE) for _ in range(24)] + [(coin("no"), MASCULINE) for _ in range(24)]
    return tuple(Name(index, text, gender) for index, (text, gender) in enumerate(shuffled(texts, draw)))


def _adjectives(words: str, invented: int, coin: _Coiner, draw: Draw) -> tuple[str, ...]:
    coined: Sequence[str] = [coin("ish") for _ in range(invented)]
    return tuple(shuffled([*words.split(), *coined], draw))
