"""What a training computes on: device, precision, and how many rows of a step fit into one pass.

The paths for a GPU follow torch's documentation; they have not been measured on one.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from model_discovery.engine import CARD_SHARE
from model_discovery.verification.memory import STATE_BYTES, UNTRIED_BYTES
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.streams import Batch, Ids

Precision = Literal["fp32", "bf16"]
MICRO_TOKENS = 2048  # of one forward pass on a CPU: what its caches like best; larger steps accumulate
BF16_PAYS_FROM = 1_000_000  # parameters, on a CPU; below, casting costs more than it saves
PASSING = 1.25  # memory of a pass by what it keeps for the backward one: what comes and goes meanwhile
EVALUATION_LOGITS = 2**28  # bytes of the logits of one batch of an evaluation


def choose_device(card: str = "", share: float = 1.0) -> torch.device:
    """The GPU where torch sees one, else the CPU; settles what torch keeps for the whole process.

    To be called before anything touches a GPU. TF32 stays off: what is not under autocast asked for fp32.

    Parameters
    ----------
    card
        Which GPU, as ``CUDA_VISIBLE_DEVICES`` names it; the first where empty.
    share
        Of the GPU's memory that this process may take, so that it cannot starve others that compute there.
    """
    if card:
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    torch.set_float32_matmul_precision("highest")
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False
    torch.cuda.set_per_process_memory_fraction(share)
    return torch.device("cuda", torch.cuda.current_device())


def choose_precision(
    asked: str,
    parameters: int,
    device: torch.device = torch.device("cpu"),  # noqa: B008 (immutable)
) -> Precision:
    """``auto`` by rule, not by a stopwatch: the same machine decides the same whatever else it does."""
    if asked != "auto":
        return "bf16" if asked == "bf16" else "fp32"
    if device.type == "cuda":
        pays = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        pays = parameters >= BF16_PAYS_FROM and torch.cpu._is_avx512_bf16_supported()
    return "bf16" if pays else "fp32"


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Forward passes in bfloat16 with weights that stay fp32; nothing at ``fp32``."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, dtype=torch.bfloat16)


def device_of(model: nn.Module) -> torch.device:
    """Where its parameters are."""
    return next(model.parameters()).device


def put(ids: Ids, device: torch.device) -> Tensor:
    """Token ids on the device; to a GPU from pinned memory, while it computes."""
    tensor = torch.from_numpy(ids)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def random_states(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """States of the CPU's random numbers and of the GPU's."""
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def set_random_states(states: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    """Go back to `random_states`."""
    torch.set_rng_state(states[0])
    if states[1] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


@contextmanager
def as_before(model: nn.Module) -> Iterator[None]:
    """Whatever is tried inside leaves no gradient, no changed buffer, and no random number drawn."""
    device = device_of(model)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    states = random_states(device)
    try:
        yield
    finally:
        model.zero_grad()
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
        set_random_states(states, device)


@dataclass(frozen=True)
class WindowCost:
    """One window forward and backward: its FLOPs (``None`` where they cannot be counted), and bytes kept."""

    flops: float | None
    bytes: int


def count_window(model: nn.Module, batch: Batch, precision: Precision) -> WindowCost:
    """Count FLOPs of the first window, forward and backward, and the memory kept in between.

    Counted, not measured: the tensors that autograd keeps, each storage once, weights not among them.
    """
    device = device_of(model)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def run() -> None:
        with saved_tensors_hooks(keep, lambda tensor: tensor), autocast(device, precision):
            loss = model(put(batch.inputs[:1], device), put(batch.labels[:1], device)).loss
        loss.backward()

    with as_before(model):
        try:
            with FlopCounterMode(display=False) as counter:
                run()
            return WindowCost(float(counter.get_total_flops()), sum(kept.values()))
        except (
            RuntimeError,
            TypeError,
            NotImplementedError,
            AssertionError,
        ):  # an operation it does not know
            kept.clear()
    with as_before(model):
        run()
    return WindowCost(None, sum(kept.values()))


def micro_rows(
    model: nn.Module, batch: Batch, precision: Precision, *, window_bytes: int, limit: int | None
) -> int:
    """Rows of one pass; the rest of the step accumulates.

    On a CPU by rule, since the size of a pass changes sums: `MICRO_TOKENS`, or fewer where rows that keep
    ``window_bytes`` each do not fit into ``limit`` bytes. On a GPU as many as fit into its memory, by trial.

    Raises
    ------
    VerificationFailure
        ``memory``: not even one row fits.
    """
    rows, context = len(batch.inputs), int(batch.inputs.shape[1])
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if device_of(model).type == "cuda":
        return _try_rows(model, batch, precision, parameters)
    pays = min(rows, max(1, MICRO_TOKENS // context))
    if limit is None:
        return pays
    row, state = PASSING * max(1, window_bytes), STATE_BYTES * parameters
    if state + row > limit:
        raise _too_large(state + row, limit)
    return min(pays, math.floor((limit - state) / row))


def evaluation_rows(rows: int, context: int, vocab_size: int) -> int:
    """Windows of one batch of an evaluation: ``rows``, or as many as keep its logits within bounds."""
    return max(1, min(rows, EVALUATION_LOGITS // (4 * context * vocab_size)))


def _try_rows(model: nn.Module, batch: Batch, precision: Precision, parameters: int) -> int:
    """The largest ``rows / 2^k`` of which a pass, forward and backward, leaves room for the optimiser."""
    device, rows = device_of(model), len(batch.inputs)

    def peak(size: int) -> float:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        with as_before(model):
            with autocast(device, precision):
                loss = model(put(batch.inputs[:size], device), put(batch.labels[:size], device)).loss
            loss.backward()
        return float(torch.cuda.max_memory_allocated(device))

    free, total = torch.cuda.mem_get_info(device)
    mine = torch.cuda.get_per_process_memory_fraction(device) * total
    room = CARD_SHARE * min(free + torch.cuda.memory_reserved(device), mine) - UNTRIED_BYTES * parameters
    sizes = sorted({-(-rows // 2**k) for k in range(rows.bit_length() + 1)})
    return largest_fitting(sizes, peak, room)


def largest_fitting(sizes: Sequence[int], peak: Callable[[int], float], room: float) -> int:
    """The largest of the rising ``sizes`` whose ``peak``, in bytes, is within ``room``.

    Memory grows with the rows: from the third on, a size is tried only where those before let it be expected
    to fit, so that a trial hardly ever runs out of memory.

    Raises
    ------
    VerificationFailure
        ``memory``: not even the first fits.
    """
    tried: list[tuple[int, float]] = []
    for size in sizes:
        if len(tried) > 1:
            (size_before, before), (size_now, now) = tried[-2:]
            if now + (now - before) / (size_now - size_before) * (size - size_now) > room:
                break
        try:
            used = peak(size)
        except torch.OutOfMemoryError:
            used = math.inf
        if used > room:
            break
        tried.append((size, used))
    if not tried:
        raise _too_large(used, room)
    return tried[-1][0]


def _too_large(needed: float, there: float) -> VerificationFailure:
    much = f"{needed / 1e9:.2f} GB" if math.isfinite(needed) else "more"
    return VerificationFailure(
        "memory",
        f"weights, optimiser and one window need {much} of memory; there are {there / 1e9:.2f} GB",
    )
