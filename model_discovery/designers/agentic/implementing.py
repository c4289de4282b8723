"""From a proposal to a tree: unit by unit, nothing added to what has not been accepted."""

from dataclasses import dataclass
from typing import Any

from model_discovery.blocks.tree_rules import place
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks import CheckReport, Finding
from model_discovery.designers.agentic.asking import Desk
from model_discovery.designers.agentic.grafting import (
    Site,
    is_below,
    planted,
    reused,
    site_of,
    with_stand_ins,
)
from model_discovery.designers.agentic.schemas import Plan, ProposalDraft, UnitCode
from model_discovery.designers.agentic.writing import Alternative, Task, write_unit
from model_discovery.designers.loop import repeated
from model_discovery.errors import UserError

_PLANS = 2  # a plan that cannot be followed is made once more


@dataclass(frozen=True)
class Built:
    """A tree that passed everything."""

    tree: UnitTree
    report: CheckReport


@dataclass(frozen=True)
class GaveUp:
    """Why a proposal was not implemented."""

    why: str


def implement_units(desk: Desk, draft: ProposalDraft) -> Built | GaveUp:
    """Build a proposal unit by unit.

    A slot that cannot be filled is a failed round: the unit above it is taken back, another alternative of it
    if there is one, else it is written anew. A whole tree that fails its last check is mended once.
    """
    try:
        site = site_of(desk.request, draft.paths)
    except UserError as error:
        return GaveUp(f"it cannot be placed: {error.message}")
    building = _Building(desk, draft, site)
    mended = False
    while True:
        if not building.fill():
            return GaveUp(building.why)
        assert building.tree is not None
        report = final_report(desk, building.tree, site)
        if report.ok:
            return Built(building.tree, report)
        if mended:
            return GaveUp(f"the whole tree fails its last check: {report.summary}")
        mended = True
        building.mend(report)


def final_report(desk: Desk, tree: UnitTree, site: Site | None = None) -> CheckReport:
    """The last word on a whole tree: a structure of its own, only where it may change, checks passed."""
    finding = repeated(tree, desk.request)
    if finding is None and site is not None and (strayed := site.strayed(tree)):
        finding = Finding(check="protected", where=place(strayed[0]), measured="changed", limit="unchanged")
    if finding is None:
        desk.report("check", unit="")
        return desk.check(tree, "design")
    report = CheckReport(ok=False, findings=(finding,))
    desk.tried(tree, report)
    return report


@dataclass
class _Placed:
    """What was put at a slot: the alternatives that are left for it, the first of them in the tree."""

    alternatives: list[Alternative]

    @property
    def code(self) -> UnitCode | None:
        return self.alternatives[0].code


