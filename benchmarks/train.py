"""Training speed: ours against a plain nanoGPT-style loop and `transformers.Trainer`, interleaved in one run.

    .venv/bin/python benchmarks/train.py [--rounds 25] [--steps 10] [--design transformer_pp]

Each contender lives in a process of its own with one thread, has the same model, starting weights, token
stream and precision, and trains in turns, many short ones. Time is processor time of its process, so that
other load on the machine matters little; what is compared is the ratio within a round. Without transformers
and accelerate that contender is left out, in one line.
"""

import argparse
import contextlib
import importlib.util
import io
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")


@dataclass(frozen=True)
class Case:
    """One size of model and step; ``text`` vocabularies are those of a trained BPE."""

    scale: str
    vocab_size: int
    rows: int
    context: int = 128


CASES = (Case("0.1M", 563, 8), Case("0.4M", 563, 8), Case("0.1M", 2048, 8), Case("1.5M", 4096, 16))


def make_model(case: Case, design: str) -> Any:
    import torch

    from model_discovery.blocks import LanguageModel, get_scale, get_seed_design, size_block

    torch.set_num_threads(1)
    tree = get_seed_design(design).tree
    sizing = size_block(tree, get_scale(case.scale))
    return LanguageModel(tree, vocab_size=case.vocab_size, width=sizing.width, n_blocks=sizing.n_blocks)


def ours(case: Case, design: str, stream: Path) -> Callable[[int], float]:
    from model_discovery.verification import trainer
    from model_discovery.verification.device import choose_precision
    from model_discovery.verification.settle import settle
    from model_discovery.verification.streams import batch_at, open_stream

    settle()
    tokens = open_stream(stream, "<u2")

    def run(steps: int) -> float:
        model = make_model(case, design)
        precision = choose_precision("auto", model.count_parameters()[0])
        plan = trainer.TrainPlan(steps, case.rows * case.context, 1e-3, precision=precision)
        ends: list[float] = []

        def held_out() -> float:
            """Asked for after the last step, before the last checkpoint: the others write none."""
            ends.append(time.process_time())
            return 0.0

        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            trainer.train(
                model,
                lambda step: batch_at(tokens, batch_size=case.rows, context=case.context, step=step, seed=0),
                plan,
                folder=Path(folder),
                held_out=held_out,
            )
        return ends[-1] - start

    return run


def plain(case: Case, design: str, stream: Path) -> Callable[[int], float]:
    """The loop everybody writes: random windows of a memmap, AdamW with its defaults, clip, cosine."""
    import math

    import numpy as np
    import torch

    from model_discovery.verification.device import choose_precision

    data = np.memmap(stream, dtype=np.uint16, mode="r")

    def get_batch() -> tuple[Any, Any]:
        starts = torch.randint(len(data) - case.context, (case.rows,))
        x = torch.stack([torch.from_numpy(data[i : i + case.context].astype(np.int64)) for i in starts])
        y = torch.stack(
            [torch.from_numpy(data[i + 1 : i + 1 + case.context].astype(np.int64)) for i in starts]
        )
        return x, y

    def run(steps: int) -> float:
        model = make_model(case, design)
        bf16 = choose_precision("auto", model.count_parameters()[0]) == "bf16"
        context = torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else contextlib.nullcontext()
        start = time.process_time()
        groups = [
            {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))
        model.train()
        for step in range(steps):
            rate = 1e-4 + 0.5 * (1 + math.cos(math.pi * step / steps)) * 9e-4
            for group in optimizer.param_groups:
                group["lr"] = rate
            x, y = get_batch()
            with context:
                loss = model(x, y).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if step % 10 == 0:
                loss.item()
        return time.process_time() - start

    return run


