"""The page of checks is made from the code, and is up to date."""

from pathlib import Path

from checked_units import BAD

from model_discovery.checks.catalogue import CHECKS, page
from model_discovery.sandbox.outcome import STATUSES

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), (
        "run: python -m model_discovery.checks.catalogue > docs/checks.md"
    )


def test_every_name_is_in_the_catalogue() -> None:
    assert set(BAD.values()) <= set(CHECKS)
    assert set(STATUSES) - {"ok", "error", "signal"} <= set(CHECKS)
