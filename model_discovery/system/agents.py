"""The roles of LLM designers as people look at them: their specs, and what a model would be sent."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError, unknown
from model_discovery.system.designs import find_design
from model_discovery.system.progress import make_console, program
from model_discovery.system.views import exists, open_campaign

if TYPE_CHECKING:
    from model_discovery.designers.agentic.specs import AgentSpec
    from model_discovery.designers.knowledge import Knowledge
    from model_discovery.designers.requests import DesignRequest, Operator
    from model_discovery.llm.types import SchemaMode

Facts = dict[str, Any]
_OPERATORS: "tuple[Operator, ...]" = ("scratch", "mutation", "crossover")
_BYTES_A_TOKEN = 4


def list_agents(agent_spec: Path | None) -> list[Facts]:
    """A row a role: side, model, steps, file."""
    from model_discovery.designers.agentic.specs import load_specs

    return [
        {
            "role": spec.name,
            "side": spec.side,
            "model": spec.model,
            "steps": list(spec.prompts),
            "file": str(spec.file),
        }
        for spec in load_specs(agent_spec).values()
    ]


def show_agent(role: str, agent_spec: Path | None) -> Facts:
    """A spec: where it is, its text, and for each step what it answers and what its prompt may use."""
    from model_discovery.designers.agentic.steps import ROLES

    spec = _spec(role, agent_spec)
    steps = {
        name: {"answers": step.answer.__name__, "variables": list(step.variables)}
        for name, step in ROLES[role].items()
    }
    return {
        "role": role,
        "file": str(spec.file),
        "partials": sorted(spec.check()),
        "steps": steps,
        "text": spec.file.read_text("utf-8"),
    }


def render_prompt(
    role: str,
    *,
    step: str | None,
    operator: str | None,
    designs: Sequence[str],
    agent_spec: Path | None,
    schema_mode: "SchemaMode",
    campaign: str | None,
    db: str,
) -> Facts:
    """The messages that a model would be sent for a step.

    The parents are ``designs``, or those of the benchmark's first situation of the operator; with a campaign,
    its knowledge is told too. What earlier steps would have said are examples.

    Raises
    ------
    UserError
        An unknown role, step, operator or design, or another number of parents than the operator takes.
    """
    from model_discovery.designers.agentic.prompts import render
    from model_discovery.designers.agentic.situations import example_variables
    from model_discovery.designers.agentic.steps import ROLES
    from model_discovery.llm.schema import instructions, json_schema

    spec = _spec(role, agent_spec)
    steps = ROLES[role]
    if step is not None and step not in steps:
        raise unknown(f"step of the {role}", step, steps)
    chosen = step or next(iter(steps))
    request = _request(operator, designs, campaign, db)
    messages = render(spec, chosen, request.operator, example_variables(role, chosen, request))
    shown: list[Facts] = [message.model_dump() for message in messages]
    answer = steps[chosen].answer
    if schema_mode == "fenced":
        shown[-1]["content"] += instructions(json_schema(answer))
    return {
        "role": role,
        "step": chosen,
        "operator": request.operator,
        "parents": [parent.name for parent in request.parents],
        "answers": answer.__name__,
        "tokens": sum(len(message["content"].encode()) for message in shown) // _BYTES_A_TOKEN,
        "messages": shown,
    }


def _spec(role: str, agent_spec: Path | None) -> "AgentSpec":
    from model_discovery.designers.agentic.specs import load_specs

    specs = load_specs(agent_spec)
    if role not in specs:
        raise unknown("role", role, specs)
    return specs[role]


def _request(operator: str | None, designs: Sequence[str], campaign: str | None, db: str) -> "DesignRequest":
    from model_discovery.config import AgentsConfig
    from model_discovery.designers.agentic.session import PARENTS
    from model_discovery.designers.agentic.situations import load_situations, request_of
    from model_discovery.designers.requests import ParentDesign

    if operator is not None and operator not in PARENTS:
        raise unknown("operator", operator, PARENTS)
    by_parents = {0: "mutation", 1: "mutation"}
    wanted = operator or by_parents.get(len(designs), "crossover")
    if designs and len(designs) != PARENTS[wanted]:
        raise UserError(f"A {wanted} takes {PARENTS[wanted]} designs, {len(designs)} given with --design.")
    situation = next(one for one in load_situations().situations if one.operator == wanted)
    request = request_of(situation, AgentsConfig())
    if not designs:
        return request
    found = [find_design(design, db=db, campaign=campaign) for design in designs]
    parents = tuple(ParentDesign(name=name, unit_tree=tree) for name, tree in found)
    known = _knowledge(wanted, [name for name, _ in found], campaign, db)
    return request.model_copy(update={"parents": parents, **known})


def _knowledge(operator: str, names: Sequence[str], campaign: str | None, db: str) -> Facts:
    """What the campaign would tell of these parents, where they are designs of one; its instruction."""
    from model_discovery.config import parse_config
    from model_discovery.evolution.knowledge import KnowledgeMaker
    from model_discovery.evolution.policy import DesignStep
    from model_discovery.evolution.resume import load_state

    if campaign is None or not exists(db):
        return {}
    with open_campaign(db, campaign) as (tree, row):
        assert row is not None
        state = load_state(tree, row.id, parse_config(row.config))
        places = {design.name: index for index, design in enumerate(state.designs)}
        if any(name not in places for name in names):
            return {"instruction": row.instruction}
        step = DesignStep(operator, "agentic", tuple(places[name] for name in names))
        knowledge: Knowledge = KnowledgeMaker(tree).of(state, step)
        return {"instruction": row.instruction, "knowledge": knowledge}


# -- printing


def print_agents(rows: Sequence[Facts]) -> None:
    """The roles as a table."""
    from rich.table import Table

    console = make_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("role", "side", "model", "steps", "file"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(row["role"], row["side"], _model(row["model"]), ", ".join(row["steps"]), row["file"])
    console.print(table)
    console.print(f"\nwhat a model would be sent: {program()} agents render ROLE")


def _model(model: str | dict[str, float] | None) -> str:
    if isinstance(model, dict):
        return ", ".join(f"{name} ({weight:g})" for name, weight in model.items())
    return model or "the campaign's"


def print_agent(facts: Facts) -> None:
    """A spec as it stands in its file, and what its prompts may use."""
    console = make_console()
    console.print(facts["text"].rstrip(), markup=False, soft_wrap=True)
    console.print(f"\n[bold]{facts['file']}[/bold]", soft_wrap=True)
    for name, step in facts["steps"].items():
        console.print(
            f"{name}: answers {step['answers']}, may use {', '.join(step['variables'])}", soft_wrap=True
        )
    console.print(f"partials: {', '.join(facts['partials'])}", soft_wrap=True)


def print_prompt(facts: Facts) -> None:
    """Messages one after the other, each under its role."""
    from rich.markup import escape

    console = make_console()
    for message in facts["messages"]:
        dropped = ", dropped first when the context is full" if message["optional"] else ""
        console.print(f"[bold cyan]── {message['role']}{dropped}[/bold cyan]")
        console.print(escape(message["content"]), soft_wrap=True)
    parents = f" of {', '.join(facts['parents'])}" if facts["parents"] else ""
    console.print(
        f"[bold cyan]──[/bold cyan] {facts['role']} {facts['step']}, {facts['operator']}{parents}; about "
        f"{facts['tokens']:,} tokens; answers {facts['answers']}",
        soft_wrap=True,
    )
