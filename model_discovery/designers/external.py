"""A designer outside this program, a person or another one: it is asked, and told what came of its answer.

As JSON files, in a folder of exchange: ``ask`` leaves ``NAME.request.json``, the answer is read from
``NAME.answer.json`` or any other file, and ``tell`` leaves ``NAME.outcome.json``.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, ValidationError, WithJsonSchema

from model_discovery.blocks.seed_designs import seed_units, tree_from_spec
from model_discovery.blocks.unit_data import Unit
from model_discovery.blocks.unit_source import parse_unit
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.blocks.written_tree import NodeSpec, read_node
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.designers.knowledge import Prediction
from model_discovery.designers.loop import Check, repeated, valid_outcome
from model_discovery.designers.names import check_class_names
from model_discovery.designers.requests import Attempt, DesignOutcome, DesignRequest, Proposal, bad_data
from model_discovery.errors import UserError, unknown

_NODE = {  # flat: some clients of a schema do not take one that contains itself
    "type": "object",
    "description": "{unit: CLASS NAME, config: {…}, slots: {NAME: node of the same form}}",
    "properties": {"unit": {"type": "string"}, "config": {"type": "object"}, "slots": {"type": "object"}},
    "required": ["unit"],
}


class Answer(BaseModel):
    """What an external designer gives back: words, and a tree in one of two forms.

    ``unit_tree`` is the JSON of a whole tree. ``block`` is a tree written by hand, units by class name; they
    are looked up among ``units`` (sources of new units), the parents' and the seed units, in this order.
    The words are those of a `Proposal`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    summary: str = ""
    changes: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()
    motivation: str = ""
    equations: str = ""
    pseudo_code: str = ""
    expected_effect: str = ""
    prediction: Prediction | None = None
    risks: tuple[str, ...] = ()
    unit_tree: dict[str, Any] | None = None
    block: Annotated[NodeSpec, WithJsonSchema(_NODE)] | None = None
    units: tuple[str, ...] = ()


_WORDS = tuple(name for name in Answer.model_fields if name in Proposal.model_fields)


def read_answer(data: Any) -> Answer:
    """An answer from plain data; the bare JSON of a tree or of an outcome will do."""
    if isinstance(data, Mapping) and {"root", "units"} == data.keys():
        data = {"unit_tree": data}
    if isinstance(data, Mapping) and "status" in data and "unit_tree" in data:
        words = data.get("proposal") or {}
        kept = {key: words[key] for key in _WORDS if key in words}
        data = {**kept, "unit_tree": data["unit_tree"]}
    if isinstance(data, Mapping) and not isinstance(data.get("block"), NodeSpec | None):
        data = {**data, "block": read_node(data["block"])}
    try:
        return Answer.model_validate(data)
    except ValidationError as error:
        raise bad_data("design answer", error, Answer.model_fields) from None


def answered_tree(answer: Answer, request: DesignRequest, *, edited: bool = False) -> UnitTree:
    """The tree of an answer, its rules checked.

    Parameters
    ----------
    edited
        Whether human units may have been edited under their names, as people do in a folder.

    Raises
    ------
    UserError
        No tree, two, or a wrong one; a new unit under the name of another one.
    """
    if (answer.unit_tree is None) == (answer.block is None):
        raise UserError("An answer needs either 'unit_tree' or 'block'.", hint="see docs/designers.md")
    tree = UnitTree.from_json(answer.unit_tree) if answer.unit_tree is not None else _named(answer, request)
    if not edited:
        held = {unit_id for parent in request.parents for unit_id in parent.unit_tree.units}
        check_class_names(tree.units.values(), lambda unit: unit.id not in held)
    return tree


def _named(answer: Answer, request: DesignRequest) -> UnitTree:
    """The tree whose units are named by class."""
    assert answer.block is not None
    known = dict(seed_units())
    for parent in request.parents:
        known |= {unit.name: unit for unit in parent.unit_tree.units.values()}
    own: dict[str, Unit] = {}
    for unit in map(parse_unit, answer.units):
        if own.setdefault(unit.name, unit).id != unit.id:
            raise UserError(f"An answer brings two units named '{unit.name}' with other sources.")
    known |= own
    return tree_from_spec(answer.block, known)


@dataclass
class _Open:
    request: DesignRequest
    attempts: list[Attempt] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)


