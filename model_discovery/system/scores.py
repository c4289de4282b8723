"""Scores for people: one number a suite, and a table of its parts."""

from collections.abc import Mapping
from typing import Any, TypeVar

from model_discovery.system.progress import make_console

_Score = TypeVar("_Score")


def headline(scores: Mapping[str, _Score]) -> dict[str, _Score]:
    """The number of each suite; of one that has none, as of perplexities, the first of its parts."""
    shown: dict[str, _Score] = {}
    for name, score in scores.items():
        suite = name.partition("/")[0]
        if suite == name or (suite not in scores and not any(one.startswith(f"{suite}/") for one in shown)):
            shown[name] = score
    return shown


def print_scores(title: str, scores: Mapping[str, Mapping[str, Any]]) -> None:
    """A table of everything that was scored, with chance and how far above it."""
    from rich.table import Table

    table = Table(title=title, box=None, title_justify="left", pad_edge=False)
    table.add_column("score", overflow="fold")
    for head in ("value", "chance", "above chance", "items", "metric"):
        table.add_column(head, justify="right")
    for name, score in scores.items():
        value, stderr, chance = score["value"], score.get("stderr"), score.get("chance")
        table.add_row(
            name,
            f"{value:.4f}" if stderr is None else f"{value:.4f} ± {stderr:.4f}",
            "-" if chance is None else f"{chance:.3f}",
            "-" if chance is None or not stderr else f"{(value - chance) / stderr:+.1f} s.e.",
            f"{score['n']:,}",
            score.get("metric", "acc"),
        )
    make_console().print(table)
