"""Sentences: the constructions that a document is made of, with how often each is said."""

from collections.abc import Callable

from model_discovery.verification.grammar.lexicon import EITHER
from model_discovery.verification.grammar.phrases import (
    OBJECT_PRONOUN,
    PRONOUN,
    REFLEXIVE,
    Person,
    Speaker,
    Subject,
)
from model_discovery.verification.grammar.sampling import Weighted, pick
from model_discovery.verification.grammar.tables import ORDERS

DEPTH = 3
NOBODY = 10_000


def subject(s: Speaker, depth: int = DEPTH) -> Subject:
    """The subject of a clause: one of the cast by name, role or pronoun, or anybody."""
    chance = s.draw()
    if s.cast and chance < 0.66:
        if s.last is not None and chance < 0.16:
            return pronoun(s, s.last)
        person = pick(s.cast, s.draw)
        return emphatic(s, by_name(s, person) if chance < 0.6 else by_role(s, person))
    s.last = None
    if chance > 0.96:
        return coordinated(s)
    if chance > 0.87:
        return s.noun_phrase("thing", depth)
    return emphatic(s, s.noun_phrase("being", depth))


def emphatic(s: Speaker, who: Subject) -> Subject:
    """*The queen herself*, now and then."""
    if s.draw() < 0.2:
        s.out.append("themselves" if who.plural else REFLEXIVE[who.gender])
    return who


def pronoun(s: Speaker, person: Person) -> Subject:
    """*he* or *she*, who was spoken of last."""
    s.out.append(PRONOUN[person.name.gender])
    return Subject(NOBODY + person.name.index, False, person.name.gender, "person")


def by_name(s: Speaker, person: Person) -> Subject:
    """One of the cast by name."""
    s.last = person
    s.name(person)
    if s.draw() < 0.6:
        s.out += ("the", person.role.singular)
    return Subject(NOBODY + person.name.index, False, person.name.gender, "person")


def by_role(s: Speaker, person: Person) -> Subject:
    """One of the cast by role: the gender is the person's."""
    s.last = person
    s.out += ("the", person.role.singular)
    return Subject(person.role.index, False, person.name.gender, "person")


def coordinated(s: Speaker) -> Subject:
    """Two noun phrases with *and*: always plural."""
    first = s.noun_phrase("person", 1)
    s.out.append("and")
    s.noun_phrase("person", 0)
    return Subject(first.number, True, EITHER, "person")


def statement(s: Speaker) -> None:
    """A plain clause."""
    s.predicate(subject(s), DEPTH - 1)
    s.out.append(".")


def joined(s: Speaker) -> None:
    """Two clauses."""
    first = subject(s, 1)
    s.predicate(first, 1)
    s.out.append(s.tables.joiners.draw(s.draw))
    if s.draw() < 0.75:
        s.out.append("they" if first.plural else PRONOUN[first.gender])
        s.predicate(first, 1)
    else:
        s.predicate(subject(s, 1), 1)
    s.out.append(".")


def reported(s: Speaker) -> None:
    """*She thinks that …*, with a reflexive bound inside the inner clause or not."""
    outer = subject(s, 1)
    last = s.last
    s.out.append(s.form(s.choose(s.tables.clausal, outer), outer.plural))
    s.out.append("that")
    inner = s.noun_phrase("person", 1) if s.draw() < 0.6 else subject(s, 1)
    if inner.animate and s.draw() < 0.6:
        _bound(s, outer, inner)
    else:
        s.predicate(inner, 1)
    s.last = last
    s.out.append(".")


def _bound(s: Speaker, outer: Subject, inner: Subject) -> None:
    """*… that he admires himself*, or *… that he admires her*, the outer subject."""
    if s.draw() < 0.65:
        _reflexive(s, inner)
        return
    s.out.append(s.form(s.choose(s.tables.towards["person"], inner), inner.plural))
    s.out.append("them" if outer.plural else OBJECT_PRONOUN[s.gender(outer)])


def reflexive(s: Speaker) -> None:
    """A clause whose object is its subject."""
    if s.draw() < 0.5:
        who = subject(s, 2)
    else:
        s.last = None
        who = s.noun_phrase("person", 2, s.draw() < 0.3)
    if who.animate:
        _reflexive(s, who)
    else:
        s.predicate(who, 1)
    s.out.append(".")


