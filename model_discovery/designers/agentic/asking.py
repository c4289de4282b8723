"""What a session works with: its tools, and the one way to ask a role, run a check, search."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.config import AgentsConfig
from model_discovery.designers.agentic.brief import brief_of
from model_discovery.designers.agentic.prompts import render
from model_discovery.designers.agentic.specs import AgentSpec
from model_discovery.designers.knowledge import FailedIdea, Idea
from model_discovery.designers.requests import Attempt, DesignRequest, Spending
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.library.types import Hit
from model_discovery.llm.journal import Event, Journal, Json
from model_discovery.llm.types import BadReply, ModelSettings
from model_discovery.seeds import derive

if TYPE_CHECKING:
    from model_discovery.llm.client import LLM

Answer = TypeVar("Answer", bound=BaseModel)
_SETTINGS = TypeAdapter(ModelSettings)
_ASKED = 2  # a reply of no use is asked for once more


@dataclass(frozen=True)
class SessionTools:
    """The world of a session.

    Attributes
    ----------
    llm, journal
        The client, and the journal that it writes to.
    specs
        By role.
    check
        Checks a tree: as a ``unit`` still being built, or as a ``design``, compared with the parents too.
    search
        Finds papers for a long query and short keywords, either of which may be empty.
    report
        Is told what goes on.
    """

    llm: "LLM"
    specs: Mapping[str, AgentSpec]
    check: Callable[[UnitTree, str], CheckReport]
    search: Callable[[str, list[str]], list[Hit]]
    journal: Journal
    report: Callable[..., None] = lambda **_: None


class Desk:
    """Where one session asks its roles, checks trees and searches; everything goes through the journal.

    ``attempts`` are the trees checked so far, and answers that came to none.
    """

    def __init__(self, request: DesignRequest, tools: SessionTools) -> None:
        self.request = request
        self.config = request.agents or AgentsConfig()
        self.journal = tools.journal
        self.brief = brief_of(request)
        self.attempts: list[Attempt] = []
        self._tools = tools
        self._settings = self._begin()

    def _begin(self) -> dict[str, ModelSettings]:
        """The models of this session, drawn from its seed; in a replay those that were drawn then."""
        facts = _facts(self.request)
        if self.journal.mode == "replay":
            held = self.journal.once("begin", facts, dict)
            return {role: _SETTINGS.validate_python(one) for role, one in held["models"].items()}
        drawn = {
            role: spec.settings(self.config, random.Random(derive(self.request.seed, "model", role)))
            for role, spec in self._tools.specs.items()
        }
        models = {role: _SETTINGS.dump_python(one, mode="json") for role, one in drawn.items()}
        self.journal.once("begin", facts, lambda: {**facts, "models": models})
        return drawn

    # -- asking

    def ask(self, role: str, step: str, schema: type[Answer], **variables: Any) -> Answer:
        """One answer of a role.

        Raises
        ------
        BadReply
            The model answered, and it is of no use.
        LimitReached
            Nothing more may be spent.
        """
        messages = render(
            self._tools.specs[role], step, self.request.operator, {"brief": self.brief, **variables}
        )
        reply = self._tools.llm.chat(role, step, messages, schema, self._settings[role])
        assert isinstance(reply.parsed, schema)
        return reply.parsed

    def ask_again(self, role: str, step: str, schema: type[Answer], **variables: Any) -> Answer | None:
        """`ask` for answers that no draft depends on: asked twice; ``None`` when both were of no use."""
        for _ in range(_ASKED):
            try:
                return self.ask(role, step, schema, **variables)
            except BadReply:
                continue  # the call's own event says what was wrong
        return None

    def learn(self, idea: Idea | FailedIdea) -> None:
        """Tell every later question of this session of an idea, as if the campaign had it already."""
        known = self.brief.knowledge
        if isinstance(idea, Idea):
            known = known.model_copy(update={"ideas": (*known.ideas, idea)})
        else:
            known = known.model_copy(update={"failed": (*known.failed, idea)})
        self.brief = replace(self.brief, knowledge=known)

    # -- the world

    def search(self, query: str, keywords: list[str]) -> list[Hit]:
        """Papers for a query and keywords."""
        asked = {"query": query, "keywords": keywords}
        held = self.journal.once(
            "search",
            asked,
            lambda: {
                **asked,
                "hits": [hit.model_dump(mode="json") for hit in self._tools.search(query, keywords)],
            },
        )
        return [Hit.model_validate(hit) for hit in held["hits"]]

    def check(self, tree: UnitTree, what: str = "unit") -> CheckReport:
        """The report of a tree, as a ``unit`` being built or as a whole ``design``.

        A replay takes units from the journal; a design that passed is checked again all the same.
        """
        held = self.journal.once(
            "check",
            {"tree": tree.to_json(), "what": what},
            lambda: {
                "what": what,
                "structure_hash": tree.structure_hash,
                "map": tree.ascii(),
                "report": self._tools.check(tree, what).model_dump(mode="json"),
            },
        )
        report = CheckReport.model_validate(held["report"])
        if self.journal.mode == "replay" and what == "design" and report.ok:
            report = self._checked_again(tree)
        self.tried(tree, report)
        return report

    def _checked_again(self, tree: UnitTree) -> CheckReport:
        report = self._tools.check(tree, "design")
        if not report.ok:
            raise UserError(
                f"The recorded design {tree.structure_hash} passed its checks then and fails them now: "
                f"{report.summary}.",
                hint="the checks or torch have changed since it was recorded",
                exit_code=EXIT_FAILED,
            )
        return report

    def tried(self, tree: UnitTree, report: CheckReport) -> None:
        """Keep an attempt; a structure that passed as a unit and is checked again as a design is one."""
        attempt = Attempt(structure_hash=tree.structure_hash, ok=report.ok, findings=report.findings)
        if self.attempts and self.attempts[-1].ok and self.attempts[-1].structure_hash == tree.structure_hash:
            del self.attempts[-1]
        self.attempts.append(attempt)

    def failed(self, *findings: Finding) -> None:
        """Keep an attempt that came to no tree."""
        self.attempts.append(Attempt(structure_hash="", ok=False, findings=findings))

    def report(self, stage: str, **fields: Any) -> None:
        """Tell whoever watches what is done now, and what was spent."""
        spent = spending_of(self.journal.events)
        self._tools.report(stage=stage, spending=spent.model_dump(exclude_defaults=True), **fields)


def spending_of(events: list[Event]) -> Spending:
    """What the calls in a journal took."""
    calls = (call_spending(event.data) for event in events if event.kind == "llm_call")
    return sum(calls, Spending())


def call_spending(call: Json) -> Spending:
    """What a call took, as its event has it."""
    usage, requests, dollars = call.get("usage") or {}, int(call.get("requests") or 0), call.get("dollars")
    tokens = usage.get("input", 0) + usage.get("output", 0)
    return Spending(
        calls=requests,
        input_tokens=usage.get("input", 0),
        output_tokens=usage.get("output", 0),
        cached_tokens=usage.get("cached", 0),
        dollars=dollars if requests else None,
        unpriced_tokens=tokens if dollars is None else call.get("unpriced_tokens", 0),
        seconds=call.get("seconds") or 0.0,
    )


def _facts(request: DesignRequest) -> Json:
    """What makes a request this one and no other, apart from how it is run."""
    return {
        "instruction": request.instruction,
        "operator": request.operator,
        "parents": [[parent.name, parent.unit_tree.structure_hash] for parent in request.parents],
        "seed": request.seed,
        "unfinished": request.unfinished.title if request.unfinished else "",
    }
