"""What a campaign hands back: the best design, the leaderboard, and the way to more."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError, unknown
from model_discovery.system import spending
from model_discovery.system.designers import (
    designer_html,
    designer_records,
    designer_table,
    spent_in_words,
    worth_a_table,
)
from model_discovery.system.export import FORMATS, write_best, write_file
from model_discovery.system.progress import make_console, program
from model_discovery.system.story import tell
from model_discovery.system.weights import run_folders

if TYPE_CHECKING:
    from rich.console import RenderableType

    from model_discovery.blocks import UnitTree
    from model_discovery.design_tree import CampaignRow, DesignTree
    from model_discovery.evolution import DesignerResult, Ending, Leaderboard, LeaderboardRow
    from model_discovery.evolution.state import Estimate
    from model_discovery.export import Story

COLUMNS = (
    "rank", "design", "origin", "parents", "scale", "seeds", "parameters", "tokens",
    "nats/token", "bits/byte", "accuracy", "gain", "predicted",
)  # fmt: skip


@dataclass(frozen=True)
class BestDesign:
    """The best design of a campaign that no human made, with its evidence.

    Attributes
    ----------
    beats_baselines
        Whether it may be called better than every human design: its gain, in standard errors, passes the
        bar that the number of designs tried demands.
    gain
        Over the best baseline at the same scale, in standard errors.
    words
        What changed against its parent, in which slot, from which paper.
    checkpoint
        Folder with the trained weights of its last run at that scale.
    folders, story
        Those of all its runs; what a model card says of it.
    """

    name: str
    evidence: "LeaderboardRow"
    baseline: "LeaderboardRow | None"
    beats_baselines: bool
    words: str
    unit_tree: "UnitTree"
    checkpoint: str | None
    folders: tuple[Path, ...]
    story: "Story"

    @property
    def gain(self) -> float | None:
        return self.evidence.gain

    def __str__(self) -> str:
        return f"{self.words}\n\n{self.unit_tree.ascii()}"


class LeaderboardTable:
    """The leaderboard as a table: for a terminal (rich), a notebook (HTML) or pandas."""

    def __init__(self, leaderboard: "Leaderboard") -> None:
        self.rows = leaderboard.rows
        self.status = leaderboard.status

    def records(self) -> list[dict[str, Any]]:
        """One flat record a design; an absent number is ``None``."""
        return [_record(row) for row in self.rows]

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of `records`."""
        import pandas

        return pandas.DataFrame(self.records())

    def __rich__(self) -> "RenderableType":
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        columns = self._columns
        for title in columns:
            words = title in ("design", "origin", "parents", "predicted")
            # Names are typed again and numbers are read: where there is no room, parents take more lines.
            table.add_column(title, justify="left" if words else "right", no_wrap=title != "parents")
        for row in self.rows:
            table.add_row(*_cells(row)[: len(columns)], style=None if row.origin == "seed" else "green")
        return table

    @property
    def _columns(self) -> tuple[str, ...]:
        """The last one only where a design predicted something."""
        return COLUMNS if any(row.verdict for row in self.rows) else COLUMNS[:-1]

    def _repr_html_(self) -> str:
        columns = self._columns
        head = "".join(f"<th>{escape(title)}</th>" for title in columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(row)[: len(columns)])}</tr>"
            for row in self.rows
        )
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{escape(self.status)}</p>"
        )

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=180, highlight=False, no_color=True)
        with console.capture() as capture:
            console.print(self)
        return capture.get()


