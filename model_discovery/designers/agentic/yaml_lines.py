"""YAML files whose values know their lines, so that a mistake can be shown where it stands."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from model_discovery.errors import UserError

Place = tuple[str | int, ...]


def load_yaml(file: Path) -> tuple[Any, dict[Place, int]]:
    """Data of a YAML file, and the line of every key and value in it, from 1.

    For a value written as a block (``|``), the line of its first line of text; an unknown key has the line of
    the key.

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
    return data, dict(_lines(root, ())) if root is not None else {}


def _lines(node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    yield place, node.start_mark.line + 1 + block
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*place, str(key.value))
            yield from _lines(value, below)
            if not isinstance(value, yaml.ScalarNode):
                yield below, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _lines(value, (*place, number))


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """The line of a place, or of the nearest one around it that the file has."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)
