"""Minimal pairs of reference, licensing and memory: who is meant, what allows what, what was told."""

from model_discovery.verification.grammar.agreement import (
    Pair,
    attractor,
    clause,
    coin,
    finish,
    noun_form,
    unheard,
)
from model_discovery.verification.grammar.documents import ask_home, ask_role, make_cast, tell_home, tell_role
from model_discovery.verification.grammar.lexicon import FEMININE, MASCULINE, Noun
from model_discovery.verification.grammar.phrases import POSSESSIVE, PRONOUN, REFLEXIVE, Person, Speaker
from model_discovery.verification.grammar.sampling import pick
from model_discovery.verification.grammar.sentences import CONSTRUCTIONS, statement

OTHER = {MASCULINE: FEMININE, FEMININE: MASCULINE}


def _gendered(s: Speaker, gender: str) -> Noun:
    noun = s.topic.persons.draw(s.draw)
    while noun.gender != gender:
        noun = s.topic.persons.draw(s.draw)
    return noun


def _some_gender(s: Speaker) -> str:
    return MASCULINE if coin(s) else FEMININE


def _modal_verb(s: Speaker) -> tuple[str, str]:
    return s.tables.modals.draw(s.draw), s.topic.towards["person"].draw(s.draw).base


def reflexive_gender(s: Speaker) -> Pair:
    """*The king near the queen will admire himself / herself.*"""
    gender = _some_gender(s)
    head = _gendered(s, gender)
    between = _gendered(s, OTHER[gender] if s.draw() < 0.7 else gender).singular
    s.out += ("the", head.singular, s.tables.where.draw(s.draw), "the", between, *_modal_verb(s))
    return finish(s, REFLEXIVE[gender], REFLEXIVE[OTHER[gender]])


def reflexive_number(s: Speaker) -> Pair:
    """*The kings that the queen admires will help themselves / himself.*"""
    plural, gender = coin(s), _some_gender(s)
    head = _gendered(s, gender)
    s.out += ("the", noun_form(head, plural))
    (attractor if coin(s) else clause)(s, head, plural)
    s.out += _modal_verb(s)
    forms = ("themselves", REFLEXIVE[gender])
    return finish(s, *(forms if plural else forms[::-1]))


def binding(s: Speaker) -> Pair:
    """*The queen thinks that the king admires himself / herself.*"""
    gender = _some_gender(s)
    outer, inner = _gendered(s, OTHER[gender]), _gendered(s, gender)
    verb = s.topic.towards["person"].draw(s.draw)
    s.out += ("the", outer.singular, s.tables.clausal.draw(s.draw).singular, "that", "the", inner.singular)
    if coin(s):
        s.out += (s.tables.where.draw(s.draw), "the", unheard(s, inner, s.topic.places).singular)
    s.out.append(verb.singular)
    return finish(s, REFLEXIVE[gender], REFLEXIVE[OTHER[gender]])


def possessive(s: Speaker) -> Pair:
    """*The king that the queen admires feeds his / her dog.*"""
    gender = _some_gender(s)
    head, between = _gendered(s, gender), _gendered(s, OTHER[gender])
    verb, main = s.topic.towards["person"].draw(s.draw), s.topic.transitive.draw(s.draw)
    s.out += ("the", head.singular, "that", "the", between.singular, verb.singular, main.singular)
    thing = s.topic.by_kind[main.objects[0]].draw(s.draw).singular
    return finish(s, POSSESSIVE[gender], POSSESSIVE[OTHER[gender]], tail=(thing, "."))


def licensing(s: Speaker) -> Pair:
    """*No boy that the girl admires has ever / often slept*; *the boy that no girl admires has often / ever slept*."""
    plural, negative = coin(s), coin(s)
    head = s.topic.persons.draw(s.draw)
    outer = (s.tables.negative if negative else s.tables.positive)[plural].draw(s.draw)
    inner = "no" if (s.draw() < 0.7) != negative else "the"
    verb = s.topic.towards["person"].draw(s.draw)
    s.out += (
        outer,
        noun_form(head, plural),
        "that",
        inner,
        unheard(s, head, s.topic.persons).singular,
        verb.singular,
    )
    s.out.append("have" if plural else "has")
    forms = ("ever", s.tables.positive_adverbs.draw(s.draw))
    tail = (s.topic.intransitive.draw(s.draw).past, ".")
    return finish(s, *(forms if negative else forms[::-1]), tail=tail)


