"""Human designs under one recipe with several seeds: the noise of a scale, and whether scales agree."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError, unknown
from model_discovery.system.build_system import BuildSystem
from model_discovery.system.progress import make_console, program
from model_discovery.system.views import open_campaign, with_loss

if TYPE_CHECKING:
    from model_discovery.system.result import DiscoveryResult

INSTRUCTION = "Measure the human designs."


def run(
    *,
    scales: Sequence[str],
    seeds: int,
    designs: Sequence[str] = (),
    recipe: str | None = None,
    corpus: str | None = None,
    suites: tuple[str, ...] | None = None,
    blimp_dir: str | None = None,
    name: str | None = None,
    workers: int | None = None,
    track: str | None = None,
    db: str,
    progress: bool = True,
) -> "DiscoveryResult":
    """Verify human designs (all of them unless told) with ``seeds`` seeds at each scale, into the tree.

    It is a campaign that makes no designs, so it stops and resumes like any other.
    """
    from model_discovery.blocks.seed_designs import seed_designs

    known = seed_designs()
    chosen = tuple(dict.fromkeys(designs)) or tuple(known)
    for design in chosen:
        if design not in known:
            raise unknown("human design", design, known)
    if seeds < 1:
        raise UserError(f"--seeds {seeds} leaves nothing to run.", hint="give 1 or more")
    if not scales:
        raise UserError("--scale names no scale.", hint="for example 0.1M,0.4M")
    system = BuildSystem(
        "baselines",
        db=db,
        recipe=recipe,
        corpus=corpus,
        suites=suites,
        blimp_dir=blimp_dir,
        runs=dict.fromkeys(scales, seeds * len(chosen)),
        overrides=(
            f"seed_designs=[{', '.join(chosen)}]",
            f"ladder.seeds={{{', '.join(f'{scale}: {seeds}' for scale in scales)}}}",
        ),
        workers=workers,
        track=track,
        progress=progress,
    )
    return system(INSTRUCTION, name=name)


def measure(db: str, campaign: str | None) -> dict[str, Any]:
    """Standings of a campaign's human designs by scale, the noise, and how rankings agree; as plain data."""
    from model_discovery.verification.ranking import agreement, between_seeds, standings

    losses, cost = _losses(db, campaign)
    means: dict[str, dict[str, float]] = {}
    by_scale = []
    for scale, runs in losses.items():
        rows, noise = standings(runs)
        means[scale] = {row.design: row.value for row in rows}
        by_scale.append(
            {
                "scale": scale,
                "noise": None if noise is None else noise.deviation,
                "between_seeds": between_seeds(runs),
                "cpu_seconds": cost[scale],
                "designs": [vars(row) for row in rows],
            }
        )
    scales = list(means)
    pairs = [
        {"scales": [low, high], **vars(found)}
        for low, high in pairwise(scales)
        if (found := agreement(means[low], means[high])) is not None
    ]
    return {"scales": by_scale, "agreement": pairs}


def _losses(
    db: str, campaign: str | None
) -> tuple[dict[str, dict[str, dict[int, float]]], Mapping[str, float]]:
    """Held-out losses of human designs by scale, design and seed; CPU seconds by scale."""
    with open_campaign(db, campaign) as (tree, row):
        assert row is not None
        names = {design.id: design.name for design in tree.designs(row.id) if design.origin == "seed"}
        losses: dict[str, dict[str, dict[int, float]]] = {
            scale: {} for scale in row.config.get("budget", {}).get("runs", {})
        }
        cost = dict.fromkeys(losses, 0.0)
        for run in with_loss(tree.verifications(row.id)):
            if run.design_id in names:
                by_seed = losses.setdefault(run.scale, {}).setdefault(names[run.design_id], {})
                by_seed[run.seed] = run.losses["held_out"]["value"]
                cost[run.scale] = cost.get(run.scale, 0.0) + (run.cost.get("cpu_seconds") or 0.0)
    if not any(losses.values()):
        raise UserError(
            "No human design has a finished run in this campaign.",
            hint=f"{program()} baselines run makes some",
        )
    return {scale: found for scale, found in losses.items() if found}, cost


def print_measure(found: Mapping[str, Any]) -> None:
    """Print what `measure` found as tables."""
    from rich.table import Table

    console = make_console()
    for part in found["scales"]:
        table = Table(
            box=None, pad_edge=False, header_style="bold", title=part["scale"], title_justify="left"
        )
        table.add_column("design")
        for title in ("nats/token", "behind the best", "seeds"):
            table.add_column(title, justify="right")
        best = part["designs"][0]["value"]
        for row in part["designs"]:
            error = "" if row["stderr"] is None else f" ± {row['stderr']:.4f}"
            error += " *" if row["unsteady"] else ""
            behind = f"{row['value'] - best:.4f}"
            table.add_row(row["design"], f"{row['value']:.4f}{error}", behind, str(row["seeds"]))
        console.print(table)
        noise = "unknown: no design ran twice" if part["noise"] is None else f"{part['noise']:.4f} nats/token"
        seeds = part["between_seeds"]
        again = (
            "" if seeds is None else f"; one seed's ranking agrees with another's at Spearman {seeds:+.2f}"
        )
        console.print(f"noise between seeds {noise}{again}; {part['cpu_seconds']:,.0f} CPU seconds")
        if any(row["unsteady"] for row in part["designs"]):
            console.print("* its own seeds lie more than three times as far apart, and give its error")
        console.print()
    for pair in found["agreement"]:
        low, high = pair["scales"]
        console.print(
            f"ranking at {low} against {high}: Spearman {pair['spearman']:+.2f} "
            f"(95 %: {pair['low']:+.2f} to {pair['high']:+.2f}, {pair['n']} designs)"
        )