def transformers_trainer(case: Case, design: str, stream: Path) -> Callable[[int], float]:
    import numpy as np
    import torch
    from transformers import Trainer, TrainingArguments

    from model_discovery.verification.device import choose_precision

    data = np.fromfile(stream, dtype=np.uint16).astype(np.int64)
    windows = [
        {
            "input_ids": torch.from_numpy(data[i : i + case.context]),
            "labels": torch.from_numpy(data[i + 1 : i + 1 + case.context]),
        }
        for i in range(0, len(data) - case.context - 1, case.context)
    ]

    class Wrapped(torch.nn.Module):
        def __init__(self, model: torch.nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, labels: Any) -> dict[str, Any]:
            output = self.model(input_ids, labels)
            return {"loss": output.loss, "logits": output.logits}

    def run(steps: int) -> float:
        model = make_model(case, design)
        bf16 = choose_precision("auto", model.count_parameters()[0]) == "bf16"
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            arguments = TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=case.rows,
                max_steps=steps,
                learning_rate=1e-3,
                weight_decay=0.1,
                adam_beta2=0.95,
                max_grad_norm=1.0,
                lr_scheduler_type="cosine",
                warmup_steps=1,
                use_cpu=True,
                bf16=bf16,
                report_to=[],
                save_strategy="no",
                logging_steps=10,
                disable_tqdm=True,
                remove_unused_columns=False,
            )
            trainer = Trainer(model=Wrapped(model), args=arguments, train_dataset=windows)
            start = time.process_time()
            trainer.train()
            return time.process_time() - start

    return run


CONTENDERS = {"ours": ours, "plain": plain, "Trainer": transformers_trainer}


def serve(pipe: Connection, name: str, case: Case, design: str, stream: Path) -> None:
    """A contender's process: answers each number of steps with the seconds it took."""
    run = CONTENDERS[name](case, design, stream)
    while (steps := pipe.recv()) is not None:
        pipe.send(run(steps))


def measure(case: Case, design: str, names: list[str], rounds: int, steps: int) -> dict[str, list[float]]:
    """Tokens per second of every contender, a number a round."""
    import numpy as np

    from model_discovery.verification.streams import write_stream

    context = multiprocessing.get_context("spawn")
    speeds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        stream = Path(folder) / "tokens.bin"
        ids = np.random.default_rng(0).integers(1, case.vocab_size, size=400_000)
        write_stream(stream, [ids.tolist()], case.vocab_size)
        pipes = {}
        for name in names:
            pipes[name], end = context.Pipe()
            context.Process(target=serve, args=(end, name, case, design, stream), daemon=True).start()
        for number in range(rounds + 1):
            for name in names if number % 2 else reversed(names):
                pipes[name].send(steps)
                seconds = pipes[name].recv()
                if number:  # the first is for warming up
                    speeds[name].append(steps * case.rows * case.context / seconds)
        for pipe in pipes.values():
            pipe.send(None)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--design", default="transformer_pp")
    parser.add_argument("--scales", default="0.1M,0.4M,1.5M")
    arguments = parser.parse_args()
    names = ["ours", "plain"]
    if all(importlib.util.find_spec(name) for name in ("transformers", "accelerate")):
        names.append("Trainer")
    else:
        print(
            "transformers or accelerate is not installed: Trainer is left out (pip install -e .[benchmarks])"
        )
    print(f"{arguments.design}, one thread, {arguments.steps} steps a round, {arguments.rounds} rounds")
    for case in (case for case in CASES if case.scale in arguments.scales.split(",")):
        speeds = measure(case, arguments.design, names, arguments.rounds, arguments.steps)
        line = [f"{case.scale:>5} vocabulary {case.vocab_size:>4}, {case.rows * case.context} tokens a step:"]
        for name in names:
            line.append(f"{name} {statistics.median(speeds[name]):,.0f} tokens/s;")
        for name in names[1:]:
            ratios = [a / b for a, b in zip(speeds["ours"], speeds[name], strict=True)]
            spread = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else float("nan")
            line.append(f"ours/{name} {statistics.median(ratios):.3f} ± {spread:.3f};")
        print(" ".join(line).rstrip(";"), flush=True)


if __name__ == "__main__":
    main()
