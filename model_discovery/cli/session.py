"""``model-discovery session``: look at design sessions with language models, and run them again."""

from typing import Annotated

import typer

from model_discovery.cli.options import DEFAULT_DB, AsJson, Campaign, Db, Debug, Workers, show_facts

app = typer.Typer(
    help="Look at design sessions with language models; run them again from their journals.",
    no_args_is_help=True,
)


@app.command("list")
def list_sessions(
    campaign: Campaign = None, db: Db = DEFAULT_DB, as_json: AsJson = False, debug: Debug = False
) -> None:
    """List the sessions of a campaign: what came of each, what it cost, at which try checks passed."""
    from model_discovery.system import session_pages, sessions

    show_facts(sessions.sessions(db, campaign), as_json, session_pages.print_sessions)


@app.command("show")
def show(
    which: Annotated[
        str, typer.Argument(help="Number of a session, name of its design, or a journal's file.")
    ],
    campaign: Campaign = None,
    db: Db = DEFAULT_DB,
    full: Annotated[bool, typer.Option("--full", help="Print prompts and answers word for word.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show a session: who said what, what passed or failed, how the code changed, what was measured."""
    from model_discovery.system import session_pages, sessions

    show_facts(sessions.session(db, campaign, which, full=full), as_json, session_pages.print_session)


@app.command("replay")
def replay(
    which: Annotated[str, typer.Argument(help="Name of a finished campaign, or the number of one session.")],
    campaign: Campaign = None,
    db: Db = DEFAULT_DB,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the campaign that replays; NAME-replay unless told.")
    ] = None,
    workers: Workers = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a campaign or a session again from what was recorded, without a model or a network.

    The exit status is 1 when it does not come to the same.
    """
    from model_discovery.system import replay, session_pages

    facts = (
        replay.replay_session(db, campaign, which)
        if which.isdigit()
        else replay.replay_campaign(db, which, as_name=name, workers=workers, progress=not as_json)
    )
    show_facts(facts, as_json, session_pages.print_replay)
    if not facts["same"]:
        raise typer.Exit(1)
