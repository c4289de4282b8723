"""What torchrun may start: several processes of one command that would each do the same are refused."""

import os

import typer

from model_discovery.errors import EXIT_BAD_INPUT, UserError


def refuse_several_processes(command: str) -> None:
    """End a command that is no joint work where torchrun started several processes; the first one says so."""
    size = os.environ.get("WORLD_SIZE", "1")
    if not size.isdigit() or int(size) < 2 or "RANK" not in os.environ:
        return
    if os.environ["RANK"] != "0":
        raise typer.Exit(EXIT_BAD_INPUT)
    raise UserError(
        f"torchrun started {size} processes, and '{command}' is the work of one.",
        hint="start it without torchrun; several processes train together in 'verify DESIGN'",
    )
