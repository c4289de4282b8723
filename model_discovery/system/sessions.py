"""Design sessions of campaigns, read from their journals; nothing here changes one."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.config.agents import LLM_DESIGNERS
from model_discovery.errors import UserError, unknown
from model_discovery.system import spending, views
from model_discovery.system.folders import campaign_folder
from model_discovery.system.progress import program
from model_discovery.system.proposals import prediction_facts
from model_discovery.system.views import Facts

if TYPE_CHECKING:
    from model_discovery.design_tree import CampaignRow, DesignTree, JobRow
    from model_discovery.designers.agentic.story import Moment, Story
    from model_discovery.designers.requests import DesignRequest, Spending
    from model_discovery.llm import Event

JOURNAL = "session.jsonl"


def sessions(db: str, campaign: str | None) -> list[Facts]:
    """One row a session with language models: what came of it, and what it took."""
    with views.open_campaign(db, campaign) as (tree, row):
        assert row is not None
        ends, spent = _ends(tree, row), spending.by_session(row.name)
        return [
            _row(job, row.name, ends.get(job.number), spent.get(job.number)) for job in design_jobs(tree, row)
        ]


def design_jobs(tree: "DesignTree", row: "CampaignRow") -> "list[JobRow]":
    """The jobs of a campaign that are sessions with language models, in order."""
    jobs = tree.jobs(row.id)
    return [job for job in jobs if job.kind == "design" and job.request.get("designer") in LLM_DESIGNERS]


def _ends(tree: "DesignTree", row: "CampaignRow") -> dict[int, Facts]:
    """What the timeline says of design jobs that were applied, by number."""
    events = tree.events(row.id)
    return {event.data["job"]: event.data for event in events if event.kind in ("designed", "fruitless")}


def _row(job: "JobRow", campaign: str, end: Facts | None, spent: "Spending | None") -> Facts:
    try:
        story = _story_of(journal_of(campaign, job.number))
        tries = _tries(story)
    except UserError:  # one damaged file must not hide the others; session show says what is wrong with it
        story, tries = None, "journal unreadable"
    spent = spent or _spending(story, job)
    return {
        "session": job.number,
        "operator": job.request["operator"],
        "parents": ", ".join(parent["name"] for parent in job.request["parents"]),
        "design": end.get("design") if end else None,
        "outcome": _outcome(job, end),
        "calls": spent and spent.calls,
        "tokens": spent and spent.tokens,
        "dollars": spent and spent.dollars,
        "spending": spent and spent.model_dump(),
        "seconds": None if job.seconds is None else round(job.seconds, 1),
        "checks passed": tries,
    }


def _story_of(journal: Path) -> "Story | None":
    from model_discovery.designers.agentic.story import tell
    from model_discovery.llm import read_journal

    return tell(read_journal(journal)) if journal.exists() else None


def _spending(story: "Story | None", job: "JobRow") -> "Spending | None":
    """From the journal; where that is gone, as the result says."""
    from model_discovery.designers.requests import Spending

    if story is not None:
        return story.cost
    held = (job.result or {}).get("spending")
    return Spending.model_validate(held) if held else None


def _outcome(job: "JobRow", end: Facts | None) -> str:
    if end is None:
        return {"queued": "waits", "running": "goes on, or was interrupted"}.get(job.state, job.state)
    return "a design" if end.get("design") else str(end.get("why", ""))


def _tries(story: "Story | None") -> str:
    """At which try each slot passed its checks: ``mixer 3, ffn -``."""
    slots = story.tries if story else ()
    return ", ".join(f"{one.path or '(block)'} {one.passed or '-'} of {one.count}" for one in slots)


# -- one session


def session(db: str, campaign: str | None, which: str, *, full: bool = False) -> Facts:
    """Everything that is known of a session.

    Parameters
    ----------
    which
        Its number, the name of its design, or a journal's file.
    full
        The prompts and answers too, word for word.
    """
    path = Path(which).expanduser()
    if not which.isdigit() and path.exists():
        return of_journal(path / JOURNAL if path.is_dir() else path, full=full)
    with views.open_campaign(db, campaign) as (tree, row):
        assert row is not None
        job = find_job(tree, row, which)
        end = _ends(tree, row).get(job.number)
        journal = journal_of(row.name, job.number)
        if not journal.exists():
            raise UserError(
                f"Session {job.number} of {row.name} has no journal {journal}.",
                hint="run where the campaign ran, or set CKPT_DIR",
            )
        facts = of_journal(journal, request=_request(job), full=full)
        facts |= {"campaign": row.name, "number": job.number, "outcome": _outcome(job, end)}
        facts |= {"design": end.get("design") if end else None, "wall_seconds": job.seconds}
        if (spent := spending.by_session(row.name).get(job.number)) is not None:
            open_ = {"unanswered", "unanswered_tokens", "unanswered_dollars"}
            facts["cost"] |= spent.model_dump(include=open_)
        if facts["design"]:
            facts["verified"] = _verified(tree, row, facts["design"])
        return facts


def find_job(tree: "DesignTree", row: "CampaignRow", which: str) -> "JobRow":
    """A session's job by its number or by the name of its design."""
    jobs = {job.number: job for job in design_jobs(tree, row)}
    if not jobs:
        raise UserError(
            f"The campaign {row.name} has no session with language models.",
            hint=f'{program()} discover "…" --designer agentic runs some',
        )
    designs = {end["design"]: number for number, end in _ends(tree, row).items() if "design" in end}
    number = int(which) if which.isdigit() else designs.get(which)
    if number in jobs:
        return jobs[number]
    if which.isdigit():
        raise UserError(
            f"{which} is no session of {row.name}.", hint=f"sessions: {', '.join(map(str, jobs))}"
        )
    raise unknown("session", which, [name for name, number in designs.items() if number in jobs])


