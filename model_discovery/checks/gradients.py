"""Stage 6, *gradients*: every parameter learns, and every position teaches."""

from collections.abc import Iterator

import torch
from torch import Tensor

from model_discovery.blocks.language_model import LanguageModel
from model_discovery.checks.probe import place
from model_discovery.checks.report import Finding
from model_discovery.checks.subject import Subject, states, trainable

STEPS, MORE_STEPS = 4, 16
"""Optimiser steps within which a parameter has to receive a gradient; more for rarely chosen experts."""

STEP_SIZE = 0.01
BATCH, LENGTH = 4, 65
FAINT = 1e-6
"""A position that receives less than this share of the median gradient receives none."""


def check_gradients(subject: Subject) -> list[Finding]:
    """Take a few optimiser steps from the initialisation and look at the gradient of every parameter.

    Refused: a parameter that is frozen, that forward never uses, whose gradient is zero at every step (dead
    units, detached paths, two zero initialisations in a row), or whose gradient is NaN or infinite; a
    position of the input that receives no gradient. Warned: nothing mixes positions.
    """
    model = subject.build().train()
    found = [*_frozen(model)] or [*_steps(subject, model)] or [*_positions(subject)]
    return found or [*_mixing(subject)]


def _frozen(model: LanguageModel) -> Iterator[Finding]:
    names = [name for name, parameter in trainable(model) if not parameter.requires_grad]
    if names:
        hint = "a fixed tensor is a buffer: self.register_buffer(name, tensor)"
        yield _finding(names, "frozen (requires_grad is False)", "every parameter learns", hint)


def _steps(subject: Subject, model: LanguageModel) -> Iterator[Finding]:
    parameters = trainable(model)
    unseen = {name for name, _ in parameters}
    used: set[str] = set()
    for step in range(MORE_STEPS):
        if step >= STEPS and not unseen & used:
            break
        _backward(subject, model, step)
        bad = [name for name, p in parameters if p.grad is not None and not torch.isfinite(p.grad).all()]
        if bad:
            hint = "finite forward, infinite slope: sqrt or norm at 0, where() over a NaN branch, log of 0"
            yield _finding(bad, "gradient with NaN or infinity", "finite", hint, f"step {step}")
            return
        used |= {name for name, p in parameters if p.grad is not None}
        unseen -= {name for name, p in parameters if p.grad is not None and bool((p.grad != 0).any())}
        if not unseen:
            return
        _step(model)
    if never := [name for name, _ in parameters if name not in used]:
        hint = "forward does not depend on it, or only through detach() or no_grad(): use it or remove it"
        yield _finding(never, "never used (no gradient)", "every parameter learns", hint)
    elif unseen:
        zero = [name for name, _ in parameters if name in unseen]
        hint = (
            "look for round, argmax, sign, a dead relu, a mask of zeros, or two zero initialisations in a row"
        )
        yield _finding(zero, "gradient zero at every step", "every parameter learns", hint)


def _backward(subject: Subject, model: LanguageModel, step: int) -> None:
    ids = subject.tokens(BATCH, LENGTH + 1, f"step {step}")
    model.zero_grad(set_to_none=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(step)
        loss = model(ids[:, :-1], labels=ids[:, 1:]).loss
    if loss is not None and loss.requires_grad:
        torch.autograd.backward(loss)


@torch.no_grad()
def _step(model: LanguageModel) -> None:
    for parameter in model.parameters():
        if parameter.grad is not None:
            size = float(parameter.grad.square().mean().sqrt())
            parameter.sub_(parameter.grad, alpha=STEP_SIZE / size if size > 0 else 0.0)


def _positions(subject: Subject) -> Iterator[Finding]:
    x = subject.inputs(2, 129).requires_grad_()
    y = states(subject.stirred, x)
    (gradient,) = torch.autograd.grad((y * subject.inputs(2, 129, "direction")).sum(), x)
    size = gradient.square().mean((0, 2)).sqrt()
    faint = (size <= FAINT * size.median()).nonzero().flatten().tolist()
    if faint:
        hint = "early tokens must teach too: look for detach, masks and windows that drop them"
        where = f"positions {faint[0]} to {faint[-1]} of 129" if len(faint) > 1 else f"position {faint[0]}"
        yield Finding(
            check="gradients",
            where=where,
            measured="no gradient reaches the input",
            limit=f"{FAINT:g} of the median",
            hint=hint,
        )


def _mixing(subject: Subject) -> Iterator[Finding]:
    x = subject.inputs(1, 33).requires_grad_()
    y = states(subject.stirred, x)
    (gradient,) = torch.autograd.grad((y[:, -1] * x.detach()[:, 0]).sum(), x)
    if not _any(gradient[:, :-1]):
        yield Finding(
            check="gradients",
            severity="warning",
            where="block",
            measured="no output depends on an earlier position",
            limit="a sequence mixer",
            hint="without mixing the model is a table of token pairs: fill a sequence_mixer slot",
        )


def _any(tensor: Tensor) -> bool:
    return bool((tensor != 0).any())


def _finding(names: list[str], measured: str, limit: str, hint: str, situation: str = "") -> Finding:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    where = f"{place(names[0])}{more}" + (f", {situation}" if situation else "")
    return Finding(check="gradients", where=where, measured=measured, limit=limit, hint=hint)
