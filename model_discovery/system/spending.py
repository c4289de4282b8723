"""What language models cost: a campaign's ledger in sums, and how they are said everywhere."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError
from model_discovery.system.folders import campaign_folder

if TYPE_CHECKING:
    from model_discovery.design_tree import CampaignRow, DesignTree
    from model_discovery.designers.requests import Spending
    from model_discovery.evolution import DesignerResult


def by_session(campaign: str) -> "dict[int, Spending]":
    """What the sessions of a campaign took, by number, requests that were cut off included.

    Empty without a ledger that can be read: a replay pays nothing, and what results say of costs is left.
    """
    from model_discovery.designers.agentic.work import LEDGER
    from model_discovery.designers.requests import Spending
    from model_discovery.llm import Ledger

    path = campaign_folder(campaign) / LEDGER
    if not path.exists():
        return {}
    try:
        ledger = Ledger(path)
        totals = ledger.totals(by=("session",))
        ledger.close()
    except UserError:
        return {}
    return {
        int(one.by["session"].rpartition("-")[2]): Spending(
            calls=one.paid, input_tokens=one.input_tokens, output_tokens=one.output_tokens,
            cached_tokens=one.cached_tokens, dollars=one.dollars, unpriced_tokens=one.unpriced_tokens,
            seconds=one.seconds, cut_off=one.unsettled, cut_off_tokens=one.unsettled_tokens,
            cut_off_dollars=one.unsettled_dollars,
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
    """The results with all that the ledger has: of sessions that broke or go on, and what was cut off."""
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
    return f"{'at least ' if spent.unpriced_tokens else ''}${spent.dollars:,.{digits}f}"


def amount(spent: "Spending", digits: int = 2) -> str:
    """The money, or the tokens where money says nothing."""
    return money(spent, digits) or f"{spent.tokens:,} tokens"


def dollars_cell(spent: "Spending", *, cut: bool = True) -> str:
    """Of a table of dollars: ``0.45``, ``0.45 to 0.57`` where some were ``cut`` off; ``-`` for none."""
    least = money(spent).replace("$", "")
    if not (cut and spent.cut_off_dollars) or spent.unpriced_tokens:
        return least or "-"
    return f"{least or '0.00'} to {(spent.dollars or 0.0) + spent.cut_off_dollars:,.2f}"


def cut_off(spent: "Spending") -> str:
    """``at most $0.12 of 1 request that was cut off``; ``""`` when none was."""
    if not spent.cut_off:
        return ""
    most = f"${spent.cut_off_dollars:,.2f}" if spent.cut_off_dollars else f"{spent.cut_off_tokens:,} tokens"
    were = "request that was" if spent.cut_off == 1 else "requests that were"
    return f"at most {most} of {counted(spent.cut_off, were)} cut off"


def whole(spent: "Spending") -> str:
    """``12 calls, 3,400 tokens, $0.45, and at most $0.12 of 1 request that was cut off``."""
    known = money(spent) or ("price unknown" if spent.unpriced_tokens else "")
    parts = [counted(spent.calls, "call", "s"), f"{spent.tokens:,} tokens", known]
    if lost := cut_off(spent):
        parts.append(f"and {lost}")
    return ", ".join(part for part in parts if part)


def counted(number: int, what: str, plural: str = "") -> str:
    """``1 call``, ``2 calls``."""
    return f"{number:,} {what}{'' if number == 1 else plural}"