def journal_of(campaign: str, number: int) -> Path:
    """Where a session's journal lies."""
    return campaign_folder(campaign) / f"design-{number}" / JOURNAL


def _request(job: "JobRow") -> "DesignRequest":
    from model_discovery.designers.requests import read_request

    return read_request(job.request)


def of_journal(path: Path, *, request: "DesignRequest | None" = None, full: bool = False) -> Facts:
    """A session as its journal alone tells it."""
    from model_discovery.designers.agentic.story import tell
    from model_discovery.llm import read_journal

    events = read_journal(path)
    if not events:
        raise UserError(f"The journal {path} holds no event.", hint="has the session begun?")
    story = tell(events, request)
    return {
        "session": story.session,
        "journal": str(path),
        "instruction": story.begin.get("instruction", ""),
        "operator": story.begin.get("operator", ""),
        "parents": [parent[0] for parent in story.begin.get("parents", ())],
        "models": {role: held["model"] for role, held in story.begin.get("models", {}).items()},
        "cost": story.cost.model_dump(),
        "cost_by_role": {role: cost.model_dump() for role, cost in story.costs.items()},
        "tries": [asdict(tries) for tries in story.tries],
        "moments": [
            {**_moment(moment), **(_words(event) if full else {})}
            for moment, event in zip(story.moments, events, strict=True)
        ],
        "end": story.end,
    }


def _moment(moment: "Moment") -> Facts:
    return {**asdict(moment), "cost": moment.cost and moment.cost.model_dump()}


def _words(event: "Event") -> Facts:
    """What a model was sent and what it wrote."""
    if event.kind != "llm_call":
        return {}
    return {"messages": event.data.get("messages", []), "text": event.data.get("text", "")}


def _verified(tree: "DesignTree", row: "CampaignRow", name: str) -> Facts:
    """What was measured of a design, and what came of its prediction."""
    design = tree.design(row.id, name)
    runs: list[dict[str, Any]] = [
        {"scale": run.scale, "seed": run.seed, "status": run.status, "loss": run.losses.get("held_out")}
        for run in tree.verifications(row.id)
        if run.design_id == design.id
    ]
    judged = prediction_facts(tree, row, name) or {}
    return {"runs": runs, **{part: judged.get(part) for part in ("prediction", "verdict", "evidence")}}
