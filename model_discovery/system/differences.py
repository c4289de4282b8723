"""Two designs side by side: slot by slot, and line by line of their code."""

import difflib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError
from model_discovery.system import views
from model_discovery.system.designs import find_design, find_folder
from model_discovery.system.progress import make_console, program
from model_discovery.system.views import Facts

if TYPE_CHECKING:
    from rich.text import Text

    from model_discovery.blocks import Unit, UnitTree


def in_tree(db: str, campaign: str | None, name: str, other: str | None) -> Facts:
    """What differs between two designs of a campaign; ``other`` is the first parent unless told."""
    from model_discovery.blocks import UnitTree

    with views.open_campaign(db, campaign) as (tree, row):
        assert row is not None
        found = views.find(tree, row, name)
        if other is None:
            if not found.parents:
                raise UserError(f"{name} has no parent to compare with.", hint="name another design")
            other = found.parents[0].name
        second = UnitTree.model_validate(tree.unit_tree(found.id))
        first = UnitTree.model_validate(tree.unit_tree(views.find(tree, row, other).id))
    return compare(other, first, name, second)


def of_any(db: str, campaign: str | None, design: str, other: str | None) -> Facts:
    """What differs between two designs of any kind; a folder says in ``design.yaml`` what its parent is."""
    if other is None:
        folder = find_folder(design, campaign)
        if folder is None:
            return in_tree(db, campaign, design, None)
        other = folder.parent
        if other is None:
            raise UserError(
                f"{design} names no parent to compare with.",
                hint="name a design, or write parent: into its design.yaml",
            )
    name, second = find_design(design, db=db, campaign=campaign)
    first_name, first = find_design(other, db=db, campaign=campaign)
    return compare(first_name, first, name, second)


def compare(first_name: str, first: "UnitTree", name: str, second: "UnitTree") -> Facts:
    """By slot: ``reused``, ``changed``, ``new``, ``gone``; ``code``: unified diffs of the units' sources."""
    changes = first.diff(second)
    units = [{path: _unit(node, unit) for path, node, unit in tree.walk()} for tree in (first, second)]
    slots = {
        kind: [
            {
                "slot": path or "(block)",
                "from": units[0].get(path),
                "to": units[1].get(path),
                "values": _values(first, second, path) if kind == "changed" else {},
            }
            for path in paths
        ]
        for kind, paths in vars(changes).items()
    }
    return {"from": first_name, "to": name, **slots, "code": list(_code(first, second))}


def _unit(node: Any, unit: "Unit") -> Facts:
    return {"unit": unit.name, "config": dict(node.config)}


def _values(first: "UnitTree", second: "UnitTree", path: str) -> Facts:
    """Hyper-parameters that differ where both trees have a unit of one name, defaults included."""
    if first.unit(path).name != second.unit(path).name:
        return {}
    old, new = first.config(path), second.config(path)
    return {
        name: {"from": old.get(name), "to": new.get(name)}
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    }


def _code(first: "UnitTree", second: "UnitTree") -> Iterator[Facts]:
    """Every unit of one name with other sources; every pair of units that took turns in a slot; the rest of
    what is new or gone.
    """
    before = {unit.name: unit for _, _, unit in first.walk()}
    after = {unit.name: unit for _, _, unit in second.walk()}
    paths: dict[str, dict[str, None]] = {}
    for tree in (first, second):
        for path, _, unit in tree.walk():
            paths.setdefault(unit.name, {})[path or "(block)"] = None
    left, came = (
        {name for name in one if name not in other} for one, other in ((before, after), (after, before))
    )
    for name in before:
        if name in after and before[name].source != after[name].source:
            yield _difference(paths[name], before[name], after[name])
    for path in first.diff(second).changed:
        old, new = first.unit(path), second.unit(path)
        if old.name in left and new.name in came:
            left.discard(old.name)
            came.discard(new.name)
            yield _difference([path or "(block)"], old, new)
    yield from (_difference(paths[name], before[name], None) for name in before if name in left)
    yield from (_difference(paths[name], None, after[name]) for name in after if name in came)


def _difference(paths: Iterable[str], old: "Unit | None", new: "Unit | None") -> Facts:
    before, after = (unit.source.splitlines() if unit else [] for unit in (old, new))
    first = f"from/{old.name}" if old else "nothing"
    second = f"to/{new.name}" if new else "nothing"
    lines = difflib.unified_diff(before, after, first, second, lineterm="")
    return {
        "slot": ", ".join(paths),
        "from": old.name if old else None,
        "to": new.name if new else None,
        "library": all(unit is None or _is_of_library(unit) for unit in (old, new)),
        "diff": "\n".join(lines),
    }


def _is_of_library(unit: "Unit") -> bool:
    from model_discovery.blocks import seed_units

    known = seed_units().get(unit.name)
    return known is not None and known.source == unit.source


# -- printing

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def print_difference(facts: Facts) -> None:
    """Slots, then code; coloured on a terminal. A unit of the library that only came or went is named."""
    from rich.markup import escape

    console = make_console()
    console.print(f"[bold]{escape(facts['from'])} -> {escape(facts['to'])}[/bold]")
    colours = {"changed": "yellow", "new": "green", "gone": "red"}
    for kind, colour in colours.items():
        for change in facts[kind]:
            words = escape(_change(change))
            console.print(f"  [{colour}]{kind:8}[/{colour}] {change['slot']}: {words}", soft_wrap=True)
    console.print(f"  reused   {len(facts['reused'])} units")
    for code in facts["code"]:
        if code["library"] and None in (code["from"], code["to"]):
            name, word = (code["to"], "new") if code["from"] is None else (code["from"], "gone")
            console.print(
                f"\n{word}: {name}, of the library ({program()} blocks show {name} --source)",
                soft_wrap=True,
            )
            continue
        before, after = code["from"] or "nothing", code["to"] or "nothing"
        names = before if before == after else f"{before} -> {after}"
        console.print(f"\n[bold]{code['slot']}[/bold]: {names}", soft_wrap=True)
        for line in code["diff"].splitlines():
            console.print(diff_line(line), soft_wrap=True)


def diff_line(line: str) -> "Text":
    """A line of a unified diff in its colour."""
    from rich.text import Text

    style = "bold" if line.startswith(("+++ ", "--- ")) else _STYLES.get(line[:1], "")
    return Text(line, style=style)


def _change(change: Facts) -> str:
    """``Retention -> Mamba2(state=44)``; of one unit, the values that differ."""
    before, after = change["from"], change["to"]
    if before is None or after is None or before["unit"] != after["unit"]:
        return f"{_words(before)} -> {_words(after)}"
    values = [f"{name} {value['from']} -> {value['to']}" for name, value in change["values"].items()]
    return f"{after['unit']}: {', '.join(values) or 'another source'}"


def _words(unit: Facts | None) -> str:
    if unit is None:
        return "nothing"
    config = ", ".join(f"{name}={value}" for name, value in unit["config"].items())
    return f"{unit['unit']}({config})" if config else str(unit["unit"])
