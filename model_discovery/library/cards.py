"""Cards: papers that ship with the package, one YAML file each, told in words of our own.

A card is named like its file. Its ideas are meant for whoever designs an architecture: the mechanism, why
it helps, what it costs, where it fails.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model_discovery.errors import UserError, nearest
from model_discovery.library.types import Paper, Passage
from model_discovery.shipped import shipped_folder

_HINTS = {
    "arxiv": 'such as "2307.08620"; without the quotes its last zero would be lost',
    "id": "it is the name of the file: small letters, digits and '_'",
}


class Card(BaseModel):
    """A paper in words of our own.

    Attributes
    ----------
    authors
        Given name first. Of long lists the first ones, then ``others``.
    year
        Of the first version.
    builds_on
        Ids of cards whose ideas it takes up.
    implemented_by
        Class names of shipped units whose docstrings cite it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    title: str
    authors: tuple[str, ...] = Field(min_length=1)
    year: int = Field(ge=1940, le=2100)
    venue: str = ""
    arxiv: str = Field("", pattern=r"^(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})?$")
    doi: str = Field("", pattern=r"^(10\.\S+)?$")
    tags: tuple[str, ...] = Field(min_length=1)
    builds_on: tuple[str, ...] = ()
    implemented_by: tuple[str, ...] = ()
    idea: str
    equations: str = ""

    def paper(self) -> Paper:
        """The card as the library lists it."""
        return Paper(source="cards", **self.model_dump(exclude={"idea", "equations"}))

    def passages(self) -> list[Passage]:
        """What is searched: the idea, and the equations where there are any."""
        found = [Passage(section="idea", text=self.idea)]
        if self.equations:
            found.append(Passage(section="equations", text=self.equations))
        return found


def load_cards(folder: Path | None = None) -> dict[str, Card]:
    """All cards of a folder by id, in the order of their ids; the shipped ones unless told.

    Raises
    ------
    UserError
        A file that is not YAML, a key or value that does not fit, or a ``builds_on`` that names no card;
        with the file and the line.
    """
    folder = shipped_folder("library/papers") if folder is None else folder
    files = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    cards = {name: _read_card(file) for name, file in files.items()}
    for name, card in cards.items():
        for other in card.builds_on:
            if other not in cards:
                where = _line(files[name].read_text("utf-8"), "builds_on")
                raise UserError(f"{files[name]}{where}: there is no card '{other}'.{nearest(other, cards)}")
    return cards


def _read_card(file: Path) -> Card:
    try:
        text = file.read_text("utf-8")
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: not a readable YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise UserError(f"{file}: a card is a mapping.", hint="keys such as title: and idea:")
    if "id" in data:
        raise UserError(f"{file}{_line(text, 'id')}: a card's id is the name of its file.", hint="drop id:")
    try:
        return Card.model_validate({"id": file.stem, **_stripped(data)})
    except ValidationError as error:
        raise _explain(file, text, error) from None


def _stripped(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value.strip() if isinstance(value, str) else value for key, value in data.items()}


def _explain(file: Path, text: str, error: ValidationError) -> UserError:
    first = error.errors()[0]
    key = str(first["loc"][0])
    extra = first["type"] == "extra_forbidden"
    near = nearest(key, Card.model_fields) if extra else ""
    return UserError(f"{file}{_line(text, key)}: '{key}': {first['msg']}.{near}", hint=_HINTS.get(key, ""))


def _line(text: str, key: str) -> str:
    """``", line 7"`` where a key of a card begins; nothing where it is not written."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(f"{key}:"):
            return f", line {number}"
    return ""