class ExternalDesigner:
    """Ask and tell.

    Parameters
    ----------
    requests
        Gives the request of number 0, 1, 2, …: whoever leads the campaign decides what is asked.
    check
        Judges an answer; :class:`model_discovery.designers.DesignCheck` runs what every design passes.
    folder
        Where requests and outcomes are left as JSON files; nowhere when ``None``.
    """

    def __init__(
        self, requests: Callable[[int], DesignRequest], check: Check, folder: Path | None = None
    ) -> None:
        self._requests = requests
        self._check = check
        self._folder = folder
        self._asked = 0
        self._open: dict[str, _Open] = {}

    def ask(self) -> dict[str, Any]:
        """The next request as JSON: ``{"id": …, "request": …}``. The id goes with the answer."""
        request = self._requests(self._asked)
        text = request.model_dump_json()
        name = f"{self._asked:04d}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self._asked += 1
        self._open[name] = _Open(request)
        asked = {"id": name, "request": request.model_dump(mode="json")}
        self._leave(f"{name}.request.json", asked)
        return asked

    def tell(self, name: str, answer: Any) -> DesignOutcome:
        """Judge an answer.

        Parameters
        ----------
        name
            The id of the request.
        answer
            Data of an :class:`Answer`, JSON of a tree, or JSON of a DesignOutcome.

        Returns
        -------
        DesignOutcome
            ``valid``, or ``abandoned`` with what was found. The request stays open for better answers until
            one is valid or ``max_attempts`` are used up.

        Raises
        ------
        UserError
            No such request, or an answer that is not a design at all; this does not count as an attempt.
        """
        if name not in self._open:
            raise unknown("open request", name, self._open)
        entry = self._open[name]
        given = read_answer(answer)
        tree = answered_tree(given, entry.request)
        report = self._judge(tree, entry)
        entry.attempts.append(
            Attempt(structure_hash=tree.structure_hash, ok=report.ok, findings=report.findings)
        )
        seconds = time.monotonic() - entry.started
        if report.ok:
            proposal = proposal_of(given, tree, entry.request)
            outcome = valid_outcome(tree, proposal, report, entry.attempts, seconds)
        else:
            outcome = DesignOutcome(status="abandoned", attempts=tuple(entry.attempts), seconds=seconds)
        if report.ok or len(entry.attempts) >= entry.request.limits.max_attempts:
            del self._open[name]
        self._leave(f"{name}.outcome.json", outcome.model_dump(mode="json"))
        return outcome

    def tell_file(self, name: str, file: Path | None = None) -> DesignOutcome:
        """`tell` with a JSON file, ``NAME.answer.json`` in the folder unless told."""
        if file is None and self._folder is None:
            raise UserError("No file to read the answer from.", hint="give a file, or a folder of exchange")
        return self.tell(name, read_json(file or Path(self._folder or ".") / f"{name}.answer.json"))

    def _judge(self, tree: UnitTree, entry: _Open) -> CheckReport:
        request = entry.request
        if found := repeated(tree, request):
            return CheckReport(ok=False, findings=(found,))
        if empty := tree.unfilled():
            return CheckReport(ok=False, findings=(_unfilled(empty),))
        return self._check(tree, request, len(entry.attempts))

    def _leave(self, name: str, data: dict[str, Any]) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f"{name}.part"
        aside.write_text(json.dumps(data, indent=1), encoding="utf-8")
        aside.replace(self._folder / name)


def read_json(file: Path) -> Any:
    """The content of a JSON file; UserError when it is missing or not JSON."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None


def proposal_of(answer: Answer, tree: UnitTree, request: DesignRequest) -> Proposal:
    """The answer's words; what it leaves out is read off the difference to the first parent."""
    changes = answer.changes
    path = ""
    if request.parents:
        diff = request.parents[0].unit_tree.diff(tree)
        touched = (*diff.changed, *diff.new)
        path = touched[0] if touched else ""
        changes = changes or tuple(
            f"slot '{slot}': {tree.unit(slot).name}" if slot else "the root" for slot in touched
        )
    papers = answer.papers or tuple(
        sorted({paper for unit in tree.units.values() for paper in unit.papers[:1]})
    )
    title = answer.title or f"external {tree.structure_hash[:8]}"
    return Proposal(
        title=title,
        summary=answer.summary or title,
        changes=changes,
        operator=request.operator,
        path=path,
        papers=papers,
        motivation=answer.motivation,
        equations=answer.equations,
        pseudo_code=answer.pseudo_code,
        expected_effect=answer.expected_effect,
        prediction=answer.prediction,
        risks=answer.risks,
    )


def _unfilled(paths: tuple[str, ...]) -> Finding:
    return Finding(
        check="unfilled",
        where=paths[0],
        measured=f"{len(paths)} empty slots",
        limit="every slot that is not optional holds a unit",
    )
