"""Scoring speed: ours against lm-eval's own `HFLM` and YAML tasks, same model, same items, in one run.

    .venv/bin/python benchmarks/score.py --blimp FOLDER [--pairs 100] [--scales 1.5M,0.1M] [--sets 67]

Processor seconds of one process with one thread each, imports and loading left out. The accuracies of all
sets have to be the same, or the run ends with an error. Needs transformers and accelerate.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_DATASETS_OFFLINE="1")

CONTEXT, BATCH = 128, 64


def write_items(root: Path, blimp: Path, pairs: int, count: int) -> list[str]:
    """The first pairs of the sets, laid out as lm-eval's tasks look for them."""
    from model_discovery.verification.blimp_sets import BLIMP_SETS

    folder = root / "nyu-mll" / "blimp"
    folder.mkdir(parents=True)
    names = list(BLIMP_SETS[:count])
    for name in names:
        lines = (blimp / f"{name}.jsonl").read_text("utf-8").splitlines()[:pairs]
        rows = [json.loads(line) for line in lines]
        kept = [{key: row[key] for key in ("sentence_good", "sentence_bad")} for row in rows]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")
    listing = "".join(f"- config_name: {name}\n  data_files: {name}.jsonl\n" for name in names)
    (folder / "README.md").write_text(f"---\nconfigs:\n{listing}---\n")
    return names


def write_model(root: Path, scale: str, design: str) -> None:
    """An untrained model of the scale, with the BPE of the items, and its exported folder."""
    from model_discovery.blocks import LanguageModel, get_scale, get_seed_design, size_block
    from model_discovery.export import Story, export_folder, read_checkpoint
    from model_discovery.verification.tokenizers import train_bpe

    texts = [line for file in sorted(root.rglob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]
    vocabulary = 2048 if scale in ("0.1M", "0.4M") else 4096
    tokenizer = train_bpe((json.loads(line)["sentence_good"] for line in texts), vocabulary)
    tree = get_seed_design(design).tree
    size = size_block(tree, get_scale(scale))
    model = LanguageModel(tree, vocab_size=vocabulary, width=size.width, n_blocks=size.n_blocks)
    model.save(root / scale, extra=None)
    tokenizer.save(str(root / scale / "tokenizer.json"))
    checkpoint = read_checkpoint(root / scale)
    export_folder(root / f"{scale}-hf", name=design, checkpoint=checkpoint, context=CONTEXT, story=Story())


def ours(root: Path, scale: str, names: list[str]) -> dict[str, Any]:
    import torch

    from model_discovery.blocks import LanguageModel
    from model_discovery.verification.evaluator import score_suites, text_coder
    from model_discovery.verification.item_sets import PairSet, read_rows
    from model_discovery.verification.request_cache import RequestCache
    from model_discovery.verification.scoring import score_rows

    torch.set_num_threads(1)
    model = LanguageModel.load(root / scale).eval()
    spent = {"model": 0.0, "encode": 0.0}

    class Asked:
        def score(self, rows: Any, starts: Any) -> list[tuple[float, bool]]:
            start = time.process_time()
            answer = score_rows(model, [list(row) for row in rows], list(starts))
            spent["model"] += time.process_time() - start
            return list(zip(answer["sums"], answer["greedy"], strict=True))

        def generate(self, rows: Any, most: int) -> Any:
            raise NotImplementedError

    columns = ("sentence_good", "sentence_bad")
    sets = []
    for name in names:
        rows = read_rows(root / "nyu-mll" / "blimp" / f"{name}.jsonl", columns)
        sets.append(PairSet("blimp", name, tuple((row[columns[0]], row[columns[1]]) for row in rows)))
    coder = text_coder(root / scale / "tokenizer.json", CONTEXT)
    inner = RequestCache().planner(coder.encoder, root / scale / "tokenizer.json")

    def planner(texts: Any) -> Any:
        start = time.process_time()
        plan = inner(texts)
        spent["encode"] += time.process_time() - start
        return plan

    import model_discovery.verification.tasks  # noqa: F401

    results = []
    for _ in range(2):  # the second as for a second design: its rows are known
        spent.update(model=0.0, encode=0.0)
        start = time.process_time()
        scored = score_suites(sets, [], Asked(), coder, planner)
        results.append({"seconds": time.process_time() - start, **spent})
    first, again = results
    accuracies = {name: scored.scores[f"blimp/{name}"].value for name in names}
    return {**first, "again": again["seconds"], "accuracies": accuracies}


def hflm(root: Path, scale: str, names: list[str]) -> dict[str, Any]:
    import lm_eval
    import torch
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    torch.set_num_threads(1)
    os.environ["HF_DATASETS_CACHE"] = str(root / "cache")
    os.chdir(root)
    lm = HFLM(pretrained=str(root / f"{scale}-hf"), trust_remote_code=True, batch_size=BATCH, device="cpu")
    own = Path(lm_eval.__file__).parent / "tasks" / "blimp"
    manager = TaskManager(include_path=str(own), include_defaults=False)
    start = time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):
        tasks = manager.load([f"blimp_{name}" for name in names])
        loaded = time.process_time()
        found = evaluate(lm=lm, task_dict=tasks, log_samples=False)["results"]
    end = time.process_time()
    accuracies = {name: found[f"blimp_{name}"]["acc,none"] for name in names}
    return {"seconds": end - start, "load": loaded - start, "accuracies": accuracies}


CONTENDERS = {"ours": ours, "HFLM": hflm}


def run(name: str, root: Path, scale: str, names: list[str]) -> dict[str, Any]:
    """One contender in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(CONTENDERS[name], (root, scale, names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blimp", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--sets", type=int, default=67)
    parser.add_argument("--scales", default="1.5M,0.1M")
    parser.add_argument("--design", default="transformer_pp")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["HF_HOME"] = str(root / "home")
        names = write_items(root, asked.blimp, asked.pairs, asked.sets)
        for scale in asked.scales.split(","):
            write_model(root, scale, asked.design)
            found = {name: run(name, root, scale, names) for name in CONTENDERS}
            if found["ours"]["accuracies"] != found["HFLM"]["accuracies"]:
                raise SystemExit(f"{scale}: the accuracies differ")
            for name, result in found.items():
                seconds = {key: round(value, 1) for key, value in result.items() if key != "accuracies"}
                print(f"{scale} {len(names)} x {asked.pairs} pairs  {name:5}", seconds, flush=True)
            print(f"{scale} ratio {found['HFLM']['seconds'] / found['ours']['seconds']:.2f}", flush=True)


if __name__ == "__main__":
    main()
