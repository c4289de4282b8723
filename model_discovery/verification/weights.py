"""One hash for weights, the same from memory and from a safetensors file; nothing here needs torch."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, deserialize

from model_discovery.verification.outcome import VerificationFailure


def hash_file_tensors(file: Path) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors; ``corrupt_checkpoint`` if unreadable."""
    try:
        return hash_tensors(file.read_bytes())
    except (OSError, SafetensorError) as error:
        raise VerificationFailure("corrupt_checkpoint", f"{file.name} cannot be read: {error}") from error


def hash_tensors(serialised: bytes, without: Iterable[str] = ()) -> str:
    """The same over the bytes of a safetensors file. The order of the tensors does not matter."""
    left_out = set(without)
    digest = hashlib.sha256()
    tensors: list[tuple[str, dict[str, Any]]] = deserialize(serialised)  # type: ignore[no-untyped-call]
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        if name not in left_out:
            digest.update(f"{name}\x1f{tensor['dtype']}\x1f{tensor['shape']}\x1f".encode())
            digest.update(tensor["data"])
    return digest.hexdigest()
