"""A proposal in words: what was claimed, what was predicted, what came of it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from model_discovery.system.progress import make_console

if TYPE_CHECKING:
    from model_discovery.design_tree import CampaignRow, DesignTree

Facts = Mapping[str, Any]

_PARTS = (
    ("motivation", "why"),
    ("equations", "equations"),
    ("pseudo_code", "in short"),
    ("expected_effect", "expected"),
)
_COLOURS = {"right": "green", "wrong": "red", "open": "yellow"}


def prediction_facts(tree: "DesignTree", campaign: "CampaignRow", name: str) -> dict[str, str] | None:
    """The prediction of a design and what became of it, as plain data; None where it made none."""
    from model_discovery.config import parse_config
    from model_discovery.evolution import Scoreboard, judge, load_state

    state = load_state(tree, campaign.id, parse_config(campaign.config))
    index = state.index.get(name)
    prediction = None if index is None else state.designs[index].prediction
    if index is None or prediction is None:
        return None
    found = judge(Scoreboard(state), index)
    assert found is not None
    words = prediction.in_words()
    return {
        "prediction": words,
        "because": prediction.because,
        "verdict": found.verdict,
        "evidence": found.evidence,
    }


def print_proposal(proposal: Facts, prediction: Facts | None) -> None:
    """Print what a design is meant to be; nothing for a design without words."""
    from rich.markup import escape

    console = make_console()
    if proposal.get("title"):
        console.print(f"[bold]{escape(str(proposal['title']))}[/bold]", soft_wrap=True)
    if proposal.get("summary"):
        console.print(escape(str(proposal["summary"])), soft_wrap=True)
    for label, text in _lines(proposal):
        between = "\n" if "\n" in text else " "
        console.print(f"[dim]{label}:[/dim]{between}{escape(text)}", soft_wrap=True)
    if prediction:
        because = f", because {prediction['because']}" if prediction["because"] else ""
        colour = _COLOURS[prediction["verdict"]]
        console.print(
            f"[dim]predicted:[/dim] {escape(prediction['prediction'] + because)}\n"
            f"[{colour}]{prediction['verdict']}[/{colour}]: {escape(prediction['evidence'])}",
            soft_wrap=True,
        )


def _lines(proposal: Facts) -> Iterator[tuple[str, str]]:
    for part, label in _PARTS:
        if text := str(proposal.get(part) or "").strip():
            yield label, text
    if risks := proposal.get("risks"):
        yield "risks", "; ".join(map(str, risks))
    if papers := proposal.get("papers"):
        yield "papers", ", ".join(map(str, papers))
    review = proposal.get("review") or {}
    if ratings := [f"{name} {value:g}" for name, value in review.items() if isinstance(value, int | float)]:
        yield "review", ", ".join(ratings)
