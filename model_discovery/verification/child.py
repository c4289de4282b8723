"""Entries of the sandboxed process: train, then serve. The only place where a design's code runs."""

import ctypes
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # needed by a child's first module on the meta device; loaded once, in the server
import torch.nn.functional as F
from safetensors.torch import save
from torch.utils.flop_counter import FlopCounterMode

from model_discovery.blocks.language_model import WEIGHTS_FILE, LanguageModel
from model_discovery.blocks.scales import get_scale
from model_discovery.blocks.sizing import size_block
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.sandbox import Channel
from model_discovery.seeds import derive
from model_discovery.verification import trainer
from model_discovery.verification.generation import generate_rows
from model_discovery.verification.manifest import DataManifest, load_manifest
from model_discovery.verification.measures import mean_over_windows
from model_discovery.verification.orders import (
    MODEL_FOLDER,
    HeldOutOrder,
    ServeOrder,
    TrainAnswer,
    TrainOrder,
)
from model_discovery.verification.streams import Batch, batch_at, evaluation_batches
from model_discovery.verification.trainer import TrainPlan, TrainResult
from model_discovery.verification.weights import hash_tensors

# glibc's mallopt: keep freed memory instead of giving it back and faulting it in again at every step.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def train(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Train a design from scratch, or from its checkpoint, in the current folder; save it below ``model``."""
    _settle()
    order = TrainOrder.model_validate(request)
    data = load_manifest(Path(order.data))
    tree = UnitTree.from_json(order.tree)
    recipe, scale = order.recipe, order.scale
    sizing = size_block(tree, get_scale(scale))
    model = LanguageModel(
        tree,
        vocab_size=data.vocab_size,
        width=sizing.width,
        n_blocks=sizing.n_blocks,
        seed=derive(order.seed, "weights"),
    )
    precision = trainer.choose_precision(recipe.precision, model.count_parameters()[0])
    plan = TrainPlan.from_recipe(
        recipe, scale, seed=order.seed, precision=precision, identity=f"{order.identity}-{precision}"
    )
    plan = replace(plan, rungs=order.rungs)
    stream, rows = data.stream("train"), recipe.batch_size_for(scale)

    def batch(step: int) -> Batch:
        return batch_at(stream, batch_size=rows, context=recipe.context, step=step, seed=order.seed)

    def held_out() -> float:
        windows = _held_out(data, recipe.context, order.probe_tokens, rows)
        return mean_over_windows(*trainer.window_losses(model, windows))[0]

    flops = count_flops(model, batch(0))
    result = trainer.train(model, batch, plan, folder=Path.cwd(), held_out=held_out, report=channel.send)
    answer = _answer(model, result, plan, sizing.width, None if flops is None else flops * plan.steps)
    if result.status == "ok":
        spec = recipe.model_dump(mode="json", exclude={"corpus": {"path"}})
        extra = {"scale": scale, "recipe": recipe.hash, "seed": order.seed, "recipe_spec": spec}
        model.save(Path(MODEL_FOLDER), extra=extra)
        update = {"weights_hash": _hash(model), "probe_loss": result.record.held_out_curve[-1][1]}
        answer = answer.model_copy(update=update)
    return answer.model_dump(mode="json")


def serve(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Load a saved model, then answer messages until the session is closed.

    ``{"held_out": HeldOutOrder}`` gives the loss window by window, ``{"rows", "starts"}`` log-likelihoods,
    ``{"generate", "most"}`` the tokens that follow rows.
    """
    _settle()
    order = ServeOrder.model_validate(request)
    model = LanguageModel.load(Path(order.model)).eval()
    data = load_manifest(Path(order.data))
    while (message := channel.receive()) is not None:
        if "held_out" in message:
            asked = HeldOutOrder.model_validate(message["held_out"])
            windows = _held_out(data, asked.context, asked.tokens, asked.rows)
            losses, counts = trainer.window_losses(model, windows)
            channel.send({"losses": losses, "counts": counts})
        elif "generate" in message:
            channel.send(generate_rows(model, message["generate"], message["most"]))
        else:
            channel.send(score_rows(model, message["rows"], message["starts"]))
    return {}


@torch.inference_mode()
def score_rows(model: torch.nn.Module, rows: list[list[int]], starts: list[int]) -> dict[str, Any]:
    """Log-likelihood of each row from its start on, and whether every token was the most likely one.

    Rows are padded on the right, which a causal model does not see.
    """
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    counts = torch.zeros(len(rows), longest - 1, dtype=torch.bool)
    for i, (row, start) in enumerate(zip(rows, starts, strict=True)):
        ids[i, : len(row)] = torch.tensor(row)
        counts[i, start - 1 : len(row) - 1] = True
    targets = ids[:, 1:]
    logits = model(ids[:, :-1]).logits.float()
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
    sums = -torch.where(counts, losses, 0.0).double().sum(dim=1)
    first = logits.gather(2, targets[:, :, None])[:, :, 0] == logits.amax(
        dim=-1
    )  # argmax is ten times slower
    greedy = (first | ~counts).all(dim=1)
    return {"sums": sums.tolist(), "greedy": greedy.tolist()}


def count_flops(model: torch.nn.Module, batch: Batch) -> float | None:
    """Counted FLOPs of a training step, from its first window; ``None`` where they cannot be counted."""
    inputs, labels = torch.from_numpy(batch.inputs[:1]), torch.from_numpy(batch.labels[:1])
    try:
        with torch.random.fork_rng(devices=[]), FlopCounterMode(display=False) as counter:
            model(inputs, labels).loss.backward()
    except (RuntimeError, TypeError, NotImplementedError, AssertionError):  # an operation it does not know
        return None
    finally:
        model.zero_grad()
    return float(counter.get_total_flops() * len(batch.inputs))


def _held_out(data: DataManifest, context: int, tokens: int, rows: int) -> Iterator[Batch]:
    return evaluation_batches(data.stream("held_out"), batch_size=rows, context=context, tokens=tokens)


def _answer(
    model: LanguageModel, result: TrainResult, plan: TrainPlan, width: int, flops: float | None
) -> TrainAnswer:
    total, non_embedding = model.count_parameters()
    record = result.record
    return TrainAnswer.model_validate(
        {
            "status": result.status,
            "error": result.error,
            "size": {
                "total": total,
                "non_embedding": non_embedding,
                "width": width,
                "n_blocks": model.n_blocks,
            },
            "precision": plan.precision,
            "tokens": record.step * plan.step_tokens,
            "seconds": record.seconds,
            "flops": flops,
            "curve": record.curve,
            "held_out_curve": record.held_out_curve,
            "resumed_at": record.resumed_at,
            "notes": record.notes,
        }
    )


def _hash(model: LanguageModel) -> str:
    """Of the tensors in memory, by the names that the saved file has."""
    from safetensors import safe_open

    with safe_open(Path(MODEL_FOLDER) / WEIGHTS_FILE, framework="pt") as file:
        names = set(file.keys())
    return hash_tensors(save({name: t.clone() for name, t in model.state_dict().items() if name in names}))


def _settle() -> None:
    """Settings of the process that cost nothing and are worth 5 to 25 % of the speed."""
    torch.set_flush_denormal(True)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in every C library
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, 1 << 30)
            mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
            mallopt(_M_TOP_PAD, 64 << 20)
