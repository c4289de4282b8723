"""Presets, ``--set path=value`` and the errors of both."""

from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from model_discovery.config.campaign import CampaignConfig
from model_discovery.errors import UserError, nearest, unknown


def presets() -> tuple[str, ...]:
    """Names of the presets that ship with the package."""
    folder = resources.files("model_discovery.config") / "presets"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


def load_config(preset: str = "demo", overrides: Iterable[str] = (), **fields: Any) -> CampaignConfig:
    """A campaign's configuration from a preset, keyword fields, then ``path=value`` overrides.

    Parameters
    ----------
    preset
        One of `presets`.
    overrides
        Assignments such as ``"budget.designs=20"``; values are read as YAML.
    fields
        Top-level fields; ``None`` leaves the preset's value.

    Raises
    ------
    UserError
        An unknown preset or key (with the nearest name), or a value out of range (with its path).
    """
    if preset not in presets():
        raise unknown("preset", preset, presets())
    text = (resources.files("model_discovery.config") / "presets" / f"{preset}.yaml").read_text("utf-8")
    values: dict[str, Any] = {"preset": preset, **yaml.safe_load(text)}
    values.update({name: value for name, value in fields.items() if value is not None})
    for assignment in overrides:
        _assign(values, assignment)
    return parse_config(values)


def parse_config(values: Mapping[str, Any]) -> CampaignConfig:
    """`CampaignConfig` from plain data, with errors that name the path."""
    try:
        return CampaignConfig.model_validate(dict(values))
    except ValidationError as error:
        raise _explain(error) from None


def _assign(values: dict[str, Any], assignment: str) -> None:
    path, equals, text = assignment.partition("=")
    if not equals or not path.strip():
        raise UserError(
            f"--set '{assignment}' is not path=value.", hint="for example --set budget.designs=20"
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"The value in --set '{assignment}' is not YAML.", hint="quote it") from None
    keys = _split(path.strip())
    node = values
    for key in keys[:-1]:
        child = node.get(key)
        node[key] = child = dict(child) if isinstance(child, Mapping) else {}
        node = child
    node[keys[-1]] = value


def _split(path: str) -> list[str]:
    """Keys of a path; scale names hold a dot themselves: ``budget.runs.0.1M`` has three keys."""
    keys: list[str] = []
    for part in path.split("."):
        if keys and keys[-1].isdigit() and part[-1:] == "M":
            keys[-1] += f".{part}"
        else:
            keys.append(part)
    return keys


def _explain(error: ValidationError) -> UserError:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        options = _fields_at(problem["loc"][:-1])
        suggestion = nearest(str(problem["loc"][-1]), options)
        return UserError(
            f"Unknown key '{where}'.{suggestion}", hint=f"known there: {', '.join(sorted(options))}"
        )
    if problem["type"] == "missing":
        return UserError(f"'{where}' is missing.", hint="give it with --set or choose a preset that has it")
    got = f", not {problem['input']!r}" if not isinstance(problem["input"], dict | list) else ""
    message = problem["msg"].removeprefix("Value error, ")
    return UserError(f"'{where}': {message[:1].lower()}{message[1:]}{got}.")


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = CampaignConfig
    for part in location:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
