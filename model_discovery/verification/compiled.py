"""The block as one compiled graph that all layers share, where that pays and works; else as it is.

Compiling needs a C++ compiler, on a GPU also Triton's tools, and so processes of its own: where these may not
be started (in the sandbox: for units that are not shipped with this package), or something fails, training
goes on uncompiled and says so. Compiled sums differ in their last bits.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from subprocess import SubprocessError

import torch
from torch import nn

from model_discovery.verification.device import Precision, as_before, autocast, device_of, put
from model_discovery.verification.streams import Batch

REFUSED = (
    "not compiled: a compiler is a program, which the sandbox lets be started only by one process that "
    "trains units shipped with this package, unchanged"
)
_NOTE_LETTERS = 200


def compile_blocks(model: nn.Module, batch: Batch, precision: Precision, cache: Path) -> str:
    """Compile the model's ``blocks`` by a pass over ``batch``, forward and backward; why not, or ``""``.

    Parameters
    ----------
    batch
        Of the rows that every pass will have.
    cache
        Folder for what the compiler writes.
    """
    _settle(cache)
    device = device_of(model)
    blocks = list(model.get_submodule("blocks").children())
    for block in blocks:
        block.compile(dynamic=False)
    try:
        with as_before(model):
            with autocast(device, precision):
                loss = model(put(batch.inputs, device), put(batch.labels, device)).loss
            loss.backward()
    except (RuntimeError, OSError, AssertionError, ImportError, SubprocessError) as error:
        for block in blocks:
            block._compiled_call_impl = None
        torch._dynamo.reset()
        return f"not compiled: {_in_short(error)}"
    return ""


def uncompiled(model: nn.Module) -> AbstractContextManager[object]:
    """Run the model as it is: evaluation is rare, and in other shapes, each a graph to be compiled."""
    compiled = any(module._compiled_call_impl is not None for module in model.modules())
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def _settle(cache: Path) -> None:
    """Nothing outside the run's folder is written, and no pool of compilers is started."""
    import torch._inductor.config

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache / "inductor")
    os.environ["TRITON_CACHE_DIR"] = str(cache / "triton")
    torch._inductor.config.compile_threads = 1


def _in_short(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_NOTE_LETTERS]
