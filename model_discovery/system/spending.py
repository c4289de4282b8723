"""What language models cost: a campaign's ledger in sums, and how they are said everywhere."""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError
from model_discovery.system.folders import campaign_folder

if TYPE_CHECKING:
    from model_discovery.design_tree import CampaignRow, DesignTree
    from model_discovery.designers.requests import Spending
    from model_discovery.evolution import DesignerResult


def by_session(campaign: str) -> "dict[int, Spending]":
    """What the sessions of a campaign took, by number, requests without an answer included.

    Empty without a ledger that can be read: a replay pays nothing, and what results say of costs is left.
    """
    from model_discovery.designers.agentic.work import LEDGER
    from model_discovery.designers.requests import Spending
    from model_discovery.llm import Ledger

    path = campaign_folder(campaign) / LEDGER
    if not path.exists():
        return {}
    try:
        with closing(Ledger(path)) as ledger:
            totals = ledger.totals(by=("session",))
    except UserError:
        return {}
    return {
        int(one.by["session"].rpartition("-")[2]): Spending(
            calls=one.paid, input_tokens=one.input_tokens, output_tokens=one.output_tokens,
            cached_tokens=one.cached_tokens, dollars=one.dollars, unpriced_tokens=one.unpriced_tokens,
            seconds=one.seconds, unanswered=one.unsettled, unanswered_tokens=one.unsettled_tokens,
            unanswered_dollars=one.unsettled_dollars,
        )
        for one in totals
    }  # fmt: skip


def total(parts: "Iterable[Spending]") -> "Spending":
    """The sum."""
    from model_discovery.designers.requests import Spending

    return sum(parts, Spending())


def of_campaign(campaign: str) -> "Spending | None":
    """What all sessions took so far; None without a ledger."""
    spent = by_session(campaign)
    return total(spent.values()) if spent else None


def read(data: "Mapping[str, Any] | None") -> "Spending":
    """From the plain data of an event; nothing where there is none."""
    from model_discovery.designers.requests import Spending

    return Spending.model_validate(data or {})


def by_designer(
    results: "Sequence[DesignerResult]", tree: "DesignTree", campaign: "CampaignRow"
) -> "tuple[DesignerResult, ...]":
    """The results with all that the ledger has: of sessions that broke or go on, and what has no answer."""
    spent = by_session(campaign.name)
    if not spent:
        return tuple(results)
    decisions = tree.decisions(campaign.id)
    asked = {one.number: one.chosen["designer"] for one in decisions if one.kind == "design"}
    return tuple(
        replace(
            result,
            spending=total(one for number, one in spent.items() if asked.get(number) == result.designer),
        )
        for result in results
    )


# -- in words


def money(spent: "Spending", digits: int = 2) -> str:
    """``$0.02``; ``at least $0.02`` where a part has no price; ``""`` where all is free or has none."""
    if not spent.dollars:
        return ""
    return f"{'at least ' if spent.unpriced_tokens else ''}${in_dollars(spent.dollars, digits)}"


def in_dollars(value: float, digits: int = 2) -> str:
    """``0.45``; of less than a cent the first digit, ``0.003``, as nothing that costs is told as nothing."""
    if 0 < value < 10**-digits:
        digits = math.ceil(-math.log10(value))
    return f"{value:,.{digits}f}"


def amount(spent: "Spending", digits: int = 2) -> str:
    """The money, or the tokens where money says nothing."""
    return money(spent, digits) or f"{spent.tokens:,} tokens"


def dollars_cell(spent: "Spending", digits: int = 2, *, on_top: bool = True) -> str:
    """Of a table of dollars: ``0.45``, ``0.45 to 0.57`` with what may come on top; ``-`` for none."""
    least = money(spent, digits).replace("$", "")
    if not (on_top and spent.unanswered_dollars) or spent.unpriced_tokens:
        return least or "-"
    return f"{least or '0.00'} to {in_dollars((spent.dollars or 0.0) + spent.unanswered_dollars, digits)}"


def unanswered(spent: "Spending") -> str:
    """``at most $0.12 of 1 request without an answer``; ``""`` when none was."""
    if not spent.unanswered:
        return ""
    most = (
        f"${in_dollars(spent.unanswered_dollars)}"
        if spent.unanswered_dollars
        else f"{spent.unanswered_tokens:,} tokens"
    )
    return f"at most {most} of {counted(spent.unanswered, 'request', 's')} without an answer"


def whole(spent: "Spending") -> str:
    """``12 calls, 3,400 tokens, $0.45, and at most $0.12 of 1 request without an answer``."""
    known = money(spent) or ("price unknown" if spent.unpriced_tokens else "")
    parts = [counted(spent.calls, "call", "s"), f"{spent.tokens:,} tokens", known]
    if lost := unanswered(spent):
        parts.append(f"and {lost}")
    return ", ".join(part for part in parts if part)


def counted(number: int, what: str, plural: str = "") -> str:
    """``1 call``, ``2 calls``."""
    return f"{number:,} {what}{'' if number == 1 else plural}"
