"""What the tree holds, as plain rows for a table or for JSON. Nothing here changes a campaign."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError, unknown
from model_discovery.system.progress import make_console, program
from model_discovery.system.proposals import prediction_facts, print_proposal
from model_discovery.system.scores import headline, print_scores

if TYPE_CHECKING:
    from model_discovery.design_tree import CampaignRow, DesignRow, DesignTree, VerificationRow

Facts = dict[str, Any]


def exists(db: str) -> bool:
    """Whether there is a tree to read: a file, or any database URL."""
    return "://" in db or Path(db).exists()


@contextmanager
def open_tree(db: str) -> "Iterator[DesignTree]":
    """An existing tree; a missing file is an error, not a new tree."""
    from model_discovery.design_tree import DesignTree

    if not exists(db):
        raise UserError(
            f"There is no design tree {db}.",
            hint=f'grow one: {program()} discover "…", or name it with --db',
        )
    tree = DesignTree(db, create=False)
    try:
        yield tree
    finally:
        tree.close()


@contextmanager
def open_campaign(
    db: str, name: str | None, *, required: bool = True
) -> "Iterator[tuple[DesignTree, CampaignRow | None]]":
    """A tree and one of its campaigns: by name, or the latest."""
    with open_tree(db) as tree:
        rows = tree.campaigns()
        if name is not None:
            yield tree, tree.campaign(name)
        elif rows:
            yield tree, rows[-1]
        elif required:
            raise UserError(
                f"The design tree {db} holds no campaign.", hint=f'{program()} discover "…" grows one'
            )
        else:
            yield tree, None


def campaigns(db: str) -> list[Facts]:
    """One row a campaign."""
    with open_tree(db) as tree:
        return [
            {
                "campaign": row.name,
                "state": row.state,
                "preset": row.config.get("preset"),
                "seed": row.seed,
                "designs": len(tree.designs(row.id)),
                "runs": len(tree.verifications(row.id)),
                "instruction": row.instruction,
            }
            for row in tree.campaigns()
        ]


def designs(db: str, campaign: str | None) -> list[Facts]:
    """One row a design: where it comes from, and its mean held-out loss at the highest scale it reached."""
    with open_campaign(db, campaign) as (tree, row):
        assert row is not None
        order = list(row.config.get("budget", {}).get("runs", {}))
        runs = _runs_by_design(tree, row)
        return [
            {**_origin(design), **_best_evidence(runs.get(design.id, []), order)}
            for design in tree.designs(row.id)
        ]


def _origin(design: "DesignRow") -> Facts:
    return {
        "design": design.name,
        "status": design.status,
        "origin": design.origin,
        "operator": design.operator,
        "parents": ", ".join(parent.name for parent in design.parents),
    }


def with_loss(runs: "Iterable[VerificationRow]") -> "list[VerificationRow]":
    """Of these runs those that ended well, with a held-out loss."""
    return [run for run in runs if run.status == "ok" and run.losses.get("held_out")]


def _best_evidence(runs: "list[VerificationRow]", order: list[str]) -> Facts:
    done = with_loss(runs)
    scale = max((run.scale for run in done), key=lambda s: order.index(s) if s in order else -1, default=None)
    losses = [run.losses["held_out"]["value"] for run in done if run.scale == scale]
    return {
        "scale": scale,
        "seeds": len(losses) or None,
        "held_out_loss": round(sum(losses) / len(losses), 4) if losses else None,
    }


def _runs_by_design(tree: "DesignTree", row: "CampaignRow") -> "dict[int, list[VerificationRow]]":
    runs: dict[int, list[VerificationRow]] = {}
    for run in tree.verifications(row.id):
        runs.setdefault(run.design_id, []).append(run)
    return runs


def design(db: str, campaign: str | None, name: str) -> Facts:
    """Everything the tree knows of one design."""
    from model_discovery.blocks import UnitTree

    with open_campaign(db, campaign) as (tree, row):
        assert row is not None
        found = find(tree, row, name)
        unit_tree = UnitTree.model_validate(tree.unit_tree(found.id))
        runs = _runs_by_design(tree, row).get(found.id, [])
        proposal = tree.proposal(found.id)
        predicted = prediction_facts(tree, row, name) if proposal.get("prediction") else None
        return {
            **_origin(found),
            "campaign": row.name,
            "structure_hash": found.structure_hash,
            "sizes": found.sizes,
            "proposal": proposal,
            "prediction": predicted,
            "map": unit_tree.ascii(),
            "children": [
                d.name for d in tree.designs(row.id) if name in {parent.name for parent in d.parents}
            ],
            "verifications": [
                {
                    "scale": run.scale,
                    "seed": run.seed,
                    "status": run.status,
                    "losses": run.losses,
                    "scores": run.scores,
                    "cost": run.cost,
                    "evidence": run.environment,
                    "artefacts": run.artefacts,
                    "error": run.error,
                }
                for run in runs
            ],
        }


def find(tree: "DesignTree", row: "CampaignRow", name: str) -> "DesignRow":
    """A design of a campaign by name, or the error that names the nearest."""
    rows = {d.name: d for d in tree.designs(row.id)}
    if name not in rows:
        raise unknown("design", name, rows)
    return rows[name]


def export_campaign(db: str, campaign: str | None, path: Path) -> str:
    """Write a campaign as one JSON file; returns a line that says what was written."""
    from dataclasses import asdict

    with open_campaign(db, campaign) as (tree, row):
        assert row is not None
        designs_ = tree.designs(row.id)
        content = {
            "campaign": asdict(row),
            "lineage_hash": tree.lineage_hash(row.id),
            "designs": [
                {**asdict(d), "unit_tree": tree.unit_tree(d.id), "proposal": tree.proposal(d.id)}
                for d in designs_
            ],
            "verifications": [asdict(run) for run in tree.verifications(row.id)],
            "decisions": [asdict(decision) for decision in tree.decisions(row.id)],
        }
    try:
        path.write_text(json.dumps(content, indent=1, allow_nan=False), "utf-8")
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.", hint="choose another path") from None
    return f"wrote {path}: {len(designs_)} designs, {len(content['verifications'])} verifications"


def print_table(rows: list[Facts]) -> None:
    """Rows as a table; absent numbers are dashes."""
    from rich.markup import escape
    from rich.table import Table

    if not rows:
        print("nothing yet")
        return
    table = Table(box=None, pad_edge=False)
    for title in rows[0]:
        table.add_column(title.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("-" if value in (None, "") else escape(str(value)) for value in row.values()))
    make_console().print(table)


def print_design(facts: Facts) -> None:
    """One design as a page: map, proposal, evidence."""
    from rich.markup import escape

    console = make_console()
    origin = facts["origin"] if not facts["operator"] else f"{facts['origin']}, {facts['operator']}"
    console.print(f"[bold]{facts['design']}[/bold]  {facts['status']}  ({origin})  {facts['structure_hash']}")
    if facts["parents"]:
        console.print(f"parents: {facts['parents']}")
    if facts["children"]:
        console.print(f"children: {', '.join(facts['children'])}")
    print_proposal(facts["proposal"] or {}, facts["prediction"])
    console.print(f"\n{escape(facts['map'])}\n", soft_wrap=True)
    print_table(
        [
            {
                "scale": run["scale"],
                "seed": run["seed"],
                "status": run["status"],
                "held-out nats/token": _value(run["losses"].get("held_out")),
                "bits/byte": _value(run["losses"].get("bits_per_byte")),
                "scores": ", ".join(f"{k} {_value(v)}" for k, v in headline(run["scores"]).items()),
                "CPU s": _rounded(run["cost"].get("cpu_seconds")),
                "weights": str(run["evidence"].get("weights_hash") or "")[:12],
                "folder": run["artefacts"].get("folder"),
            }
            for run in facts["verifications"]
        ]
    )


def print_design_scores(facts: Facts) -> None:
    """The page of a design, then every score of each of its verifications."""
    print_design(facts)
    for run in facts["verifications"]:
        if run["scores"]:
            print_scores(f"\n{run['scale']}, seed {run['seed']}", run["scores"])


def _rounded(number: float | None) -> str | None:
    return None if number is None else f"{number:,.0f}"


def _value(measure: Facts | None) -> str | None:
    return None if not measure or measure.get("value") is None else f"{measure['value']:.4f}"
