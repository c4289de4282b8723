"""Where jobs run: worker processes of this machine. An engine knows nothing about what a job means."""

from model_discovery.engine.jobs import Job, JobContext, JobProgress, JobResult, Resources
from model_discovery.engine.local import LocalEngine
from model_discovery.engine.places import Places, available_cores, available_memory, choose_places

__all__ = [
    "Job",
    "JobContext",
    "JobProgress",
    "JobResult",
    "LocalEngine",
    "Places",
    "Resources",
    "available_cores",
    "available_memory",
    "choose_places",
]
