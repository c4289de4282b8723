"""A design in words: what changed against its parent, in which slot, and from which paper."""

from dataclasses import dataclass

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.design_tree import DesignTree, UnknownRow
from model_discovery.evolution.state import CampaignState, Design


@dataclass(frozen=True)
class Change:
    """One slot that differs from the parent; ``""`` is the block itself.

    ``before`` and ``after`` name unit and values, None where there is nothing; ``papers`` are the arXiv ids
    that the new unit cites.
    """

    slot: str
    before: str | None
    after: str | None
    papers: tuple[str, ...]

    def __str__(self) -> str:
        source = f" (arXiv {', '.join(self.papers)})" if self.papers else ""
        where = f"slot {self.slot}" if self.slot else "the block itself"
        if self.before is None:
            return f"{where}: new, {self.after}{source}"
        if self.after is None:
            return f"{where}: {self.before} is gone"
        return f"{where}: {self.before} became {self.after}{source}"


@dataclass(frozen=True)
class Description:
    """A design in words.

    Attributes
    ----------
    line
        Names from the human design to this one, along first parents.
    changes
        Against the first parent; empty for a design without one.
    papers
        That the whole design rests on.
    """

    design: str
    operator: str | None
    line: tuple[str, ...]
    parents: tuple[str, ...]
    summary: str
    changes: tuple[Change, ...]
    papers: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.design}: {self._origin()}."]
        if self.summary:
            lines.append(self.summary)
        if self.changes:
            lines.append(f"Against {self.parents[0]}:")
            lines.extend(f"  {change}" for change in self.changes)
        if len(self.line) > 2:
            lines.append(f"Line: {' > '.join(self.line)}")
        if self.papers:
            lines.append(f"Rests on arXiv {', '.join(self.papers)}.")
        return "\n".join(lines)

    def _origin(self) -> str:
        if self.operator is None:
            return "a human design"
        if not self.parents:
            return "made from scratch"
        return f"a {self.operator} of {' and '.join(self.parents)}"


def describe_design(tree: DesignTree, state: CampaignState, name: str) -> Description:
    """Describe a design of a campaign."""
    design = state.designs[state.index[name]]
    unit_tree = UnitTree.model_validate(tree.unit_tree(design.id))
    parents = tuple(state.designs[parent].name for parent in design.parents)
    changes: tuple[Change, ...] = ()
    if design.parents:
        before = UnitTree.model_validate(tree.unit_tree(state.designs[design.parents[0]].id))
        changes = changes_between(before, unit_tree)
    papers = dict.fromkeys(paper for _, _, unit in unit_tree.walk() for paper in unit.papers)
    return Description(
        design=name, operator=design.operator, line=_line(state, design), parents=parents,
        summary=_summary(tree, design), changes=changes, papers=tuple(papers),
    )  # fmt: skip


def changes_between(before: UnitTree, after: UnitTree) -> tuple[Change, ...]:
    """Every slot that differs, parents first; of what is new or gone, only the topmost."""
    diff = before.diff(after)
    old, new = _words_by_path(before), _words_by_path(after)
    papers = {path: unit.papers for path, _, unit in after.walk()}
    shown: list[Change] = []
    for path in [*diff.changed, *diff.new, *diff.gone]:
        covered = any(_below(path, change.slot) and None in (change.before, change.after) for change in shown)
        if not covered:
            shown.append(Change(path, old.get(path), new.get(path), papers.get(path, ())))
    return tuple(sorted(shown, key=lambda change: change.slot))


def _words_by_path(tree: UnitTree) -> dict[str, str]:
    words = {}
    for path, node, unit in tree.walk():
        values = ", ".join(f"{name}={value}" for name, value in sorted(node.config.items()))
        words[path] = f"{unit.name}({values})" if values else unit.name
    return words


def _below(path: str, slot: str) -> bool:
    return path.startswith(f"{slot}.") if slot else False


def _line(state: CampaignState, design: Design) -> tuple[str, ...]:
    names = [design.name]
    while design.parents:
        design = state.designs[design.parents[0]]
        names.append(design.name)
    return tuple(reversed(names))


def _summary(tree: DesignTree, design: Design) -> str:
    try:
        return str(tree.proposal(design.id).get("summary") or "").strip()
    except UnknownRow:  # a design need not have a proposal
        return ""
