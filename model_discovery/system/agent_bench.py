"""The benchmark of agents: fixed situations, one session each, unit by unit and as one block, counted."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.config import AgentsConfig, Settings, load_config
from model_discovery.errors import EXIT_FAILED, EXIT_INTERRUPTED, UserError, unknown
from model_discovery.strict_json import dump_json
from model_discovery.system.folders import folder_or_error
from model_discovery.system.models import models_in_words, reach_servers, settle_models
from model_discovery.system.progress import Display, make_console
from model_discovery.system.spending import amount, counted
from model_discovery.system.verify import closing_engine

if TYPE_CHECKING:
    from model_discovery.config import CampaignConfig, SandboxLevel
    from model_discovery.designers.requests import DesignOutcome, DesignRequest

FLOWS = ("units", "direct")
_GO_ON = "once that is mended, the same command goes on"
_AT_ONCE = 4  # sessions mostly wait for models
_FACTS, _OUTCOME = "bench.json", "outcome.json"
Facts = dict[str, Any]


@dataclass(frozen=True)
class _Session:
    flow: str
    name: str
    request: "DesignRequest"
    folder: Path


def bench(
    *,
    agents: Facts,
    n: int,
    flows: Sequence[str],
    overrides: Iterable[str] = (),
    seed: int = 0,
    out: Path | None = None,
    workers: int | None = None,
    level: "SandboxLevel" = "auto",
    progress: bool = True,
) -> Facts:
    """Run the benchmark, or go on with it where it was stopped, and count what came of it.

    Parameters
    ----------
    agents
        Keys of ``AgentsConfig``: model, limits and so on. ``per_campaign`` bounds the whole benchmark.
    n
        Sessions of each flow: the situations in turn over the operators, again with other seeds beyond 20.
    flows
        ``units``, ``direct`` or both.
    overrides
        Assignments such as ``agents.planner=false``.
    workers
        Sessions at once, 4 unless told.
    out
        Folder of the sessions' journals, from which a stopped benchmark goes on; below ``CKPT_DIR`` by the
        model's name unless told.

    Raises
    ------
    UserError
        Nobody to ask, nothing that bounds the cost, or a folder that holds another benchmark.
    """
    for flow in flows:
        if flow not in FLOWS:
            raise unknown("flow", flow, FLOWS)
    if n < 1 or not flows:
        raise UserError("Nothing to run.", hint="--n 1 or more, --flow units,direct")
    config = _settled(agents, overrides, level)
    if config.agents.beam > 1 and "units" not in flows:
        raise UserError(
            "agents.beam has no meaning in the flow direct.", hint="leave it out, or add --flow units"
        )
    model = models_in_words(config)
    folder = folder_or_error(out or Settings().ckpt_dir / "agent-bench" / _file_name(model))
    _claim(folder, _identity(config.agents, model, seed))
    sessions = [session for flow in flows for session in _sessions(flow, n, config, seed, folder)]
    if not all((session.folder / _OUTCOME).exists() for session in sessions):
        reach_servers(config)
    failed = _run(sessions, workers, progress)
    return _facts(sessions, failed, model, folder, n)


def _settled(agents: Facts, overrides: Iterable[str], level: "SandboxLevel") -> "CampaignConfig":
    """The configuration of a campaign that only designs, with the model settled."""
    # A service that answers one day and not the next would make two benchmarks differ.
    config = load_config(
        "demo", overrides, designers={"agentic": 1.0}, agents={"online": False, **agents}, sandbox=level
    )
    return settle_models(config)


def _identity(agents: AgentsConfig, model: str, seed: int) -> Facts:
    """What has to be the same for sessions to be counted together."""
    from model_discovery.designers.agentic.situations import load_situations
    from model_discovery.designers.agentic.specs import load_specs

    folder = None if agents.agent_spec is None else Path(agents.agent_spec)
    prompts = {role: spec.digest for role, spec in load_specs(folder).items()}
    apart = {"agent_spec", "flow", "per_campaign", "price", "api_base", "replay", "default_model"}
    how = agents.model_dump(mode="json", exclude=apart)
    return {
        "situations": load_situations().version,
        "model": model,
        "seed": seed,
        "prompts": prompts,
        "agents": how,
    }


def _claim(folder: Path, identity: Facts) -> None:
    """Take a folder for this benchmark; one that holds another is refused."""
    file = folder / _FACTS
    if not file.exists():
        file.write_text(dump_json(identity), "utf-8")
        return
    held = json.loads(file.read_text("utf-8"))
    if held != identity:
        differing = [key for key in identity if held.get(key) != identity[key]]
        raise UserError(
            f"{folder} holds a benchmark with other {differing[0] if differing else 'facts'}.",
            hint="give another folder with --out, or delete this one",
        )


def _sessions(flow: str, n: int, config: "CampaignConfig", seed: int, folder: Path) -> list[_Session]:
    from model_discovery.designers.agentic.situations import in_turn, request_of
    from model_discovery.designers.requests import DesignLimits
    from model_discovery.seeds import derive

    beam = config.agents.beam if flow == "units" else 1
    agents = config.agents.model_copy(update={"flow": flow, "beam": beam})
    limits = DesignLimits(sandbox=config.sandbox)
    ordered, sessions = in_turn(), []
    for number in range(n):
        again, index = divmod(number, len(ordered))
        situation = ordered[index]
        name = f"{situation.name}-{again + 1}" if again else situation.name
        request = request_of(situation, agents, seed=derive(seed, "round", again), limits=limits)
        sessions.append(_Session(flow, name, request, folder / f"{flow}-{name}"))
    return sessions


def _run(sessions: Sequence[_Session], workers: int | None, progress: bool) -> dict[str, str]:
    """Run what has no outcome yet; errors by session of those that broke."""
    from model_discovery.engine import Job, JobResult, LocalEngine

    waiting = {n: one for n, one in enumerate(sessions) if not (one.folder / _OUTCOME).exists()}
    failed: dict[str, str] = {}
    if not waiting:
        return failed
    engine = LocalEngine(1, waiting=workers or _AT_ONCE)
    with (
        _saying_how_to_go_on(),
        closing_engine(engine, lambda: bool(waiting)),
        Display(enabled=progress) as display,
    ):
        for number, session in waiting.items():
            work = "model_discovery.designers.work:run_design"
            engine.submit(
                Job(number, work, session.request.model_dump(mode="json"), session.folder, waits=True)
            )
        while waiting:
            for message in engine.wait(timeout=0.5):
                session = sessions[message.id]
                label = f"{session.flow} {session.name}"
                if not isinstance(message, JobResult):
                    display.job(label, {"doing": _doing(message.fields)})
                    continue
                display.end(label)
                if message.status == "refused":
                    raise UserError(message.error, hint=_GO_ON, exit_code=EXIT_FAILED)
                del waiting[message.id]
                if message.value is None:
                    failed[label] = message.error
                else:
                    _keep(session.folder, message.value)
                display.plain(f"{label}: {failed.get(label) or _in_words(_outcome(session))}")
    return failed


@contextmanager
def _saying_how_to_go_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise UserError(
            "Stopped.", hint="the same command goes on; no call is paid twice", exit_code=EXIT_INTERRUPTED
        ) from None


def _doing(fields: Facts) -> str:
    return " ".join(
        str(fields[key]) for key in ("stage", "unit", "attempt") if fields.get(key) not in (None, "")
    )


def _keep(folder: Path, value: Facts) -> None:
    part = folder / f"{_OUTCOME}.part"
    part.write_text(dump_json(value), "utf-8")
    part.replace(folder / _OUTCOME)


def _outcome(session: _Session) -> "DesignOutcome":
    from model_discovery.designers.requests import DesignOutcome

    return DesignOutcome.model_validate_json((session.folder / _OUTCOME).read_text("utf-8"))


def _in_words(outcome: "DesignOutcome") -> str:
    spent = outcome.spending
    cost = f"{counted(spent.calls, 'call', 's')}, {amount(spent, 3)}" if spent else "no calls"
    end = "valid" if outcome.status == "valid" else f"no design ({outcome.why or outcome.limit})"
    return f"{end}, {cost}"


def _facts(sessions: Sequence[_Session], failed: dict[str, str], model: str, folder: Path, n: int) -> Facts:
    from model_discovery.designers.agentic.bench import tally
    from model_discovery.designers.agentic.situations import load_situations

    flows: Facts = {}
    rows: list[Facts] = []
    for flow in dict.fromkeys(session.flow for session in sessions):
        done = [one for one in sessions if one.flow == flow and (one.folder / _OUTCOME).exists()]
        outcomes = [_outcome(session) for session in done]
        flows[flow] = _finite(asdict(tally(outcomes)))
        rows += [
            {"flow": flow, "situation": one.name, "operator": one.request.operator, "status": outcome.status,
             "why": outcome.why, "attempts": len(outcome.attempts), "seconds": outcome.seconds,
             "spending": outcome.spending.model_dump() if outcome.spending else None,
             "folder": one.folder.name}
            for one, outcome in zip(done, outcomes, strict=True)
        ]  # fmt: skip
    return {
        "model": model,
        "situations": load_situations().version,
        "n": n,
        "flows": flows,
        "failed": failed,
        "sessions": rows,
        "folder": str(folder),
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity: a bound without end is the text ``inf``."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return "inf" if value == float("inf") else value


def _file_name(model: str) -> str:
    return re.sub(r"[^\w.-]+", "-", model).strip("-")[:80]


# -- printing


def print_bench(facts: Facts) -> None:
    """A row a number, a column a flow; then what was refused, and why sessions came to nothing."""
    from rich.table import Table

    console = make_console()
    flows = facts["flows"]
    console.print(f"[bold]{facts['model']}[/bold], situations version {facts['situations']}; 95 % intervals")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for flow in flows:
        table.add_column(flow, justify="right")
    table.add_row("valid designs", *(f"{one['valid']} of {one['sessions']}" for one in flows.values()))
    paid = any(one["total_dollars"] for one in flows.values())  # where models are free, tokens say it all
    for title, key, form in _ROWS if paid else _ROWS[:-_OF_MONEY]:
        table.add_row(title, *(_interval(one[key], form) for one in flows.values()))
    if paid:
        total = ("-" if one["total_dollars"] is None else _in_all(one) for one in flows.values())
        table.add_row("dollars in all", *total)
    console.print(table)
    for title, key in (("refused by the checks", "errors"), ("sessions without a design", "reasons")):
        for flow, one in flows.items():
            if one[key]:
                counts = ", ".join(f"{name} {count}" for name, count in one[key].items())
                console.print(f"{title}, {flow}: {counts}", soft_wrap=True, markup=False)
    for flow, one in flows.items():
        if one["cut"]:
            console.print(f"{flow}: {one['cut']} sessions were cut short by the limit and are not counted")
    for label, error in facts["failed"].items():
        console.print(f"{label} broke: {error}", soft_wrap=True, markup=False)
    console.print(f"journals: {facts['folder']}", soft_wrap=True, markup=False)


_ROWS = (
    ("share", "share", "{:.0%}"),
    ("checked designs a session", "attempts", "{:.1f}"),
    ("calls a session", "calls", "{:.1f}"),
    ("tokens a session", "tokens", "{:,.0f}"),
    ("dollars a session", "dollars", "${:.3f}"),
    ("dollars a valid design", "dollars_per_valid", "${:.3f}"),
)


_OF_MONEY = 2  # rows, the last ones


def _in_all(flow: Facts) -> str:
    return f"{'at least ' if flow['unpriced'] else ''}${flow['total_dollars']:.2f}"


def _interval(estimate: Facts | None, form: str) -> str:
    if estimate is None:
        return "-"
    text = form.format(estimate["value"])
    if estimate["low"] is None:
        return text
    high = "no end" if estimate["high"] == "inf" else form.format(estimate["high"])
    return f"{text} ({form.format(estimate['low'])} to {high})"
