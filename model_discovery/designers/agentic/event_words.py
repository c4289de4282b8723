"""Events of a session in words: a line each, what belongs below it, and how it went."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from model_discovery.checks.report import CheckReport
from model_discovery.designers.agentic.filters import prediction
from model_discovery.designers.agentic.schemas import (
    Judgement,
    Plan,
    ProposalDraft,
    Review,
    SearchNote,
    UnitCode,
)
from model_discovery.designers.agentic.steps import ROLES
from model_discovery.designers.agentic.writing import class_name
from model_discovery.llm.journal import Json

_ROOT = "(block)"

Told = tuple[str, Sequence[str], bool | None]
"""A line, lines below it, and how it went where that can be said."""


def in_words(kind: str, data: Json) -> Told:
    """What an event of a session says."""
    return _TELL.get(kind, _other)(data)


# -- what a model answered


def _answer(data: Json) -> Told:
    if error := data.get("error"):
        what = "no answer" if error.get("kind") else "not asked"  # a bad reply, or a limit
        return f"{what}: {error.get('message', '')}", (), False
    known = ROLES.get(data.get("role", ""), {}).get(data.get("step", ""))
    if known is None or data.get("parsed") is None:
        return _first_line(str(data.get("text", ""))), (), None
    try:
        answer = known.answer.model_validate(data["parsed"])
    except ValidationError:  # a journal of another version
        return _first_line(str(data.get("text", ""))), (), None
    return _SAID[type(answer)](answer)


def _note(answer: SearchNote) -> Told:
    asked = [*answer.keywords, *([answer.query] if answer.query else [])]
    words = "has read enough" if answer.enough else f"looks for: {'; '.join(asked) or 'nothing'}"
    return words, [f"note: {answer.note}"] if answer.note else [], None


def _draft(answer: ProposalDraft) -> Told:
    where = ", ".join(path or _ROOT for path in answer.paths)
    details = [answer.abstract, *(f"change at {where}: {change}" for change in answer.changes)]
    if answer.equations:
        details.append(f"equations: {answer.equations}")
    details.append(f"prediction: {prediction(answer.prediction)}")
    if answer.references:
        details.append(f"after {', '.join(answer.references)}")
    return f"proposes: {answer.title}", details, None


def _review(answer: Review) -> Told:
    questions = ("novelty", "soundness", "effect", "efficiency", "scalability", "feasibility")
    ratings = " · ".join(f"{name} {getattr(answer, name):g}" for name in questions)
    return f"rates it {answer.rating:g} of 5: {ratings}", _opinion(answer), None


def _judgement(answer: Judgement) -> Told:
    ratings = " · ".join(f"{name} {getattr(answer, name):g}" for name in ("follows", "clear", "new"))
    return f"rates it {answer.rating:g} of 5: {ratings}", _opinion(answer), None


def _opinion(answer: Review | Judgement) -> list[str]:
    return [
        *(f"concern: {concern}" for concern in answer.concerns),
        *(f"suggestion: {suggestion}" for suggestion in answer.suggestions),
    ]


def _plan(answer: Plan) -> Told:
    reuse = answer.reuse
    part = "" if reuse is None else reuse.unit or f"{reuse.path or _ROOT} of {reuse.parent}"
    words = f"next: {answer.path or _ROOT}" + (f", reusing {part}" if part else "")
    return words, [answer.purpose, f"reads {answer.inputs}", f"slots: {answer.slots}"], None


def _code(answer: UnitCode) -> Told:
    words = f"writes {class_name(answer)}, {len(answer.source.splitlines())} lines"
    sources = [(child.slot, UnitCode(explanation="", source=child.source)) for child in answer.children]
    below = [f"at {at}: {class_name(code) if code.source else 'a part that exists'}" for at, code in sources]
    return words, [answer.explanation, *below], None


_SAID: dict[type[BaseModel], Callable[[Any], Told]] = {
    SearchNote: _note,
    ProposalDraft: _draft,
    Review: _review,
    Plan: _plan,
    UnitCode: _code,
    Judgement: _judgement,
}


def _first_line(text: str) -> str:
    first = next(iter(text.strip().splitlines()), "")
    return first if len(first) <= 160 else f"{first[:160]}…"


# -- what else happened


def _begin(data: Json) -> Told:
    parents = ", ".join(str(parent[0]) for parent in data.get("parents", ()))
    return f"{data.get('operator', '')}{' of ' + parents if parents else ''}", (), None


def _search(data: Json) -> Told:
    hits = data.get("hits", ())
    details = [f"{hit['paper']['title']} ({hit['paper'].get('year') or 'no year'})" for hit in hits]
    return f"{len(hits)} passage{'' if len(hits) == 1 else 's'} found", list(dict.fromkeys(details)), None


def _check(data: Json) -> Told:
    report = CheckReport.model_validate(data["report"])
    what = "the whole design" if data.get("what") == "design" else "the unit in its place"
    if report.ok:
        warned = [str(finding) for finding in report.findings]
        return f"{what} passes {len(report.stages)} checks ({', '.join(report.stages)})", warned, True
    return (
        f"{what} fails at {report.stages[-1] if report.stages else 'source'}",
        [str(finding) for finding in report.findings],
        False,
    )


def _duplicate(data: Json) -> Told:
    return f"too much like '{data.get('twin')}' ({data.get('similarity', 0):.2f}): no review", (), False


def _graft(data: Json) -> Told:
    reused = "reused " if data.get("reused") else ""
    return f"{reused}{data.get('unit')} at {data.get('path') or _ROOT}", (), None


def _judge(data: Json) -> Told:
    rating = data.get("rating")
    return f"{data.get('unit')}: " + ("no opinion" if rating is None else f"{rating:g} of 5"), (), None


def _accept(data: Json) -> Told:
    return f"accepted: {_what(data)}", (), True


def _reject(data: Json) -> Told:
    return f"rejected: {_what(data)}", [data["reason"]] if data.get("reason") else [], False


def _what(data: Json) -> str:
    if data.get("title"):
        return str(data["title"])
    unit, path = data.get("unit"), data.get("path")
    return f"{unit or 'an answer'} at {path or _ROOT}" if path is not None else str(data.get("what", ""))


def _step_back(data: Json) -> Told:
    to = data.get("to")
    words = "starts over" if to is None else f"goes back to {to or _ROOT}"
    return f"{words} after {data.get('path') or _ROOT} failed", [str(data.get("reason", ""))], False


def _limit(data: Json) -> Told:
    return f"{data.get('scope')} {data.get('what')}: {data.get('reason', '')}", (), False


def _end(data: Json) -> Told:
    ok = data.get("status") == "valid"
    return "a valid design" if ok else str(data.get("why") or "no design"), (), ok


def _other(data: Json) -> Told:
    words = ", ".join(
        f"{name} {value}" for name, value in data.items() if isinstance(value, str | int | float)
    )
    return _first_line(words), (), None


_TELL: dict[str, Callable[[Json], Told]] = {
    "llm_call": _answer,
    "begin": _begin,
    "search": _search,
    "check": _check,
    "duplicate": _duplicate,
    "graft": _graft,
    "judge": _judge,
    "accept": _accept,
    "reject": _reject,
    "step_back": _step_back,
    "limit": _limit,
    "end": _end,
}

EVENTS = tuple(_TELL)
"""Every kind of event of a session."""
