"""A session's journal as people read it: who said what at which cost, and what came of it."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from model_discovery.checks.report import CheckReport
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
from model_discovery.designers.knowledge import Prediction
from model_discovery.designers.requests import DesignRequest
from model_discovery.llm.journal import Event, Json

_ROOT = "(block)"
_FINDING = 150  # characters by which a finding is known again in a reason
_REWRITTEN = 0.5  # share of lines in common below which a diff would only interleave two texts


@dataclass(frozen=True)
class Cost:
    """What calls took; ``dollars`` is None as soon as one of them has no price."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    dollars: float | None = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        known = self.dollars is not None and other.dollars is not None
        return Cost(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            (self.dollars or 0.0) + (other.dollars or 0.0) if known else None,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Moment:
    """One event of a session.

    ``words`` is its line, ``details`` are lines below it. ``ok`` says how it went, where that can be said.
    ``diff`` compares the code of a try with ``diff_from``: the last try, or the unit that stood there; it is
    empty where they are the same.
    """

    n: int
    step: str
    kind: str
    words: str
    details: tuple[str, ...] = ()
    ok: bool | None = None
    role: str = ""
    model: str = ""
    cost: Cost | None = None
    diff: str = ""
    diff_from: str = ""


@dataclass
class Tries:
    """What it took to fill a slot; numbers of tries count from 1, over all rounds.

    ``passed`` is the first try that passed the checks, ``accepted`` the first one kept; None: none.
    """

    path: str
    unit: str = ""
    count: int = 0
    passed: int | None = None
    accepted: int | None = None


@dataclass(frozen=True)
class Story:
    """A session told: its moments in order, what each role cost, the tries at each slot, how it ended.

    ``end`` is None while a session goes on, or when it was killed.
    """

    session: str
    begin: Json
    moments: tuple[Moment, ...]
    costs: Mapping[str, Cost]
    tries: tuple[Tries, ...]
    end: Json | None

    @property
    def cost(self) -> Cost:
        """Of all roles."""
        return sum(self.costs.values(), Cost())


def tell(events: Sequence[Event], request: DesignRequest | None = None) -> Story:
    """The story of a journal; with the request, code is compared with the parent's too."""
    teller = _Teller(request)
    moments = [teller.moment(event) for event in events]
    kinds = {event.kind: event.data for event in events}
    return Story(
        session=events[0].session if events else "",
        begin=kinds.get("begin", {}),
        moments=tuple(moments),
        costs=teller.costs,
        tries=tuple(teller.tries.values()),
        end=kinds.get("end"),
    )


@dataclass
class _Teller:
    """Goes over the events once; knows the code last seen at each slot."""

    request: DesignRequest | None
    costs: dict[str, Cost] = field(default_factory=dict)
    tries: dict[str, Tries] = field(default_factory=dict)
    code: dict[str, tuple[str, str]] = field(default_factory=dict)  # slot: what it is, its source
    told: str = ""  # the finding told last

    def moment(self, event: Event) -> Moment:
        if event.kind == "llm_call":
            return self._call(event)
        words, details, ok = _TELL.get(event.kind, _other)(event.data)
        self._count(event, ok)
        if event.kind == "reject" and self.told and details and self.told in details[0]:
            details = ()
        self.told = details[0][:_FINDING] if event.kind == "check" and details else ""
        return Moment(event.n, event.step, event.kind, words, tuple(details), ok)

    def _count(self, event: Event, ok: bool | None) -> None:
        """Keep count of the tries that an event belongs to."""
        path, number = slot_of(event.step)
        if path is None or number is None:
            return
        tries = self.tries.setdefault(path, Tries(path))
        if event.kind == "check" and ok and tries.passed is None:
            tries.passed = tries.count
        if event.kind == "accept":
            tries.unit = str(event.data.get("unit", ""))
            tries.accepted = tries.accepted or tries.count

    def _call(self, event: Event) -> Moment:
        data = event.data
        role, step = str(data.get("role", "")), str(data.get("step", ""))
        cost = _cost(data)
        self.costs[role] = self.costs.get(role, Cost()) + cost
        path, number = slot_of(event.step)
        writes = path is not None and number is not None and role == "coder"
        if path is not None and writes:
            self.tries.setdefault(path, Tries(path)).count += 1
        words, details, ok = _answer(role, step, data)
        diff, diff_from = "", ""
        if path is not None and writes and (data.get("parsed") or {}).get("source"):
            diff, diff_from = self._diff(path, f"try {self.tries[path].count}", data["parsed"]["source"])
        return Moment(
            event.n, event.step, event.kind, words, tuple(details), ok, role=role,
            model=str(data.get("model", "")), cost=cost, diff=diff, diff_from=diff_from,
        )  # fmt: skip

    def _diff(self, path: str, name: str, source: str) -> tuple[str, str]:
        """The change of a slot's code, and from what."""
        was, before = self.code.get(path) or self._in_parent(path)
        self.code[path] = (name, source)
        return (unit_diff(before, source, was, name), was) if before else ("", "")

    def _in_parent(self, path: str) -> tuple[str, str]:
        """What stands at a slot in the first parent that has it."""
        for parent in self.request.parents if self.request else ():
            unit = {at: unit for at, _, unit in parent.unit_tree.walk()}.get(path)
            if unit is not None:
                return f"{parent.name}'s {unit.name}", unit.source
        return "", ""


def unit_diff(before: str, after: str, was: str, name: str) -> str:
    """A unified diff of two sources; of two that have little in common, the second one alone."""
    old, new = before.splitlines(), after.splitlines()
    if difflib.SequenceMatcher(None, old, new, autojunk=False).ratio() < _REWRITTEN:
        return "\n".join([f"--- {was}, replaced", f"+++ {name}", *(f"+{line}" for line in new)])
    return "\n".join(difflib.unified_diff(old, new, was, name, lineterm=""))


def slot_of(step: str) -> tuple[str | None, int | None]:
    """``(slot path, number of the try)`` that a step's path names; the whole block is the slot ``""``.

    >>> slot_of("proposal 1/round 2/unit mixer.inner/try 3")
    ('mixer.inner', 3)
    """
    path, number = None, None
    for part in step.split("/"):
        name, _, rest = part.partition(" ")
        if name == "unit":
            path = "" if rest == "root" else rest
        elif name == "try" and rest.isdigit():
            number = int(rest)
    return path, number


# -- what a model answered

_Told = tuple[str, Sequence[str], bool | None]


def _cost(data: Json) -> Cost:
    usage = data.get("usage") or {}
    requests = int(data.get("requests") or 0)
    dollars = data.get("dollars")
    return Cost(
        requests=requests,
        input_tokens=usage.get("input", 0),
        output_tokens=usage.get("output", 0),
        cached_tokens=usage.get("cached", 0),
        dollars=0.0 if dollars is None and not requests else dollars,
        seconds=data.get("seconds") or 0.0,
    )


def _answer(role: str, step: str, data: Json) -> _Told:
    if error := data.get("error"):
        what = "no answer" if error.get("kind") else "not asked"  # a bad reply, or a limit
        return f"{what}: {error.get('message', '')}", (), False
    known = ROLES.get(role, {}).get(step)
    if known is None or data.get("parsed") is None:
        return _first_line(str(data.get("text", ""))), (), None
    try:
        answer = known.answer.model_validate(data["parsed"])
    except ValidationError:  # a journal of another version
        return _first_line(str(data.get("text", ""))), (), None
    return _SAID[type(answer)](answer)


def _note(answer: SearchNote) -> _Told:
    asked = [*answer.keywords, *([answer.query] if answer.query else [])]
    words = "has read enough" if answer.enough else f"looks for: {'; '.join(asked) or 'nothing'}"
    return words, [f"note: {answer.note}"] if answer.note else [], None


def _draft(answer: ProposalDraft) -> _Told:
    where = ", ".join(path or _ROOT for path in answer.paths)
    details = [answer.abstract, *(f"change at {where}: {change}" for change in answer.changes)]
    if answer.equations:
        details.append(f"equations: {answer.equations}")
    details.append(f"prediction: {predicted(answer.prediction)}")
    if answer.references:
        details.append(f"after {', '.join(answer.references)}")
    return f"proposes: {answer.title}", details, None


def _review(answer: Review) -> _Told:
    questions = ("novelty", "soundness", "effect", "efficiency", "scalability", "feasibility")
    ratings = " · ".join(f"{name} {getattr(answer, name):g}" for name in questions)
    return f"rates it {answer.rating:g} of 5: {ratings}", _opinion(answer), None


def _judgement(answer: Judgement) -> _Told:
    ratings = " · ".join(f"{name} {getattr(answer, name):g}" for name in ("follows", "clear", "new"))
    return f"rates it {answer.rating:g} of 5: {ratings}", _opinion(answer), None


def _opinion(answer: Review | Judgement) -> list[str]:
    return [
        *(f"concern: {concern}" for concern in answer.concerns),
        *(f"suggestion: {suggestion}" for suggestion in answer.suggestions),
    ]


def _plan(answer: Plan) -> _Told:
    reuse = answer.reuse
    part = "" if reuse is None else reuse.unit or f"{reuse.path or _ROOT} of {reuse.parent}"
    words = f"next: {answer.path or _ROOT}" + (f", reusing {part}" if part else "")
    return words, [answer.purpose, f"reads {answer.inputs}", f"slots: {answer.slots}"], None


def _code(answer: UnitCode) -> _Told:
    words = f"writes {class_name(answer)}, {len(answer.source.splitlines())} lines"
    sources = [(child.slot, UnitCode(explanation="", source=child.source)) for child in answer.children]
    below = [f"at {at}: {class_name(code) if code.source else 'a part that exists'}" for at, code in sources]
    return words, [answer.explanation, *below], None


_SAID: dict[type[BaseModel], Callable[[Any], _Told]] = {
    SearchNote: _note,
    ProposalDraft: _draft,
    Review: _review,
    Plan: _plan,
    UnitCode: _code,
    Judgement: _judgement,
}


def predicted(prediction: Prediction) -> str:
    """A prediction as a sentence."""
    rival = "its parent" if prediction.against == "parent" else "the best baseline"
    least = f" by at least {prediction.amount:g}" if prediction.amount > 0 else ""
    where = f" at {prediction.scale}" if prediction.scale else ""
    because = f", because {prediction.because}" if prediction.because else ""
    return f"{prediction.metric} {prediction.direction} than {rival}{least}{where}{because}"


def _first_line(text: str) -> str:
    first = next(iter(text.strip().splitlines()), "")
    return first if len(first) <= 160 else f"{first[:160]}…"


# -- what else happened


def _begin(data: Json) -> _Told:
    parents = ", ".join(str(parent[0]) for parent in data.get("parents", ()))
    return f"{data.get('operator', '')}{' of ' + parents if parents else ''}", (), None


def _search(data: Json) -> _Told:
    hits = data.get("hits", ())
    details = [f"{hit['paper']['title']} ({hit['paper'].get('year') or 'no year'})" for hit in hits]
    return f"{len(hits)} passage{'' if len(hits) == 1 else 's'} found", list(dict.fromkeys(details)), None


def _check(data: Json) -> _Told:
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


def _duplicate(data: Json) -> _Told:
    return f"too much like '{data.get('twin')}' ({data.get('similarity', 0):.2f}): no review", (), False


def _graft(data: Json) -> _Told:
    reused = "reused " if data.get("reused") else ""
    return f"{reused}{data.get('unit')} at {data.get('path') or _ROOT}", (), None


def _judge(data: Json) -> _Told:
    rating = data.get("rating")
    return f"{data.get('unit')}: " + ("no opinion" if rating is None else f"{rating:g} of 5"), (), None


def _accept(data: Json) -> _Told:
    return f"accepted: {_what(data)}", (), True


def _reject(data: Json) -> _Told:
    return f"rejected: {_what(data)}", [data["reason"]] if data.get("reason") else [], False


def _what(data: Json) -> str:
    if data.get("title"):
        return str(data["title"])
    unit, path = data.get("unit"), data.get("path")
    return f"{unit or 'an answer'} at {path or _ROOT}" if path is not None else str(data.get("what", ""))


def _step_back(data: Json) -> _Told:
    to = data.get("to")
    words = "starts over" if to is None else f"goes back to {to or _ROOT}"
    return f"{words} after {data.get('path') or _ROOT} failed", [str(data.get("reason", ""))], False


def _limit(data: Json) -> _Told:
    return f"{data.get('scope')} {data.get('what')}: {data.get('reason', '')}", (), False


def _end(data: Json) -> _Told:
    ok = data.get("status") == "valid"
    return "a valid design" if ok else str(data.get("why") or "no design"), (), ok


def _other(data: Json) -> _Told:
    words = ", ".join(
        f"{name} {value}" for name, value in data.items() if isinstance(value, str | int | float)
    )
    return _first_line(words), (), None


_TELL: dict[str, Callable[[Json], _Told]] = {
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

EVENTS = ("llm_call", *_TELL)
"""Every kind of event of a session."""
