"""Phrases: noun phrases nested in prepositional phrases and relative clauses, and what is said of them."""

from dataclasses import dataclass

from model_discovery.verification.grammar.lexicon import (
    EITHER,
    FEMININE,
    MASCULINE,
    NEUTER,
    Name,
    Noun,
    Verb,
)
from model_discovery.verification.grammar.sampling import Draw, Weighted, pick
from model_discovery.verification.grammar.tables import NOUN_KINDS, ORDERS, Tables, held_out_pair

VOWELS = "aeiou"
REFLEXIVE = {MASCULINE: "himself", FEMININE: "herself", NEUTER: "itself"}
POSSESSIVE = {MASCULINE: "his", FEMININE: "her", NEUTER: "its"}
TITLE = {MASCULINE: "lord", FEMININE: "lady"}
OBJECT_PRONOUN = {MASCULINE: "him", FEMININE: "her", NEUTER: "it", EITHER: "them"}
PRONOUN = {MASCULINE: "he", FEMININE: "she", NEUTER: "it", EITHER: "they"}


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a clause is about: what agreement and anaphora have to know.

    ``number`` identifies the noun or name for pairings that training leaves out.
    """

    number: int
    plural: bool
    gender: str
    kind: str

    @property
    def animate(self) -> bool:
        """Whether it can do something."""
        return self.kind in ("person", "animal")


@dataclass(slots=True)
class Person:
    """One of a document's cast, with what is told about them."""

    name: Name
    role: Noun
    home: Noun
    thing: Noun
    colour: str


