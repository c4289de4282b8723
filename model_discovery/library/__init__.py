"""The paper library: cards in our own words, papers of the user's, and search over both."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_discovery.library.cards import Card as Card
    from model_discovery.library.cards import load_cards as load_cards
    from model_discovery.library.library import PaperLibrary as PaperLibrary
    from model_discovery.library.online import Online as Online
    from model_discovery.library.pdf import ReadPaper as ReadPaper
    from model_discovery.library.pdf import read_pdf as read_pdf
    from model_discovery.library.types import Hit as Hit
    from model_discovery.library.types import Paper as Paper
    from model_discovery.library.types import Passage as Passage
    from model_discovery.library.types import Source as Source
    from model_discovery.library.types import Stats as Stats

_MODULES = {
    "cards": ("Card", "load_cards"),
    "library": ("PaperLibrary",),
    "online": ("Online",),
    "pdf": ("ReadPaper", "read_pdf"),
    "types": ("Hit", "Paper", "Passage", "Source", "Stats"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'model_discovery.library' has no attribute {name!r}")
    return getattr(importlib.import_module(f"model_discovery.library.{_HOME[name]}"), name)
