"""A finished verification as it was stored: what it was asked and what it answered, to be done again."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from model_discovery.errors import UserError
from model_discovery.verification.folder import REPORT, REQUEST
from model_discovery.verification.recipe import GRAMMAR_VERSION
from model_discovery.verification.report import VerificationReport, VerifyRequest

S = TypeVar("S", VerifyRequest, VerificationReport)
_AGAIN = "use the version that made it, or verify the design again"


def read_run(folder: Path) -> tuple[VerifyRequest, VerificationReport]:
    """Request and report of a run's folder.

    Raises
    ------
    UserError
        A file is missing or damaged, the two do not belong together, or this program has another recipe.
    """
    report = parse_stored(VerificationReport, _read(folder / REPORT), str(folder / REPORT))
    request = parse_stored(VerifyRequest, _read(folder / REQUEST), str(folder / REQUEST))
    check_belongs(request, report, str(folder))
    return request, report


def parse_stored(kind: type[S], content: bytes | str, where: str) -> S:
    """A stored request or report; ``UserError`` with what is wrong in it."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{where} is damaged, or of another version: {repr(key) + ': ' if key else ''}{first['msg']}.",
            hint="verify the design again",
        ) from error


def check_belongs(request: VerifyRequest, report: VerificationReport, where: str) -> None:
    """Refuse a request that is not the one of a report, or that cannot be made again by this program."""
    recipe, made = request.recipe, report.evidence.recipe_hash
    if made != recipe.hash:
        raise UserError(
            f"{where} was made under the recipe '{recipe.name}' {made}; what is stored of it is "
            f"{recipe.hash} in this version of the program.",
            hint=_AGAIN,
        )
    if recipe.grammar is not None and recipe.grammar.version != GRAMMAR_VERSION:
        raise UserError(
            f"{where} was made with version {recipe.grammar.version} of the grammar; this program has "
            f"version {GRAMMAR_VERSION}, whose text is another.",
            hint=_AGAIN,
        )
    if report.evidence.request_hash != request.hash:
        raise UserError(f"The request of {where} is not the one of its report.", hint="verify it again")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}.",
            hint="name the folder of a finished run, or a run of the tree as DESIGN/SCALE/SEED",
        ) from error
