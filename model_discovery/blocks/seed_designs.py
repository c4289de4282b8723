"""The human seed designs, read from data: units in ``units/*.py``, designs in ``seeds/*.yaml``.

A unit file holds one unit class. A design file is named like the design and says which unit fills which slot,
by class name::

    title: Transformer++
    papers: ["2302.13971"]
    summary: one sentence
    block: {unit: PreNormBlock, config: {}, slots: {
        mixer_norm: {unit: RMSNorm}, mixer: {unit: RotaryAttention, config: {n_heads: 4}},
        ffn_norm: {unit: RMSNorm}, ffn: {unit: GatedMLP}}}

``config`` and ``slots`` may be left out; a slot that is not named stays empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from model_discovery.blocks.tree_rules import join
from model_discovery.blocks.unit_data import Node, Unit
from model_discovery.blocks.unit_source import parse_unit
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.blocks.written_tree import NodeSpec, read_node
from model_discovery.errors import UserError, nearest, unknown


class DesignSpec(BaseModel):
    """A design file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    papers: tuple[str, ...] = ()
    summary: str
    block: NodeSpec


@dataclass(frozen=True)
class SeedDesign:
    """A human design: its name, title, arXiv ids, one sentence, and its tree."""

    name: str
    title: str
    papers: tuple[str, ...]
    summary: str
    tree: UnitTree


@cache
def seed_units() -> Mapping[str, Unit]:
    """The unit library by class name, in the order of the names. Units are data here: none of them is run."""
    units: dict[str, Unit] = {}
    for file in _files("units", ".py"):
        unit = _read_unit(file)
        if unit.name in units:
            raise UserError(f"Unit '{unit.name}' is in two files, one of them units/{file.name}")
        units[unit.name] = unit
    return MappingProxyType(dict(sorted(units.items())))


@cache
def seed_designs() -> Mapping[str, SeedDesign]:
    """The human designs by name, in the order of the names."""
    return MappingProxyType({design.name: design for design in map(_read_design, _files("seeds", ".yaml"))})


def all_shipped(tree: UnitTree) -> bool:
    """Whether every unit of a tree is one of the library's, to the letter of its source."""
    library = seed_units()
    return all(
        unit.name in library and unit.model_copy(update={"origin": "seed"}) == library[unit.name]
        for unit in tree.units.values()
    )


def get_seed_design(name: str) -> SeedDesign:
    """The seed design of that name; UserError with the nearest one where there is none."""
    designs = seed_designs()
    if name not in designs:
        raise unknown("seed design", name, designs)
    return designs[name]


def tree_from_spec(spec: NodeSpec | Mapping[str, Any], units: Mapping[str, Unit] | None = None) -> UnitTree:
    """The validated tree of a hand-written node; class names are those of ``units`` or the seed units.

    Raises
    ------
    UserError
        Names the path of what is wrong and, for a name that is not known, the nearest one.
    """
    library = seed_units() if units is None else units
    spec = spec if isinstance(spec, NodeSpec) else read_node(spec)
    used: dict[str, Unit] = {}
    root = _node(spec, library, used, "")
    return UnitTree(root=root, units=dict(sorted(used.items()))).validate_tree()


def _node(spec: NodeSpec, library: Mapping[str, Unit], used: dict[str, Unit], path: str) -> Node:
    if spec.unit not in library:
        where = f" at '{path}'" if path else ""
        known = f"known: {', '.join(sorted(library))}"
        raise UserError(f"Unknown unit '{spec.unit}'{where}.{nearest(spec.unit, library)}", hint=known)
    unit = library[spec.unit]
    used[unit.id] = unit
    slots = {
        name: _node(child, library, used, join(path, name))
        for name, child in spec.slots.items()
        if child is not None
    }
    return Node(unit=unit.id, config=spec.config, slots=slots)


def _files(folder: str, suffix: str) -> list[Traversable]:
    entries = resources.files("model_discovery.blocks").joinpath(folder).iterdir()
    chosen = (entry for entry in entries if entry.name.endswith(suffix) and not entry.name.startswith("_"))
    return sorted(chosen, key=lambda entry: entry.name)


def _read_unit(file: Traversable) -> Unit:
    try:
        return parse_unit(file.read_text(encoding="utf-8"), origin="seed")
    except UserError as error:
        raise UserError(f"units/{file.name}: {error.message}", hint=error.hint) from None


def _read_design(file: Traversable) -> SeedDesign:
    name = file.name.removesuffix(".yaml")
    try:
        spec = DesignSpec.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        tree = tree_from_spec(spec.block)
    except yaml.YAMLError as error:
        raise UserError(f"seeds/{file.name}: not YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"seeds/{file.name}: '{where}': {first['msg']}") from None
    except UserError as error:
        raise UserError(f"seeds/{file.name}: {error.message}", hint=error.hint) from None
    return SeedDesign(name, spec.title, spec.papers, spec.summary, tree)
