"""A campaign told as it happens: which line a person reads for which event."""

import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from model_discovery.config import CampaignConfig
from model_discovery.config.agents import LLM_DESIGNERS
from model_discovery.system import models, spending
from model_discovery.system.progress import Display, program

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_discovery.designers.requests import Spending
    from model_discovery.evolution import CampaignEvent


_STAGES = {
    "search": ("searches", "round"),
    "propose": ("proposes", "draft"),
    "review": ("reviews", "review"),
    "plan": ("plans", "plan"),
    "code": ("writes", "try"),
    "check": ("checks", "check"),
    "judge": ("judges", "try"),
}
_TOLD = ("propose", "review", "code", "judge", "wait")  # stages with a line of their own; all move the bar


class Narrator:
    """Turns the controller's events into lines and bars.

    Parameters
    ----------
    display
        Where they go.
    campaign
        Its name, for the command that resumes it.
    options
        What that command needs besides the name, such as ``" --db FILE"``.
    spent
        What all sessions took so far; None where nothing is paid, as in a replay.
    """

    def __init__(
        self,
        display: Display,
        campaign: str,
        options: str,
        spent: "Callable[[], Spending | None]" = lambda: None,
    ) -> None:
        self._display = display
        self._campaign = campaign
        self._options = options
        self._labels: dict[int, str] = {}
        self._stages: dict[int, tuple[Any, ...]] = {}
        self._all_spent = spent
        self._said_limit = False
        self._start = time.monotonic()

    def begin(self, instruction: str, config: CampaignConfig, recipe: str, places: str) -> None:
        """What is about to happen, with what."""
        self._display.line(f"[bold]{escape(self._campaign)}[/bold]: {escape(instruction)}")
        designers = " and ".join(name for name, share in config.designers.items() if share > 0)
        who, selector = f"designer: {designers} · ", f" · selector: {config.selector}"
        if not config.budget.designs:
            who, selector = "human designs only · ", ""
        self._display.line(f"{who}recipe: {recipe}{selector} · seed {config.seed}")
        if models.asks_models(config):
            self._display.line(f"language models: {escape(models.asked_in_words(config))}")
            self._display.line(f"they may spend: {escape(models.spending_in_words(config.agents))}")
        elif config.budget.designs:
            self._display.line(escape(models.without_models()))
        self._display.line(f"places: {places}")

    def prepared(self, scale: str, tokens: int, vocabulary: int) -> None:
        """The data of a scale is there."""
        self._display.line(f"data for {scale}: {tokens:,} training tokens, vocabulary {vocabulary:,}")

    def event(self, event: "CampaignEvent") -> None:
        """Say an event."""
        tell = getattr(self, f"_{event.kind}", None)
        if tell is not None:
            tell(event.data)

    def _line(self, text: str) -> None:
        self._display.line(f"[dim]{time.monotonic() - self._start:5.0f} s[/dim]  {text}")

    def _done(self, data: dict[str, Any]) -> None:
        self._display.end(self._labels.pop(data["job"], ""))

    def _resumed(self, data: dict[str, Any]) -> None:
        spent = self._all_spent()
        before = f"; spent before: {spending.whole(spent)}" if spent else ""
        self._line(f"resumed after {data['jobs']} jobs, {data['unfinished']} of them taken up again{before}")

    def _submitted(self, data: dict[str, Any]) -> None:
        if "design" in data:
            label = f"{data['scale']} {data['design']} seed {data['seed']}"
        else:
            label = f"{data['designer']} design by {data['operator']}"
        self._labels[data["job"]] = f"{label} (#{data['job']})"

    _taken_up = _submitted

    def _progress(self, data: dict[str, Any]) -> None:
        label = self._labels.get(data["job"], f"job #{data['job']}")
        self._labels.setdefault(data["job"], label)
        if "stage" not in data:
            self._display.job(label, data)
            return
        self._display.job(label, {"doing": escape(_stage(data))})
        place = data["stage"], data.get("unit"), data.get("attempt")
        if data["stage"] in _TOLD and place != self._stages.get(data["job"]):
            self._stages[data["job"]] = place
            self._line(f"{label} {escape(_stage(data))}")

    def _designed(self, data: dict[str, Any]) -> None:
        self._done(data)
        of = f" of {' and '.join(data['parents'])}" if data["parents"] else ""
        title = f": {escape(data['title'])}" if data["designer"] in LLM_DESIGNERS else ""
        spent = self._spent(data)
        self._line(f"designed  [bold]{data['design']}[/bold]  {data['operator']}{of}{title}{spent}")

    def _fruitless(self, data: dict[str, Any]) -> None:
        self._done(data)
        refused = ", ".join(f"{check} {count}x" for check, count in data["failures"].items())
        idea = data["session"].get("proposal")
        open_ = f"; '{escape(idea['title'])}' may be taken up again" if idea else ""
        self._line(
            f"no design by {data['operator']}: {escape(data['why'])}{f' ({refused})' if refused else ''}"
            f"{open_}{self._spent(data)}"
        )
        campaign, _, what = data["session"].get("limit", "").partition(" ")
        if campaign == "campaign" and not self._said_limit:
            self._said_limit = True
            self._line(
                f"the campaign's limit of {escape(what)} is reached: no language model is asked any more"
            )

    def _spent(self, data: dict[str, Any]) -> str:
        """What a session took, and all of the campaign so far."""
        self._stages.pop(data["job"], None)
        spent = spending.read(data["session"].get("spending"))
        if not spent.calls:
            return ""
        every = self._all_spent()
        so_far = f"; {spending.amount(every)} so far" if every else ""
        return (
            f"  [dim]({spending.counted(spent.calls, 'call', 's')}, {spending.amount(spent)}{so_far})[/dim]"
        )

    def _verified(self, data: dict[str, Any]) -> None:
        self._done(data)
        where = f"{data['scale']:>5} {data['design']} seed {data['seed']}"
        if data["status"] == "stopped":
            self._line(f"stopped   {where}: {escape(data['error'])}")
        elif data["loss"] is None:
            self._line(f"failed    {where}: {data['status']}: {escape(data['error'])}")
        else:
            self._line(f"verified  {where}: held-out {data['loss']:.4f} nats/token")

    def _lost(self, data: dict[str, Any]) -> None:
        then = "set aside" if data["set_aside"] else "taken up again"
        self._line(f"a worker died with job #{data['job']} ({escape(data['error'])}); the job is {then}")

    def _stopping(self, data: dict[str, Any]) -> None:
        jobs = f"{data['in_flight']} job{'' if data['in_flight'] == 1 else 's'}"
        waiting = f"waiting for {jobs} in flight; Ctrl-C again stops at once"
        self._line(f"{escape(data['reason'])}: {waiting}")

    def _stopped(self, data: dict[str, Any]) -> None:
        self._line(f"stopped; go on with: {program()} discover --resume {self._campaign}{self._options}")


def _stage(data: dict[str, Any]) -> str:
    """Where a session is: ``writes mixer.gate, try 2 of 7, $0.12``."""
    if data["stage"] == "wait":
        return f"waits {data['seconds']} s to ask again: {data['why']}"
    verb, counted = _STAGES.get(data["stage"], (str(data["stage"]), "try"))
    words = [verb]
    if data.get("title"):
        words.append(f"'{data['title']}'")
    if data.get("unit") is not None:
        words.append(str(data["unit"]) or "the block")
    parts = [" ".join(words)]
    if data.get("attempt"):
        of = f" of {data['of']}" if data.get("of") else ""
        parts.append(f"{counted} {data['attempt']}{of}")
    spent = spending.read(data.get("spending"))
    if spent.calls:
        calls = "" if spending.money(spent) else f"{spending.counted(spent.calls, 'call', 's')}, "
        parts.append(calls + spending.amount(spent))
    return ", ".join(parts)
