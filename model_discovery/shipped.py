"""Where the data that ships with the package lies: ``etc/`` and ``library/``."""

from pathlib import Path

from model_discovery.errors import EXIT_FAILED, UserError

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: str) -> Path:
    """A folder such as ``"etc/agent_spec"``: inside the installed package, or beside it in a checkout."""
    for place in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise UserError(f"The package lacks its folder {name}.", hint="install it again", exit_code=EXIT_FAILED)
