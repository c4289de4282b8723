"""Recorded sessions with language models run again, without a model or a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError
from model_discovery.system import views
from model_discovery.system.folders import campaign_folder, work_folder
from model_discovery.system.progress import program
from model_discovery.system.sessions import design_jobs, find_job
from model_discovery.system.views import Facts

if TYPE_CHECKING:
    from model_discovery.design_tree import JobRow

# Parts of an outcome that belong to the run, not to the design.
_OWN = ("seconds", "spending", "trace", "reworded")


def replay_session(db: str, campaign: str | None, which: str) -> Facts:
    """Run one session again from its journal, and compare its outcome with the recorded one.

    Raises
    ------
    UserError
        No such session, one that has not ended, or one that asks something else than was recorded.
    """
    with views.open_campaign(db, campaign) as (tree, row):
        assert row is not None
        job, name = find_job(tree, row, which), row.name
    if job.result is None:
        raise UserError(
            f"Session {job.number} of {name} has no outcome to compare with ({job.state}).",
            hint=job.error or f"{program()} discover --resume {name} goes on with it",
        )
    now = _run_again(job, campaign_folder(name))
    differs = [
        part for part in {**job.result, **now} if part not in _OWN and job.result.get(part) != now.get(part)
    ]
    same = f"Session {job.number} of {name} came to the same: {now['structure_hash'] or now['why']}"
    other = f"Session {job.number} of {name} came to something else: {', '.join(differs)}"
    return {
        "session": job.number,
        "campaign": name,
        "same": not differs,
        "differs": differs,
        "words": (other if differs else same) + _reworded(now["reworded"]),
    }


def _reworded(count: int) -> str:
    if not count:
        return ""
    return (
        f"; {count} of its questions were worded otherwise than when they were recorded, as they are when "
        "results were measured on another machine"
    )


def _run_again(job: "JobRow", recorded: Path) -> dict[str, Any]:
    """The outcome of a job's request with the answers that were recorded."""
    from model_discovery.config import AgentsConfig
    from model_discovery.designers.work import run_design
    from model_discovery.engine.jobs import JobContext, Resources

    agents = AgentsConfig.model_validate(job.request.get("agents") or {})
    asked = agents.model_copy(update={"replay": str(recorded)}).model_dump(mode="json")
    resources = Resources()
    with work_folder() as folder:
        own = folder / f"design-{job.number}"
        own.mkdir()
        context = JobContext(own, 1, send=lambda _: None, resources=resources)
        try:
            return run_design({**job.request, "agents": asked}, context)
        finally:
            resources.close()


def replay_campaign(
    db: str, name: str, *, as_name: str | None = None, workers: int | None = None, progress: bool = True
) -> Facts:
    """Run a finished campaign again under a new name, its sessions from their journals, and compare lineages.

    Raises
    ------
    UserError
        No such campaign, or one that is not finished.
    """
    from model_discovery.system.build_system import BuildSystem

    with views.open_tree(db) as tree:
        row = tree.campaign(name)
        recorded = tree.lineage_hash(row.id)
    if row.state != "finished":
        raise UserError(
            f"The campaign {name} is {row.state}: only a finished one has a lineage to compare with.",
            hint=f"{program()} discover --resume {name}",
        )
    result = BuildSystem(db=db, workers=workers, progress=progress).replay(name, as_name=as_name)
    with views.open_campaign(db, result.campaign) as (tree, again):
        assert again is not None
        reworded = sum((job.result or {}).get("reworded", 0) for job in design_jobs(tree, again))
    same = result.lineage_hash == recorded
    other = f"Another lineage: {name} has {recorded}, its replay {result.campaign} {result.lineage_hash}"
    return {
        "campaign": name,
        "replay": result.campaign,
        "same": same,
        "lineage_hash": result.lineage_hash,
        "recorded_hash": recorded,
        "words": (f"The same lineage: {recorded}" if same else other) + _reworded(reworded),
    }