def _reflexive(s: Speaker, who: Subject) -> None:
    verb = s.choose(s.tables.towards["person"], who)
    if s.draw() < 0.2:
        s.out += (s.tables.modals.draw(s.draw), verb.base)
    else:
        s.out.append(s.form(verb, who.plural))
    s.out.append("themselves" if who.plural else REFLEXIVE[s.gender(who)])
    s.adverb()


def licensed(s: Speaker) -> None:
    """*No … has ever …* against *the … has often …*: what *ever* needs in front of it."""
    draw = s.draw
    plural = draw() < 0.5
    negative = draw() < 0.5
    determiners = s.tables.negative if negative else s.tables.positive
    start = len(s.out)
    who = s.noun_phrase("person", 1, plural)
    s.out[start] = determiners[plural].draw(draw)
    s.last = None
    s.out.append("have" if plural else "has")
    s.out.append("ever" if negative else s.tables.positive_adverbs.draw(draw))
    if draw() < 0.5:
        verb = s.choose(s.tables.transitive, who)
        s.out.append(verb.past)
        s.object(verb, who, 1)
    else:
        s.out.append(s.choose(s.tables.intransitive, who).past)
    s.out.append(".")


def wondering(s: Speaker) -> None:
    """*He knows what the girl found* and *that the girl found a ring*: a gap where there is a filler."""
    draw = s.draw
    outer = subject(s, 0)
    last = s.last
    s.out.append(s.form(s.choose(s.tables.wondering, outer), outer.plural))
    filler = draw() < 0.5
    verb = s.tables.transitive.draw(draw)
    if filler:
        s.out.append("who" if verb.objects[0] == "person" else "what")
    else:
        s.out.append("that")
    inner = s.noun_phrase("being", 2)
    s.out.append(s.form(verb, inner.plural))
    if not filler:
        s.object(verb, inner, 0)
    if draw() < 0.5:
        s.out.append(s.tables.times.draw(draw))
    s.last = last
    s.out.append(".")


def existential(s: Speaker) -> None:
    """*There is a …*: only weak determiners, and agreement with what follows."""
    plural = s.draw() < 0.5
    s.last = None
    s.out += ("there", s.be(plural))
    start = len(s.out)
    what = s.noun_phrase("anything", 1, plural)
    s.out[start] = s.tables.weak[plural].draw(s.draw)
    if s.out[start] == "a" and s.out[start + 1][0] in "aeiou":
        s.out[start] = "an"
    s.place(0, inside=what.number)
    s.out.append(".")


def giving(s: Speaker) -> None:
    """Something changes hands."""
    who = subject(s, 1)
    s.out.append(s.form(s.choose(s.tables.giving, who), who.plural))
    s.noun_phrase("thing", 1)
    s.out.append("to")
    if s.cast and s.draw() < 0.4:
        s.name(pick(s.cast, s.draw))
    else:
        s.noun_phrase("person", 1)
    s.out.append(".")


def question(s: Speaker) -> None:
    """*Which ring does the girl admire ?* or *is the king happy ?*"""
    s.last = None
    plural = s.draw() < 0.4
    if s.draw() < 0.5:
        verb = s.tables.transitive.draw(s.draw)
        noun = s.noun(verb.objects[0])
        s.out += ("which", noun.plural if s.draw() < 0.4 else noun.singular, "do" if plural else "does")
        s.noun_phrase("being", 1, plural)
        s.out.append(verb.base)
    else:
        s.out.append(s.be(plural))
        who = s.noun_phrase("person", 1, plural)
        s.out.append(s.tables.person_adjectives[who.number % ORDERS].draw(s.draw))
    s.out.append("?")


def reciprocal(s: Speaker) -> None:
    """*Mira helps Tomo and Tomo helps Mira*: two of the cast, and each again."""
    first = int(s.draw() * len(s.cast))
    one, other = s.cast[first], s.cast[first - 1]
    verb = s.tables.towards["person"].draw(s.draw).singular
    s.out += (one.name.text, verb, other.name.text, "and", other.name.text, verb, one.name.text, ".")
    s.last = None


Construction = Callable[[Speaker], None]
CONSTRUCTIONS: Weighted[Construction] = Weighted(
    (statement, joined, reported, reflexive, licensed, wondering, existential, giving, question, reciprocal),
    (17, 18, 12, 20, 12, 8, 4, 4, 6, 8),
)