class DiscoveryResult:
    """What a campaign found.

    Attributes
    ----------
    campaign
        Its name, for ``--resume`` and ``tree``.
    state, reason
        ``finished``, or ``stopped`` when a resume would go on; and why.
    lineage_hash
        Of structures, parents and decisions in order: the same seed gives the same.
    waiting
        Jobs that were stopped at once; a resume takes them up.
    best
        `BestDesign`, or ``None`` while no design was compared with the baselines.
    designers
        Who made what, with what it cost; a `DesignerResult` each.
    """

    def __init__(
        self,
        campaign: str,
        ending: "Ending",
        leaderboard: "Leaderboard",
        best: BestDesign | None,
        options: str,
        designers: "tuple[DesignerResult, ...]" = (),
    ) -> None:
        self.campaign = campaign
        self.state = ending.state
        self.reason = ending.reason
        self.lineage_hash = ending.lineage_hash
        self.waiting = ending.waiting
        self.best = best
        self.designers = designers
        self._leaderboard = leaderboard
        self._options = options

    def leaderboard(self) -> LeaderboardTable:
        """All designs with a loss, higher scales first."""
        return LeaderboardTable(self._leaderboard)

    @property
    def status(self) -> str:
        """One sentence: what beat the baselines by how much, or that nothing did."""
        return self._leaderboard.status

    @property
    def commands(self) -> dict[str, str]:
        """What to type next."""
        name = self.best.name if self.best else "DESIGN"
        where = f"-c {self.campaign}{self._options}"
        more = {"look": f"{program()} tree show {name} {where}"}
        if self.best:
            more["compare"] = f"{program()} tree diff {name} {where}"
            more["export"] = f"{program()} export {name} {name}.py {where}"
            more["model"] = f"{program()} export {name} {name}-hf --format hf {where}"
        more["resume"] = f"{program()} discover --resume {self.campaign}{self._options}"
        return more

    def export(self, path: str | Path, format: str = "torch") -> Path:
        """Take the best design away; returns where it was written.

        Parameters
        ----------
        path
            File or folder to write.
        format
            ``torch``: its block as one Python file that needs only torch. ``hf``: a folder with its best
            trained weights that transformers loads.
        """
        if format not in FORMATS:
            raise unknown("format", format, FORMATS)
        if self.best is None:
            raise UserError("No design was compared with the baselines, so there is none to export.")
        if format == "torch":
            return write_file(self.best.name, self.best.unit_tree, Path(path))
        best = self.best
        return write_best(best.name, best.unit_tree, best.folders, Path(path), best.story)

    def show(self) -> None:
        """Print the leaderboard, the best design in words, the lineage hash and what to type next."""
        from rich.markup import escape as plain

        console = make_console()
        console.print()
        console.print(self.leaderboard())
        console.print(f"\n{plain(self.status)}", soft_wrap=True)
        console.print(
            "[dim]± is one standard error (seeds and evaluation windows); gain is over the best baseline "
            "at the same scale, in standard errors of the difference.[/dim]",
            soft_wrap=True,
        )
        if self.best is not None:
            console.print(f"\n{plain(self.best.words)}", soft_wrap=True)
            console.print(f"\n{plain(self.best.unit_tree.ascii())}", soft_wrap=True)
        if worth_a_table(self.designers):
            console.print()
            console.print(designer_table(self.designers))
            console.print(
                "[dim]valid: designs, and the 95 % interval of their share of the sessions; over parent: "
                "mean gain over the best parent at the lowest scale, in nats/token.[/dim]",
                soft_wrap=True,
            )
            if spent := spent_in_words(self.designers):
                console.print(spent, soft_wrap=True)
        console.print(f"\n{self.state}: {plain(self.reason)}\nlineage {self.lineage_hash}", soft_wrap=True)
        for what, command in self.commands.items():
            console.print(f"{what + ':':8} {command}", soft_wrap=True)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        best = self.best
        return {
            "campaign": self.campaign,
            "state": self.state,
            "reason": self.reason,
            "lineage_hash": self.lineage_hash,
            "status": self.status,
            "best": None
            if best is None
            else {
                "design": best.name,
                "beats_baselines": best.beats_baselines,
                "gain": best.gain,
                "baseline": best.baseline.design if best.baseline else None,
                "words": best.words,
                "verdict": best.evidence.verdict,
                "checkpoint": best.checkpoint,
            },
            "leaderboard": self.leaderboard().records(),
            "designers": designer_records(self.designers),
            "commands": self.commands,
        }

    def _repr_html_(self) -> str:
        words = f"<pre>{escape(str(self.best))}</pre>" if self.best else ""
        made = designer_html(self.designers) if worth_a_table(self.designers) else ""
        board = self.leaderboard()._repr_html_()
        return f"{board}{words}{made}<p>lineage <code>{self.lineage_hash}</code></p>"

    def __repr__(self) -> str:
        return f"<DiscoveryResult {self.campaign}: {self.status}>"


