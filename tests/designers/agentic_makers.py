"""Design sessions for tests: units right and wrong, answers of every role, a model that follows a script.

A script maps ``role.step`` to a list of answers, or to one answer for every time; an answer is data of the
step's schema, a BadReply or a LimitReached. The n-th question of a step gets the n-th answer, also when a
session is resumed: what the journal has counts.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from model_discovery.blocks.seed_designs import seed_designs
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.config import AgentsConfig
from model_discovery.designers import DesignOutcome, DesignRequest, ParentDesign
from model_discovery.designers.agentic.asking import SessionTools
from model_discovery.designers.agentic.session import run_session
from model_discovery.designers.agentic.specs import AgentSpec, load_specs
from model_discovery.designers.agentic.steps import ROLES
from model_discovery.library.types import Hit, Paper
from model_discovery.llm.journal import Journal
from model_discovery.llm.types import BadReply, LimitReached, Message, ModelSettings, Reply, Usage

SEEDS = seed_designs()
MODEL = "openai/scripted"

# -- units

GOOD = '''"""A running mean that forgets."""

import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class FadingMean(GAU):
    """Mean of the past with a gate: y_t = W_o (sigmoid(W_g x_t) * mean_{s <= t} W_v x_s). Cost: O(T d^2)."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.value = nn.Linear(ctx.width, ctx.width, bias=False)
        self.gate = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        steps = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
        mean = self.value(x).cumsum(1) / steps[:, None]
        return self.out(torch.sigmoid(self.gate(x)) * mean)


def test_first_position_sees_itself():
    unit = FadingMean(UnitContext(16))
    x = torch.randn(1, 3, 16)
    assert torch.allclose(unit(x)[0][:, :1], unit(x[:, :1])[0], atol=1e-5)
'''
"""A causal mixer that passes every check."""

LEAK = GOOD.replace(
    "self.value(x).cumsum(1) / steps[:, None]", "self.value(x).mean(1, keepdim=True) + 0 * steps[:, None]"
)
"""Looks into the future; its own test notices too, but comes first."""

LEAK_UNSEEN = LEAK[: LEAK.index("\n\ndef test_first")] + "\n"
WRONG_SHAPE = GOOD.replace("return self.out(", "return self.value(").replace("* mean)", "* mean).mean(-1)")
BAD_SYNTAX = GOOD.replace("def forward(self, x, z):", "def forward(self, x, z)")
OWN_TEST_FAILS = GOOD.replace("assert torch.allclose(", "assert not torch.allclose(")
GATED = '''"""A gate around another mixer."""

import torch
from torch import nn

from model_discovery.blocks import GAU, Slot, UnitContext


class OpenedMixer(GAU):
    """A mixer behind a gate: y = sigmoid(W x) * inner(x). Cost: O(T d^2)."""

    role = "sequence_mixer"
    slots = {"inner": Slot("sequence_mixer")}

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.gate = nn.Linear(ctx.width, ctx.width)

    def forward(self, x, z):
        h, z = self.inner(x, z)
        return torch.sigmoid(self.gate(x)) * h, z
'''
"""A container: its slot ``inner`` stays open."""

GATED_ALSO = GATED.replace("OpenedMixer", "HalfOpenedMixer").replace("* h, z", "* h / 2, z")
BLOCK = '''"""A block with two branches."""

from model_discovery.blocks import GAU, Slot, UnitContext


class TwoBranches(GAU):
    """Two residual branches: x + mixer(norm(x)), then x + ffn(norm(x)). Cost: that of its children."""

    role = "block"
    pointwise = True
    slots = {"norm": Slot("norm"), "mixer": Slot("sequence_mixer"), "ffn": Slot("channel_mixer")}

    def forward(self, x, z):
        h, z = self.norm(x, z)
        h, z = self.mixer(h, z)
        x = x + h
        h, z = self.norm(x, z)
        h, z = self.ffn(h, z)
        return x + h, z
'''
WHOLE_BLOCK = '''"""A block in one file."""

