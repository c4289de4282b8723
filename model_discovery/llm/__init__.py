"""One stateless chat call over litellm, with its money, its ledger and its journal. Importing it is free."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_discovery.llm.bounds import Bound as Bound
    from model_discovery.llm.bounds import CallFacts as CallFacts
    from model_discovery.llm.client import LLM as LLM
    from model_discovery.llm.journal import Event as Event
    from model_discovery.llm.journal import Journal as Journal
    from model_discovery.llm.journal import JournalMismatch as JournalMismatch
    from model_discovery.llm.journal import read_journal as read_journal
    from model_discovery.llm.ledger import Ledger as Ledger
    from model_discovery.llm.ledger import LedgerRow as LedgerRow
    from model_discovery.llm.ledger import Reservation as Reservation
    from model_discovery.llm.retries import Patience as Patience
    from model_discovery.llm.types import BadReply as BadReply
    from model_discovery.llm.types import LimitReached as LimitReached
    from model_discovery.llm.types import Message as Message
    from model_discovery.llm.types import ModelSettings as ModelSettings
    from model_discovery.llm.types import ModelUnavailable as ModelUnavailable
    from model_discovery.llm.types import Reply as Reply
    from model_discovery.llm.types import Usage as Usage

_MODULES = {
    "bounds": ("Bound", "CallFacts"),
    "client": ("LLM",),
    "journal": ("Event", "Journal", "JournalMismatch", "read_journal"),
    "ledger": ("Ledger", "LedgerRow", "Reservation"),
    "retries": ("Patience",),
    "types": ("BadReply", "LimitReached", "Message", "ModelSettings", "ModelUnavailable", "Reply", "Usage"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'model_discovery.llm' has no attribute {name!r}")
    return getattr(importlib.import_module(f"model_discovery.llm.{_HOME[name]}"), name)
