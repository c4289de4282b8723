"""Selectors by name: who is a parent, what is verified next."""

from model_discovery.errors import unknown
from model_discovery.evolution.selectors.base import Choice, Runs, Selector, View
from model_discovery.evolution.selectors.greedy import GreedySelector
from model_discovery.evolution.selectors.posterior import PosteriorSelector
from model_discovery.evolution.selectors.quadrant import QuadrantSelector
from model_discovery.evolution.selectors.uniform import RandomSelector

__all__ = ["Choice", "Runs", "Selector", "View", "get_selector", "selector_names"]

_SELECTORS: tuple[Selector, ...] = (
    PosteriorSelector(),
    QuadrantSelector(),
    GreedySelector(),
    RandomSelector(),
)


def selector_names() -> tuple[str, ...]:
    """Names that `get_selector` knows, the default first."""
    return tuple(selector.name for selector in _SELECTORS)


def get_selector(name: str) -> Selector:
    """A selector by name.

    Raises
    ------
    UserError
        An unknown name, with the nearest one.
    """
    for selector in _SELECTORS:
        if selector.name == name:
            return selector
    raise unknown("selector", name, selector_names())
