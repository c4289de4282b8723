"""Documents: a small cast, what is told about it, sentences around it, and questions about it."""

from collections.abc import Callable, Iterator

from model_discovery.verification.grammar.phrases import Person, Speaker
from model_discovery.verification.grammar.sampling import pick
from model_discovery.verification.grammar.sentences import CONSTRUCTIONS

Tell = Callable[[Speaker, Person], None]


def speak(speaker: Speaker) -> Iterator[list[str]]:
    """Documents without end."""
    while True:
        yield document(speaker)


def document(s: Speaker) -> list[str]:
    """One document of about 110 words, which fits a window of 128."""
    draw = s.draw
    s.out = []
    s.choose_favourites()
    s.cast = make_cast(s, 2 + int(draw() * 2))
    s.last = None
    asked = []
    for person in s.cast:
        tell, ask = pick(FACTS, draw)
        tell(s, person)
        asked.append((ask, person))
        s.last = person
        if draw() < 0.6:
            CONSTRUCTIONS.draw(draw)(s)
    for _ in range(4 + int(draw() * 4)):
        CONSTRUCTIONS.draw(draw)(s)
        if asked and draw() < 0.35:
            ask, person = asked.pop(int(draw() * len(asked)))
            ask(s, person)
            s.last = None
    return s.out


def make_cast(s: Speaker, size: int) -> list[Person]:
    """People with different names, roles, homes and things."""
    draw, lexicon = s.draw, s.tables.lexicon
    cast: list[Person] = []
    while len(cast) < size:
        person = Person(
            name=s.tables.names.draw(draw),
            role=s.tables.roles.draw(draw),
            home=s.noun("place"),
            thing=s.noun("thing"),
            colour=pick(lexicon.colours, draw),
        )
        if all(_apart(person, other) for other in cast):
            cast.append(person)
    return cast


def _apart(one: Person, other: Person) -> bool:
    return (
        one.name is not other.name
        and one.role is not other.role
        and one.home is not other.home
        and one.thing is not other.thing
        and one.colour != other.colour
    )


def tell_mood(s: Speaker, person: Person) -> None:
    """*Lady Mira the baker is happy.*"""
    s.name(person)
    s.out += ("the", person.role.singular, "is", s.tables.person_adjectives[0].draw(s.draw), ".")


def ask_role(s: Speaker, person: Person) -> None:
    """*Who is the baker ? Mira.*"""
    s.out += ("who", "is", "the", person.role.singular, "?", person.name.text, ".")


def tell_home(s: Speaker, person: Person) -> None:
    """*Lady Mira the baker lives in the tower.*"""
    s.name(person)
    s.out += ("the", person.role.singular, "lives", "in", "the", person.home.singular, ".")


def ask_home(s: Speaker, person: Person) -> None:
    """*Where does Mira live ? In the tower.*"""
    s.out += ("where", "does", person.name.text, "live", "?", "in", "the", person.home.singular, ".")


def tell_thing(s: Speaker, person: Person) -> None:
    """*Lady Mira the baker owns a red lamp.*"""
    s.name(person)
    s.out += ("the", person.role.singular, "owns", "a", person.colour, person.thing.singular, ".")


def ask_thing(s: Speaker, person: Person) -> None:
    """*What does Mira own ? A red lamp.*"""
    s.out += ("what", "does", person.name.text, "own", "?", "a", person.colour, person.thing.singular, ".")


FACTS: tuple[tuple[Tell, Tell], ...] = ((tell_mood, ask_role), (tell_home, ask_home), (tell_thing, ask_thing))
