"""Proof that the weights that are scored are the trained ones. All of it runs outside the sandbox.

A benchmark number of untrained weights is the classic silent failure of this field. So after training: save,
load in a new process, compare. Each way to fail has a name.
"""

from dataclasses import dataclass
from pathlib import Path

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.errors import UserError
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.weights import hash_file_tensors

TOLERANCE = 1e-3  # nats per token between memory and reload
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class Trained:
    """What the trainer had in memory at its end: hash of all tensors, loss on the first held-out windows."""

    weights_hash: str
    probe_loss: float


@dataclass(frozen=True)
class Reloaded:
    """What a new process found: loss on the same windows, and over all held-out windows."""

    probe_loss: float
    held_out: float


def check_files(model: Path, tree: UnitTree, trained: Trained) -> None:
    """The saved folder holds this design with exactly the tensors that were trained.

    Raises
    ------
    VerificationFailure
        ``corrupt_checkpoint``.
    """
    found = hash_file_tensors(model / WEIGHTS)
    if found != trained.weights_hash:
        raise VerificationFailure(
            "corrupt_checkpoint",
            f"the weights on disk are {found[:12]}, those that were trained {trained.weights_hash[:12]}",
        )
    if _stored_tree(model).to_json() != tree.to_json():
        raise VerificationFailure("corrupt_checkpoint", f"{DESCRIPTION} describes another design")


def check_reload(trained: Trained, reloaded: Reloaded, unigram: float) -> None:
    """The weights give the same loss after reloading, and have learnt more than how often each token occurs.

    Raises
    ------
    VerificationFailure
        ``corrupt_checkpoint`` or ``untrained``.
    """
    difference = abs(trained.probe_loss - reloaded.probe_loss)
    if not difference <= TOLERANCE:
        raise VerificationFailure(
            "corrupt_checkpoint",
            f"held-out loss {trained.probe_loss:.4f} in the trainer, {reloaded.probe_loss:.4f} reloaded",
        )
    if not reloaded.held_out < unigram:
        raise VerificationFailure(
            "untrained",
            f"held-out loss {reloaded.held_out:.4f} does not beat the unigram loss {unigram:.4f}",
        )


def _stored_tree(model: Path) -> UnitTree:
    import json

    try:
        return UnitTree.from_json(json.loads((model / DESCRIPTION).read_text(encoding="utf-8"))["tree"])
    except (OSError, ValueError, KeyError, TypeError, UserError) as error:
        raise VerificationFailure("corrupt_checkpoint", f"{DESCRIPTION} cannot be read: {error}") from error
