"""``model-discovery agents``: the roles of LLM designers, their prompts, and how well a model does."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from model_discovery.cli.options import (
    DEFAULT_DB,
    AgentSpec,
    ApiBase,
    AsJson,
    Campaign,
    Db,
    Debug,
    Model,
    Quiet,
    SandboxLevel,
    show_facts,
)

app = typer.Typer(help="Look at the roles of LLM designers; measure a model.", no_args_is_help=True)

Role = Annotated[str, typer.Argument(help="proposer, reviewer, planner, coder or observer.")]


@app.command("list")
def list_agents(agent_spec: AgentSpec = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """List the roles: side, model, steps, file."""
    from model_discovery.system import agents

    show_facts(agents.list_agents(agent_spec), as_json, agents.print_agents)


@app.command("show")
def show(role: Role, agent_spec: AgentSpec = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Show a role's spec as it stands in its file, and what its prompts may use."""
    from model_discovery.system import agents

    show_facts(agents.show_agent(role, agent_spec), as_json, agents.print_agent)


@app.command("render")
def render(
    role: Role,
    step: Annotated[str | None, typer.Option(help="Of the role; its first one unless told.")] = None,
    operator: Annotated[
        Literal["scratch", "mutation", "crossover"] | None, typer.Option(help="What is asked for.")
    ] = None,
    design: Annotated[
        list[str] | None,
        typer.Option(help="A parent, by name, folder or file; may be repeated. Human designs unless told."),
    ] = None,
    schema_mode: Annotated[
        Literal["native", "fenced"],
        typer.Option(help="With the form of the answer in words (fenced), or bound to a schema (native)."),
    ] = "native",
    agent_spec: AgentSpec = None,
    campaign: Campaign = None,
    db: Db = DEFAULT_DB,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Print what a model would be sent. What earlier steps would have said is filled with examples."""
    from model_discovery.system import agents

    facts = agents.render_prompt(
        role, step=step, operator=operator, designs=design or [], agent_spec=agent_spec,
        schema_mode=schema_mode, campaign=campaign, db=db,
    )  # fmt: skip
    show_facts(facts, as_json, agents.print_prompt)


@app.command("bench")
def bench(
    model: Model = None,
    api_base: ApiBase = None,
    n: Annotated[int, typer.Option(help="Sessions of each flow.")] = 20,
    flow: Annotated[str, typer.Option(help="units, direct, or both with a comma between.")] = "units,direct",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Such as agents.planner=false; may be repeated."),
    ] = None,
    max_dollars: Annotated[
        float | None, typer.Option(help="What all sessions together may spend, in US dollars.")
    ] = None,
    max_llm_tokens: Annotated[
        int | None, typer.Option(help="Tokens, in and out, of all sessions together.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the journals.")] = None,
    agent_spec: AgentSpec = None,
    workers: Annotated[int | None, typer.Option(help="Sessions at once; 4 unless told.")] = None,
    sandbox: SandboxLevel = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure a model: valid designs, calls, tokens and dollars over fixed situations, with intervals."""
    from model_discovery.system import agent_bench
    from model_discovery.system.models import agents_from

    agents = agents_from(
        model=model, api_base=api_base, agent_spec=agent_spec, flow=None, max_dollars=max_dollars,
        max_llm_tokens=max_llm_tokens,
    )  # fmt: skip
    flows = [part.strip() for part in flow.split(",") if part.strip()]
    facts = agent_bench.bench(
        agents=agents, n=n, flows=flows, overrides=set_ or (), seed=seed, out=out, workers=workers,
        level=sandbox, progress=not (quiet or as_json),
    )  # fmt: skip
    show_facts(facts, as_json, agent_bench.print_bench)
