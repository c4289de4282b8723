"""``model-discovery mcp``: a design session for any agent."""

from typing import Annotated

import typer

from model_discovery.cli.options import DEFAULT_DB, Campaign, Db, Debug, SandboxLevel


def mcp(
    as_json: Annotated[
        bool, typer.Option("--json", help="Plain lines of JSON on standard input and output, without MCP.")
    ] = False,
    sandbox: SandboxLevel = "auto",
    campaign: Campaign = None,
    db: Db = DEFAULT_DB,
    debug: Debug = False,
) -> None:
    """Serve a campaign's design session to an agent over MCP, on standard input and output."""
    from model_discovery.system import design_protocols
    from model_discovery.system.design_server import DesignServer

    server = DesignServer(db, campaign, sandbox)
    (design_protocols.serve_json if as_json else design_protocols.serve_mcp)(server)
