"""A design session as a job of the engine: its tools from the request, the settings and the job's folder."""

import shutil
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks import check_tree
from model_discovery.checks.report import CheckReport
from model_discovery.config import AgentsConfig, Settings
from model_discovery.designers.agentic.asking import SessionTools
from model_discovery.designers.agentic.session import run_session
from model_discovery.designers.agentic.specs import load_specs
from model_discovery.designers.checking import DesignCheck, open_sandbox
from model_discovery.designers.requests import DesignOutcome, DesignRequest
from model_discovery.engine.jobs import JobContext
from model_discovery.errors import UserError
from model_discovery.library.library import PaperLibrary
from model_discovery.library.online import Online
from model_discovery.library.types import Hit
from model_discovery.llm.client import LLM
from model_discovery.llm.journal import Journal
from model_discovery.llm.ledger import Ledger

JOURNAL = "session.jsonl"
LEDGER = "llm_ledger.db"
_HITS = 8  # of the library, for the long query
_LONG_PAUSE = 5.0  # seconds
_HITS_ONLINE = 3  # of the services, for each keyword


def run_agentic(request: DesignRequest, context: JobContext) -> DesignOutcome:
    """Run the session of a request, or go on with it where its journal in the job's folder ends.

    The calls of all sessions of a campaign are counted in one ledger, in the folder above the job's.
    """
    config = request.agents or AgentsConfig()
    journal = _journal(config, context.folder)
    ledger = Ledger(context.folder.parent / LEDGER if config.replay is None else None)
    with closing(ledger):
        campaign = context.folder.parent.name
        ledger.begin(campaign, journal.session)
        tools = SessionTools(
            llm=LLM(
                ledger,
                journal,
                per_call=config.per_call,
                scopes={"session": config.per_session, "campaign": config.per_campaign},
                prices=config.price,
                campaign=campaign,
                told=_pause_teller(context),
            ),
            specs=load_specs(Path(config.agent_spec) if config.agent_spec else None),
            check=_check(request, context),
            search=_search(config, context),
            journal=journal,
            report=context.report,
        )
        try:
            return run_session(request, tools).model_copy(update={"trace": JOURNAL})
        finally:
            ledger.end(campaign, journal.session)


def _pause_teller(context: JobContext) -> Callable[[float, str], None]:
    """Tells of pauses that somebody who watches would wonder about."""
    numbers = count(1)

    def told(seconds: float, why: str) -> None:
        if seconds >= _LONG_PAUSE:
            context.report(stage="wait", attempt=next(numbers), seconds=round(seconds), why=why)

    return told


def _journal(config: AgentsConfig, folder: Path) -> Journal:
    """The session's journal; in a replay the recorded one of the same name, of which the job gets a copy."""
    name, path = f"{folder.parent.name}/{folder.name}", folder / JOURNAL
    if config.replay is None:
        return Journal(path, name)
    recorded = Path(config.replay) / folder.name / JOURNAL
    if not recorded.is_file():
        raise UserError(
            f"There is no recorded session {recorded}.",
            hint="replay the folder of a campaign that ran with the same seed and designers",
        )
    folder.mkdir(parents=True, exist_ok=True)
    if recorded.resolve() != path.resolve():
        shutil.copyfile(recorded, path)
    return Journal(path, name, mode="replay")


def _check(request: DesignRequest, context: JobContext) -> Callable[[UnitTree, str], CheckReport]:
    """Checks in the sandbox that the worker keeps, each in a folder of its own below the job's."""
    root, level = context.folder.parent, request.limits.sandbox
    numbers = count()

    def check(tree: UnitTree, what: str) -> CheckReport:
        sandbox = context.keep(f"designers/{level}/{root}", lambda: open_sandbox(root, level))
        number = next(numbers)
        if what == "design":
            return DesignCheck(sandbox, context.folder)(tree, request, number)
        folder = context.folder / f"attempt_{number}"
        return check_tree(tree, sandbox, folder=folder, scales=request.limits.scales)

    return check


def _search(config: AgentsConfig, context: JobContext) -> Callable[[str, list[str]], list[Hit]]:
    """Papers from the library, opened when first asked for, and from services on the web that answer.

    What either has to say (an index made again, a service that is down) is printed once, into the job's log.
    """
    settings = Settings()
    said: set[str] = set()

    def search(query: str, keywords: list[str]) -> list[Hit]:
        library = context.keep(
            f"library/{settings.library_dir}",
            lambda: PaperLibrary.open(settings.library_dir, embedder=settings.library_embedder),
        )
        hits, notes = library.search(query or " ".join(keywords), _HITS), library.notes
        if config.online:
            online = Online.from_settings(settings)
            for keyword in keywords:
                hits += online.search(keyword, _HITS_ONLINE)
            notes = [*notes, *online.notes]
        for note in notes:
            if note not in said:
                print(note)
                said.add(note)
        return list({hit.paper.id: hit for hit in reversed(hits)}.values())[::-1]

    return search