class _Building:
    """A proposal half built.

    ``tree`` holds accepted units only. ``placed`` says what was put where, in order; ``tasks`` keeps what was
    learned of slots that failed or were taken back; ``history`` is what the planner reads.
    """

    def __init__(self, desk: Desk, draft: ProposalDraft, site: Site) -> None:
        self.tree = site.opened()
        self.why = ""
        self._desk = desk
        self._draft = draft
        self._site = site
        self._placed: dict[str, _Placed] = {}
        self._tasks: dict[str, Task] = {}
        self._history: list[str] = []
        self._failed = 0
        self._round = 1

    # -- forward

    def fill(self) -> bool:
        """Fill every open slot; false when the failed rounds are used up, and ``why`` says where."""
        while open_slots := self._site.open_slots(self.tree):
            with self._desk.journal.step(f"round {self._round}"):
                plan = self._plan(open_slots) if self._desk.config.planner else None
                path = plan.path if plan else open_slots[0]
                done = self._unit(path, plan)
            if not done and not self._step_back(path):
                return False
        return True

    def _plan(self, open_slots: list[str]) -> Plan | None:
        """The planner's choice of an open slot; ``None`` when it names none, asked twice."""
        self._desk.report("plan", of=len(open_slots))
        plan: Plan | None = None
        for _ in range(_PLANS):
            with self._desk.journal.step("plan"):
                plan = self._desk.ask_again(
                    "planner", "plan", Plan, proposal=self._draft, tree=self.tree,
                    open_slots=list(open_slots), history=list(self._history),
                )  # fmt: skip
            if plan is None:
                return None
            problem = self._plan_problem(plan, open_slots)
            if not problem:
                return plan
            self._history.append(f"a plan was refused: {problem}")
        usable = plan is not None and plan.path in open_slots
        return plan.model_copy(update={"reuse": None}) if plan is not None and usable else None

    def _plan_problem(self, plan: Plan, open_slots: list[str]) -> str:
        if plan.path not in open_slots:
            return f"{place(plan.path)} is not open; open: {', '.join(map(place, open_slots))}"
        if plan.reuse is None:
            return ""
        try:
            planted(self.tree, plan.path, reused(plan.reuse, self._desk.request, self.tree))
        except UserError as error:
            return f"nothing to reuse at {place(plan.path)}: {error}"
        return ""

    def _unit(self, path: str, plan: Plan | None) -> bool:
        with self._desk.journal.step(f"unit {path or 'root'}"):
            if plan is not None and plan.reuse is not None:
                if self._reuse(path, plan):
                    return True
                plan = plan.model_copy(update={"reuse": None})
            task = self._tasks.setdefault(path, Task(self._draft, self.tree, path))
            task.tree, task.plan = self.tree, plan
            alternatives = write_unit(self._desk, task)
            if not alternatives:
                last = task.tried[-1] if task.tried else "no answer could be read"
                self.why = f"{place(path)}: {self._desk.config.unit_tries} tries, the last one: {last}"
                return False
            self._place(path, alternatives)
            return True

    def _reuse(self, path: str, plan: Plan) -> bool:
        """Put an existing part there, if it passes the checks in its new place."""
        assert plan.reuse is not None
        tree = planted(self.tree, path, reused(plan.reuse, self._desk.request, self.tree))
        name = tree.unit(path).name
        self._desk.journal.note("graft", path=path, unit=name, map=tree.ascii(), reused=True)
        report = self._desk.check(with_stand_ins(tree)) if self._desk.config.checks else CheckReport(ok=True)
        kind = "accept" if report.ok else "reject"
        self._desk.journal.note(kind, what="reuse", path=path, unit=name, reason=report.summary)
        if not report.ok:
            self._history.append(f"{name} reused at {place(path)} fails: {report.summary}")
            return False
        self._place(path, [Alternative(tree, None, report=report)])
        return True

    def _place(self, path: str, alternatives: list[Alternative]) -> None:
        self.tree = alternatives[0].tree
        self._placed[path] = _Placed(alternatives)
        self._history.append(f"{self.tree.unit(path).name} stands at {place(path)}")

    # -- back

    def _step_back(self, path: str) -> bool:
        """A slot failed: another alternative of the unit above, or that unit anew; false to give up."""
        above = self._above(path)
        fallback = above is not None and self._fall_back(above)
        self._failed += not fallback
        self._round += 1
        self._history.append(f"failed at {self.why}")
        if self._failed >= self._desk.config.failed_rounds:
            self.why = f"{self._failed} failed rounds; {self.why}"
            return False
        self._desk.journal.note("step_back", path=path, to=above, fallback=fallback, reason=self.why)
        if above is not None and not fallback:
            self._reopen(above, f"taken back because of {self.why}", None)
        return True

    def _fall_back(self, path: str) -> bool:
        """Put the next alternative in the place of the one that led nowhere; false where none fits."""
        held, emptied = self._placed[path].alternatives, self._emptied(path)
        for number, other in enumerate(held[1:], 1):
            try:
                tree = planted(emptied, path, other.tree.subtree(path))
            except UserError:  # written since: a unit of its name, or one that reads what it does not write
                continue
            self.tree = tree
            del held[:number]
            self._forget_below(path)
            return True
        return False

    def _above(self, path: str) -> str | None:
        """The nearest slot above ``path`` that this session filled."""
        above = [one for one in self._placed if one != path and is_below(path, one)]
        return max(above, key=len, default=None)

    def mend(self, report: CheckReport) -> None:
        """Open the unit written last once more, for what the check of the whole tree found."""
        self._round += 1
        written = [path for path, placed in self._placed.items() if placed.code is not None]
        path = written[-1] if written else next(reversed(self._placed))
        self._history.append(f"the whole tree fails: {report.summary}")
        self._desk.journal.note("step_back", path=path, to=path, fallback=False, reason=report.summary)
        self._reopen(path, report.summary, report)

    def _reopen(self, path: str, why: str, report: CheckReport | None) -> None:
        """Empty a slot that was filled; whoever fills it again sees what stood there and why it went."""
        code = self._placed.pop(path).code
        self._forget_below(path)
        self.tree = self._emptied(path)
        tried = self._tasks[path].tried if path in self._tasks else []
        self._tasks[path] = Task(self._draft, self.tree, path, code=code, report=report, tried=[*tried, why])

    def _emptied(self, path: str) -> UnitTree | None:
        return self.tree.graft(path, None) if path and self.tree is not None else None

    def _forget_below(self, path: str) -> None:
        known: dict[str, Any]
        for known in (self._placed, self._tasks):
            for other in [one for one in known if one != path and is_below(one, path)]:
                del known[other]
