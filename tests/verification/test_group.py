"""Two real processes that train together do what one does alone."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import group_worker
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model_discovery.verification.group import ALONE, Group

WORKER = Path(group_worker.__file__)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes have done all trainings."""
    folder = tmp_path_factory.mktemp("together")
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), "2", str(folder)],
            stderr=(folder / f"errors-{rank}").open("w"),
        )
        for rank in range(2)
    ]
    codes = [process.wait(120) for process in processes]
    assert codes == [0, 9], [(folder / f"errors-{rank}").read_text() for rank in range(2)]
    return folder


def kept(together: Path, name: str, rank: int = 0) -> Any:
    return torch.load(together / f"{name}-{rank}.pt")


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest relative difference of losses and of weights."""
    curves = (
        (one["record"]["curve"] + one["record"]["held_out_curve"]),
        (other["record"]["curve"] + other["record"]["held_out_curve"]),
    )
    losses = [abs(a[1] - b[1]) / a[1] for a, b in zip(*curves, strict=True)]
    weights = [
        float((one["weights"][name] - other["weights"][name]).norm() / (one["weights"][name].norm() + 1e-9))
        for name in one["weights"]
    ]
    return max(losses + weights)


@pytest.mark.parametrize(
    "name",
    ["a design, five rows", "a mixture of experts", "fewer rows than processes", "in float64, for long"],
)
def test_two_processes_train_as_one(name: str, together: Path, tmp_path: Path) -> None:
    alone = group_worker.run(name, tmp_path)
    assert difference(alone, kept(together, name)) < 1e-6


@pytest.mark.parametrize("name", list(group_worker.TRAININGS))
def test_all_processes_have_the_same_weights_to_the_bit(name: str, together: Path) -> None:
    first, second = (kept(together, name, rank) for rank in range(2))
    assert first["record"]["curve"] == second["record"]["curve"]
    assert all(torch.equal(first["weights"][key], second["weights"][key]) for key in first["weights"])


def test_a_training_cut_off_goes_on_to_the_same_bits(together: Path) -> None:
    whole, again = kept(together, "with dropout"), kept(together, "gone on")
    assert again["record"]["resumed_at"] == [7]
    assert again["record"]["notes"] == []
    assert all(torch.equal(whole["weights"][key], again["weights"][key]) for key in whole["weights"])
    second = kept(together, "gone on", 1)
    assert all(torch.equal(second["weights"][key], again["weights"][key]) for key in again["weights"])


def test_one_process_goes_on_where_two_were_cut_off_and_says_so(together: Path, tmp_path: Path) -> None:
    name = "a design, five rows"
    alone = group_worker.run(name, tmp_path)
    folder = together / "rank-0" / "cut off" / name
    again = group_worker.run(name, folder)
    assert again["record"]["notes"] == ["from step 7 on by 1 process, before by 2 processes"]
    assert difference(alone, again) < 1e-6


def test_only_the_first_process_writes_checkpoints(together: Path) -> None:
    assert list((together / "rank-0").rglob("*.safetensors"))
    assert not list((together / "rank-1").rglob("*.safetensors"))


def test_processes_with_different_requests_refuse_to_train(together: Path) -> None:
    assert [kept(together, "differ", rank) for rank in range(2)] == [
        "failed: the 2 processes have not the same request"
    ] * 2


def test_a_process_that_dies_is_noticed_by_the_other(together: Path) -> None:
    assert kept(together, "lost")


@given(rows=st.integers(1, 70), micro=st.integers(1, 70), size=st.integers(1, 9))
def test_every_row_is_trained_by_one_process(rows: int, micro: int, size: int) -> None:
    shares = [Group(rank, size).portions(rows, micro) for rank in range(size)]
    portions = [portion for share in shares for portion in share]
    assert portions[0][0] == 0
    assert portions[-1][1] == rows
    assert all(before[1] == after[0] for before, after in pairwise(portions))
    assert all(0 < stop - first <= micro for first, stop in portions)
    most, least = (limit(len(share) for share in shares) for limit in (max, min))
    assert most - least <= 1


@given(parts=st.integers(1, 5), micro=st.integers(1, 9), size=st.integers(1, 4))
def test_passes_are_those_of_one_process_where_they_can_be_dealt_evenly(
    parts: int, micro: int, size: int
) -> None:
    rows = parts * size * micro
    shares = [Group(rank, size).portions(rows, micro) for rank in range(size)]
    assert [portion for share in shares for portion in share] == ALONE.portions(rows, micro)
    assert {len(share) for share in shares} == {parts}
