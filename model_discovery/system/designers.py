"""Designers of a campaign side by side: as plain data, and as a table with error bars."""

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from model_discovery.evolution import DesignerResult

_COLUMNS = (
    "designer", "sessions", "valid", "best", "nats/token", "over parent", "predicted", "calls", "dollars",
)  # fmt: skip


def designer_records(results: "Sequence[DesignerResult]") -> list[dict[str, Any]]:
    """One flat record a designer; an absent number is ``None``."""
    return [_record(result) for result in results]


def worth_a_table(results: "Sequence[DesignerResult]") -> bool:
    """Whether there is something to compare, or something was paid."""
    return len(results) > 1 or any(result.calls for result in results)


def designer_table(results: "Sequence[DesignerResult]") -> "RenderableType":
    """Who made what, for a terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in _COLUMNS:
        table.add_column(title, justify="left" if title in ("designer", "best") else "right", no_wrap=True)
    for result in results:
        table.add_row(*_cells(result))
    return table


def designer_html(results: "Sequence[DesignerResult]") -> str:
    """The same table for a notebook."""
    head = "".join(f"<th>{title}</th>" for title in _COLUMNS)
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in _cells(result)) for result in results)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def spent_in_words(results: "Sequence[DesignerResult]") -> str:
    """What was paid for language models in all; ``""`` when none was asked."""
    asked = [result for result in results if result.calls]
    if not asked:
        return ""
    tokens = sum(result.input_tokens + result.output_tokens for result in asked)
    known = [result.dollars for result in asked if result.dollars is not None]
    money = f", ${sum(known):,.2f}" if known else ", price unknown"
    sessions = sum(result.sessions for result in asked)
    calls = sum(result.calls for result in asked)
    return (
        f"language models: {_count(sessions, 'session')}, {_count(calls, 'call')}, {tokens:,} tokens{money}"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _record(result: "DesignerResult") -> dict[str, Any]:
    best, gain = result.best, result.over_parent
    plain = {name: value for name, value in asdict(result).items() if name not in ("best", "over_parent")}
    return plain | {
        "best": best.design if best else None,
        "best_scale": best.scale if best else None,
        "best_loss": best.loss.value if best else None,
        "best_loss_stderr": best.loss.stderr if best else None,
        "best_gain": best.gain if best else None,
        "over_parent": gain.value if gain else None,
        "over_parent_stderr": gain.stderr if gain else None,
    }


def _cells(result: "DesignerResult") -> list[str]:
    best, gain, valid = result.best, result.over_parent, "-"
    if result.valid_low is not None and result.valid_high is not None:
        valid = f"{result.designs} ({result.valid_low:.0%} to {result.valid_high:.0%})"
    predicted = result.right + result.wrong + result.open
    return [
        result.designer,
        str(result.sessions),
        valid,
        f"{best.design} at {best.scale}" if best else "-",
        f"{best.loss.value:.4f} ± {best.loss.stderr:.4f}" if best else "-",
        f"{gain.value:+.4f} ± {gain.stderr:.4f}" if gain else "-",
        f"{result.right} right, {result.wrong} wrong, {result.open} open" if predicted else "-",
        f"{result.calls:,}" if result.calls else "-",
        "-" if result.dollars is None else f"{result.dollars:,.2f}",
    ]
