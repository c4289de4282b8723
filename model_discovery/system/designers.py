"""Designers of a campaign side by side: as plain data, and as a table with error bars."""

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from model_discovery.system import spending

if TYPE_CHECKING:
    from rich.console import RenderableType

    from model_discovery.evolution import DesignerResult

_COLUMNS = ("designer", "sessions", "valid", "best", "nats/token", "over parent", "predicted", "calls")


def designer_records(results: "Sequence[DesignerResult]") -> list[dict[str, Any]]:
    """One flat record a designer; an absent number is ``None``."""
    return [_record(result) for result in results]


def worth_a_table(results: "Sequence[DesignerResult]") -> bool:
    """Whether there is something to compare, or something was paid."""
    return len(results) > 1 or any(result.spending.calls for result in results)


def designer_table(results: "Sequence[DesignerResult]") -> "RenderableType":
    """Who made what, for a terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in _columns(results):
        table.add_column(title, justify="left" if title in ("designer", "best") else "right", no_wrap=True)
    for result in results:
        table.add_row(*_cells(result, _paid(results)))
    return table


def designer_html(results: "Sequence[DesignerResult]") -> str:
    """The same table for a notebook."""
    head = "".join(f"<th>{title}</th>" for title in _columns(results))
    rows = (
        "".join(f"<td>{escape(cell)}</td>" for cell in _cells(result, _paid(results))) for result in results
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def spent_in_words(results: "Sequence[DesignerResult]") -> str:
    """What language models took in all; ``""`` when none was asked."""
    asked = [result for result in results if result.spending.calls or result.spending.unanswered]
    if not asked:
        return ""
    spent = spending.total(result.spending for result in asked)
    sessions = spending.counted(sum(result.sessions for result in asked), "session", "s")
    return f"language models: {sessions}, {spending.whole(spent)}"


def _paid(results: "Sequence[DesignerResult]") -> bool:
    """Whether money says anything: where models are free, tokens do."""
    return any(result.spending.dollars or result.spending.unanswered_dollars for result in results)


def _columns(results: "Sequence[DesignerResult]") -> tuple[str, ...]:
    return (*_COLUMNS, "dollars" if _paid(results) else "tokens")


def _record(result: "DesignerResult") -> dict[str, Any]:
    best, gain = result.best, result.over_parent
    apart = ("best", "over_parent", "spending")
    plain = {name: value for name, value in asdict(result).items() if name not in apart}
    return (
        plain
        | result.spending.model_dump()
        | {
            "best": best.design if best else None,
            "best_scale": best.scale if best else None,
            "best_loss": best.loss.value if best else None,
            "best_loss_stderr": best.loss.stderr if best else None,
            "best_gain": best.gain if best else None,
            "over_parent": gain.value if gain else None,
            "over_parent_stderr": gain.stderr if gain else None,
        }
    )


def _cells(result: "DesignerResult", paid: bool) -> list[str]:
    best, gain, valid = result.best, result.over_parent, "-"
    if result.valid_low is not None and result.valid_high is not None:
        valid = f"{result.designs} ({result.valid_low:.0%} to {result.valid_high:.0%})"
    predicted = result.right + result.wrong + result.open
    spent = result.spending
    return [
        result.designer,
        str(result.sessions),
        valid,
        f"{best.design} at {best.scale}" if best else "-",
        f"{best.loss.value:.4f} ± {best.loss.stderr:.4f}" if best else "-",
        f"{gain.value:+.4f} ± {gain.stderr:.4f}" if gain else "-",
        f"{result.right} right, {result.wrong} wrong, {result.open} open" if predicted else "-",
        f"{spent.calls:,}" if spent.calls else "-",
        spending.dollars_cell(spent) if paid else f"{spent.tokens:,}" if spent.tokens else "-",
    ]
