"""A session's journal as people read it: who said what at which cost, and what came of it."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from model_discovery.designers.agentic.asking import call_spending
from model_discovery.designers.agentic.event_words import in_words
from model_discovery.designers.requests import DesignRequest, Spending
from model_discovery.llm.journal import Event, Json

_FINDING = 150  # characters by which a finding is known again in a reason
_REWRITTEN = 0.5  # share of lines in common below which a diff would only interleave two texts


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
    cost: Spending | None = None
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
    costs: Mapping[str, Spending]
    tries: tuple[Tries, ...]
    end: Json | None

    @property
    def cost(self) -> Spending:
        """Of all roles."""
        return sum(self.costs.values(), Spending())


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
    costs: dict[str, Spending] = field(default_factory=dict)
    tries: dict[str, Tries] = field(default_factory=dict)
    code: dict[str, tuple[str, str]] = field(default_factory=dict)  # slot: what it is, its source
    told: str = ""  # the finding told last

    def moment(self, event: Event) -> Moment:
        if event.kind == "llm_call":
            return self._call(event)
        words, details, ok = in_words(event.kind, event.data)
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
        role = str(data.get("role", ""))
        cost = call_spending(data)
        self.costs[role] = self.costs.get(role, Spending()) + cost
        path, number = slot_of(event.step)
        writes = path is not None and number is not None and role == "coder"
        if path is not None and writes:
            self.tries.setdefault(path, Tries(path)).count += 1
        words, details, ok = in_words(event.kind, data)
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
