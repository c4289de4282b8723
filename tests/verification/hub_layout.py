"""Small data sets of our own in the layouts that the hub has for some of lm-eval's tasks."""

import json
import random
from pathlib import Path
from typing import Any

NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn")
PLACES = ("garden", "river", "market", "tower", "harbour", "forest")
DOES = ("walks to", "looks at", "dreams of", "runs past", "talks about", "paints")

Rows = list[dict[str, Any]]


def sentence(draw: random.Random) -> str:
    return f"{draw.choice(NAMES)} {draw.choice(DOES)} the {draw.choice(PLACES)}"


def write_hub(folder: Path, items: int = 12) -> Path:
    """A folder with ``OWNER/NAME`` as on the hub: JSONL or parquet, one configuration or several."""
    draw = random.Random(0)
    _write(
        folder / "Rowan" / "hellaswag",
        {"": {"train": _hellaswag(draw, 4), "validation": _hellaswag(draw, items)}},
    )
    arc = {"train": _arc(draw, 4), "validation": _arc(draw, 4), "test": _arc(draw, items)}
    _write(folder / "allenai" / "ai2_arc", {"ARC-Easy": arc, "ARC-Challenge": arc}, parquet=True)
    _write(
        folder / "EleutherAI" / "lambada_openai",
        {"default": {"test": [{"text": sentence(draw)} for _ in range(items)]}},
    )
    boolq = [
        {
            "question": f"is it {sentence(draw)}",
            "passage": f"{sentence(draw)}. {sentence(draw)}.",
            "idx": i,
            "label": i % 2,
        }
        for i in range(items)
    ]
    _write(folder / "aps" / "super_glue", {"boolq": {"train": boolq[:4], "validation": boolq}}, parquet=True)
    cola = [{"sentence": sentence(draw), "label": i % 2, "idx": i} for i in range(items)]
    _write(folder / "nyu-mll" / "glue", {"cola": {"train": cola[:4], "validation": cola}}, parquet=True)
    trivia = [
        {
            "question": f"where is {draw.choice(NAMES)}",
            "answer": {"aliases": [draw.choice(PLACES), "nowhere"]},
        }
        for _ in range(items)
    ]
    _write(
        folder / "mandarjoshi" / "trivia_qa", {"rc.nocontext": {"train": trivia[:4], "validation": trivia}}
    )
    pages = [{"page": " ".join(sentence(draw) for _ in range(30))} for _ in range(3)]
    splits = {"train": pages, "validation": pages, "test": pages}
    _write(folder / "EleutherAI" / "wikitext_document_level", {"wikitext-2-raw-v1": splits})
    return folder


def texts(seed: int = 1, count: int = 400) -> list[str]:
    """Text of the same kind, to train a tokenizer or a model on."""
    draw = random.Random(seed)
    return [f"Question: {sentence(draw)}?\nAnswer: {sentence(draw)}. yes no" for _ in range(count)]


def _hellaswag(draw: random.Random, items: int) -> Rows:
    return [
        {
            "activity_label": draw.choice(PLACES),
            "ctx_a": f"{sentence(draw)}.",
            "ctx_b": draw.choice(NAMES),
            "endings": [f"{draw.choice(DOES)} the {draw.choice(PLACES)}." for _ in range(4)],
            "label": str(i % 4),
        }
        for i in range(items)
    ]


def _arc(draw: random.Random, items: int) -> Rows:
    return [
        {
            "question": f"Where is {draw.choice(NAMES)}?",
            "answerKey": "ABCDE"[i % (3 + i % 2)],
            "choices": {"text": draw.sample(PLACES, 3 + i % 2), "label": list("ABCDE"[: 3 + i % 2])},
        }
        for i in range(items)
    ]


def _write(folder: Path, configs: dict[str, dict[str, Rows]], *, parquet: bool = False) -> None:
    """Splits as files; a README lists the configurations where they have names, as on the hub."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    listing = ""
    for config, splits in configs.items():
        place = folder / (config or "data")
        place.mkdir(parents=True)
        listing += f"- config_name: {config}\n  data_files:\n"
        for split, rows in splits.items():
            if parquet:
                file = place / f"{split}-00000-of-00001.parquet"
                Dataset.from_list(rows).to_parquet(str(file))
            else:
                file = place / f"{split}.jsonl"
                file.write_text("".join(json.dumps(row) + "\n" for row in rows))
            listing += f"  - split: {split}\n    path: {file.relative_to(folder)}\n"
    if "" not in configs:
        (folder / "README.md").write_text(f"---\nconfigs:\n{listing}---\n")