class Speaker:
    """Appends words to ``out``; everything it says is drawn from ``draw``.

    Parameters
    ----------
    tables
        Frequency tables.
    draw
        Source of randomness.
    anything_goes
        Also say the pairings that training leaves out.
    """

    def __init__(self, tables: Tables, draw: Draw, *, anything_goes: bool = False) -> None:
        self.tables = tables
        self.draw = draw
        self.anything_goes = anything_goes
        self.out: list[str] = []
        self.cast: list[Person] = []
        self.last: Person | None = None
        self.favourites: dict[str, tuple[Noun, ...]] = {}

    def noun_phrase(
        self, kind: str, depth: int, plural: bool | None = None, inside: int | None = None
    ) -> Subject:
        """A determiner, adjectives, a noun and, while ``depth`` allows it, a phrase or clause about it.

        ``inside`` is the number of the noun that this phrase is about.
        """
        draw, out = self.draw, self.out
        if plural is None:
            plural = draw() < 0.4
        tables = self.tables
        determiner = (tables.plural_determiners if plural else tables.singular_determiners).draw(draw)
        noun = self.noun(kind)
        if inside is not None and not self.anything_goes:
            while held_out_pair(inside, noun.index):
                noun = self.noun(kind)
        out.append(determiner)
        first = len(out)
        if draw() < 0.3:
            out.append(self.adjective(noun))
        out.append(noun.plural if plural else noun.singular)
        if determiner == "a" and out[first][0] in VOWELS:
            out[first - 1] = "an"
        if depth > 0:
            chance = draw()
            if chance < 0.24:
                self.prepositional(noun, depth - 1)
            elif chance < 0.4:
                self.relative(noun, plural, depth - 1)
        return self.about(noun, plural)

    def noun(self, kind: str) -> Noun:
        """A noun: one of the document's favourites half the time, where it has any."""
        favourites = self.favourites.get(kind)
        if favourites and self.draw() < 0.5:
            return pick(favourites, self.draw)
        return self.tables.nouns[kind].draw(self.draw)

    def choose_favourites(self) -> None:
        """What the document keeps coming back to: a few nouns, rare ones as likely as frequent ones."""
        nouns = self.tables.nouns
        own = {kind: pick(nouns[kind].items, self.draw) for kind in NOUN_KINDS}
        person, animal, place, *things = (own[kind] for kind in NOUN_KINDS)
        self.favourites = {kind: (noun,) for kind, noun in own.items()}
        self.favourites |= {
            "being": (person, person, animal),
            "thing": tuple(things),
            "anything": (person, place, *things[:2]),
        }

    def about(self, noun: Noun, plural: bool) -> Subject:
        """The subject that a noun makes."""
        return Subject(noun.index, plural, noun.gender, noun.kind)

    def adjective(self, noun: Noun) -> str:
        """An adjective that goes with the noun; which ones are frequent depends on it."""
        tables = self.tables
        choices = tables.person_adjectives if noun.kind == "person" else tables.thing_adjectives
        return choices[noun.index % ORDERS].draw(self.draw)

    def prepositional(self, head: Noun, depth: int) -> None:
        """A preposition and a noun phrase inside a phrase about ``head``."""
        self.out.append(self.tables.prepositions.draw(self.draw))
        self.noun_phrase("anything", depth, inside=head.index)

    def relative(self, head: Noun, plural: bool, depth: int) -> None:
        """A relative clause: its gap is the subject or the object."""
        draw, out = self.draw, self.out
        subject_gap = head.kind in ("person", "animal") and draw() < 0.5
        if subject_gap:
            out.append("who" if head.kind == "person" else "that")
            self.transitive(self.about(head, plural), depth)
            return
        out.append("that")
        verb = self.tables.towards[head.kind].draw(draw)
        inner = self.noun_phrase("being", depth, inside=head.index)
        out.append(self.form(verb, inner.plural))

    def form(self, verb: Verb, plural: bool) -> str:
        """The verb as it is said: mostly in the present, where it agrees."""
        if self.draw() < 0.15:
            return verb.past
        return verb.base if plural else verb.singular

    def be(self, plural: bool) -> str:
        """A form of *be*, mostly present."""
        if self.draw() < 0.15:
            return "were" if plural else "was"
        return "are" if plural else "is"

    def choose(self, table: Weighted[Verb], subject: Subject) -> Verb:
        """A verb that training lets meet this subject."""
        verb = table.draw(self.draw)
        if not self.anything_goes:
            while held_out_pair(subject.number, verb.index):
                verb = table.draw(self.draw)
        return verb

    def transitive(self, subject: Subject, depth: int) -> None:
        """A verb and the object that it selects."""
        verb = self.choose(self.tables.transitive, subject)
        self.out.append(self.form(verb, subject.plural))
        self.object(verb, subject, depth)

    def object(self, verb: Verb, subject: Subject, depth: int) -> None:
        """An object of a kind that the verb takes: a noun phrase, or something of the subject's own."""
        draw = self.draw
        first, *others = verb.objects
        kind = pick(others, draw) if others and draw() < 0.4 else first
        if kind == "person" and self.cast and draw() < 0.5:
            self.name(pick(self.cast, draw))
        elif subject.animate and draw() < 0.35:
            self.possessed(kind, subject)
        else:
            self.noun_phrase(kind, depth)

    def possessed(self, kind: str, subject: Subject) -> None:
        """*his*, *her*, *its* or *their* thing."""
        noun = self.noun(kind)
        self.out.append("their" if subject.plural else POSSESSIVE[self.gender(subject)])
        self.out.append(noun.plural if self.draw() < 0.3 else noun.singular)

    def name(self, person: Person) -> None:
        """A name, mostly with the title that shows its gender."""
        if self.draw() < 0.8:
            self.out.append(TITLE[person.name.gender])
        self.out.append(person.name.text)

    def gender(self, subject: Subject) -> str:
        """A gender for anaphora; a role that is either may be either."""
        if subject.gender != EITHER:
            return subject.gender
        return MASCULINE if self.draw() < 0.5 else FEMININE

    def predicate(self, subject: Subject, depth: int) -> None:
        """What is said of a subject: a verb phrase that agrees with it."""
        draw, out = self.draw, self.out
        chance = draw()
        if not subject.animate:
            self._thing_predicate(subject, chance, depth)
        elif chance < 0.42:
            self.transitive(subject, depth)
            self.adverb()
        elif chance < 0.6:
            verb = self.choose(self.tables.intransitive, subject)
            if draw() < 0.25:
                out.append(self.tables.frequency.draw(draw))
            out.append(self.form(verb, subject.plural))
            self.adverb()
        elif chance < 0.74:
            out.append(self.be(subject.plural))
            out.append(self.tables.person_adjectives[subject.number % ORDERS].draw(draw))
        elif chance < 0.8:
            out.append(self.be(subject.plural))
            self.place(depth)
        else:
            self._periphrastic(subject, chance, depth)

    def _periphrastic(self, subject: Subject, chance: float, depth: int) -> None:
        """*will help*, *does not help*, *has helped*."""
        verb = self.choose(self.tables.transitive, subject)
        if chance < 0.86:
            self.out += (self.tables.modals.draw(self.draw), verb.base)
        elif chance < 0.93:
            do = "did" if self.draw() < 0.15 else "do" if subject.plural else "does"
            self.out += (do, "not", verb.base)
        else:
            self.out += ("have" if subject.plural else "has", verb.past)
        self.object(verb, subject, depth)

    def _thing_predicate(self, subject: Subject, chance: float, depth: int) -> None:
        out = self.out
        if chance < 0.35:
            out.append(self.form(self.choose(self.tables.creaking, subject), subject.plural))
        elif chance < 0.75:
            out.append(self.be(subject.plural))
            out.append(self.tables.thing_adjectives[subject.number % ORDERS].draw(self.draw))
        elif chance < 0.87:
            out.append(self.be(subject.plural))
            self.place(depth)
        else:
            verb = self.tables.towards[subject.kind].draw(self.draw)
            out += (self.be(subject.plural), verb.past, "by")
            self.noun_phrase("being", depth)

    def place(self, depth: int, inside: int | None = None) -> None:
        """Where something is."""
        self.out.append(self.tables.where.draw(self.draw))
        self.noun_phrase("place", depth, inside=inside)

    def adverb(self) -> None:
        """Sometimes how it is done."""
        if self.draw() < 0.15:
            self.out.append(self.tables.manner.draw(self.draw))
