"""Documents: a small cast, what is told about it, sentences on one topic, and questions that need what was told."""

from collections.abc import Callable, Iterator

from model_discovery.verification.grammar.phrases import Person, Speaker
from model_discovery.verification.grammar.sampling import Weighted, pick, shuffled
from model_discovery.verification.grammar.sentences import CONSTRUCTIONS

Tell = Callable[[Speaker, Person], None]
HELD_OUT_HOMES = 5


def speak(speaker: Speaker) -> Iterator[list[str]]:
    """Documents without end."""
    while True:
        yield document(speaker)


def document(s: Speaker) -> list[str]:
    """One document of about 90 words."""
    draw = s.draw
    s.out = []
    s.topic = pick(s.tables.topics, draw)
    s.cast = make_cast(s, 2 + int(draw() * 2))
    s.last = None
    told = [(tell, ask, person) for person in s.cast for tell, ask in FACTS if draw() < 0.7]
    told = shuffled(told, draw)
    asked = []
    for tell, ask, person in told:
        tell(s, person)
        asked.append((ask, person))
        s.last = person
        if draw() < 0.3:
            CONSTRUCTIONS.draw(draw)(s)
    for _ in range(3 + int(draw() * 4)):
        CONSTRUCTIONS.draw(draw)(s)
        if asked and draw() < 0.35:
            ask, person = asked.pop(int(draw() * len(asked)))
            ask(s, person)
            s.last = None
    return s.out


def make_cast(s: Speaker, size: int) -> list[Person]:
    """People with different names, roles, homes and things."""
    draw, lexicon = s.draw, s.tables.lexicon
    roles = Weighted([noun for noun in lexicon.persons if noun.gender == "e"])
    cast: list[Person] = []
    while len(cast) < size:
        person = Person(
            name=s.tables.names.draw(draw),
            role=roles.draw(draw),
            home=s.topic.places.draw(draw),
            thing=s.topic.things.draw(draw),
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


def tell_role(s: Speaker, person: Person) -> None:
    """*Mira is a baker.*"""
    s.out += (person.name.text, "is", "a", person.role.singular, ".")


def ask_role(s: Speaker, person: Person) -> None:
    """*Who is the baker ? Mira.*"""
    s.out += ("who", "is", "the", person.role.singular, "?", person.name.text, ".")


def tell_home(s: Speaker, person: Person) -> None:
    """*Mira lives in the tower.*"""
    s.out += (person.name.text, "lives", "in", "the", person.home.singular, ".")


def ask_home(s: Speaker, person: Person) -> None:
    """*Where does Mira live ? In the tower.*"""
    s.out += ("where", "does", person.name.text, "live", "?", "in", "the", person.home.singular, ".")


def tell_thing(s: Speaker, person: Person) -> None:
    """*Mira owns a red lamp.*"""
    s.out += (person.name.text, "owns", "a", person.colour, person.thing.singular, ".")


def ask_thing(s: Speaker, person: Person) -> None:
    """*What does Mira own ? A red lamp.*"""
    s.out += ("what", "does", person.name.text, "own", "?", "a", person.colour, person.thing.singular, ".")


FACTS: tuple[tuple[Tell, Tell], ...] = ((tell_role, ask_role), (tell_home, ask_home), (tell_thing, ask_thing))
