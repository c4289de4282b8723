"""What training at a scale needs of memory and disk, before anything is built; nothing here needs torch.

Reckoned for a plain Transformer. A design that needs more is measured by its own training process, and fails
with the status ``memory``; a scale whose plain Transformer does not fit is no design's fault.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from model_discovery.blocks.scales import SCALES, get_scale
from model_discovery.engine import CARD_SHARE, Card, total_memory
from model_discovery.errors import UserError
from model_discovery.verification.recipes import Recipe

STATE_BYTES = 16  # a parameter: weight, gradient and AdamW's two moments, fp32
UNTRIED_BYTES = 12  # of these what a trial of one pass misses: the moments, and gradients of earlier passes
CHECKPOINT_BYTES = 12  # a parameter on disk: weight and moments
_PROCESS = 1_200_000_000  # torch, loaded in the worker's sandbox, and what belongs to it
_CARD_PROCESS = 600_000_000  # a CUDA context on the GPU
# A token of one window: its logits, their softmax and its gradient in fp32, and what a block keeps, by width.
_LOGITS, _A_WIDTH = 12, 100


@dataclass(frozen=True)
class Need:
    """Bytes that one training takes at least.

    Attributes
    ----------
    training
        Weights, gradients, moments, and one window.
    process
        All in the machine's memory, on a CPU.
    card
        All on a GPU.
    disk
        Two checkpoints, a third being written, and the model.
    """

    training: int
    process: int
    card: int
    disk: int


def training_need(scale: str, context: int, vocab_size: int) -> Need:
    """What a plain Transformer of a scale takes to train, one window at a time."""
    size = get_scale(scale)
    parameters = size.target + vocab_size * size.width
    window = context * (_LOGITS * vocab_size + _A_WIDTH * size.n_blocks * size.width)
    training = STATE_BYTES * parameters + window
    return Need(
        training=training,
        # A checkpoint is put together in memory before it is written.
        process=_PROCESS + training + 2 * CHECKPOINT_BYTES * parameters,
        card=_CARD_PROCESS + training,
        disk=(3 * CHECKPOINT_BYTES + 4) * parameters,
    )


def largest_need(recipe: Recipe, scales: Sequence[str]) -> Need:
    """What the most demanding of the scales takes."""
    return max((_need(recipe, scale) for scale in scales), key=lambda need: need.training)


def check_fits(recipe: Recipe, scale: str, *, card: Card | None = None, memory: int | None = None) -> None:
    """Refuse a scale that is too large for this machine, before anything is prepared or built.

    Parameters
    ----------
    card
        The GPU that is to train; the machine's memory counts where it is None.
    memory
        Bytes there are, measured when None. Where nobody knows, nothing is refused.

    Raises
    ------
    UserError
        With the memory needed, what there is, and the scales that fit.
    """
    there = memory or (total_memory() if card is None else int(CARD_SHARE * card.total))
    if there is None:
        return

    def needed(name: str) -> int:
        need = _need(recipe, name)
        return need.process if card is None else need.card

    if needed(scale) <= there:
        return
    place = "this machine" if card is None else f"the GPU ({card.name})"
    fitting = ", ".join(name for name in SCALES if needed(name) <= there)
    raise UserError(
        f"The scale {scale} is too large for {place}: training with a context of {recipe.context} needs at "
        f"least {needed(scale) / 1e9:.1f} GB of memory, of {there / 1e9:.1f} GB that can be used.",
        hint=f"scales that fit: {fitting}" if fitting else "no scale fits; take a shorter context",
    )


def _need(recipe: Recipe, scale: str) -> Need:
    """From below where the vocabulary is known only once the data is prepared."""
    return training_need(scale, recipe.context, recipe.vocabulary_for(scale) or 0)
