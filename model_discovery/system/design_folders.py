"""Designs that people make: a folder to edit, and its way into the design tree."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.config import SandboxLevel
from model_discovery.errors import UserError
from model_discovery.system import adding, views
from model_discovery.system.check import print_check
from model_discovery.system.designs import find_design
from model_discovery.system.progress import make_console, program
from model_discovery.system.views import Facts

if TYPE_CHECKING:
    from model_discovery.blocks import UnitTree
    from model_discovery.checks import CheckReport


def create(name: str, source: str, *, force: bool, campaign: str | None, db: str) -> Path:
    """Write the folder ``NAME`` with the design ``source`` to start from.

    Parameters
    ----------
    name
        Of the new design; the folder is made here.
    source
        A recipe, a design of the tree, a design folder or a JSON file.
    """
    from model_discovery.blocks.design_folder import check_name, write_design_folder

    check_name(name)
    found, tree = find_design(source, db=db, campaign=campaign)
    words = _words(tree, found)
    title = words.title if words else found
    return write_design_folder(
        Path(name),
        tree,
        title=f"{title}, changed",
        papers=words.papers if words else (),
        parent=None if source.endswith(".json") else found,
        force=force,
    )


def _words(tree: "UnitTree", name: str) -> Any:
    """The recipe that a tree is, for its words."""
    from model_discovery.blocks.seed_designs import seed_designs

    recipe = seed_designs().get(name)
    return recipe if recipe is not None and recipe.tree.structure_hash == tree.structure_hash else None


def add(
    path: Path,
    *,
    parent: str | None,
    campaign: str | None,
    db: str,
    level: SandboxLevel,
) -> "tuple[Facts, CheckReport]":
    """Check the design of a folder and bring it into a campaign as an external one.

    Returns
    -------
    tuple
        What was added, without ``design`` where the checks refused it; and their report.

    Raises
    ------
    UserError
        No folder, tree, campaign or parent; a campaign at work; a structure or name that is there already.
    """
    from model_discovery.blocks.design_folder import read_design_folder
    from model_discovery.designers import Answer

    folder = read_design_folder(path)
    if empty := folder.tree.unfilled():
        raise UserError(f"{path}: nothing fills '{empty[0]}'.", hint="a design that is added is whole")
    parent = parent or folder.parent
    if parent == folder.name:
        raise UserError(
            f"The design '{parent}' names itself as its parent.", hint="--parent NAME names another"
        )
    answer = Answer(
        title=folder.title,
        summary=folder.summary or folder.title,
        papers=folder.papers,
        unit_tree=folder.tree.to_json(),
    )
    with views.open_campaign(db, campaign) as (tree, row):
        assert row is not None
        with tree.campaign_lock(row.name):
            parents = (parent,) if parent else ()
            facts, report = adding.enter(
                tree, row, answer, name=folder.name, parents=parents, level=level, edited=True
            )
    return ({**facts, "parent": parent} if facts else {}), report


def print_added(path: Path, facts: Facts, report: "CheckReport", db: str) -> None:
    """What was added and how to go on, or why it was refused; ``db`` are the words that name the tree."""
    console = make_console()
    print_check(path, report)
    if not facts:
        return
    parent = f", child of {facts['parent']}" if facts["parent"] else ""
    console.print(
        f"[bold]{facts['design']}[/bold] is in campaign {facts['campaign']}{parent}: {facts['next']}",
        soft_wrap=True,
    )
    name, words = facts["design"], f" -c {facts['campaign']}{db}"
    console.print(f"look:    {program()} tree show {name}{words}", soft_wrap=True)
    console.print(f"compare: {program()} tree diff {name}{words}", soft_wrap=True)
    console.print(f"go on:   {program()} discover --resume {facts['campaign']}{db}", soft_wrap=True)
    console.print(f"or run:  {program()} verify {name}{words}", soft_wrap=True)
