"""Minimal pairs of agreement: a word that must fit another one some way off."""

from model_discovery.verification.grammar.lexicon import Noun
from model_discovery.verification.grammar.phrases import Speaker
from model_discovery.verification.grammar.sampling import pick
from model_discovery.verification.grammar.tables import held_out_pair

Pair = tuple[list[str], list[str]]


def fresh(s: Speaker) -> None:
    """Begin a text of its own, with nobody known."""
    s.out = []
    s.cast = []
    s.last = None
    s.favourites = {}


def coin(s: Speaker) -> bool:
    """One of two."""
    return s.draw() < 0.5


def noun_form(noun: Noun, plural: bool) -> str:
    """The form for a number."""
    return noun.plural if plural else noun.singular


def finish(s: Speaker, good: str, bad: str, *, tail: tuple[str, ...] = (".",)) -> Pair:
    """The text so far, ending well and badly."""
    return [*s.out, good, *tail], [*s.out, bad, *tail]


def unheard(s: Speaker, head: Noun, kind: str) -> Noun:
    """A noun that training never puts inside a phrase about ``head``."""
    noun = s.noun(kind)
    while not held_out_pair(head.index, noun.index) or noun is head:
        noun = pick(s.tables.nouns[kind].items, s.draw)
    return noun


def attractor(s: Speaker, head: Noun, plural: bool) -> None:
    """*near the towers*: a noun between, mostly of the other number, never heard there in training."""
    other = plural if s.draw() < 0.3 else not plural
    s.out += (s.tables.prepositions.draw(s.draw), "the", noun_form(unheard(s, head, "anything"), other))


def clause(s: Speaker, head: Noun, plural: bool) -> None:
    """*that the girls admire* or *who admires the girls*: its noun is mostly of the other number."""
    other = plural if s.draw() < 0.3 else not plural
    verb = s.tables.towards["person"].draw(s.draw)
    inner = noun_form(unheard(s, head, "person"), other)
    if coin(s):
        s.out += ("that", "the", inner, verb.base if other else verb.singular)
    else:
        s.out += ("who", verb.base if plural else verb.singular, "the", inner)


def main_verb(s: Speaker, plural: bool) -> Pair:
    """The verb that agrees, and the one that does not."""
    if s.draw() < 0.4:
        tail = (s.tables.person_adjectives[0].draw(s.draw), ".")
        return finish(s, *_right_first("are", "is", plural), tail=tail)
    verb = s.tables.intransitive.draw(s.draw)
    return finish(s, *_right_first(verb.base, verb.singular, plural))


def _right_first(plural_form: str, singular_form: str, plural: bool) -> tuple[str, str]:
    return (plural_form, singular_form) if plural else (singular_form, plural_form)


def _head(s: Speaker, plural: bool) -> Noun:
    head = s.noun("person")
    s.out += ("the", noun_form(head, plural))
    return head


def prepositional(s: Speaker) -> Pair:
    """*The boys near the tower sleep / sleeps.*"""
    plural = coin(s)
    attractor(s, _head(s, plural), plural)
    return main_verb(s, plural)


def relative(s: Speaker) -> Pair:
    """*The boys that the queen admires sleep / sleeps*, sometimes with two or three nouns between."""
    plural = coin(s)
    head = _head(s, plural)
    if s.draw() < 0.3:
        attractor(s, head, plural)
    clause(s, head, plural)
    if s.draw() < 0.2:
        attractor(s, head, plural)
    return main_verb(s, plural)


def coordinated(s: Speaker) -> Pair:
    """*The boy and the girl sleep / sleeps*; *the boy near the girls sleeps / sleep*."""
    together = coin(s)
    head = _head(s, False)
    if together:
        s.out += ("and", "the", unheard(s, head, "person").singular)
    else:
        s.out += (s.tables.where.draw(s.draw), "the", noun_form(unheard(s, head, "person"), coin(s)))
    return main_verb(s, together)


def determiner(s: Speaker) -> Pair:
    """*These happy clever boys / boy will sleep.*"""
    plural = coin(s)
    noun = s.noun("person" if coin(s) else "thing")
    words = (
        ("these", "those", "several", "both", "two", "many")
        if plural
        else ("this", "that", "every", "each", "a")
    )
    s.out.append(pick(words, s.draw))
    s.out += [s.adjective(noun) for _ in range(1 + int(s.draw() * 2))]
    if s.out[0] == "a" and s.out[1][0] in "aeiou":
        s.out[0] = "an"
    verb = (s.tables.intransitive if noun.kind == "person" else s.tables.creaking).draw(s.draw)
    tail = (s.tables.modals.draw(s.draw), verb.base, ".")
    return finish(s, noun_form(noun, plural), noun_form(noun, not plural), tail=tail)
