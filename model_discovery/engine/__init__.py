"""Where jobs run: worker processes of this machine. An engine knows nothing about what a job means."""

from model_discovery.engine.cards import Card, card_devices, list_cards
from model_discovery.engine.jobs import Job, JobContext, JobProgress, JobResult, Resources
from model_discovery.engine.local import LocalEngine
from model_discovery.engine.places import (
    CARD_SHARE,
    Places,
    Slot,
    available_cores,
    available_memory,
    choose_places,
    total_memory,
)

__all__ = [
    "CARD_SHARE",
    "Card",
    "Job",
    "JobContext",
    "JobProgress",
    "JobResult",
    "LocalEngine",
    "Places",
    "Resources",
    "Slot",
    "available_cores",
    "available_memory",
    "card_devices",
    "choose_places",
    "list_cards",
    "total_memory",
]
