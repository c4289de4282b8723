"""Scores on suites, through stock lm-eval; the model is a function from token batches to answers."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from model_discovery.verification.encoding import Encoder
from model_discovery.verification.item_sets import ItemSet, checksum
from model_discovery.verification.report import Score
from model_discovery.verification.suites import by_group
from model_discovery.verification.tokenizers import SEPARATOR_ID, load_tokenizer

if TYPE_CHECKING:
    from model_discovery.verification.served_lm import Asked, Planner, ServedLM
    from model_discovery.verification.task_suites import SuiteFigures, TaskFigures, TaskSuite


@dataclass(frozen=True)
class Scored:
    """What came of it.

    Attributes
    ----------
    scores
        ``SUITE``: one number; ``SUITE/PART``: a group of its sets or tasks, one set, one task;
        ``…/METRIC``: what else a task measures.
    checksums
        Of the items of each suite.
    notes
        What the reader should know.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextCoder:
    """The recipe's tokenizer as scoring uses it."""

    encoder: Encoder
    decode: Callable[[Sequence[int]], str]


def text_coder(tokenizer: Path, max_length: int, separator: int = SEPARATOR_ID) -> TextCoder:
    """How texts become rows for a model of this tokenizer that reads ``max_length`` tokens, and back."""
    loaded = load_tokenizer(tokenizer)

    def encode(text: str) -> list[int]:
        return list(loaded.encode(text, add_special_tokens=False).ids)

    return TextCoder(
        Encoder(encode, separator, max_length),
        lambda ids: str(loaded.decode(list(ids), skip_special_tokens=False)),
    )


def score_suites(
    sets: Sequence[ItemSet],
    tasks: "Sequence[TaskSuite]",
    asked: "Asked",
    coder: TextCoder,
    planner: "Planner | None" = None,
) -> Scored:
    """Score everything with one model.

    Parameters
    ----------
    sets, tasks
        What is scored; none give no scores, and lm-eval is not even loaded.
    asked
        The model.
    coder
        The recipe's tokenizer.
    planner
        Something that remembers plans of earlier models with the same tokenizer.
    """
    if not (sets or tasks):
        return Scored()
    from model_discovery.verification.served_lm import ServedLM

    lm = ServedLM(asked, coder.encoder, coder.decode, planner)
    found = _score_sets(lm, sets)
    for suite in tasks:
        from model_discovery.verification.task_suites import run_task_suite

        figures = run_task_suite(lm, suite)
        found = Scored(
            found.scores | _task_scores(suite, figures),
            found.checksums | {suite.suite: figures.checksum},
            (*found.notes, *figures.notes),
        )
    return found


def _score_sets(lm: "ServedLM", sets: Sequence[ItemSet]) -> Scored:
    if not sets:
        return Scored()
    from model_discovery.verification.tasks import run_sets

    by_suite: dict[str, list[tuple[ItemSet, Score]]] = {}
    for one, (value, stderr, n) in zip(sets, run_sets(lm, sets), strict=True):
        score = Score(value=value, stderr=stderr, n=n, chance=one.chance, version="1.0")
        by_suite.setdefault(one.suite, []).append((one, score))
    scores: dict[str, Score] = {}
    for suite, parts in by_suite.items():
        groups = _groups((one.group, score) for one, score in parts)
        whole = list(groups.values()) if by_group(suite) else [score for _, score in parts]
        scores[suite] = mean_score(whole)
        scores |= {f"{suite}/{group}": score for group, score in groups.items()}
        scores |= {f"{suite}/{one.name}": score for one, score in parts}
    checksums = {suite: checksum(one for one, _ in parts) for suite, parts in by_suite.items()}
    return Scored(scores, checksums)


def _groups(parts: Iterable[tuple[str, Score]]) -> dict[str, Score]:
    """Means by group; what is in none is left out."""
    members: dict[str, list[Score]] = {}
    for group, score in parts:
        if group:
            members.setdefault(group, []).append(score)
    return {group: mean_score(scores) for group, scores in members.items()}


def mean_score(parts: Sequence[Score]) -> Score:
    """Every part counts the same, as in lm-eval's own BLiMP group; the parts are independent."""
    errors = [part.stderr for part in parts if part.stderr is not None]
    chances = [part.chance for part in parts if part.chance is not None]
    metrics = list(dict.fromkeys(part.metric for part in parts))
    return Score(
        value=math.fsum(part.value for part in parts) / len(parts),
        stderr=math.hypot(*errors) / len(parts) if len(errors) == len(parts) else None,
        n=sum(part.n for part in parts),
        chance=math.fsum(chances) / len(parts) if len(chances) == len(parts) else None,
        metric=metrics[0] if len(metrics) == 1 else "mean",
        parts=len(parts),
    )


def _task_scores(suite: "TaskSuite", found: "SuiteFigures") -> dict[str, Score]:
    """Scores of one suite by key; without its own number where nothing in it has a "more is better"."""
    name = suite.suite
    single = len({figure.task for figure in found.figures}) == 1 and found.figures[0].task == name
    scores: dict[str, Score] = {}
    main: dict[str, list[Score]] = {}
    for figure in found.figures:
        score = _score(figure)
        key = name if single else f"{name}/{figure.task}"
        scores[key if figure.main else f"{key}/{figure.metric}"] = score
        if figure.main:
            main.setdefault(figure.entry, []).append(score)
    if single or not main:
        return scores
    whole: dict[str, Score] = {}
    for entry, parts in main.items():
        score = mean_score(parts)
        if entry in found.groups:  # lm-eval's own, which may weight by size
            value, stderr = found.groups[entry]
            score = score.model_copy(update={"value": value, "stderr": stderr})
        whole[entry] = score
    groups = {f"{name}/{entry}": score for entry, score in whole.items() if f"{name}/{entry}" not in scores}
    number = whole[name] if list(whole) == [name] else mean_score(list(whole.values()))
    groups.pop(f"{name}/{name}", None)
    return {name: number} | groups | scores


def _score(figure: "TaskFigures") -> Score:
    return Score(
        value=figure.value,
        stderr=figure.stderr,
        n=figure.n,
        chance=figure.chance,
        metric=figure.metric,
        version=figure.version,
    )
