"""Stage 7, *stability*: finite forward and backward wherever training may lead."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from model_discovery.blocks.language_model import LanguageModel
from model_discovery.checks.faults import of_resources
from model_discovery.checks.probe import first_non_finite, place, scaled_inputs
from model_discovery.checks.report import Finding
from model_discovery.checks.subject import Subject, states, trainable

INPUT_SCALES = (0.1, 1.0, 10.0)
MIXER_SCALE = 30.0
"""What a norm's gain may grow to, and with it the input of the mixer behind it."""

BFLOAT16_LIMIT = 0.25
DEPTH = 16
GROWTH_LIMIT = 50.0
DECLINE_LIMIT = 1e-6
LONGEST = 1024


def check_stability(subject: Subject) -> list[Finding]:
    """Run forward and backward where small mistakes become NaN.

    Inputs of size 0.1, 1 and 10; thirty times the input of every mixer; twice the context and at least
    1,024 tokens; bf16 autocast, finite and within 0.25 of float32 (median over tokens of the relative
    difference of what the blocks add); bf16 weights, finite; 16 blocks, over which the residual stream may
    grow to 50 times its size at most, and must not vanish.
    """
    for check in (_input_scales, _mixer_scale, _long, _bfloat16, _depth):
        for finding in check(subject):
            return [finding]
    return []


def _input_scales(subject: Subject) -> Iterator[Finding]:
    for scale in INPUT_SCALES:
        x = scale * subject.inputs(2, 96, "scale")
        yield from _finite(subject.stirred, x, f"inputs of size {scale:g}", nullcontext)


def _mixer_scale(subject: Subject) -> Iterator[Finding]:
    def scaled() -> AbstractContextManager[None]:
        return scaled_inputs(subject.stirred, MIXER_SCALE)

    situation = f"inputs of every mixer {MIXER_SCALE:g} times larger"
    yield from _finite(subject.stirred, subject.inputs(2, 96, "scale"), situation, scaled)


def _long(subject: Subject) -> Iterator[Finding]:
    length = max(LONGEST, 2 * subject.context)
    yield from _finite(subject.model, subject.inputs(1, length), f"T={length}", nullcontext)


def _bfloat16(subject: Subject) -> Iterator[Finding]:
    def autocast() -> AbstractContextManager[None]:
        return torch.autocast("cpu", dtype=torch.bfloat16)

    model, x = subject.model, subject.inputs(2, 96, "bf16")
    for finding in _finite(model, x, "bf16 autocast", autocast):
        yield finding
        return
    with torch.no_grad():
        exact = states(model, x) - x
        with autocast():
            rough = states(model, x).float() - x
    error = (rough - exact).norm(dim=-1) / exact.norm(dim=-1).clamp_min(1e-12)
    share = float(error.median())
    if not share <= BFLOAT16_LIMIT:
        hint = "keep decays, cumulative sums, large angles and small differences in float32"
        yield _finding(
            "block, bf16 autocast", f"differs from float32 by {share:.2g}", f"{BFLOAT16_LIMIT}", hint
        )
    yield from _pure_bfloat16(subject)


def _pure_bfloat16(subject: Subject) -> Iterator[Finding]:
    """All weights and inputs in bf16. What it cannot run (complex numbers) is no fault; NaN is."""
    model = subject.build().to(torch.bfloat16)
    x = subject.inputs(1, 96, "bf16").to(torch.bfloat16)
    try:
        with torch.no_grad():
            finite = bool(torch.isfinite(states(model, x)).all())
    except RuntimeError as error:
        if of_resources(error):
            raise
        return
    if not finite:
        where = first_non_finite(model, lambda: states(model, x))
        hint = "eps of 1e-6 is lost beside 1 in bf16: compute the critical part in float32"
        yield _finding(f"{where}, bf16 weights", "NaN or infinity", "finite", hint)


def _depth(subject: Subject) -> Iterator[Finding]:
    model = subject.build(n_blocks=DEPTH).eval()
    x = subject.inputs(1, 32)
    with torch.no_grad():
        ratio = float(states(model, x).square().mean().sqrt() / x.square().mean().sqrt())
    if not ratio <= GROWTH_LIMIT:
        hint = (
            "normalise before each unit, scale what is added: ctx.residual_out, no gain above 1 on the stream"
        )
        measured = f"the residual stream grows {ratio:.2g} times"
        yield _finding(f"{DEPTH} blocks", measured, f"{GROWTH_LIMIT:g} times", hint)
    elif ratio < DECLINE_LIMIT:
        hint = "return x + f(x): without a residual path a deep model passes nothing on"
        yield _finding(f"{DEPTH} blocks", f"the stream falls to {ratio:.2g} of its size", "a signal", hint)


def _finite(
    model: LanguageModel, x: Tensor, situation: str, context: Callable[[], AbstractContextManager[None]]
) -> Iterator[Finding]:
    def forward() -> Tensor:
        with context():
            return states(model, x)

    x = x.clone().requires_grad_()
    model.zero_grad(set_to_none=True)
    y = forward()
    if not torch.isfinite(y).all():
        where = first_non_finite(model, forward)
        hint = "look for exp, powers, products over time, divisions: bound or normalise what goes in"
        yield _finding(f"{where}, {situation}", "NaN or infinity", "finite", hint)
        return
    if not y.requires_grad:
        return
    torch.autograd.backward(y.float().square().mean())
    gradients = [("the input", x.grad), *((place(name), p.grad) for name, p in trainable(model))]
    model.zero_grad(set_to_none=True)
    for name, gradient in gradients:
        if gradient is not None and not torch.isfinite(gradient).all():
            hint = "finite forward, infinite slope: mask before exp, add eps inside sqrt, clamp before log"
            yield _finding(f"{name}, {situation}", "NaN or infinity in the gradient", "finite", hint)
            return


def _finding(where: str, measured: str, limit: str, hint: str) -> Finding:
    return Finding(check="stability", where=where.strip(", "), measured=measured, limit=limit, hint=hint)
