"""Recipes over data sets, written as YAML: those in ``shipped_recipes/`` and the reader's own."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from model_discovery.errors import UserError, nearest
from model_discovery.verification.foreign_tokenizers import find_tokenizer
from model_discovery.verification.recipe import Recipe
from model_discovery.verification.sources import HubData, Source, local_source

_SHIPPED = resources.files("model_discovery.verification") / "shipped_recipes"
_HUB_KEYS = tuple(HubData.model_fields)
_RECIPE_KEYS = tuple(
    sorted(Recipe.model_fields.keys() - {"kind", "grammar", "corpus", "hub", "tokenizer_checksum"})
)
_SOURCE_KEYS = tuple(sorted(Source.model_fields.keys() - {"checksum"}))


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that ship as files."""
    return tuple(
        sorted(file.name.removesuffix(".yaml") for file in _SHIPPED.iterdir() if file.name.endswith(".yaml"))
    )


def shipped_recipe(name: str) -> Recipe:
    """One of `shipped_recipes`."""
    file = _SHIPPED / f"{name}.yaml"
    return _parse(file.read_text("utf-8"), f"{name}.yaml", name, Path())


def read_recipe(path: Path) -> Recipe:
    """A recipe of the reader's own; paths in it are relative to its folder.

    Raises
    ------
    UserError
        No such file, not YAML, an unknown key (with the nearest), or a value that does not fit.
    """
    try:
        text = path.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"The recipe {path} cannot be read: {why}.") from error
    return _parse(text, str(path), path.stem, path.expanduser().resolve().parent)


def is_recipe(path: Path) -> bool:
    """Whether a file is a recipe, going by its name and the sources it lists."""
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return False
    return any(line.startswith("sources:") for line in path.read_text("utf-8", errors="replace").splitlines())


def recipe_text(recipe: Recipe) -> str:
    """A recipe over data sets as YAML that `read_recipe` reads back."""
    assert recipe.hub is not None
    values = recipe.model_dump(mode="json", exclude_defaults=True)
    hub = values.pop("hub")
    hub["sources"] = [
        {key: value for key, value in row.items() if key != "checksum"} for row in hub["sources"]
    ]
    rest = {key: value for key, value in values.items() if key in _RECIPE_KEYS}
    return str(yaml.safe_dump(hub | rest, sort_keys=False, allow_unicode=True))


def _parse(text: str, where: str, name: str, folder: Path) -> Recipe:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"The recipe {where} is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"The recipe {where} is no mapping.", hint="keys such as sources: and tokens:")
    _check_keys(values, (*_HUB_KEYS, *_RECIPE_KEYS), where)
    rows = values.get("sources")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"The recipe {where} has no sources.", hint="sources: [{dataset: owner/name}]")
    try:
        values["sources"] = [_source(row, where, folder) for row in rows]
        hub = HubData.model_validate({key: value for key, value in values.items() if key in _HUB_KEYS})
        rest = {key: value for key, value in values.items() if key in _RECIPE_KEYS}
        rest |= _tokenizer(str(rest.get("tokenizer", "bpe")), folder)
        return Recipe.model_validate({"name": name, "tokens": {}, **rest, "kind": "hub", "hub": hub})
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise UserError(f"The recipe {where}: '{place}': {message}.") from None


def _source(row: Mapping[str, Any], where: str, folder: Path) -> Source:
    _check_keys(row, _SOURCE_KEYS, f"{where}, a source")
    dataset = str(row.get("dataset", ""))
    rest = {key: value for key, value in row.items() if key != "dataset"}
    path = folder / Path(dataset).expanduser()
    if dataset.startswith((".", "/", "~")) or (folder != Path() and dataset and path.exists()):
        return local_source(path, **rest)
    return Source.model_validate(dict(row))


def _tokenizer(name: str, folder: Path) -> dict[str, str]:
    if name in ("bpe", "word"):
        return {"tokenizer": name}
    path = folder / Path(name).expanduser()
    found, checksum = find_tokenizer(str(path) if path.exists() or name.startswith(".") else name)
    return {"tokenizer": found, "tokenizer_checksum": checksum}


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            raise UserError(
                f"The recipe {where}: unknown key '{key}'.{nearest(str(key), known)}",
                hint=f"known there: {', '.join(known)}",
            )
