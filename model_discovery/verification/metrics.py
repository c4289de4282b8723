"""Every number a verification reports, registered once: its direction, unit, chance level and group."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from model_discovery.errors import unknown

Direction = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """One number.

    Attributes
    ----------
    name
        As reports spell it; a set of a suite is ``suite/set``.
    direction
        Which way is better.
    unit
        For people and tables.
    chance
        What guessing reaches; ``None`` where guessing means nothing.
    group
        ``loss``, ``accuracy`` or ``cost``.
    """

    name: str
    direction: Direction
    unit: str
    chance: float | None
    group: str

    def better(self, one: float, other: float) -> bool:
        """Whether ``one`` is better than ``other``; says nothing about noise."""
        return one < other if self.direction == "lower" else one > other


_ALL = (
    Metric("held_out", "lower", "nats/token", None, "loss"),
    Metric("bits_per_byte", "lower", "bits/byte", None, "loss"),
    Metric("minimal-pairs", "higher", "accuracy", 0.5, "accuracy"),
    Metric("blimp", "higher", "accuracy", 0.5, "accuracy"),
    Metric("babylm", "higher", "accuracy", 0.5, "accuracy"),
    Metric("probes", "higher", "accuracy", 0.5, "accuracy"),
    Metric("core", "higher", "mean", None, "accuracy"),
    Metric("tokens_per_second", "higher", "tokens/s", None, "cost"),
    Metric("train_seconds", "lower", "s", None, "cost"),
    Metric("cpu_seconds", "lower", "s", None, "cost"),
    Metric("peak_memory_mb", "lower", "MB", None, "cost"),
    Metric("flops", "lower", "FLOP", None, "cost"),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""All metrics by name; the sets of a suite share the entry of the suite."""

_MEASURES: Mapping[str, tuple[Direction, str]] = MappingProxyType(
    {
        "perplexity": ("lower", "per token"),
        "word_perplexity": ("lower", "per word"),
        "byte_perplexity": ("lower", "per byte"),
        "bits_per_byte": ("lower", "bits/byte"),
        "brier_score": ("lower", "squared error"),
        "mcc": ("higher", "correlation"),
        "f1": ("higher", "F1"),
    }
)
"""What tasks of lm-eval measure besides accuracy, by the last part of a score's name."""


def get_metric(name: str) -> Metric:
    """The metric called ``name``, ``suite/set`` included; ``UserError`` with the nearest one otherwise.

    >>> get_metric("blimp/adjunct_island").chance
    0.5
    """
    if name in METRICS:
        return METRICS[name]
    suite, slash, _ = name.partition("/")
    if slash and suite in METRICS and METRICS[suite].group == "accuracy":
        return suite_metric(name)
    raise unknown("metric", name, METRICS)


def suite_metric(name: str) -> Metric:
    """The metric of a score of any suite, tasks of lm-eval included, whose names are not all known here.

    A score called ``SUITE`` or ``SUITE/PART`` is one of which more is better: a task that measures nothing of
    the kind has only scores with the name of a measure at their end.

    >>> suite_metric("hellaswag").direction, suite_metric("wikitext/bits_per_byte").direction
    ('higher', 'lower')
    """
    if name in METRICS:
        return METRICS[name]
    suite, _, rest = name.partition("/")
    measure = rest.rpartition("/")[2].partition("@")[0]
    if measure in _MEASURES:
        direction, unit = _MEASURES[measure]
        return Metric(name, direction, unit, None, "accuracy")
    return replace(METRICS.get(suite, Metric(suite, "higher", "accuracy", None, "accuracy")), name=name)
