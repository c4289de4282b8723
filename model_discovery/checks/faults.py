"""From an exception of a unit to a finding that names the unit and the line."""

import traceback

from model_discovery.blocks.unit import ContractError
from model_discovery.checks.report import Finding
from model_discovery.sandbox.child import classify

_HINTS = {
    "build": "constructors must work for any width, depth and layer, and never need a tensor's values",
    "forward": "forward must work for any batch and length, from 1 token on",
}
_CONTRACT = "declare it in reads or writes; return y or (y, updates), y of the shape of x"


def of_resources(error: Exception) -> bool:
    """Whether the sandbox has a name for it (memory, processes, network, disk), so that it must go on up."""
    return classify(error) != "error"


def fault(stage: str, error: Exception, situation: str = "") -> Finding:
    """The finding of an exception raised by a unit in ``stage``."""
    line = unit_line(error)
    where = ", ".join(part for part in (line, situation) if part)
    text = str(error).strip().split("\n", 1)[0][:300]
    measured = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, ContractError):
        check = "forward" if "returned" in text else "contract"
        return Finding(check=check, where=where, measured=text, limit="the unit contract", hint=_CONTRACT)
    if isinstance(error, KeyError) and _reads_z(error):
        hint = f"declare it: reads = ({text},)"
        limit = "declared side variables"
        return Finding(check="contract", where=where, measured=measured, limit=limit, hint=hint)
    hint = _HINTS.get(stage, _HINTS["forward"])
    return Finding(check=stage, where=where, measured=measured, limit="no exception", hint=hint)


def unit_line(error: Exception) -> str:
    """``GatedMLP line 12`` for the innermost line of a unit's source in the traceback, or ``""``."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if frame.filename.startswith("<unit "):
            name = frame.filename.removeprefix("<unit ").removesuffix(">").rpartition("_")[0]
            return f"{name} line {frame.lineno}"
    return ""


def _reads_z(error: KeyError) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith("<unit ") and "z[" in (frames[-1].line or "")
