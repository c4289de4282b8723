"""The operations of a design session for any agent: ask, look up, check, submit.

`DesignServer` has them as methods that take and give plain data; `design_protocols` serves them over MCP and
as lines of JSON. Names, arguments and docstrings of the methods are what agents see.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import WithJsonSchema

from model_discovery.blocks.unit_source import SourceError, parse_unit
from model_discovery.config import SandboxLevel
from model_discovery.designers.external import Answer, answered_tree, read_answer
from model_discovery.designers.names import check_class_names
from model_discovery.designers.requests import DesignRequest, ParentDesign
from model_discovery.errors import UserError, unknown
from model_discovery.system import adding, catalogue, check, design_requests, library, views
from model_discovery.system.designs import find_design
from model_discovery.system.views import Facts

if TYPE_CHECKING:
    from model_discovery.evolution import Estimate, LeaderboardRow

OPERATIONS = (
    "next_request",
    "contract",
    "design",
    "results",
    "list_units",
    "unit",
    "search_papers",
    "paper",
    "check_unit",
    "check_tree",
    "submit",
)


def _in_place(schema: Any, defined: Mapping[str, Any]) -> Any:
    """A JSON schema with what it refers to written where it is used."""
    if isinstance(schema, list):
        return [_in_place(item, defined) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _in_place(defined[schema["$ref"].rpartition("/")[2]], defined)
    return {key: _in_place(value, defined) for key, value in schema.items() if key != "$defs"}


_SCHEMA = Answer.model_json_schema()
Written = Annotated[dict[str, Any], WithJsonSchema(_in_place(_SCHEMA, _SCHEMA["$defs"]))]
"""A design and its words, as `Answer` takes them."""


class DesignServer:
    """One campaign's design session, without state: every call looks at the tree anew.

    Parameters
    ----------
    db, campaign
        The design tree and a campaign of it, the latest unless told.
    level
        Isolation of code that is checked.
    """

    def __init__(self, db: str, campaign: str | None = None, level: SandboxLevel = "auto") -> None:
        self._db, self._campaign, self._level = db, campaign, level

    # -- ask

    def next_request(self, parents: tuple[str, ...] = (), skip: int = 0) -> Facts:
        """Begin here: what design is wanted next, from which parents, and what the campaign has learned.

        The campaign chooses operator and parents as it does for its own designers; the answer stays the same
        until something is submitted or measured. `parents` asks for a child of designs of your choice (one
        name: mutation, two: crossover), `skip` passes over so many requests. Results are held-out loss in
        nats per token with its standard error; gains are in standard errors. `limits` says what the campaign
        may still make and train: where `runs_left` is 0 at the first scale, a design is kept, not trained.
        """
        return design_requests.next_request(self._db, self._campaign, parents, skip)

    def contract(self) -> Facts:
        """What a unit may be, how it is written, checked and submitted: read it before you write code."""
        from model_discovery.system.design_contract import contract_text

        return {"contract": contract_text()}

    # -- look up

    def design(self, name: str, sources: bool = True) -> Facts:
        """One design: its tree as map and as the `block` that `submit` takes, configuration, code.

        `name` is a design of the campaign or a human one. Designs of the campaign come with their proposal,
        parents and results.
        """
        from model_discovery.blocks.written_tree import spec_of

        found, tree = find_design(_name(name), db=self._db, campaign=self._campaign)
        facts = catalogue.describe(found, source=True, campaign=self._campaign, db=self._db)
        facts |= {"block": spec_of(tree)}
        del facts["units" if sources else "source"]  # the code says what the units are
        if own := self._own(found):
            facts |= {key: own[key] for key in ("origin", "operator", "parents", "children", "proposal")}
            facts |= _measured(own)
        return facts

    def results(self, design: str = "", limit: int = 20) -> Facts:
        """The leaderboard of the campaign, or everything measured of one `design`.

        Losses are held-out nats per token (lower is better) with standard errors; `gain` is in standard
        errors over the best human design at the same scale.
        """
        if design:
            facts = views.design(self._db, self._campaign, design)
            return {**_measured(facts), "design": design, "status": facts["status"]}
        return self._leaderboard(limit)

    def list_units(self, role: str = "") -> Facts:
        """The units of the library, a line each; of one `role` when told.

        Roles are block, sequence_mixer, local_mixer, channel_mixer and norm. `designs` are the human designs
        made of them.
        """
        from model_discovery.blocks.unit_data import ROLES

        if role and role not in ROLES:
            raise unknown("role", role, ROLES)
        facts = catalogue.catalogue()
        units = [unit for unit in facts["units"] if role in ("", unit["role"])]
        return {"units": units} | ({} if role else {"designs": facts["recipes"]})

    def unit(self, name: str) -> Facts:
        """One unit of the library by class name: role, slots, equations, ranges, papers and code."""
        from model_discovery.blocks import seed_units

        if name not in seed_units():
            raise unknown("unit", name, seed_units())
        return catalogue.describe(name, source=True, db=self._db)

    def search_papers(self, query: str, k: int = 10) -> Facts:
        """Passages of papers that answer a query, best first: cards that ship, and papers the user has added.

        Long queries in plain words do well. `paper` shows more of a hit by its id.
        """
        return library.search(query, k)

    def paper(self, name: str) -> Facts:
        """A paper of the library by id, arXiv id or DOI: its record, all passages, what builds on it."""
        return library.describe(name)

    # -- check and submit

    def check_unit(self, source: str, full: bool = False) -> Facts:
        """Check the source of one unit, in the slots of its role in a plain transformer.

        The report names the stages that ran and each finding with its place, what was measured, the limit
        and a hint. `full` trains small models too (minutes).
        """
        _refuse_taken_name(source)
        with _file("unit.py", source) as file:
            return self._report(file, ("0.1M",), full)

    def check_tree(self, design: Written, parents: tuple[str, ...] = (), full: bool = False) -> Facts:
        """Check a whole design before you submit it; the report is that of `check_unit`, with sizes by scale.

        `design` is written as for `submit`. `parents` are the designs whose units it may use by name. Slots
        that nothing fills are the identity here, and refused by `submit`.
        """
        tree = answered_tree(read_answer(design), self._request(parents))
        with _file("tree.json", json.dumps(tree.to_json())) as file:
            return {"unfilled": list(tree.unfilled()), **self._report(file, self._scales(), full)}

    def submit(self, design: Written, parents: tuple[str, ...] = (), name: str = "") -> Facts:
        """Check a design and enter it into the campaign, which may train it when it goes on.

        `parents` are the designs it was made from, first the one it changes; none for a new block. Give
        `block` (units by class name) with the sources of new units in `units`, or `unit_tree`; and the words
        of the proposal, a prediction among them. `entered` says whether it is in; if not, `check` says why.
        """
        answer = read_answer(design)
        with views.open_campaign(self._db, self._campaign) as (tree, row):
            assert row is not None
            with tree.campaign_lock(row.name):
                facts, report = adding.enter(tree, row, answer, name=name, parents=parents, level=self._level)
        return {"entered": bool(facts), **facts, "check": report.model_dump(mode="json")}

    # -- what they share

    def _report(self, file: Path, scales: Sequence[str], full: bool) -> Facts:
        report = check.check(file, scales=scales, level=self._level, full=full)
        return report.model_dump(mode="json")

    def _request(self, parents: Sequence[str]) -> DesignRequest:
        """Parents for a design that is only checked: of the campaign, or human ones."""
        found = (find_design(_name(parent), db=self._db, campaign=self._campaign) for parent in parents)
        return DesignRequest(
            designer="external",
            operator=adding.operator_of(parents),
            parents=tuple(ParentDesign(name=name, unit_tree=tree) for name, tree in found),
        )

    def _scales(self) -> tuple[str, ...]:
        """Scales of the campaign, the smallest without one."""
        if not views.exists(self._db):
            return ("0.1M",)
        with views.open_campaign(self._db, self._campaign, required=False) as (_, row):
            return ("0.1M",) if row is None else tuple(row.config["budget"]["runs"])

    def _own(self, name: str) -> Facts | None:
        """What the campaign knows of a design, where it has it."""
        if not views.exists(self._db):
            return None
        with views.open_campaign(self._db, self._campaign, required=False) as (tree, row):
            if row is None or name not in {design.name for design in tree.designs(row.id)}:
                return None
        return views.design(self._db, self._campaign, name)

    def _leaderboard(self, limit: int) -> Facts:
        from model_discovery.config import parse_config
        from model_discovery.evolution import load_state, make_leaderboard

        with views.open_campaign(self._db, self._campaign) as (tree, row):
            assert row is not None
            state = load_state(tree, row.id, parse_config(row.config))
        board = make_leaderboard(state)
        return {
            "campaign": row.name,
            "status": board.status,
            "rows": [_row(one) for one in board.rows[: max(1, limit)]],
            "not_run_yet": [state.designs[index].name for index in state.waiting],
        }


def _measured(facts: Facts) -> Facts:
    """Prediction and runs of a design, without what only says how they were made."""
    shown = ("scale", "seed", "status", "losses", "scores", "cost", "error")
    runs = [{key: run[key] for key in shown} for run in facts["verifications"]]
    return {"prediction": facts["prediction"], "verifications": runs}


def _row(row: "LeaderboardRow") -> Facts:
    facts = {name: getattr(row, name) for name in ("rank", "design", "origin", "title", "scale", "seeds")}
    return {
        **facts,
        "parents": list(row.parents),
        "loss": _rounded(row.loss),
        "gain": None if row.gain is None else round(row.gain, 2),
        "scores": {suite: _rounded(score) for suite, score in row.scores.items()},
        "prediction": row.verdict,
    }


def _rounded(estimate: "Estimate") -> Facts:
    return {"value": round(estimate.value, 4), "stderr": round(estimate.stderr, 4)}


def _name(name: str) -> str:
    """A name and nothing that could be a path: agents read designs, not files."""
    if "/" in name or "\\" in name or name.endswith(".json"):
        raise UserError(f"'{name}' is no name of a design.", hint="results and list_units name them")
    return name


def _refuse_taken_name(source: str) -> None:
    """What `submit` would say of a unit under a human one's name; a source that is none gets its report."""
    try:
        unit = parse_unit(source)
    except SourceError:
        return
    check_class_names([unit], lambda _: True)


@contextmanager
def _file(name: str, text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(text, "utf-8")
        yield file
