"""A campaign told as it happens: which line a person reads for which event."""

import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from model_discovery.config import CampaignConfig
from model_discovery.system.progress import Display, program

if TYPE_CHECKING:
    from model_discovery.evolution import CampaignEvent


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
    """

    def __init__(self, display: Display, campaign: str, options: str) -> None:
        self._display = display
        self._campaign = campaign
        self._options = options
        self._labels: dict[int, str] = {}
        self._start = time.monotonic()

    def begin(self, instruction: str, config: CampaignConfig, recipe: str, places: str) -> None:
        """What is about to happen, with what."""
        designers = ", ".join(name for name, share in config.designers.items() if share > 0)
        self._display.line(f"[bold]{escape(self._campaign)}[/bold]: {escape(instruction)}")
        who = f"designer: {designers} (no LLM and no key needed; it does not read the instruction) · "
        selector = f" · selector: {config.selector}"
        if not config.budget.designs:
            who, selector = "human designs only · ", ""
        self._display.line(f"{who}recipe: {recipe}{selector} · seed {config.seed}")
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
        self._line(f"resumed after {data['jobs']} jobs, {data['unfinished']} of them taken up again")

    def _submitted(self, data: dict[str, Any]) -> None:
        if data["kind"] == "verify":
            label = f"{data['scale']} {data['design']} seed {data['seed']}"
        else:
            label = f"design by {data['operator']}"
        self._labels[data["job"]] = f"{label} (#{data['job']})"

    def _progress(self, data: dict[str, Any]) -> None:
        label = self._labels.get(data["job"], f"job #{data['job']}")
        self._labels.setdefault(data["job"], label)
        self._display.job(label, data)

    def _designed(self, data: dict[str, Any]) -> None:
        self._done(data)
        of = f" of {' and '.join(data['parents'])}" if data["parents"] else ""
        self._line(f"designed  [bold]{data['design']}[/bold]  {data['operator']}{of}")

    def _fruitless(self, data: dict[str, Any]) -> None:
        self._done(data)
        refused = ", ".join(f"{check} {count}x" for check, count in data["failures"].items())
        self._line(
            f"no design by {data['operator']}: {escape(data['why'])}{f' ({refused})' if refused else ''}"
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
        waiting = f"waiting for {data['in_flight']} jobs in flight; Ctrl-C again stops at once"
        self._line(f"{escape(data['reason'])}: {waiting}")

    def _stopped(self, data: dict[str, Any]) -> None:
        self._line(f"stopped; go on with: {program()} discover --resume {self._campaign}{self._options}")
