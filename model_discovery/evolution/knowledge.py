"""What a campaign has learned, as a session with language models is told it: measured, bounded, repeatable.

A function of the campaign's state and of what the tree holds of the designs in it, so a campaign that was
killed and resumed tells its designers the same. Numbers are rounded and texts cut, so that a request does not
grow with the campaign.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.design_tree import DesignTree, UnknownRow
from model_discovery.designers.knowledge import (
    FailedIdea,
    Idea,
    Knowledge,
    KnownDesign,
    Relation,
    ScaleResult,
    UnitStatistic,
)
from model_discovery.evolution.policy import DesignStep
from model_discovery.evolution.predictions import best_parent, judge
from model_discovery.evolution.scoreboard import LeaderboardRow, Scoreboard, runs_at
from model_discovery.evolution.state import CampaignState, Design
from model_discovery.evolution.unit_statistics import LEAST_DESIGNS, Unit, unit_effects

ANCESTORS, SIBLINGS, BEST, BASELINES = 6, 12, 5, 3
STATISTICS, IDEAS, FAILED = 24, 24, 16
COMPARED = 300  # designs that unit statistics are made from
SUMMARY, ABSTRACT, CLAIM, REASON = 600, 400, 200, 300  # letters


@dataclass(frozen=True)
class _Words:
    """What the tree holds of a design and never changes."""

    title: str
    summary: str
    claim: str
    units: tuple[str, ...]
    places: frozenset[Unit]
    names: dict[str, str]


class KnowledgeMaker:
    """Tells what a campaign knows; what it reads from the tree is kept."""

    def __init__(self, tree: DesignTree) -> None:
        self._tree = tree
        self._words: dict[int, _Words] = {}

    def of(self, state: CampaignState, step: DesignStep) -> Knowledge:
        """Everything a session for this step is told."""
        board = Scoreboard(state)
        return Knowledge(
            designs=tuple(
                self._known(board, index, relation)
                for index, relation in _related(board, step.parents).items()
            ),
            unit_statistics=tuple(self._statistics(board)),
            ideas=tuple(self._ideas(board)),
            failed=tuple(map(_cut_idea, state.sessions.failed[-FAILED:])),
        )

    def _read(self, design: Design) -> _Words:
        if design.id not in self._words:
            tree = UnitTree.model_validate(self._tree.unit_tree(design.id))
            try:
                proposal = self._tree.proposal(design.id)
            except UnknownRow:  # a design need not have one
                proposal = {}
            places = [(unit, tree.slot_role(path)) for path, _, unit in tree.walk()]
            self._words[design.id] = _Words(
                title=_cut(str(proposal.get("title") or ""), CLAIM),
                summary=_cut(str(proposal.get("summary") or ""), SUMMARY),
                claim=_cut(str(proposal.get("expected_effect") or proposal.get("title") or ""), CLAIM),
                units=tuple(dict.fromkeys(unit.name for unit, role in places if role != "norm")),
                places=frozenset((unit.id, role) for unit, role in places),
                names={unit.id: unit.name for unit, _ in places},
            )
        return self._words[design.id]

    def _known(self, board: Scoreboard, index: int, relation: Relation) -> KnownDesign:
        design = board.state.designs[index]
        words, judged = self._read(design), judge(board, index)
        return KnownDesign(
            name=design.name, relation=relation, origin=design.origin, operator=design.operator,
            parents=tuple(board.state.designs[parent].name for parent in design.parents),
            structure_hash=design.structure_hash, title=words.title, summary=words.summary, units=words.units,
            status=_status(board.state, design), results=tuple(_results(board, index)),
            verdict=judged.verdict if judged else None,
        )  # fmt: skip

    def _statistics(self, board: Scoreboard) -> list[UnitStatistic]:
        """Those of the scale where most designs were measured, the surest first."""
        evidence = board.state.evidence
        scale = int((evidence.count > 0).sum(axis=0).argmax())
        ran = np.flatnonzero(evidence.count[:, scale])[-COMPARED:]
        if len(ran) <= LEAST_DESIGNS:
            return []
        noise = board.variances.seed_noise[scale] / evidence.count[ran, scale]
        words = [self._read(board.state.designs[index]) for index in ran]
        units = [each.places for each in words]
        effects = unit_effects([*map(float, evidence.mean[ran, scale])], [*map(float, noise)], units)
        names = {unit_id: name for each in words for unit_id, name in each.names.items()}
        bearers = Counter(names.values())  # two sessions may give different units one name
        surest = sorted(effects, key=lambda effect: -abs(effect.value) / effect.stderr)[:STATISTICS]
        return [
            UnitStatistic(
                unit=names[unit_id] if bearers[names[unit_id]] == 1 else unit_id, role=role,
                effect=round(effect.value, 4), stderr=round(effect.stderr, 4), designs=effect.designs,
                scale=board.state.scales[scale],
            )
            for effect in surest
            for unit_id, role in [effect.unit]
        ]  # fmt: skip

    def _ideas(self, board: Scoreboard) -> Iterator[Idea]:
        """The newest predictions, those that are settled before those that are open; the oldest first."""
        judged = [
            (design, found)
            for index, design in enumerate(board.state.designs)
            if (found := judge(board, index)) is not None
        ]
        settled = [pair for pair in judged if pair[1].verdict != "open"][-IDEAS:]
        still_open = [pair for pair in judged if pair[1].verdict == "open"]
        chosen = settled + still_open[max(0, len(still_open) - (IDEAS - len(settled))) :]
        for design, found in chosen:
            assert design.prediction is not None
            words = self._read(design)
            yield Idea(
                design=design.name, title=words.title, claim=words.claim, verdict=found.verdict,
                prediction=design.prediction.in_words(), evidence=_cut(found.evidence, REASON),
            )  # fmt: skip


def _related(board: Scoreboard, parents: tuple[int, ...]) -> dict[int, Relation]:
    """Designs that matter for a child of these parents, each with its nearest relation."""
    state = board.state
    ranked = [index for index, _ in board.order()]
    groups: list[tuple[Relation, Iterable[int]]] = [
        ("parent", parents),
        ("ancestor", _ancestors(state, parents)[:ANCESTORS]),
        ("sibling", _siblings(state, parents)),
        ("best", [index for index in ranked if not state.designs[index].baseline][:BEST]),
        ("baseline", [index for index in ranked if state.designs[index].baseline][:BASELINES]),
    ]
    related: dict[int, Relation] = {}
    for relation, indices in groups:
        for index in indices:
            related.setdefault(index, relation)
    return related


def _ancestors(state: CampaignState, designs: tuple[int, ...]) -> list[int]:
    """The nearest first, the designs themselves left out."""
    found = dict.fromkeys(designs)
    queue = list(designs)
    for index in queue:
        new = [parent for parent in state.designs[index].parents if parent not in found]
        found |= dict.fromkeys(new)
        queue += new
    return queue[len(designs) :]


def _siblings(state: CampaignState, parents: tuple[int, ...]) -> list[int]:
    """The newest children of the parents, those that were run before those that were not."""
    children = sorted({child for parent in parents for child in state.designs[parent].children})
    by_use = sorted(children, key=lambda index: (bool(state.designs[index].runs), index))
    return sorted(by_use[-SIBLINGS:])


def _results(board: Scoreboard, index: int) -> Iterator[ScaleResult]:
    design = board.state.designs[index]
    for scale in range(len(board.state.scales)):
        if runs_at(design, scale):
            row = board.row(index, scale, rank=0)
            yield _result(row, _over_parent(board, index, scale))


def _result(row: LeaderboardRow, over_parent: float | None) -> ScaleResult:
    return ScaleResult(
        scale=row.scale, seeds=row.seeds, loss=round(row.loss.value, 4), stderr=round(row.loss.stderr, 4),
        gain=None if row.gain is None else round(row.gain, 2),
        over_parent=None if over_parent is None else round(over_parent, 2),
        scores={suite: (round(one.value, 4), round(one.stderr, 4)) for suite, one in row.scores.items()},
    )  # fmt: skip


def _over_parent(board: Scoreboard, index: int, scale: int) -> float | None:
    parent = best_parent(board, index, scale)
    difference = None if parent is None else board.difference("loss", scale, index, parent)
    return None if difference is None else -difference.value / difference.stderr


def _status(state: CampaignState, design: Design) -> str:
    """The status, and why a run of the design brought no loss."""
    if not design.runs:
        return f"{design.status}, not run yet"
    failures = [
        f"{run.status} at {state.scales[run.scale]}{f' ({run.error})' if run.error else ''}"
        for run in design.runs
        if run.loss is None
    ]
    return "; ".join([design.status, *failures[:2]])


def _cut_idea(idea: FailedIdea) -> FailedIdea:
    return FailedIdea(
        title=_cut(idea.title, CLAIM),
        abstract=_cut(idea.abstract, ABSTRACT),
        reason=_cut(idea.reason, REASON),
    )


def _cut(text: str, letters: int) -> str:
    """At most so many letters, cut between words."""
    text = " ".join(text.split())
    if len(text) <= letters:
        return text
    return f"{text[: letters - 1].rsplit(' ', 1)[0]}…"
