"""Options that several commands share, each said once."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from model_discovery.errors import UserError

DEFAULT_DB = "model_discovery.db"

_Facts = TypeVar("_Facts")
_BESIDE_RESUME = ("resume", "workers", "track", "db", "quiet", "as_json", "debug")

Db = Annotated[str, typer.Option("--db", help="The design tree: a SQLite file or a database URL.")]
Campaign = Annotated[
    str | None, typer.Option("--campaign", "-c", help="Campaign by name; the latest unless told.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback instead of one line on an error.")]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Worker processes; as many as fit unless told.")
]
Corpus = Annotated[
    str | None, typer.Option("--corpus", help="Train on your own text: a folder or file of text or JSONL.")
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="grammar, text (needs --corpus), babylm, babylm-100m, smollm, a recipe's YAML file, or a data "
        "set: owner/name of the hub or a local folder.",
    ),
]
Suites = Annotated[
    list[str] | None,
    typer.Option(
        "--suite",
        metavar="NAME[=FOLDER]",
        help="What is scored: minimal-pairs, blimp, babylm, core, a task of lm-eval, or ./FOLDER of YAML "
        "tasks; may be repeated.",
    ),
]
Scores = Annotated[
    bool, typer.Option("--scores", help="Print every part of every suite too: sets, tasks, metrics.")
]
BlimpDir = Annotated[
    Path | None, typer.Option("--blimp-dir", help="Folder with BLiMP's JSONL files: short for blimp=FOLDER.")
]
Track = Annotated[
    str | None,
    typer.Option("--track", help="Show runs elsewhere too: wandb, tensorboard or none (unless told)."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", help="Language model of every role, as litellm names it: anthropic/NAME, openai/NAME, …"
    ),
]
ApiBase = Annotated[
    str | None,
    typer.Option("--api-base", metavar="URL", help="Address of an OpenAI-compatible server that has it."),
]
AgentSpec = Annotated[
    Path | None, typer.Option("--agent-spec", help="Folder of agent specs that replace the shipped ones.")
]
Flow = Annotated[
    Literal["units", "direct"] | None,
    typer.Option("--flow", help="Write designs unit by unit (unless told), or as one block."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.")]
SandboxLevel = Annotated[
    Literal["auto", "namespaces", "plain"],
    typer.Option("--sandbox", help="Isolation of generated code: auto, namespaces or plain."),
]


def refuse_with_resume(context: typer.Context, *allowed: str) -> None:
    """UserError for what was typed beside ``--resume`` and cannot change what goes on.

    Parameters
    ----------
    allowed
        Parameters that may stand there, by name, besides those that say how it runs and is shown.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        if name not in (*_BESIDE_RESUME, *allowed):
            option = parameter.opts[0]
            shown = option if option.startswith("-") else option.upper()
            raise UserError(
                f"--resume goes on with the configuration stored in the tree; {shown} cannot change it.",
                hint="leave it out, or start a new campaign",
            )


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    import json

    typer.echo(json.dumps(value, indent=2, allow_nan=False, default=str))


def show_facts(facts: _Facts, as_json: bool, show: Callable[[_Facts], None]) -> None:
    """Print facts for programs, or as their own printer shows them to people."""
    if as_json:
        print_json(facts)
    else:
        show(facts)
