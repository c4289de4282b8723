"""JSON without NaN, infinity or objects: a result means the same on both sides of a border."""

import json
import math
from typing import Any

_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def dump_json(value: Any) -> str:
    """Compact JSON; a NaN, an infinity or an object that is no JSON raises ValueError with its place.

    >>> dump_json({"loss": [1.0, float("nan")]})
    Traceback (most recent call last):
    ...
    ValueError: not JSON: loss.1 is nan
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {_culprit(value, ()) or error}") from None


def _culprit(value: Any, path: tuple[str, ...]) -> str:
    where = ".".join(path) or "the value"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where} is {value}"
    if len(path) > 100:
        return f"{'.'.join(path[:4])}… is nested too deeply, or contains itself"
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str | int | float | bool | None):
                return f"{where} has a key of type {type(key).__name__}"
            if found := _culprit(item, (*path, str(key))):
                return found
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            if found := _culprit(item, (*path, str(position))):
                return found
    elif not isinstance(value, str | int | float | bool | None):
        return f"{where} is of type {type(value).__name__}"
    return ""
