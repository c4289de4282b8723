"""Sabotage between training and scoring: every kind has a name, and none gets through."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_designs import sound
from torch import Tensor

from model_discovery.blocks import LanguageModel
from model_discovery.blocks.language_model import MODEL_FILE, WEIGHTS_FILE
from model_discovery.verification import guard
from model_discovery.verification.child import _hash
from model_discovery.verification.guard import Reloaded, Trained, check_files, check_reload
from model_discovery.verification.outcome import VerificationFailure

Tensors = dict[str, Tensor]


def make() -> LanguageModel:
    return LanguageModel(sound(), vocab_size=50, width=32, n_blocks=2, seed=1)


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Trained]:
    """A folder as the trainer leaves it, and what the trainer had in memory."""
    monkeypatch.chdir(tmp_path)
    model = make()
    model.save(Path("model"))
    return tmp_path / "model", Trained(_hash(model), 3.0)


def rewrite(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    file = folder / WEIGHTS_FILE
    save_file({name: t.contiguous() for name, t in change(load_file(file)).items()}, file)


def swapped(tensors: Tensors) -> Tensors:
    """Two blocks exchanged: every tensor is there, with the right shape and statistics."""
    other = {"blocks.0.": "blocks.1.", "blocks.1.": "blocks.0."}
    return {other.get(name[:9], name[:9]) + name[9:]: tensor.clone() for name, tensor in tensors.items()}


def zeroed(tensors: Tensors) -> Tensors:
    return {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}


def untrained(tensors: Tensors) -> Tensors:
    fresh = LanguageModel(sound(), vocab_size=50, width=32, n_blocks=2, seed=2).state_dict()
    return {name: fresh[name].clone() for name in tensors}


def another_step(tensors: Tensors) -> Tensors:
    """A few optimiser steps away: the loss may not even tell."""
    return {name: tensor * 1.0001 for name, tensor in tensors.items()}


def one_bit(tensors: Tensors) -> Tensors:
    name = min(tensors)
    tensors[name].view(-1)[0] = torch.nextafter(tensors[name].view(-1)[0], torch.tensor(math.inf))
    return tensors


def missing(tensors: Tensors) -> Tensors:
    return dict(list(tensors.items())[1:])


def renamed(tensors: Tensors) -> Tensors:
    return {f"{name}_": tensor for name, tensor in tensors.items()}


def cast(tensors: Tensors) -> Tensors:
    return {name: tensor.bfloat16() for name, tensor in tensors.items()}


def test_what_was_trained_passes(saved: tuple[Path, Trained]) -> None:
    folder, trained = saved
    check_files(folder, sound(), trained)
    rewrite(folder, lambda tensors: dict(reversed(tensors.items())))  # the order of tensors means nothing
    check_files(folder, sound(), trained)
    assert LanguageModel.load(folder).count_parameters() == make().count_parameters()


@pytest.mark.parametrize(
    "sabotage", [swapped, zeroed, untrained, another_step, one_bit, missing, renamed, cast]
)
def test_other_weights_are_noticed(
    sabotage: Callable[[Tensors], Tensors], saved: tuple[Path, Trained]
) -> None:
    folder, trained = saved
    rewrite(folder, sabotage)
    with pytest.raises(VerificationFailure, match=r"weights on disk|cannot be read") as caught:
        check_files(folder, sound(), trained)
    assert caught.value.status == "corrupt_checkpoint"


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_damaged_files_are_noticed(content: bytes | None, saved: tuple[Path, Trained]) -> None:
    folder, trained = saved
    for name in (WEIGHTS_FILE, MODEL_FILE):
        good = (folder / name).read_bytes()
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        with pytest.raises(VerificationFailure) as caught:
            check_files(folder, sound(), trained)
        assert caught.value.status == "corrupt_checkpoint"
        (folder / name).write_bytes(good)


def test_another_design_is_noticed(saved: tuple[Path, Trained]) -> None:
    folder, trained = saved
    described = json.loads((folder / MODEL_FILE).read_text())
    unit = next(iter(described["tree"]["units"].values()))
    unit["source"] += "\n# and something else\n"
    (folder / MODEL_FILE).write_text(json.dumps(described))
    with pytest.raises(VerificationFailure, match=r"another design|cannot be read") as caught:
        check_files(folder, sound(), trained)
    assert caught.value.status == "corrupt_checkpoint"


@pytest.mark.parametrize(
    ("reloaded", "held_out", "status"),
    [
        (3.0, 3.1, None),
        (3.0009, 3.1, None),
        (3.0011, 3.1, "corrupt_checkpoint"),
        (2.9, 3.1, "corrupt_checkpoint"),
        (math.nan, 3.1, "corrupt_checkpoint"),
        (3.0, 4.0, "untrained"),
        (3.0, 5.0, "untrained"),
        (3.0, math.nan, "untrained"),
    ],
)
def test_losses_after_reloading(reloaded: float, held_out: float, status: str | None) -> None:
    def check() -> None:
        check_reload(Trained("", 3.0), Reloaded(reloaded, held_out), unigram=4.0)

    if status is None:
        check()
    else:
        with pytest.raises(VerificationFailure) as caught:
            check()
        assert caught.value.status == status


def test_names_of_files_are_the_models() -> None:
    assert (guard.WEIGHTS, guard.DESCRIPTION) == (WEIGHTS_FILE, MODEL_FILE)
