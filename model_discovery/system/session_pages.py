"""A design session as a page for a terminal: who said what, at which cost, what passed, what changed."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from model_discovery.system import spending
from model_discovery.system.differences import diff_line
from model_discovery.system.progress import make_console, program
from model_discovery.system.views import Facts, print_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from model_discovery.designers.requests import Spending

_ROLES = {
    "proposer": "blue",
    "reviewer": "magenta",
    "planner": "yellow",
    "coder": "cyan",
    "observer": "green",
}
_VERDICTS = ("accept", "reject", "duplicate", "step_back", "limit")  # their words say what they are
_MARKS = {True: ("ok", "green"), False: ("no", "red"), None: ("", "")}
_HEADED = ("proposal", "attempt", "implementation", "round", "unit", "try")  # steps with a heading
_DIFF_LINES = 40
_WIDTH = 10  # of the column that says who


def print_sessions(rows: list[Facts]) -> None:
    """The sessions of a campaign as a table."""
    if not rows:
        print("no session with language models; they come with --designer agentic")
        return
    spent = [spending.read(row["spending"]) for row in rows]
    paid, lost = any(one.dollars for one in spent), any(one.unanswered for one in spent)
    print_table([_list_row(row, one, paid, lost) for row, one in zip(rows, spent, strict=True)])
    print(f"in all: {spending.whole(spending.total(spent))}")


def _list_row(row: Facts, spent: "Spending", paid: bool, lost: bool) -> Facts:
    """Columns of money, and of requests without an answer, where there is any."""
    shown = {name: value for name, value in row.items() if name != "spending"}
    shown |= {"tokens": f"{spent.tokens:,}", "dollars": spending.dollars_cell(spent, 4, on_top=False)}
    if not paid:
        del shown["dollars"]
    return shown | ({"unanswered": _unanswered(spent)} if lost else {})


def _unanswered(spent: "Spending") -> str:
    if not spent.unanswered:
        return ""
    money = f", ${spending.in_dollars(spent.unanswered_dollars)}" if spent.unanswered_dollars else ""
    return f"{spent.unanswered}, at most {spent.unanswered_tokens:,} tokens{money}"


def print_session(facts: Facts) -> None:
    """A session from its beginning to what was measured of its design."""
    console = make_console()
    _print_head(console, facts)
    headings: list[str] = []
    for moment in facts["moments"]:
        if moment["kind"] in ("begin", "end"):
            continue
        wanted = [part for part in moment["step"].split("/") if part.split(" ")[0] in _HEADED]
        if wanted != headings:
            headings = wanted
            console.print()
            console.print(" · ".join(headings), style="bold", markup=False)
        _print_moment(console, moment)
    _print_end(console, facts)


def _print_head(console: "Console", facts: Facts) -> None:
    parents = f" of {', '.join(facts['parents'])}" if facts["parents"] else ""
    where = f"  {facts['campaign']}, session {facts['number']}" if "campaign" in facts else ""
    console.print(f"{facts['operator']}{parents}{where}", style="bold", markup=False)
    if facts["instruction"]:
        console.print(f"asked for: {facts['instruction']}", markup=False, soft_wrap=True)
    by_model: dict[str, list[str]] = {}
    for role, model in facts["models"].items():
        by_model.setdefault(model, []).append(role)
    for model, roles in by_model.items():
        console.print(f"{model}: {', '.join(roles)}", markup=False, soft_wrap=True)


def _print_moment(console: "Console", moment: Facts) -> None:
    from rich.text import Text

    who = moment["role"] or ("" if moment["kind"] in _VERDICTS else moment["kind"])
    mark, colour = _MARKS[moment["ok"]]
    line = Text(f"  {who:{_WIDTH}} ", style=_ROLES.get(who, "dim"))
    line.append(f"{mark:3}" if mark else "", style=colour)
    line.append(moment["words"], style="")
    if moment["cost"] and moment["cost"]["calls"]:
        line.append(f"  {cost_in_words(moment['cost'])}", style="dim")
    console.print(line, soft_wrap=True)
    indent = " " * (_WIDTH + 3)
    for detail in moment["details"]:
        for line in detail.splitlines():
            wrapped = textwrap.fill(line, console.width, initial_indent=indent, subsequent_indent=indent)
            console.print(Text(wrapped, style="dim"), soft_wrap=True)
    for part in (*_diff(moment), *_prompts(moment)):  # code and prompts: their lines stay as they are
        for piece in part.split("\n", allow_blank=True):
            console.print(Text(indent if piece.plain else "") + piece, soft_wrap=True)


def _diff(moment: Facts) -> "Iterator[Text]":
    from rich.text import Text

    if moment["diff_from"] and not moment["diff"]:
        yield Text(f"the same code as {moment['diff_from']}", style="dim")
    lines = moment["diff"].splitlines()
    most = len(lines) if "messages" in moment else _DIFF_LINES
    yield from (diff_line(line) for line in lines[:most])
    if len(lines) > most:
        yield Text(f"… {len(lines) - most} more lines (--full)", style="dim")


def _prompts(moment: Facts) -> "Iterator[Text]":
    """With ``--full``: what was sent, and the answer as it was written."""
    from rich.text import Text

    for message in moment.get("messages", ()):
        yield Text(f"--- {message['role']}", style="bold")
        yield Text(message["content"])
    if moment.get("text"):
        yield Text("--- answer", style="bold")
        yield Text(moment["text"])


def _print_end(console: "Console", facts: Facts) -> None:
    end = facts["end"]
    console.print()
    if end is None:
        console.print("It has not ended: it goes on, or was interrupted.", style="bold yellow")
    elif end.get("status") == "valid":
        name = facts.get("design") or "a valid design"
        console.print(f"{name}  {end.get('structure_hash', '')}", style="bold green", markup=False)
    else:
        console.print(f"no design: {end.get('why', '')}", style="bold red", markup=False, soft_wrap=True)
    if end is not None and end.get("limit"):
        console.print(f"ended by the limit of {end['limit']}", markup=False)
    if facts.get("verified"):
        _print_verified(console, facts["verified"])
    paid = bool(facts["cost"]["dollars"])
    print_table([_role_row(role, cost, paid) for role, cost in facts["cost_by_role"].items()])
    lost = spending.unanswered(spending.read(facts["cost"]))
    console.print(
        f"in all: {cost_in_words(facts['cost'])}{f', and {lost}' if lost else ''}",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    if facts.get("design"):
        console.print(
            f"look: {program()} tree show {facts['design']}   {program()} tree diff {facts['design']}",
            markup=False, soft_wrap=True,
        )  # fmt: skip


def _print_verified(console: "Console", verified: Facts) -> None:
    for run in verified["runs"]:
        loss = run["loss"]
        measured = f"{loss['value']:.4f} ± {loss['stderr']:.4f} nats/token" if loss else run["status"]
        console.print(f"  {run['scale']}, seed {run['seed']}: {measured}", markup=False)
    if verified["prediction"]:
        colour = {"right": "green", "wrong": "red"}.get(verified["verdict"], "yellow")
        console.print(f"predicted: {verified['prediction']}", markup=False, soft_wrap=True)
        console.print(f"[{colour}]{verified['verdict']}[/{colour}]: {verified['evidence']}", soft_wrap=True)


def _role_row(role: str, cost: Facts, paid: bool) -> Facts:
    row = {
        "role": role,
        "requests": cost["calls"],
        "tokens in": f"{cost['input_tokens']:,}",
        "of these cached": f"{cost['cached_tokens']:,}",
        "tokens out": f"{cost['output_tokens']:,}",
    }
    if paid:
        row["dollars"] = spending.money(spending.read(cost), 4).replace("$", "")
    return {**row, "seconds": f"{cost['seconds']:.1f}"}


def cost_in_words(cost: Facts) -> str:
    """``1,204 + 310 tokens, $0.0031, 2.1 s``; more than one request is told."""
    spent = spending.read(cost)
    parts = [
        f"{spent.calls} requests" if spent.calls > 1 else "",
        f"{spent.input_tokens:,} + {spent.output_tokens:,} tokens",
        spending.money(spent, 4) or ("no price" if spent.unpriced_tokens else ""),
        f"{spent.seconds:.1f} s",
    ]
    return ", ".join(part for part in parts if part)


def print_replay(facts: Facts) -> None:
    """Whether a replay came to the same."""
    console = make_console()
    style = "green" if facts["same"] else "red"
    console.print(facts["words"], style=style, markup=False, soft_wrap=True)
