"""Writing one unit: the coder's tries at a slot, each checked where the unit will stand, then judged."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from model_discovery.blocks.tree_rules import place
from model_discovery.blocks.unit_source import SourceError
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks import CheckReport, Finding, check_source
from model_discovery.designers.agentic.asking import Desk
from model_discovery.designers.agentic.grafting import part_of, planted, with_stand_ins
from model_discovery.designers.agentic.schemas import Judgement, Plan, ProposalDraft, UnitCode
from model_discovery.errors import UserError
from model_discovery.llm.types import BadReply

_CLASS = re.compile(r"^class (\w+)\s*\(.*GAU", re.MULTILINE)
_LINE = 240  # characters of a failure that later tries are reminded of


@dataclass(frozen=True)
class Alternative:
    """A unit that was accepted: the tree with it, the code it came from (``None``: reused), its judgement."""

    tree: UnitTree
    code: UnitCode | None
    judgement: Judgement | None = None
    report: CheckReport | None = None

    @property
    def score(self) -> tuple[float, float, float]:
        """For comparing alternatives, higher is better: fewer warnings, better judged, cheaper to run."""
        if self.report is None:
            return 0.0, self.judgement.rating if self.judgement else 0.0, 0.0
        warnings = sum(finding.severity == "warning" for finding in self.report.findings)
        return -warnings, self.judgement.rating if self.judgement else 0.0, -self.report.cpu_seconds


@dataclass
class Task:
    """A slot to be written, and what is known of earlier tries at it.

    ``code``, ``report`` and ``judgement`` belong to the last try, ``tried`` has a line for every one.
    """

    draft: ProposalDraft
    tree: UnitTree | None
    path: str
    plan: Plan | None = None
    code: UnitCode | None = None
    report: CheckReport | None = None
    judgement: Judgement | None = None
    tried: list[str] = field(default_factory=list)


def write_unit(desk: Desk, task: Task) -> list[Alternative]:
    """Up to ``unit_tries`` tries at a slot; the accepted units, the best first, at most ``beam`` of them."""
    accepted: list[Alternative] = []
    for number in range(1, desk.config.unit_tries + 1):
        with desk.journal.step(f"try {number}"):
            desk.report("code", unit=task.path, attempt=number, of=desk.config.unit_tries)
            made = _try(desk, task, accepted)
        if made is not None:
            accepted.append(made)
            if len(accepted) == desk.config.beam:
                break
            task.report = task.judgement = None  # the next try is for another unit, not for a mended one
            task.tried.append(
                f"{class_name(made.code)}: accepted as one alternative; write another kind of unit"
            )
    return sorted(accepted, key=lambda one: one.score, reverse=True)


def _try(desk: Desk, task: Task, accepted: Sequence[Alternative]) -> Alternative | None:
    code = _code(desk, task)
    if code is None:
        return None
    task.code, task.judgement = code, None
    tree, task.report = _grafted(desk, task, code, accepted)
    if tree is not None and task.report.ok:
        task.judgement = _judgement(desk, task, tree, code)
        if task.judgement is None or task.judgement.rating >= desk.config.accept_mark:
            rating = task.judgement.rating if task.judgement else None
            desk.journal.note("accept", what="unit", path=task.path, unit=class_name(code), rating=rating)
            return Alternative(tree, code, task.judgement, task.report)
    why = f"{class_name(code)}: {_objection(task)}"[:_LINE]
    desk.journal.note("reject", what="unit", path=task.path, unit=class_name(code), reason=why)
    task.tried.append(why)
    return None


def _code(desk: Desk, task: Task) -> UnitCode | None:
    """The coder's next file; ``None`` where its answer was of no use, which costs a try like any other."""
    told = {"proposal": task.draft, "tree": task.tree, "path": task.path, "plan": task.plan}
    try:
        if task.code is None:
            return desk.ask("coder", "write", UnitCode, **told)
        return desk.ask(
            "coder", "retry", UnitCode, **told, code=task.code, report=task.report,
            judgement=task.judgement, tried=list(task.tried),
        )  # fmt: skip
    except BadReply as error:
        why = useless(desk, error)[:_LINE]
        desk.journal.note("reject", what="unit", path=task.path, unit="", reason=why)
        task.tried.append(why)
        return None


def useless(desk: Desk, error: BadReply) -> str:
    """Count an answer of no use as an attempt, and say what it was."""
    desk.failed(Finding(check="reply", where="the answer", measured=f"{error.kind}: {error}"))
    return f"an answer that could not be read ({error.kind}: {error})"


def _grafted(
    desk: Desk, task: Task, code: UnitCode, accepted: Sequence[Alternative]
) -> tuple[UnitTree | None, CheckReport]:
    """The tree with the new unit, and the report of its checks; no tree where it comes to no new one."""
    try:
        tree = planted(task.tree, task.path, part_of(code, desk.request, task.tree))
    except UserError as error:
        return None, _no_tree(desk, unreadable(code, error, task.path))
    if any(tree.structure_hash == other.tree.structure_hash for other in accepted):
        return None, _no_tree(desk, CheckReport(ok=False, findings=(_again(task.path),)))
    desk.journal.note("graft", path=task.path, unit=tree.unit(task.path).name, map=tree.ascii())
    if not desk.config.checks:
        return tree, CheckReport(ok=True)
    desk.report("check", unit=task.path)
    return tree, desk.check(with_stand_ins(tree))


def _no_tree(desk: Desk, report: CheckReport) -> CheckReport:
    """Count an answer that is not checked as an attempt."""
    desk.failed(*report.findings)
    return report


def _again(path: str) -> Finding:
    return Finding(
        check="novelty",
        where=place(path),
        measured="the same unit as an alternative that was accepted here before",
        limit="alternatives that compute different things",
        hint="write another kind of unit for this place",
    )


def unreadable(code: UnitCode, error: UserError, path: str) -> CheckReport:
    """The report of an answer that comes to no tree: what the source check says, else the rule broken."""
    findings = [found for source in _sources(code) for found in check_source(source)]
    errors = [found for found in findings if found.severity == "error"]
    if not errors:
        where = f"line {error.line}" if isinstance(error, SourceError) and error.line else place(path)
        errors = [Finding(check="contract", where=where, measured=error.message, hint=error.hint)]
    return CheckReport(ok=False, findings=tuple(errors), stages=("source",))


def _sources(code: UnitCode) -> list[str]:
    return [code.source, *(child.source for child in code.children if child.source)]


def _judgement(desk: Desk, task: Task, tree: UnitTree, code: UnitCode) -> Judgement | None:
    """The observer's opinion; ``None`` without one, or when it gives no usable answer."""
    if not desk.config.observer:
        return None
    assert task.report is not None
    desk.report("judge", unit=task.path)
    judgement = desk.ask_again(
        "observer", "judge", Judgement, proposal=task.draft, tree=tree, path=task.path, plan=task.plan,
        code=code, findings=list(task.report.findings),
    )  # fmt: skip
    rating = judgement.rating if judgement else None
    desk.journal.note("judge", path=task.path, unit=class_name(code), rating=rating)
    return judgement


def _objection(task: Task) -> str:
    if task.judgement is not None:
        concern = f": {task.judgement.concerns[0]}" if task.judgement.concerns else ""
        return f"passed the checks, rated {task.judgement.rating:g} of 5 by the observer{concern}"
    assert task.report is not None
    return task.report.summary


def class_name(code: UnitCode | None) -> str:
    """The class that a source defines, also where the rest of it cannot be parsed."""
    found = _CLASS.search(code.source) if code else None
    return found[1] if found else "a unit"