def gather(tree: "DesignTree", campaign: "CampaignRow", ending: "Ending", *, options: str) -> DiscoveryResult:
    """The result of a campaign as its tree holds it."""
    from model_discovery.blocks import UnitTree
    from model_discovery.config import parse_config
    from model_discovery.evolution import by_designer, describe_design, load_state, make_leaderboard

    state = load_state(tree, campaign.id, parse_config(campaign.config))
    board = make_leaderboard(state)
    best = None
    if board.best is not None:
        row = next(d for d in tree.designs(campaign.id) if d.name == board.best.design)
        runs = [
            r
            for r in tree.verifications(campaign.id)
            if r.design_id == row.id and r.scale == board.best.scale
        ]
        unit_tree = UnitTree.model_validate(tree.unit_tree(row.id))
        best = BestDesign(
            name=row.name,
            evidence=board.best,
            baseline=board.baseline,
            beats_baselines=board.beats_baselines,
            words=str(describe_design(tree, state, row.name)),
            unit_tree=unit_tree,
            checkpoint=next((r.artefacts["model"] for r in reversed(runs) if "model" in r.artefacts), None),
            folders=tuple(run_folders(tree, campaign, row.name)),
            story=tell(tree, campaign, row.name, state=state, board=board),
        )
    designers = spending.by_designer(by_designer(state), tree, campaign)
    return DiscoveryResult(campaign.name, ending, board, best, options, designers)


def _record(row: "LeaderboardRow") -> dict[str, Any]:
    record: dict[str, Any] = {
        "rank": row.rank, "design": row.design, "origin": row.origin, "operator": row.operator,
        "parents": list(row.parents), "scale": row.scale, "seeds": row.seeds, "parameters": row.parameters,
        "non_embedding": row.non_embedding, "tokens": row.tokens,
    }  # fmt: skip
    pairs: Iterable[tuple[str, Estimate | None]] = [
        ("loss", row.loss), ("bits_per_byte", row.bits_per_byte), *row.scores.items()
    ]  # fmt: skip
    for name, estimate in pairs:
        record[name] = None if estimate is None else estimate.value
        record[f"{name}_stderr"] = None if estimate is None else estimate.stderr
    gains = {f"{suite}_gain": gain for suite, gain in row.score_gains.items()}
    return {**record, "gain": row.gain, **gains, "title": row.title, "verdict": row.verdict}


def _cells(row: "LeaderboardRow") -> list[str]:
    scores = ", ".join(_estimate(estimate, 3) for estimate in row.scores.values())
    return [
        str(row.rank),
        row.design,
        row.operator or ("human" if row.origin == "seed" else row.origin),
        ", ".join(row.parents) or "-",
        row.scale,
        str(row.seeds),
        "-" if row.parameters is None else f"{row.parameters:,}",
        "-" if row.tokens is None else f"{row.tokens:,}",
        _estimate(row.loss, 4),
        _estimate(row.bits_per_byte, 4),
        scores or "-",
        "-" if row.gain is None else f"{row.gain:+.1f}",
        row.verdict or "-",
    ]


def _estimate(estimate: "Estimate | None", digits: int) -> str:
    return "-" if estimate is None else f"{estimate.value:.{digits}f} ± {estimate.stderr:.{digits}f}"
