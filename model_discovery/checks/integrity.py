"""Noticing that a unit changed torch, the unit contract or Python itself under the checker's feet."""

import builtins
import math
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional
import torch.nn.init
import torch.nn.modules.module
from torch import nn

from model_discovery.blocks import build, language_model, runtime, unit
from model_discovery.checks.report import Finding

Snapshot = dict[str, Any]


def snapshot() -> Snapshot:
    """What must stay as it is: functions and classes by name, and the global switches."""
    seen: Snapshot = {}
    for module in (builtins, math, torch, nn, torch.nn.functional, torch.nn.init, torch.autograd):
        _remember(seen, module.__name__, module)
    for module in (build, language_model, runtime, unit):
        _remember(seen, module.__name__, module)
    for kind in (torch.Tensor, nn.Parameter, runtime.GAU, language_model.LanguageModel, *_layers()):
        for name, value in vars(kind).items():
            if callable(value) or isinstance(value, property | staticmethod | classmethod):
                seen[f"{kind.__module__}.{kind.__qualname__}.{name}"] = value
    seen.update(_switches())
    return seen


def tampering(before: Snapshot) -> list[Finding]:
    """A finding for what has changed since ``before``; several changes make one finding."""
    after = snapshot()
    changed = sorted(name for name, value in before.items() if not _same(value, after.get(name)))
    if not changed:
        return []
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return [
        Finding(
            check="tampering",
            where=changed[0],
            measured=f"{changed[0]} was replaced{more}",
            limit="torch and the unit contract stay as they are",
            hint="a unit may change its own attributes only",
        )
    ]


def _remember(seen: Snapshot, prefix: str, module: ModuleType) -> None:
    for name, value in vars(module).items():
        if callable(value):
            seen[f"{prefix}.{name}"] = value


def _layers() -> list[type]:
    return [value for value in vars(nn).values() if isinstance(value, type) and issubclass(value, nn.Module)]


def _switches() -> Snapshot:
    hooks = vars(torch.nn.modules.module)
    return {
        "torch.get_default_dtype()": torch.get_default_dtype(),
        "torch.is_grad_enabled()": torch.is_grad_enabled(),
        "torch.get_num_threads()": torch.get_num_threads(),
        "torch.get_default_device()": torch.get_default_device(),
        **{
            name: tuple(value)
            for name, value in hooks.items()
            if name.startswith("_global_") and isinstance(value, dict)
        },
    }


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, tuple | bool | int | torch.device):
        return bool(before == after)
    return before is after
