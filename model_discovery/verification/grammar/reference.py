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
from model_discovery.verification.grammar.documents import make_cast, tell_mood
from model_discovery.verification.grammar.lexicon import FEMININE, MASCULINE, Noun
from model_discovery.verification.grammar.phrases import (
    OBJECT_PRONOUN,
    POSSESSIVE,
    PRONOUN,
    REFLEXIVE,
    TITLE,
    Speaker,
)
from model_discovery.verification.grammar.sampling import pick

OTHER = {MASCULINE: FEMININE, FEMININE: MASCULINE}


def _gendered(s: Speaker, gender: str) -> Noun:
    noun = s.noun("person")
    while noun.gender != gender:
        noun = s.noun("person")
    return noun


def _some_gender(s: Speaker) -> str:
    return MASCULINE if coin(s) else FEMININE


def _modal_verb(s: Speaker) -> tuple[str, str]:
    return s.tables.modals.draw(s.draw), s.tables.towards["person"].draw(s.draw).base


def _individual(s: Speaker, gender: str) -> tuple[str, ...]:
    """*lady Mira*, *Mira* or *the queen*."""
    chance = s.draw()
    if chance < 0.4:
        return ("the", _gendered(s, gender).singular)
    name = s.tables.names.draw(s.draw)
    while name.gender != gender:
        name = s.tables.names.draw(s.draw)
    return (TITLE[gender], name.text) if chance < 0.7 else (name.text,)


def reflexive_gender(s: Speaker) -> Pair:
    """*Lord Tomo near the queen will admire himself / herself.*"""
    gender = _some_gender(s)
    s.out += _individual(s, gender)
    if s.draw() < 0.7:
        between = _gendered(s, OTHER[gender] if s.draw() < 0.7 else gender).singular
        s.out += (s.tables.where.draw(s.draw), "the", between)
    s.out += _modal_verb(s)
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
    """*The queen thinks that lord Tomo admires himself / herself*; *… admires her / him*."""
    gender = _some_gender(s)
    verb = s.tables.towards["person"].draw(s.draw)
    s.out += (*_individual(s, OTHER[gender]), s.tables.clausal.draw(s.draw).singular, "that")
    s.out += (*_individual(s, gender), verb.singular)
    if s.draw() < 0.8:
        return finish(s, REFLEXIVE[gender], REFLEXIVE[OTHER[gender]])
    return finish(s, OBJECT_PRONOUN[OTHER[gender]], OBJECT_PRONOUN[gender])


def licensing(s: Speaker) -> Pair:
    """*No boy near the tower has ever / often slept*; *the boy that no girl admires has often / ever …*."""
    plural, negative = coin(s), coin(s)
    head = s.noun("person")
    s.out.append((s.tables.negative if negative else s.tables.positive)[plural].draw(s.draw))
    s.out.append(noun_form(head, plural))
    if coin(s):
        inner = "no" if (s.draw() < 0.7) != negative else "the"
        verb = s.tables.towards["person"].draw(s.draw)
        s.out += ("that", inner, unheard(s, head, "person").singular, verb.singular)
    elif coin(s):
        attractor(s, head, plural)
    s.out.append("have" if plural else "has")
    forms = ("ever", s.tables.positive_adverbs.draw(s.draw))
    tail = (s.tables.intransitive.draw(s.draw).past, ".")
    return finish(s, *(forms if negative else forms[::-1]), tail=tail)


def filler_gap(s: Speaker) -> Pair:
    """*The king knows what / that the girl finds today*; *that / what the girl finds the ring today*."""
    gap = coin(s)
    outer, inner = s.noun("person"), s.noun("person")
    verb = s.tables.transitive.draw(s.draw)
    start = ["the", outer.singular, s.tables.wondering.draw(s.draw).singular]
    plural = coin(s)
    rest = ["the", noun_form(inner, plural)]
    if coin(s):
        rest += [s.tables.where.draw(s.draw), "the", unheard(s, inner, "place").singular]
    rest.append(verb.base if plural else verb.singular)
    if not gap:
        rest += ["the", s.noun(verb.objects[0]).singular]
    rest += [s.tables.times.draw(s.draw), "."]
    filler = "who" if verb.objects[0] == "person" else "what"
    good, bad = (filler, "that") if gap else ("that", filler)
    return [*start, good, *rest], [*start, bad, *rest]


def selection(s: Speaker) -> Pair:
    """*Which apple / hammer does the king near the tower eat ?*"""
    verb, wrong = s.tables.transitive.draw(s.draw), s.tables.transitive.draw(s.draw)
    while wrong.objects[0] in verb.objects:
        wrong = pick(s.tables.transitive.items, s.draw)
    head = s.noun("person")
    rest = ["does", "the", head.singular]
    if coin(s):
        rest += [s.tables.where.draw(s.draw), "the", unheard(s, head, "place").singular]
    nouns = [s.noun(kind) for kind in (verb.objects[0], wrong.objects[0])]
    chosen = verb if coin(s) else wrong
    if chosen is wrong and verb.objects[0] in wrong.objects:
        chosen = verb
    good, bad = nouns if chosen is verb else nouns[::-1]
    rest += [chosen.base, "?"]
    return ["which", good.singular, *rest], ["which", bad.singular, *rest]


def pronoun(s: Speaker) -> Pair:
    """*Lady Mira helps the king because she / he is tired*; *lady Mira near the king feeds her / his dog*."""
    gender = _some_gender(s)
    between = _gendered(s, OTHER[gender] if s.draw() < 0.7 else gender).singular
    s.out += _individual(s, gender)
    if coin(s):
        verb, main = s.tables.towards["person"].draw(s.draw), s.tables.intransitive.draw(s.draw)
        s.out += (verb.singular, "the", between, s.tables.joiners.draw(s.draw))
        return finish(s, PRONOUN[gender], PRONOUN[OTHER[gender]], tail=(main.singular, "."))
    main = s.tables.transitive.draw(s.draw)
    s.out += (s.tables.where.draw(s.draw), "the", between, main.singular)
    thing = s.noun(main.objects[0]).singular
    return finish(s, POSSESSIVE[gender], POSSESSIVE[OTHER[gender]], tail=(thing, "."))


def recall_repeated(s: Speaker) -> Pair:
    """*Mira helps Tomo and Tomo helps Mira / Befo.*"""
    one, other, stranger = make_cast(s, 3)
    verb = s.tables.towards["person"].draw(s.draw).singular
    s.out += (one.name.text, verb, other.name.text, "and")
    if coin(s):
        return finish(s, other.name.text, stranger.name.text, tail=(verb, one.name.text, "."))
    s.out += (other.name.text, verb)
    return finish(s, one.name.text, stranger.name.text)


def recall_answer(s: Speaker) -> Pair:
    """*Mira the baker is happy . Tomo the poet is rude . who is the baker ? Mira / Tomo*, or a stranger."""
    mira, tomo, stranger = make_cast(s, 3)
    for person in (mira, tomo) if coin(s) else (tomo, mira):
        tell_mood(s, person)
    if coin(s):
        s.predicate(s.noun_phrase("person", 0), 0)
        s.out.append(".")
    s.out += ("who", "is", "the", mira.role.singular, "?")
    return finish(s, mira.name.text, (tomo if coin(s) else stranger).name.text)
