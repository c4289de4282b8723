"""The two kinds of work on a machine whose sandbox cannot start, for real workers."""

from typing import Any

from model_discovery.designers import checking
from model_discovery.designers.work import run_design
from model_discovery.engine import JobContext
from model_discovery.verification import work

ABSENT = ("no_such_module",)


def verify(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    work.PRELOAD = ABSENT
    return work.run_verify(request, context)


def design(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    checking._PRELOAD = ABSENT
    return run_design(request, context)
