"""The direct flow: the whole block in one file, to measure what going unit by unit is worth."""

from model_discovery.blocks.unit_source import parse_unit
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.designers.agentic.asking import Desk
from model_discovery.designers.agentic.grafting import ORIGIN, planted
from model_discovery.designers.agentic.implementing import Built, GaveUp, final_report
from model_discovery.designers.agentic.schemas import ProposalDraft, UnitCode
from model_discovery.designers.agentic.writing import Task, class_name, unreadable, useless
from model_discovery.designers.growth import leaf
from model_discovery.errors import UserError
from model_discovery.llm.types import BadReply

_WITHOUT_CHECKS = 2  # tries where checks come at the end only: one, and one to mend what they find


def implement_block(desk: Desk, draft: ProposalDraft) -> Built | GaveUp:
    """Write a proposal as one unit of role block; rounds and tries are bounded as unit by unit."""
    config = desk.config
    tries = config.unit_tries if config.checks else _WITHOUT_CHECKS
    task = Task(draft, None, "")
    for number in range(1, (config.failed_rounds if config.checks else 1) + 1):
        task = Task(draft, None, "", tried=task.tried)
        with desk.journal.step(f"round {number}"), desk.journal.step("unit root"):
            for attempt in range(1, tries + 1):
                with desk.journal.step(f"try {attempt}"):
                    desk.report("code", unit="", attempt=attempt, of=tries)
                    built = _try(desk, task)
                if built is not None:
                    return built
    return GaveUp(f"{len(task.tried)} tries at the block, the last one: {task.tried[-1]}")


def _try(desk: Desk, task: Task) -> Built | None:
    try:
        if task.code is None:
            code = desk.ask("coder", "block", UnitCode, proposal=task.draft)
        else:
            code = desk.ask(
                "coder", "block_retry", UnitCode, proposal=task.draft, code=task.code, report=task.report,
                tried=list(task.tried),
            )  # fmt: skip
    except BadReply as error:
        _reject(desk, task, "", useless(desk, error))
        return None
    name = class_name(code)
    task.code = code
    try:
        tree = _block(code)
    except UserError as error:
        task.report = unreadable(code, error, "")
        desk.failed(*task.report.findings)
    else:
        desk.journal.note("graft", path="", unit=name, map=tree.ascii())
        task.report = final_report(desk, tree)
        if task.report.ok:
            desk.journal.note("accept", what="unit", path="", unit=name, rating=None)
            return Built(tree, task.report)
    _reject(desk, task, name, f"{name}: {task.report.summary}")
    return None


def _block(code: UnitCode) -> UnitTree:
    """The tree of one unit without slots."""
    unit = parse_unit(code.source, ORIGIN)
    if unit.slots or code.children:
        raise UserError(
            f"{unit.name} has slots: {', '.join(unit.slots)}.",
            hint="the whole block stands in one file, as one unit without slots",
        )
    return planted(None, "", leaf(unit))


def _reject(desk: Desk, task: Task, name: str, why: str) -> None:
    desk.journal.note("reject", what="unit", path="", unit=name, reason=why)
    task.tried.append(why)
