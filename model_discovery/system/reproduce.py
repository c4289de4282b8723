"""A finished verification done again, from what is stored of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError, nearest
from model_discovery.system import views
from model_discovery.system.folders import folder_or_error
from model_discovery.system.progress import make_console
from model_discovery.system.verify import run_all

if TYPE_CHECKING:
    from model_discovery.design_tree import CampaignRow, DesignTree, VerificationRow
    from model_discovery.verification import VerificationReport, VerifyRequest
    from model_discovery.verification.reproduce import Agreement


@dataclass(frozen=True)
class Reproduction:
    """Both reports of a verification that was done twice, and whether they agree."""

    name: str
    then: "VerificationReport"
    now: "VerificationReport"
    agreement: "Agreement"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        from dataclasses import asdict

        reports = {"then": self.then.model_dump(mode="json"), "now": self.now.model_dump(mode="json")}
        return {"run": self.name, "verdict": str(self.agreement), **asdict(self.agreement), **reports}


@dataclass(frozen=True)
class _Stored:
    name: str
    request: "VerifyRequest"
    report: "VerificationReport"
    noise: float | None = None


def reproduce(
    run: str, *, db: str, campaign: str | None, corpus: str | None = None, progress: bool = True
) -> Reproduction:
    """Do a finished verification again in a new folder, and compare.

    Parameters
    ----------
    run
        ``DESIGN/SCALE/SEED`` of a campaign, or the folder of a run.
    corpus
        Where its text lies now, if it was moved.

    Raises
    ------
    UserError
        No such run, one whose files are damaged or whose recipe or data cannot be made again.
    """
    from model_discovery.config import Settings
    from model_discovery.verification import prepare
    from model_discovery.verification.reproduce import compare_runs

    stored = _from_folder(Path(run)) if Path(run).is_dir() else _from_tree(run, db, campaign)
    settings = Settings()
    data_dir = folder_or_error(settings.data_dir).resolve()
    request = _moved(stored.request, str(data_dir), corpus)
    try:
        data = prepare(request.recipe, request.scale, data_dir)
    except UserError as error:
        if request.recipe.corpus is None or corpus is not None:
            raise
        raise UserError(error.message, hint="where its text lies now: --corpus FOLDER_OR_FILE") from error
    made = stored.report.evidence.data_checksum
    if data.checksum != made:
        raise UserError(
            f"The data of {stored.name} cannot be made again: its checksum was {made[:12]}, "
            f"here it is {data.checksum[:12]} ({data.folder}).",
            hint="use the version that made it, or bring its data folder here",
        )
    reports = run_all(
        [request],
        _new_folder(folder_or_error(settings.ckpt_dir / "reproduce").resolve()),
        1,
        progress,
        threads=stored.report.evidence.machine.threads,
        track="none",
        track_dir=settings.track_dir,
    )
    return Reproduction(
        stored.name, stored.report, reports[0], compare_runs(stored.report, reports[0], stored.noise)
    )


def _from_folder(folder: Path) -> _Stored:
    from model_discovery.verification.stored import read_run

    request, report = read_run(folder)
    return _Stored(str(folder), request, report)


def _from_tree(run: str, db: str, campaign: str | None) -> _Stored:
    from model_discovery.strict_json import dump_json
    from model_discovery.verification import VerificationReport, VerifyRequest
    from model_discovery.verification.stored import check_belongs, parse_stored

    name, scale, seed = _parts(run)
    with views.open_campaign(db, campaign) as (tree, row):
        assert row is not None
        found = _find_run(tree, row, name, scale, seed)
        job = tree.job(found.job_id) if found.job_id is not None else None
        if job is None or job.result is None:
            raise UserError(f"{run} left no report: {found.error or 'it was not made by this campaign'}.")
        request = parse_stored(VerifyRequest, dump_json(job.request), f"The request of {run}")
        report = parse_stored(VerificationReport, dump_json(job.result), f"The report of {run}")
        check_belongs(request, report, run)
        return _Stored(run, request, report, _noise(tree, row, scale))


def _parts(run: str) -> tuple[str, str, int]:
    name, _, rest = run.partition("/")
    scale, _, seed = rest.partition("/")
    if not scale or not seed.isdecimal():
        raise UserError(
            f"There is no run '{run}'.",
            hint="name it DESIGN/SCALE/SEED, as `tree show` lists it, or its folder",
        )
    return name, scale, int(seed)


def _find_run(tree: "DesignTree", row: "CampaignRow", name: str, scale: str, seed: int) -> "VerificationRow":
    design = views.find(tree, row, name)
    runs = {
        f"{run.scale}/{run.seed}": run for run in tree.verifications(row.id) if run.design_id == design.id
    }
    asked = f"{scale}/{seed}"
    if asked not in runs:
        known = ", ".join(f"{name}/{run}" for run in sorted(runs)) or "none"
        raise UserError(f"{name} has no run {asked}.{nearest(asked, runs)}", hint=f"its runs: {known}")
    return runs[asked]


def _noise(tree: "DesignTree", row: "CampaignRow", scale: str) -> float | None:
    """Noise between seeds at a scale, where some design of the campaign ran twice."""
    from model_discovery.verification.baselines import pooled_noise

    losses: dict[int, list[float]] = {}
    for run in views.with_loss(tree.verifications(row.id)):
        if run.scale == scale:
            losses.setdefault(run.design_id, []).append(run.losses["held_out"]["value"])
    noise = pooled_noise(losses.values())
    return noise.deviation if noise else None


def _moved(request: "VerifyRequest", data_dir: str, corpus: str | None) -> "VerifyRequest":
    """The same request on this machine: where data lies is no part of what it asks."""
    recipe = request.recipe
    if corpus is not None:
        if recipe.corpus is None:
            raise UserError(
                f"The recipe '{recipe.name}' reads no corpus; --corpus cannot change it.", hint="leave it out"
            )
        place = str(Path(corpus).expanduser().resolve())
        recipe = recipe.model_copy(update={"corpus": recipe.corpus.model_copy(update={"path": place})})
    return request.model_copy(update={"data_dir": data_dir, "recipe": recipe})


def _new_folder(root: Path) -> Path:
    """The first numbered folder below ``root`` that holds no report; one that was cut off is gone on with."""
    number = 1
    while any((root / str(number)).glob("*/report.json")):
        number += 1
    return root / str(number)


def print_reproduction(done: Reproduction) -> None:
    """The verdict, both numbers, and what is another environment."""
    from rich.markup import escape
    from rich.table import Table

    console = make_console()
    table = Table(title=done.name, box=None, title_justify="left")
    for title in ("", "status", "held-out nats/token", "weights", "machine"):
        table.add_column(title, overflow="fold")
    for when, report in (("then", done.then), ("now", done.now)):
        loss = report.held_out
        table.add_row(
            when,
            report.status,
            "-" if loss is None else f"{loss.value:.6f}" + (f" ± {loss.stderr:.4f}" if loss.stderr else ""),
            report.evidence.weights_hash[:12] or "-",
            report.evidence.device,
        )
    console.print(table)
    console.print(escape(str(done.agreement)), soft_wrap=True)
    for difference in done.agreement.environment:
        console.print(f"  {escape(str(difference))}", soft_wrap=True)