def filler_gap(s: Speaker) -> Pair:
    """*The king knows what / that the girl near the tower found today*; *that / what … found the ring today*."""
    gap = coin(s)
    outer, inner = s.topic.persons.draw(s.draw), s.topic.persons.draw(s.draw)
    verb = s.topic.transitive.draw(s.draw)
    start = ["the", outer.singular, s.tables.wondering.draw(s.draw).singular]
    plural = coin(s)
    rest = ["the", noun_form(inner, plural)]
    if coin(s):
        rest += [s.tables.where.draw(s.draw), "the", unheard(s, inner, s.topic.places).singular]
    rest.append(verb.base if plural else verb.singular)
    if not gap:
        rest += ["the", s.topic.by_kind[verb.objects[0]].draw(s.draw).singular]
    rest += [s.tables.times.draw(s.draw), "."]
    filler = "who" if verb.objects[0] == "person" else "what"
    good, bad = (filler, "that") if gap else ("that", filler)
    return [*start, good, *rest], [*start, bad, *rest]


def selection(s: Speaker) -> Pair:
    """*Which apple / hammer does the king near the tower eat ?*"""
    verb, wrong = s.topic.transitive.draw(s.draw), s.topic.transitive.draw(s.draw)
    while wrong.objects[0] in verb.objects:
        wrong = pick(s.topic.transitive.items, s.draw)
    head = s.topic.persons.draw(s.draw)
    rest = ["does", "the", head.singular]
    if coin(s):
        rest += [s.tables.where.draw(s.draw), "the", unheard(s, head, s.topic.places).singular]
    nouns = [s.topic.by_kind[kind].draw(s.draw) for kind in (verb.objects[0], wrong.objects[0])]
    chosen = verb if coin(s) else wrong
    if chosen is wrong and verb.objects[0] in wrong.objects:
        chosen = verb
    good, bad = nouns if chosen is verb else nouns[::-1]
    rest += [chosen.base, "?"]
    return ["which", good.singular, *rest], ["which", bad.singular, *rest]


def pronoun(s: Speaker) -> Pair:
    """*Mira helps the king . she / he sleeps .*"""
    gender = _some_gender(s)
    name = next(name for name in iter(lambda: s.tables.names.draw(s.draw), None) if name.gender == gender)
    between = _gendered(s, OTHER[gender] if s.draw() < 0.7 else gender)
    verb, main = s.topic.towards["person"].draw(s.draw), s.topic.intransitive.draw(s.draw)
    s.out += (name.text, verb.singular, "the", between.singular, ".")
    return finish(s, PRONOUN[gender], PRONOUN[OTHER[gender]], tail=(main.singular, "."))


def discourse_gender(s: Speaker) -> Pair:
    """*Mira is a baker . Tomo is a poet . the baker will help herself / himself .*"""
    one, other = _mixed_cast(s)
    for person in (one, other) if coin(s) else (other, one):
        tell_role(s, person)
    s.out += ("the", one.role.singular, *_modal_verb(s))
    gender = one.name.gender
    return finish(s, REFLEXIVE[gender], REFLEXIVE[OTHER[gender]])


def _mixed_cast(s: Speaker) -> list[Person]:
    cast = make_cast(s, 2)
    while cast[0].name.gender == cast[1].name.gender:
        cast = make_cast(s, 2)
    return cast


def recall_home(s: Speaker) -> Pair:
    """Who lives where, some sentences later: the answer names the right home or the other's."""
    s.cast = make_cast(s, 2)
    one, other = s.cast if coin(s) else s.cast[::-1]
    for person in s.cast:
        tell_home(s, person)
    _small_talk(s)
    ask_home(s, one)
    return s.out, [*s.out[:-2], other.home.singular, "."]


def recall_role(s: Speaker) -> Pair:
    """Who is what, some sentences later: the answer names the right person or the other."""
    s.cast = make_cast(s, 2)
    one, other = s.cast if coin(s) else s.cast[::-1]
    for person in s.cast:
        tell_role(s, person)
    _small_talk(s)
    ask_role(s, one)
    return s.out, [*s.out[:-2], other.name.text, "."]


def _small_talk(s: Speaker) -> None:
    """A sentence or two in which nobody of the cast occurs."""
    cast, s.cast, s.last = s.cast, [], None
    statement(s)
    if coin(s):
        CONSTRUCTIONS.draw(s.draw)(s)
    s.cast = cast
