"""The words: about 600 forms, real and invented, each class in the order of its frequency."""

from collections.abc import Sequence
from dataclasses import dataclass

from model_discovery.seeds import derive
from model_discovery.verification.grammar.sampling import Draw, draws, pick, shuffled

MASCULINE, FEMININE, NEUTER, EITHER = "m", "f", "n", "e"
NAMES = 24
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
    """A verb: third person singular, base, past and participle alike; ``objects`` are the kinds it takes."""

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
    roles: tuple[Noun, ...]
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
        return (*self.persons, *self.roles, *self.animals, *self.places, *things)

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """Every verb."""
        with_objects = (*self.transitive, *self.clausal, *self.wondering, *self.giving)
        return (*with_objects, *self.intransitive, *self.creaking)

    def words(self) -> list[str]:
        """Every form of every word, closed classes included, in alphabetical order."""
        words = [
            *_FUNCTION_WORDS.split(),
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


_FUNCTION_WORDS = (
    ". ? the a an this that these those every each no few many all some several most both two three "
    "he she it they him her them his their its himself herself itself themselves there lord lady "
    "who which what where is are was were has have does do did will can must may not never ever "
    "in on at near behind under beside above with from to by and but because while "
    "live lives own owns often always already sometimes rarely today tonight now again"
)

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
    "find:finds:found": "person jewel tool",
    "carry:carries:carried": "vessel food",
    "admire": "person jewel",
    "open": "vessel text",
    "taste": "food",
    "follow": "person animal",
    "keep:keeps:kept": "jewel text",
    "mend": "machine dress",
    "greet": "person",
    "scratch:scratches:scratched": "tool room",
    "copy:copies:copied": "text",
    "wash:washes:washed": "dress jewel",
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
    "build:builds:built": "machine",
    "fear": "animal person",
    "drop:drops:dropped": "tool jewel",
}
_INTRANSITIVE = "sleep:sleeps:slept laugh wait smile dance cough:coughs:coughed wander arrive complain snore"
_CREAKING = "vanish:vanishes:vanished fall:falls:fell shine:shines:shone rattle"
_CLAUSAL = "think:thinks:thought say:says:said believe claim hope"
_WONDERING = "know:knows:knew remember forget:forgets:forgot notice"
_GIVING = "give:gives:gave show send:sends:sent"
_PERSON_ADJECTIVES = "happy tired clever proud brave lazy gentle rude"
_THING_ADJECTIVES = "heavy dusty cheap wooden broken tiny golden"
_COLOURS = "red blue green white black yellow"
_MANNER = "slowly quickly quietly gladly badly carefully"


def make_lexicon(seed: int) -> Lexicon:
    """The lexicon of a seed: invented words and the order of frequency in each class differ with it."""
    draw = draws(derive(seed, "lexicon"))
    coin = _Coiner(draw)
    nouns = _Numbered()

    def both(words: str, invented: int, kind: str, gender: str) -> tuple[Noun, ...]:
        coined = [nouns.invented(coin(), kind, gender) for _ in range(invented)]
        return tuple(shuffled([*nouns.real(words, kind, gender), *coined], draw))

    persons = _in_turn(both(_WOMEN, 3, "person", FEMININE), both(_MEN, 3, "person", MASCULINE))
    roles = both(_ROLES, 4, "person", EITHER)
    animals = both(_ANIMALS, 3, "animal", NEUTER)
    places = both(_PLACES, 3, "place", NEUTER)
    things = {kind: both(_THINGS[kind], 3, kind, NEUTER) for kind in THINGS}
    verbs = _Verbs()
    return Lexicon(
        persons=persons,
        roles=roles,
        animals=animals,
        places=places,
        things=things,
        names=_names(coin),
        transitive=tuple(shuffled(verbs.transitive(_TRANSITIVE), draw)),
        intransitive=tuple(shuffled([*verbs.plain(_INTRANSITIVE), *verbs.coined(coin, 6)], draw)),
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
        return self._noun(word, word + ("es" if word.endswith("x") else "s"), kind, gender)

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
        base, _, forms = word.partition(":")
        singular, _, past = forms.partition(":")
        self._next += 1
        return Verb(
            index=self._next - 1,
            singular=singular or base + ("es" if base.endswith("x") else "s"),
            base=base,
            past=past or base + ("d" if base.endswith("e") else "ed"),
            objects=objects,
        )


def _names(coin: _Coiner) -> tuple[Name, ...]:
    texts = [text for _ in range(NAMES // 2) for text in ((coin("la"), FEMININE), (coin("no"), MASCULINE))]
    return tuple(Name(index, text, gender) for index, (text, gender) in enumerate(texts))


def _in_turn(women: Sequence[Noun], men: Sequence[Noun]) -> tuple[Noun, ...]:
    """One of each in turn, so that both genders are about equally frequent."""
    return tuple(noun for couple in zip(women, men, strict=True) for noun in couple)


def _adjectives(words: str, invented: int, coin: _Coiner, draw: Draw) -> tuple[str, ...]:
    coined: Sequence[str] = [coin("ish") for _ in range(invented)]
    return tuple(shuffled([*words.split(), *coined], draw))
