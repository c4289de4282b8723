"""Sets of items as lm-eval tasks built in Python: the settings of its own tasks, without their templates.

Templates cost a millisecond a pair.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from model_discovery.verification.item_sets import ItemSet
from model_discovery.verification.served_lm import ServedLM, evaluate  # before datasets: it sets offline mode

from datasets import Dataset  # isort: skip
from lm_eval.api.task import ConfigurableTask  # isort: skip

PORTION_ITEMS = 10_000

Figures = tuple[float, float | None, int]
"""Accuracy, its standard error, items."""


def run_sets(lm: ServedLM, sets: Sequence[ItemSet]) -> list[Figures]:
    """Run lm-eval on sets, a few at a time, which bounds its memory; figures in the order of the sets."""
    figures: list[Figures] = []
    for portion in _portions(sets):
        names = [f"{one.suite}_{one.group}_{one.name}" for one in portion]
        results = evaluate(lm, {name: _task(name, one) for name, one in zip(names, portion, strict=True)})
        figures += [_figures(results["results"][name]) for name in names]
    return figures


def _portions(sets: Sequence[ItemSet]) -> Iterator[list[ItemSet]]:
    """Consecutive sets of about `PORTION_ITEMS` items together."""
    portion: list[ItemSet] = []
    for one in sets:
        portion.append(one)
        if sum(map(len, portion)) >= PORTION_ITEMS:
            yield portion
            portion = []
    if portion:
        yield portion


def _figures(result: dict[str, Any]) -> Figures:
    error = result["acc_stderr,none"]  # "N/A" over a single item
    return float(result["acc,none"]), error if isinstance(error, float) else None, int(result["sample_len"])


def _task(name: str, items: ItemSet) -> ConfigurableTask:
    """The settings of lm-eval's own ``blimp`` tasks: no examples, a space before each choice."""
    rows = [item._asdict() for item in items.items]
    return ConfigurableTask(
        config={
            "task": name,
            "dataset_path": items.suite,
            "custom_dataset": lambda **_: {"train": Dataset.from_list(rows)},
            "output_type": "multiple_choice",
            "validation_split": "train",
            "doc_to_text": _text,
            "doc_to_target": _target,
            "doc_to_choice": _choices,
            "num_fewshot": 0,
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
            "metadata": {"version": 1.0},
        }
    )


def _text(row: dict[str, Any]) -> str | int:
    """The context; a number tells lm-eval that the choices are contexts, and which of them is right."""
    return int(row["answer"]) if row["ending"] else str(row["context"])


def _target(row: dict[str, Any]) -> str | int:
    return str(row["ending"]) if row["ending"] else int(row["answer"])


def _choices(row: dict[str, Any]) -> list[str]:
    return list(row["choices"])
