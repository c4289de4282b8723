"""Sentences: the constructions that a document is made of, with how often each is said."""

from collections.abc import Callable

from model_discovery.verification.grammar.lexicon import EITHER
from model_discovery.verification.grammar.phrases import PRONOUN, REFLEXIVE, Person, Speaker, Subject
from model_discovery.verification.grammar.sampling import Weighted

DEPTH = 3
NOBODY = 10_000


def subject(s: Speaker, depth: int = DEPTH) -> Subject:
    """The subject of a clause: one of the cast by name, role or pronoun, or anybody."""
    chance = s.draw()
    if s.cast and chance < 0.55:
        if s.last is not None and chance < 0.2:
            return pronoun(s, s.last)
        person = s.cast[int(s.draw() * len(s.cast))]
        return by_name(s, person) if chance < 0.42 else by_role(s, person)
    s.last = None
    if chance > 0.96:
        return coordinated(s)
    return s.noun_phrase(s.topic.beings if chance < 0.85 else s.topic.things, depth)


def pronoun(s: Speaker, person: Person) -> Subject:
    """*he* or *she*, who was spoken of last."""
    s.out.append(PRONOUN[person.name.gender])
    return Subject(NOBODY + person.name.index, False, person.name.gender, True)


def by_name(s: Speaker, person: Person) -> Subject:
    """One of the cast by name."""
    s.last = person
    s.out.append(person.name.text)
    return Subject(NOBODY + person.name.index, False, person.name.gender, True)


def by_role(s: Speaker, person: Person) -> Subject:
    """One of the cast by role: the gender is the person's."""
    s.last = person
    s.out += ("the", person.role.singular)
    return Subject(person.role.index, False, person.name.gender, True)


def coordinated(s: Speaker) -> Subject:
    """Two noun phrases with *and*: always plural."""
    first = s.noun_phrase(s.topic.persons, 1)
    s.out.append("and")
    s.noun_phrase(s.topic.persons, 0)
    return Subject(first.number, True, EITHER, True)


def statement(s: Speaker) -> None:
    """A plain clause."""
    s.predicate(subject(s), DEPTH - 1)
    s.out.append(".")


def joined(s: Speaker) -> None:
    """Two clauses."""
    s.predicate(subject(s, 1), 1)
    s.out.append(s.tables.joiners.draw(s.draw))
    s.predicate(subject(s, 1), 1)
    s.out.append(".")


def reported(s: Speaker) -> None:
    """*She thinks that …*, with a reflexive bound inside the inner clause or not."""
    outer = subject(s, 1)
    last = s.last
    s.out.append(s.form(s.choose(s.tables.clausal, outer), outer.plural))
    s.out.append("that")
    inner = s.noun_phrase(s.topic.persons, 1) if s.draw() < 0.6 else subject(s, 1)
    if inner.animate and s.draw() < 0.5:
        _reflexive(s, inner)
    else:
        s.predicate(inner, 1)
    s.last = last
    s.out.append(".")


def reflexive(s: Speaker) -> None:
    """A clause whose object is its subject."""
    if s.draw() < 0.5:
        who = subject(s, 2)
    else:
        s.last = None
        who = s.noun_phrase(s.topic.persons, 2)
    if who.animate:
        _reflexive(s, who)
    else:
        s.predicate(who, 1)
    s.out.append(".")


def _reflexive(s: Speaker, who: Subject) -> None:
    verb = s.choose(s.topic.towards["person"], who)
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
    who = s.noun_phrase(s.topic.persons, 2, plural)
    s.out[start] = determiners[plural].draw(draw)
    s.last = None
    s.out.append("have" if plural else "has")
    s.out.append("ever" if negative else s.tables.positive_adverbs.draw(draw))
    if draw() < 0.5:
        verb = s.choose(s.topic.transitive, who)
        s.out.append(verb.past)
        s.object(verb, who, 1)
    else:
        s.out.append(s.choose(s.topic.intransitive, who).past)
    s.out.append(".")


def wondering(s: Speaker) -> None:
    """*He knows what the girl found* and *that the girl found a ring*: a gap where there is a filler."""
    draw = s.draw
    outer = subject(s, 0)
    last = s.last
    s.out.append(s.form(s.choose(s.tables.wondering, outer), outer.plural))
    filler = draw() < 0.5
    verb = s.topic.transitive.draw(draw)
    if filler:
        s.out.append("who" if verb.objects[0] == "person" else "what")
    else:
        s.out.append("that")
    inner = s.noun_phrase(s.topic.beings, 2)
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
    s.noun_phrase(s.topic.anything, 1, plural)
    s.out[start] = s.tables.weak[plural].draw(s.draw)
    if s.out[start] == "a" and s.out[start + 1][0] in "aeiou":
        s.out[start] = "an"
    s.place(0)
    s.out.append(".")


def giving(s: Speaker) -> None:
    """Something changes hands."""
    who = subject(s, 1)
    s.out.append(s.form(s.choose(s.tables.giving, who), who.plural))
    s.noun_phrase(s.topic.things, 1)
    s.out.append("to")
    if s.cast and s.draw() < 0.4:
        s.out.append(s.cast[int(s.draw() * len(s.cast))].name.text)
    else:
        s.noun_phrase(s.topic.persons, 1)
    s.out.append(".")


def question(s: Speaker) -> None:
    """*Which ring does the girl admire ?* or *is the king happy ?*"""
    s.last = None
    plural = s.draw() < 0.4
    if s.draw() < 0.5:
        verb = s.topic.transitive.draw(s.draw)
        noun = s.topic.by_kind[verb.objects[0]].draw(s.draw)
        s.out += ("which", noun.plural if s.draw() < 0.4 else noun.singular, "do" if plural else "does")
        s.noun_phrase(s.topic.beings, 1, plural)
        s.out.append(verb.base)
    else:
        s.out.append(s.be(plural))
        who = s.noun_phrase(s.topic.persons, 1, plural)
        s.out.append(s.tables.person_adjectives[who.number % 5].draw(s.draw))
    s.out.append("?")


Construction = Callable[[Speaker], None]
CONSTRUCTIONS: Weighted[Construction] = Weighted(
    (statement, joined, reported, reflexive, licensed, wondering, existential, giving, question),
    (30, 8, 10, 10, 10, 9, 8, 5, 6),
)
