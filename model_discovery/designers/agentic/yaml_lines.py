"""YAML files whose values know their lines, so that a mistake can be shown where it stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model_discovery.errors import UserError

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Lines:
    """Lines of a file, from 1: of every key, and of the first line of text of every value."""

    keys: dict[Place, int]
    texts: dict[Place, int]

    def of(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it that the file has."""
        return self.keys.get(self.known(place), 1)

    def of_text(self, place: Place) -> int:
        """The line where the value at a place begins; of a block (``|``), its first line of text."""
        return self.texts.get(place) or self.of(place)

    def known(self, place: Place) -> Place:
        """The part of a place that stands in the file; names of types in between are skipped."""
        found: Place = ()
        for part in place:
            if (*found, part) in self.keys:
                found = (*found, part)
        return found


def load_yaml(file: Path) -> tuple[Any, Lines]:
    """Data of a YAML file, and its lines.

    Raises
    ------
    UserError
        The file cannot be read, or is not YAML; names the line.
    """
    try:
        text = file.read_text("utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text.") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{file}{line}: not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not YAML: {error}.") from None
    entries = list(_entries(root, (), 1)) if root is not None else []
    return data, Lines({place: key for place, key, _ in entries}, {place: text for place, _, text in entries})


def _entries(node: yaml.Node, place: Place, key: int) -> Iterator[tuple[Place, int, int]]:
    block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    yield place, key, node.start_mark.line + 1 + block
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _entries(value, (*place, str(name.value)), name.start_mark.line + 1)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _entries(value, (*place, number), value.start_mark.line + 1)