import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class ShiftBlock(GAU):
    """The last three inputs mixed: x + W_o silu(W [x_{t-2}, x_{t-1}, x_t]). Cost: O(T d^2)."""

    role = "block"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(3 * ctx.width, 2 * ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(2 * ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        past = F.pad(x, (0, 0, 2, 0))
        return x + self.out(F.silu(self.up(torch.cat([past[:, :-2], past[:, 1:-1], x], dim=-1))))
'''


def renamed(source: str, name: str) -> str:
    """The same unit under another class name."""
    old = source[source.index("class ") + 6 : source.index("(GAU)")]
    return source.replace(old, name)


# -- answers

PAPER = Paper(id="attention", title="A paper on attention", arxiv="1706.03762", year=2017)
HIT = Hit(paper=PAPER, passage="Attention is a sum.", section="idea", score=1.0, source="cards")


def note(enough: bool = False, **changes: Any) -> dict[str, Any]:
    """A search round."""
    return {
        "note": "keep this",
        "keywords": ["decay"],
        "query": "how memories fade",
        "enough": enough,
        **changes,
    }


def draft(
    title: str = "A mean that fades", paths: Sequence[str] = ("mixer",), **changes: Any
) -> dict[str, Any]:
    """A proposal; two of other titles share few words."""
    return {
        "title": title,
        "abstract": f"We replace the mixer by this: {title}. It costs little and keeps what matters.",
        "motivation": "The parent forgets.",
        "changes": [f"The mixer becomes: {title}."],
        "paths": list(paths),
        "equations": f"y = {title}(x)",
        "pseudo_code": "y = mix(x)",
        "expected_effect": "lower loss",
        "prediction": {"because": "memory"},
        "risks": [],
        "references": ["1706.03762"],
        **changes,
    }


def review(rating: float = 4.5, *concerns: str) -> dict[str, Any]:
    """A review."""
    marks = dict.fromkeys(("novelty", "soundness", "effect", "efficiency", "scalability", "feasibility"), 4)
    return {**marks, "rating": rating, "concerns": list(concerns), "suggestions": []}


def plan(path: str = "mixer", **changes: Any) -> dict[str, Any]:
    """A plan."""
    return {"path": path, "purpose": "mix", "inputs": "x", "slots": "none", "reuse": None, **changes}


def code(source: str = GOOD, *children: dict[str, Any]) -> dict[str, Any]:
    """A coder's answer."""
    return {"explanation": "sums over the past only", "source": source, "children": list(children)}


def judgement(rating: float = 4, *concerns: str) -> dict[str, Any]:
    """An observer's answer."""
    return {
        "follows": 4, "clear": 4, "new": 4, "rating": rating, "concerns": list(concerns), "suggestions": [],
    }  # fmt: skip


Script = Mapping[str, Any]
EASY: Script = {
    "proposer.search": note(),
    "proposer.propose": draft(),
    "reviewer.search": note(enough=True),
    "reviewer.review": review(),
    "planner.plan": plan(),
    "coder.write": code(),
    "coder.block": code(WHOLE_BLOCK),
    "observer.judge": judgement(),
}
"""A session in which all goes well at once."""


class ScriptedModel:
    """Stands where the client stands: journals every call, counts those that were really made.

    ``calls`` are those made in this process, ``prompts`` all that were asked or recalled.
    """

    def __init__(
        self, journal: Journal, script: Script, before: Callable[[str], None] = lambda name: None
    ) -> None:
        self.calls: list[str] = []
        self.prompts: list[tuple[str, str]] = []
        self._journal, self._script, self._before = journal, script, before
        self._asked: Counter[str] = Counter()

    def chat(
        self,
        role: str,
        step: str,
        messages: Sequence[Message],
        schema: type[BaseModel],
        settings: ModelSettings,
    ) -> Reply[Any]:
        name = f"{role}.{step}"
        number = self._asked[name]
        self._asked[name] += 1
        text = "\n".join(message.content for message in messages)
        self.prompts.append((name, text))
        key = {
            "role": role,
            "step": step,
            "messages": [m.model_dump() for m in messages],
            "model": settings.model,
        }
        data = self._journal.once("llm_call", key, lambda: {**key, **self._call(name, number)})
        if error := data.get("error"):
            if error["type"] == "limit":
                raise LimitReached(error["message"], scope=error["scope"], what=error["what"])
            raise BadReply(error["kind"], error["message"])
        return Reply(
            schema.model_validate(data["parsed"]), json.dumps(data["parsed"]), settings.model,
            Usage(**data["usage"]), data["dollars"], 0.0, "", "native", 1,
        )  # fmt: skip

    def _call(self, name: str, number: int) -> dict[str, Any]:
        self._before(name)
        self.calls.append(name)
        assert name in self._script, f"nobody expected {name}"
        given = self._script[name]
        assert not isinstance(given, list) or number < len(given), f"{name} is asked {number + 1} times"
        answer = given[number] if isinstance(given, list) else given
        paid = {"usage": {"input": 100, "output": 10, "cached": 0}, "dollars": 0.25, "requests": 1}
        if isinstance(answer, LimitReached):
            error = {"type": "limit", "message": answer.message, "scope": answer.scope, "what": answer.what}
            return {"error": error, "usage": {}, "dollars": None, "requests": 0}
        if isinstance(answer, BadReply):
            return {**paid, "error": {"type": "bad_reply", "kind": answer.kind, "message": str(answer)}}
        return {**paid, "parsed": answer}


# -- sessions


def request_of(
    operator: str = "mutation", *parents: str, agents: AgentsConfig | None = None, **changes: Any
) -> DesignRequest:
    """A request of a session without search, unless told."""
    chosen = (
        parents or {"mutation": ("transformer_pp",), "crossover": ("retnet", "gpt2"), "scratch": ()}[operator]
    )
    return DesignRequest(
        designer="agentic",
        operator=operator,
        parents=tuple(ParentDesign(name=name, unit_tree=SEEDS[name].tree) for name in chosen),
        agents=agents or config(),
        **changes,
    )


def config(**changes: Any) -> AgentsConfig:
    """Without search, and with a model."""
    return AgentsConfig(**{"model": MODEL, "search": False, **changes})


def rule_check(tree: UnitTree, what: str) -> CheckReport:
    """A check that reads: refuses what says ``mean(1``, ``mean(-1)`` or ``assert not``."""
    for unit in tree.units.values():
        if unit.origin == "agentic":
            for word, check in (("mean(1", "causality"), ("mean(-1)", "forward"), ("assert not", "tests")):
                if word in unit.source:
                    found = Finding(check=check, where=unit.name, measured=f"has {word}")
                    return CheckReport(ok=False, findings=(found,), stages=("source", check))
    return CheckReport(ok=True, stages=("source",), sizes={"0.1M": {"width": 64}})


class World:
    """One session's tools over a journal, with counters."""

    def __init__(
        self,
        script: Script,
        path: Path | None = None,
        *,
        mode: Any = "resume",
        check: Callable[[UnitTree, str], CheckReport] = rule_check,
        before: Callable[[str], None] = lambda name: None,
        specs: Mapping[str, AgentSpec] | None = None,
    ) -> None:
        self.specs = specs or SPECS
        self.journal = Journal(path, "campaign/design-0", mode=mode, clock=lambda: 0.0)
        self.model = ScriptedModel(self.journal, {**EASY, **script}, before)
        self.checked: list[str] = []
        self.searched: list[str] = []
        self.said: list[dict[str, Any]] = []
        self._check, self._before = check, before

    def check(self, tree: UnitTree, what: str) -> CheckReport:
        self._before(f"check.{what}")
        self.checked.append(what)
        return self._check(tree, what)

    def search(self, query: str, keywords: list[str]) -> list[Hit]:
        self._before("search")
        self.searched.append(query)
        return [HIT]

    def run(self, request: DesignRequest) -> DesignOutcome:
        """The session's outcome."""
        tools = SessionTools(
            llm=self.model, specs=self.specs, check=self.check, search=self.search, journal=self.journal,
            report=lambda **fields: self.said.append(fields),
        )  # fmt: skip
        return run_session(request, tools)

    def kinds(self, *wanted: str) -> list[str]:
        """Events of these kinds, each with what it is about."""
        about = ("unit", "title", "path")
        return [
            " ".join([event.kind, *[event.data[key] for key in about if event.data.get(key)][:1]])
            for event in self.journal.events
            if event.kind in wanted
        ]

    def prompt(self, name: str, number: int = 0) -> str:
        """What was asked at a step for the n-th time."""
        return [text for asked, text in self.model.prompts if asked == name][number]


SPECS = load_specs(None)


def bare_specs(folder: Path) -> dict[str, AgentSpec]:
    """Specs whose prompts are the plain variables of their step, quickly rendered."""
    for role, steps in ROLES.items():
        prompts = {
            name: " ".join([name, *(f"{{{{ {key} }}}}" for key, kind in step.variables.items() if not kind)])
            for name, step in steps.items()
        }
        spec = {
            "name": role, "side": "designer", "system": role, "prompts": prompts,
            "output": {name: step.answer.__name__ for name, step in steps.items()},
        }  # fmt: skip
        (folder / f"{role}.yaml").write_text(yaml.safe_dump(spec))
    return load_specs(folder)


def run(script: Script | None = None, request: DesignRequest | None = None) -> tuple[DesignOutcome, World]:
    """A session in memory."""
    world = World(script or {})
    return world.run(request or request_of()), world


def checks_of(outcome: DesignOutcome) -> list[str]:
    """For each attempt its first finding, or ``ok``."""
    return [one.findings[0].check if one.findings else "ok" for one in outcome.attempts]
