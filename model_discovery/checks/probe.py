"""Looking inside a model while it runs: which unit did it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model_discovery.blocks.unit import GAU

Run = Callable[[], Tensor]
OnCall = Callable[[str, Tensor, Tensor], None]


@dataclass(frozen=True)
class UnitCall:
    """One call of one unit: where it sits, what went in, what came out."""

    place: str
    given: Tensor
    returned: Tensor


def place(name: str) -> str:
    """``blocks.1.mixer.inner`` for people: ``mixer.inner (block 1)``; parameters alike."""
    parts = name.split(".")
    if parts[0] != "blocks" or len(parts) < 2:
        return name
    return f"{'.'.join(parts[2:]) or 'block'} (block {parts[1]})"


def units(model: nn.Module) -> Iterator[tuple[str, GAU]]:
    """Every unit of the model with its place, parents first."""
    for name, module in model.named_modules():
        if isinstance(module, GAU):
            yield place(name), module


@contextmanager
def watching(model: nn.Module, on_call: OnCall) -> Iterator[None]:
    """Call ``on_call(place, x, y)`` after each unit's forward, children before parents."""

    def hook_for(where: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            y = output[0] if isinstance(output, tuple) else output
            if isinstance(y, Tensor):
                on_call(where, args[0], y)

        return hook

    handles = [unit.register_forward_hook(hook_for(where)) for where, unit in units(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def scaled_inputs(model: nn.Module, factor: float) -> Iterator[None]:
    """Multiply what mixers receive, as a norm's gain may come to do; once, not again inside of them."""

    def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (factor * args[0], *args[1:])

    handles = [unit.register_forward_pre_hook(hook) for unit in _outermost(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _outermost(model: nn.Module) -> list[GAU]:
    """Mixers that are in no other mixer."""
    found: list[GAU] = []
    inside: set[nn.Module] = set()
    for _, unit in units(model):
        if unit.role not in ("block", "norm") and unit not in inside:
            found.append(unit)
            inside |= set(unit.modules())
    return found


def record(model: nn.Module, run: Run) -> list[UnitCall]:
    """The calls of all units during ``run``, in the order in which they ended."""
    calls: list[UnitCall] = []

    def keep(where: str, x: Tensor, y: Tensor) -> None:
        calls.append(UnitCall(where, x.detach().clone(), y.detach().clone()))

    with watching(model, keep):
        run()
    return calls


def first_non_finite(model: nn.Module, run: Run) -> str:
    """The first unit that made NaN or infinity from finite values, or ``""``."""
    for call in record(model, run):
        if torch.isfinite(call.given).all() and not torch.isfinite(call.returned).all():
            return call.place
    return ""


def first_to_differ(
    model: nn.Module, first: Run, second: Run, view: Callable[[Tensor], Tensor], floor: float = 1e-5
) -> str:
    """The first unit whose output differs between two runs, in ``view``, though its input there does not."""
    for one, two in zip(record(model, first), record(model, second), strict=False):
        same_input = _difference(one.given, two.given, view) <= floor
        if same_input and _difference(one.returned, two.returned, view) > floor:
            return one.place
    return ""


def _difference(one: Tensor, two: Tensor, view: Callable[[Tensor], Tensor]) -> float:
    if one.shape[0] != two.shape[0]:
        return 0.0
    a, b = view(one), view(two)
    scale = float(one.abs().max())
    return float((a - b).abs().max()) / scale if a.shape == b.shape and a.numel() and scale > 0 else 0.0
