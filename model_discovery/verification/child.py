"""Entries of the sandboxed process: train, then serve. The only place where a design's code runs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # needed by a child's first module on the meta device; loaded once, in the server
from safetensors.torch import save

from model_discovery.blocks.language_model import WEIGHTS_FILE, LanguageModel
from model_discovery.blocks.scales import get_scale
from model_discovery.blocks.sizing import size_block
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.sandbox import Channel
from model_discovery.seeds import derive
from model_discovery.verification import trainer
from model_discovery.verification.compiled import REFUSED, compile_blocks
from model_discovery.verification.device import (
    choose_device,
    choose_precision,
    count_window,
    device_of,
    evaluation_rows,
    micro_rows,
)
from model_discovery.verification.generation import generate_rows
from model_discovery.verification.group import ALONE, Group
from model_discovery.verification.manifest import DataManifest, load_manifest
from model_discovery.verification.measures import mean_over_windows
from model_discovery.verification.orders import (
    MODEL_FOLDER,
    HeldOutOrder,
    ServeOrder,
    TrainAnswer,
    TrainOrder,
)
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.scoring import score_rows
from model_discovery.verification.settle import settle
from model_discovery.verification.streams import Batch, batch_at, evaluation_batches
from model_discovery.verification.trainer import Record, TrainPlan, TrainResult
from model_discovery.verification.weights import hash_tensors


def train(request: dict[str, Any], channel: Channel, group: Group = ALONE) -> dict[str, Any]:
    """Train a design from scratch, or from its checkpoint, in the current folder; save it below ``model``."""
    settle()
    order = TrainOrder.model_validate(request)
    recipe, rows = order.recipe, order.recipe.batch_size_for(order.scale)
    data = load_manifest(Path(order.data))
    stream = data.stream("train")
    device = choose_device(order.card, order.card_share) if group.size == 1 else choose_device()
    model = _make(order, data.vocab_size).to(device)

    def batch(step: int) -> Batch:
        return batch_at(stream, batch_size=rows, context=recipe.context, step=step, seed=order.seed)

    def held_out() -> float:
        windows = _held_out(data, recipe.context, order.probe_tokens, rows)
        return mean_over_windows(*trainer.window_losses(model, windows))[0]

    started = _start(order, model, batch(0), group)
    result = started.failure or trainer.train(
        model, batch, started.plan, folder=Path.cwd(), held_out=held_out, report=channel.send, group=group
    )
    answer = _answer(model, result, started)
    if result.status == "ok" and group.first:
        spec = recipe.model_dump(mode="json", exclude={"corpus": {"path"}})
        extra = {"scale": order.scale, "recipe": recipe.hash, "seed": order.seed, "recipe_spec": spec}
        model.save(Path(MODEL_FOLDER), extra=extra)
        update = {"weights_hash": _hash(model), "probe_loss": result.record.held_out_curve[-1][1]}
        answer = answer.model_copy(update=update)
    return answer.model_dump(mode="json")


def _make(order: TrainOrder, vocab_size: int) -> LanguageModel:
    """The design at its scale, with the weights of its seed: the same on every device."""
    tree = UnitTree.from_json(order.tree)
    sizing = size_block(tree, get_scale(order.scale))
    return LanguageModel(
        tree,
        vocab_size=vocab_size,
        width=sizing.width,
        n_blocks=sizing.n_blocks,
        seed=derive(order.seed, "weights"),
    )


@dataclass(frozen=True)
class _Start:
    """What is settled before the first step; ``failure`` where there can be none."""

    plan: TrainPlan
    flops: float | None
    note: str = ""
    compiled: bool = False
    failure: TrainResult | None = None


def _start(order: TrainOrder, model: LanguageModel, first: Batch, group: Group) -> _Start:
    """Precision, rows of a pass by what they take of memory, and the compiled block."""
    recipe, device = order.recipe, device_of(model)
    precision = choose_precision(recipe.precision, model.count_parameters()[0], device)
    identity = f"{order.identity}-{precision}" + ("" if device.type == "cpu" else f"-{device.type}")
    plan = TrainPlan.from_recipe(recipe, order.scale, seed=order.seed, precision=precision, identity=identity)
    window = count_window(model, first, precision)
    flops = None if window.flops is None else window.flops * len(first.inputs) * plan.steps
    limit = None if order.memory_mb is None else order.memory_mb * 2**20
    try:
        fitting = micro_rows(model, first, precision, window_bytes=window.bytes, limit=limit)
    except VerificationFailure as failure:
        return _Start(plan, flops, failure=TrainResult(failure.status, failure.error, Record()))
    size = group.least(fitting)
    plan = replace(plan, rungs=order.rungs, micro_rows=size)
    if not recipe.compiles(on_gpu=device.type == "cuda"):
        return _Start(plan, flops)
    if not order.programs:
        return _Start(plan, flops, REFUSED)
    note = compile_blocks(
        model, Batch(first.inputs[:size], first.labels[:size]), precision, Path.cwd() / "compiled"
    )
    return _Start(plan, flops, note, compiled=not note)


def serve(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Load a saved model, then answer messages until the session is closed.

    ``{"held_out": HeldOutOrder}`` gives the loss window by window, ``{"rows", "starts"}`` log-likelihoods,
    ``{"generate", "most"}`` the tokens that follow rows.
    """
    settle()
    order = ServeOrder.model_validate(request)
    model = LanguageModel.load(Path(order.model)).eval().to(choose_device(order.card, order.card_share))
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


def _held_out(data: DataManifest, context: int, tokens: int, rows: int) -> Iterator[Batch]:
    rows = evaluation_rows(rows, context, data.vocab_size)
    return evaluation_batches(data.stream("held_out"), batch_size=rows, context=context, tokens=tokens)


def _answer(model: LanguageModel, result: TrainResult, started: _Start) -> TrainAnswer:
    total, non_embedding = model.count_parameters()
    device, plan, record = device_of(model), started.plan, result.record
    on_card = device.type == "cuda"
    return TrainAnswer.model_validate(
        {
            "status": result.status,
            "error": result.error,
            "size": {
                "total": total,
                "non_embedding": non_embedding,
                "width": model.width,
                "n_blocks": model.n_blocks,
            },
            "precision": plan.precision,
            "device": f"cuda: {torch.cuda.get_device_name(device)}" if on_card else "cpu",
            "compiled": started.compiled,
            "micro_rows": plan.micro_rows or 0,
            "card_memory_mb": torch.cuda.max_memory_allocated(device) / 2**20 if on_card else None,
            "tokens": record.step * plan.step_tokens,
            "seconds": record.seconds,
            "flops": started.flops,
            "curve": record.curve,
            "held_out_curve": record.held_out_curve,
            "resumed_at": record.resumed_at,
            "notes": [started.note, *record.notes] if started.note else record.notes,
        }
    )


def _hash(model: LanguageModel) -> str:
    """Of the tensors in memory, by the names that the saved file has."""
    from safetensors import safe_open

    with safe_open(Path(MODEL_FOLDER) / WEIGHTS_FILE, framework="pt") as file:
        names = set(file.keys())
    return hash_tensors(
        save({name: t.cpu().clone() for name, t in model.state_dict().items() if name in names})
    )
