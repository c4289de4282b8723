"""What the worker asks of the sandboxed process, and its answers: from untrusted code, so validated."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, PositiveInt

from model_discovery.verification.recipes import Recipe
from model_discovery.verification.report import CURVE_POINTS, Rung, Size, VerificationStatus

MODEL_FOLDER = "model"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainOrder(_Frozen):
    """Train this tree on this prepared data, in the child's own folder.

    Attributes
    ----------
    tree
        The design as JSON.
    data
        Folder of the prepared data.
    identity
        Of the whole request, so that only its own checkpoints are gone on with.
    probe_tokens
        Held-out tokens of the losses taken during training and compared after reloading.
    rungs
        Where a hopeless run is stopped.
    memory_mb
        What a training on the CPU may take; without bound where None.
    programs
        Whether programs may be started, as a compiler of blocks has to: for code that is known only.
    card, card_share
        The GPU to train on, as ``CUDA_VISIBLE_DEVICES`` names it (the first one that torch sees where none is
        named), and the share of its memory that may be taken.
    """

    tree: dict[str, Any]
    scale: str
    recipe: Recipe
    data: str
    seed: NonNegativeInt
    identity: str
    probe_tokens: PositiveInt
    rungs: tuple[Rung, ...] = ()
    memory_mb: PositiveInt | None = None
    programs: bool = False
    card: str = ""
    card_share: float = Field(1.0, gt=0, le=1)


class TrainAnswer(_Frozen):
    """How training ended; ``weights_hash`` and ``probe_loss`` where it ended well.

    Attributes
    ----------
    device
        ``cpu``, or ``cuda`` and the name of the GPU.
    micro_rows
        Rows of one forward pass.
    card_memory_mb
        Largest amount of a GPU's memory that was taken.
    """

    status: VerificationStatus
    error: str
    size: Size
    precision: str
    device: str = "cpu"
    compiled: bool = False
    micro_rows: NonNegativeInt = 0
    card_memory_mb: FiniteFloat | None = None
    tokens: NonNegativeInt
    seconds: FiniteFloat
    flops: FiniteFloat | None
    curve: tuple[tuple[int, FiniteFloat], ...] = Field(max_length=CURVE_POINTS)
    held_out_curve: tuple[tuple[int, FiniteFloat], ...]
    resumed_at: tuple[int, ...]
    notes: tuple[str, ...]
    weights_hash: str = ""
    probe_loss: FiniteFloat | None = None


class ServeOrder(_Frozen):
    """Load the model of a folder and answer messages about it, on the GPU that `TrainOrder` would take."""

    model: str
    data: str
    card: str = ""
    card_share: float = Field(1.0, gt=0, le=1)


class HeldOutOrder(_Frozen):
    """A message: its held-out loss over ``tokens``, ``rows`` windows of ``context`` at a time."""

    context: PositiveInt
    tokens: PositiveInt
    rows: PositiveInt


class HeldOutAnswer(_Frozen):
    """Mean loss of each window in nats per token, and the tokens that count in it."""

    losses: tuple[FiniteFloat, ...]
    counts: tuple[PositiveInt, ...]


class ScoreAnswer(_Frozen):
    """Log-likelihoods of the rows of one batch in nats, and whether each was the model's first choice."""

    sums: tuple[FiniteFloat, ...]
    greedy: tuple[bool, ...]


class GenerateAnswer(_Frozen):
    """The tokens that the model wrote after each row of a batch."""

    tokens: tuple[tuple[NonNegativeInt, ...], ...]


class GroupOrder(_Frozen):
    """Which process of a group that trains together this one is, and where the others are found.

    Attributes
    ----------
    name
        Of this training, different from that of every other one over the same store.
    address, port
        Of the store by which the processes find each other.
    device
        ``cpu`` or ``cuda:N``.
    version
        Of this package; the same in all processes.
    settings
        Environment of the communication library.
    """

    name: str
    rank: NonNegativeInt
    size: PositiveInt
    address: str
    port: PositiveInt
    device: str
    version: str
    settings: dict[str, str]
