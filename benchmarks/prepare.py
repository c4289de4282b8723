"""Preparing data: what each step of it costs, threads for tokenizing, and the contamination check.

    .venv/bin/python benchmarks/prepare.py CORPUS [--rounds 15] [--items 67000]

``CORPUS`` is a folder or file of text or JSONL. Its documents are written as a local data set in parquet,
which is prepared as a whole (``prepare`` with a tokenizer trained on it), and then step by step with the same
functions. Times of steps are processor times of this process, all its threads included; threads are compared
in wall time, one and all of them in turns on the same documents. The items of the contamination check are
random words of the corpus, two to fifteen of them.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

SCALE = "1.5M"
BATCH = 256
ROUND = 4 * BATCH


@dataclass
class Clock:
    """Processor seconds by step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds[name] = time.process_time() - began


def write_parquet(corpus: Path, folder: Path) -> Sequence[str]:
    """All documents of the corpus as a data set of eight parquet files."""
    from datasets import Dataset, disable_progress_bars

    from model_discovery.verification.text_corpus import read_corpus

    disable_progress_bars()
    read = read_corpus(corpus)
    documents = [*read.train, *read.held_out]
    folder.mkdir()
    for shard in range(8):
        rows = [{"text": text} for text in documents[shard::8]]
        Dataset.from_list(rows).to_parquet(str(folder / f"train-{shard:05}-of-00008.parquet"))
    return documents


def read(folder: Path) -> list[str]:
    """Documents as `prepare` reads them, with nothing done to them."""
    from model_discovery.verification.hub import open_source
    from model_discovery.verification.sources import local_source
    from model_discovery.verification.strands import Mixture, open_strands

    opened = open_source(local_source(folder))
    with open_strands([opened], list[str]) as strands:
        return [text for _, text in Mixture(strands, [1.0], len)]


def encode(tokenizer: Any, documents: Sequence[str]) -> list[list[int]]:
    rest = iter(documents)
    ids: list[list[int]] = []
    while batch := list(islice(rest, BATCH)):
        ids += [one.ids for one in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
    return ids


def wall(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare_threads(tokenizer: Any, documents: Sequence[str], rounds: int) -> tuple[list[float], float]:
    """Wall time of one thread over that of all, a number a round; processor time of all over that of one."""
    ratios, spent = [], {"false": 0.0, "true": 0.0}
    for number in range(rounds):
        part, took = documents[number::rounds][:ROUND], {}
        for parallel in ("false", "true") if number % 2 else ("true", "false"):
            os.environ["TOKENIZERS_PARALLELISM"] = parallel
            began = time.process_time()
            took[parallel] = wall(lambda part=part: encode(tokenizer, part))
            spent[parallel] += time.process_time() - began
        ratios.append(took["false"] / took["true"])
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    return ratios, spent["true"] / spent["false"]


def random_items(documents: Sequence[str], count: int) -> list[str]:
    draw = random.Random(0)
    words = sorted({word for text in documents[:500] for word in text.split()})
    return [" ".join(draw.choices(words, k=draw.randint(2, 15))) for _ in range(count)]


def measure(corpus: Path, place: Path, rounds: int, items: int) -> None:
    from model_discovery.verification import get_recipe, prepare
    from model_discovery.verification.contamination import SuiteTexts, check_contamination
    from model_discovery.verification.near_duplicates import NearDuplicates
    from model_discovery.verification.streams import write_stream
    from model_discovery.verification.tokenizers import load_tokenizer, train_bpe

    documents = write_parquet(corpus, place / "set")
    recipe, clock = get_recipe(str(place / "set")), Clock()
    began = time.process_time()
    seconds = wall(lambda: prepare(recipe, SCALE, place / "data"))
    cpu = time.process_time() - began
    data = prepare(recipe, SCALE, place / "data")
    tokens, count = data.train_tokens + data.held_out_tokens, data.train_documents + data.held_out_documents
    size = sum(map(len, documents)) / 1e6
    print(f"{size:.1f} M characters, {count:,} documents, {tokens:,} tokens, load {os.getloadavg()[0]:.1f}")
    rates = f"{count / cpu:,.0f} documents and {tokens / cpu:,.0f} tokens a CPU second"
    print(f"prepare: {seconds:.1f} s wall, {cpu:.1f} s CPU, {rates}")

    with clock.step("reading"):
        texts = read(place / "set")
    tokenizer = load_tokenizer(data.tokenizer)
    with clock.step("tokenizer training"):
        train_bpe(texts, recipe.vocabulary_for(SCALE) or 0)
    with clock.step("near-duplicates"):
        NearDuplicates(texts[::20]).matches(texts)
    with clock.step("tokenizing"):
        ids = encode(tokenizer, texts)
    with clock.step("writing"):
        write_stream(place / "train.bin", ids, data.vocab_size)
    whole = sum(clock.seconds.values())
    for name, spent in clock.seconds.items():
        print(f"  {name}: {spent:.2f} s CPU, {spent / whole:.0%}, {size / spent:,.1f} M characters a second")

    ratios, more = compare_threads(tokenizer, texts, rounds)
    low, middle, high = statistics.quantiles(ratios, n=4)
    speed = f"{middle:.2f}× as fast (quartiles {low:.2f} and {high:.2f} of {rounds} rounds)"
    print(f"tokenizing with {os.cpu_count()} threads against one: {speed}, {more:.2f}× the processor time")
    suite = SuiteTexts("random", lambda: {"random": random_items(texts, items)})
    began = time.process_time()
    found = check_contamination(data, {"random": suite})["random"]
    rate = data.train_tokens / (time.process_time() - began)
    again = wall(lambda: check_contamination(data, {"random": suite})) * 1e3
    print(f"contamination of {found.items:,} items: {rate:,.0f} tokens a CPU second, then {again:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--items", type=int, default=67_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        measure(asked.corpus, Path(place), asked.rounds, asked.items)


if __name__ == "__main__":
    main()
