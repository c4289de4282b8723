"""The rules a tree has to follow, checked without torch; every error names the path."""

from collections.abc import Iterable

from model_discovery.blocks.unit_data import RESERVED_VARIABLES, Node, Scalar, Unit, accepts
from model_discovery.blocks.unit_source import parse_unit
from model_discovery.errors import UserError, nearest


def place(path: str) -> str:
    """How a path is called in a message."""
    return f"'{path}'" if path else "the root"


def join(path: str, slot: str) -> str:
    """The path of a child."""
    return f"{path}.{slot}" if path else slot


def find_unit(units: dict[str, Unit], node: Node, path: str) -> Unit:
    """The unit of a node, by id."""
    if node.unit in units:
        return units[node.unit]
    raise UserError(f"Unknown unit '{node.unit}' at {place(path)}.{nearest(node.unit, units)}")


def check_slots(unit: Unit, names: Iterable[str], path: str) -> None:
    """Every slot used is one that the unit declares."""
    for name in names:
        if name not in unit.slots:
            raise UserError(
                f"{unit.name} at {place(path)} has no slot '{name}'.{nearest(name, unit.slots)}",
                hint=f"its slots: {', '.join(unit.slots) or 'none'}",
            )


def check_config(unit: Unit, config: dict[str, Scalar], path: str) -> None:
    """Every config key is a field of the unit, its value of the right kind and within range."""
    for name, value in config.items():
        field = unit.fields.get(name)
        if field is None:
            raise UserError(
                f"{unit.name} at {place(path)} has no config field '{name}'.{nearest(name, unit.fields)}",
                hint=f"its fields: {', '.join(unit.fields) or 'none'}",
            )
        if problem := field.problem(value):
            raise UserError(f"Config '{join(path, name)}' of {unit.name} = {value!r} {problem}")


def check_role(parent: Unit, slot: str, child: Unit, path: str) -> None:
    """The child's role is one that the slot accepts."""
    wanted = parent.slots[slot].role
    if not accepts(wanted, child.role):
        raise UserError(
            f"{child.name} at {place(path)} is a {child.role}, the slot of {parent.name} asks for a {wanted}"
        )


def check_unit(unit_id: str, unit: Unit) -> None:
    """What the table says of a unit is what its source says."""
    read = parse_unit(unit.source, unit.origin)
    if unit_id != unit.id or read != unit:
        wrong = next((name for name in Unit.model_fields if getattr(read, name) != getattr(unit, name)), "id")
        raise UserError(
            f"Unit '{unit_id}' does not match its source in '{wrong}'.",
            hint="make units with parse_unit(source)",
        )


def check_wants(unit: Unit, slot: str, written: set[str], path: str) -> None:
    """The child's subtree writes the side variables that its slot asks for."""
    missing = [name for name in unit.slots[slot].wants if name not in written]
    if missing:
        raise UserError(
            f"Nothing at {place(path)} writes '{missing[0]}', which the slot of {unit.name} wants"
        )


def check_reads(entries: Iterable[tuple[str, Unit]], written: set[str]) -> None:
    """Every side variable that a unit needs is written by some unit of the tree, or provided by the model."""
    available = written | {RESERVED_VARIABLES[0]}
    for path, unit in entries:
        for name in unit.required_reads:
            if name not in available:
                raise UserError(
                    f"{unit.name} at {place(path)} reads '{name}', which no unit of the tree writes.",
                    hint="a leading '?' in reads marks a variable that may be missing",
                )
