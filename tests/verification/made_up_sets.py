"""Small data sets of made-up words."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WORDS = [
    a + b
    for a in ("ba", "do", "ki", "lu", "me", "no", "pa", "ru")
    for b in ("lan", "mer", "sit", "tov", "win")
]


def documents(count: int, seed: int, words: int = 60) -> list[str]:
    """Documents of made-up words, no two alike."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=words)) + f" {seed}-{n}." for n in range(count)]


def write_parquet(folder: Path, texts: list[str], shards: int = 3) -> None:
    """Shards named as the hub names them, with another column and small row groups."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        part = texts[shard::shards]
        table = pa.table({"id": list(range(len(part))), "text": part})
        pq.write_table(table, folder / f"train-{shard:05}-of-{shards:05}.parquet", row_group_size=50)
