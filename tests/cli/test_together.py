"""What torchrun must not start several times."""

import pytest
import typer

from model_discovery.cli.app import app
from model_discovery.cli.together import refuse_several_processes
from model_discovery.errors import UserError


@pytest.mark.parametrize("command", [["discover", "x"], ["doctor"], ["verify", "--reproduce", "x"]])
def test_work_of_one_process_is_refused_to_several(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError, match="torchrun started 2 processes"):
        app(command, standalone_mode=False)


def test_only_the_first_process_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(typer.Exit):
        refuse_several_processes("discover")


def test_a_single_process_may_do_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    for size in ("1", "4 nodes"):
        monkeypatch.setenv("WORLD_SIZE", size)
        refuse_several_processes("discover")
    monkeypatch.delenv("RANK")
    monkeypatch.setenv("WORLD_SIZE", "2")  # some clusters set it for every job
    refuse_several_processes("discover")
