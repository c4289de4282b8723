"""Forward and backward time of the kernels and of whole mixers, as a ratio to SwiGLU of the same width.

One thread, CPU time, everything interleaved in one run, so that a busy machine slows all of it alike:

    OMP_NUM_THREADS=1 python benchmarks/kernels.py --width 256 --length 512 --batch 8
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from model_discovery.blocks import kernels
from model_discovery.blocks.build import build_block
from model_discovery.blocks.seed_designs import seed_units, tree_from_spec

Step = Callable[[], Tensor]
HEAD_DIM = 64


def kernel_steps(batch: int, length: int, width: int) -> dict[str, tuple[Step, list[Tensor]]]:
    """Each kernel on tensors of the model's width, and the leaves that receive gradients."""
    n_heads = max(1, width // HEAD_DIM)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, requires_grad=True)

    q, k, v = (leaf(batch, n_heads, length, width // n_heads) for _ in range(3))
    head_decay = (-0.1 * torch.rand(batch, n_heads, length)).requires_grad_()
    channel_decay = (-0.1 * torch.rand_like(k)).requires_grad_()
    strength = torch.rand(batch, n_heads, length, requires_grad=True)
    x, decay = leaf(batch, length, width), torch.rand(batch, length, width, requires_grad=True)
    long, short = leaf(width, length), leaf(4, width)

    def delta() -> Tensor:
        return kernels.delta_rule(q, F.normalize(k, dim=-1), v, strength, head_decay)

    def channel(chunk: int) -> Tensor:
        return kernels.channel_decay(q, k, v, channel_decay, chunk=chunk)

    return {
        "softmax attention": (lambda: kernels.causal_attention(q, k, v), [q, k, v]),
        "window attention, 64": (lambda: kernels.window_attention(q, k, v, window=64), [q, k, v]),
        "scalar decay": (lambda: kernels.scalar_decay(q, k, v, head_decay), [q, k, v, head_decay]),
        "channel decay, chunk 16": (lambda: channel(16), [q, k, v, channel_decay]),
        "channel decay, chunk 32": (lambda: channel(32), [q, k, v, channel_decay]),
        "gated delta rule": (delta, [q, k, v, strength, head_decay]),
        "diagonal recurrence": (lambda: kernels.diagonal_recurrence(decay, x), [decay, x]),
        "long convolution": (lambda: kernels.long_convolution(x, long), [x, long]),
        "depthwise convolution, 4": (lambda: kernels.depthwise_convolution(x, short), [x, short]),
    }


def unit_steps(batch: int, length: int, width: int) -> dict[str, tuple[Step, list[Tensor]]]:
    """Every sequence mixer of the library without slots, and SwiGLU."""
    chosen = [n for n, unit in seed_units().items() if unit.role == "sequence_mixer" and not unit.slots]
    steps = {}
    for name in ["GatedMLP", *chosen]:
        unit = build_block(tree_from_spec({"unit": name}), width=width, layer=0, n_layers=6)
        x = torch.randn(batch, length, width, requires_grad=True)
        steps[name] = (lambda unit=unit, x=x: unit(x)[0], [x, *unit.parameters()])
    return steps


def cpu_milliseconds(step: Step, leaves: list[Tensor]) -> float:
    """CPU time of one forward and backward."""
    start = time.process_time()
    y = step()
    torch.autograd.grad(y, leaves, torch.ones_like(y))
    return (time.process_time() - start) * 1e3


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = (args.batch, args.length, args.width)
    steps = {**unit_steps(*shape), **kernel_steps(*shape)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(args.repeat + 1):
        for name, (step, leaves) in steps.items():
            spent = cpu_milliseconds(step, leaves)
            if round_:
                times[name].append(spent)
    reference = statistics.median(times["GatedMLP"])
    print(f"batch {args.batch}, length {args.length}, width {args.width}: forward + backward, one thread")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:26s} {median:8.1f} ms   {median / reference:5.2f} x SwiGLU")


if __name__ == "__main__":
    main()
