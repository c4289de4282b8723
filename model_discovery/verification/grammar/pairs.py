"""The pair sets: which phenomena there are, from which scale on they say something."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model_discovery.seeds import derive
from model_discovery.verification.grammar import agreement, reference
from model_discovery.verification.grammar.agreement import Pair, fresh
from model_discovery.verification.grammar.phrases import Speaker
from model_discovery.verification.grammar.sampling import draws
from model_discovery.verification.grammar.tables import Tables

TRIES = 50


@dataclass(frozen=True)
class Phenomenon:
    """A set of minimal pairs; below ``min_scale`` no architecture is better than chance at it."""

    name: str
    make: Callable[[Speaker], Pair]
    min_scale: str = "0.1M"


PHENOMENA = (
    Phenomenon("determiner_noun", agreement.determiner),
    Phenomenon("agreement_prepositional", agreement.prepositional),
    Phenomenon("agreement_relative", agreement.relative),
    Phenomenon("agreement_coordinated", agreement.coordinated),
    Phenomenon("reflexive_number", reference.reflexive_number),
    Phenomenon("reflexive_gender", reference.reflexive_gender),
    Phenomenon("binding_domain", reference.binding),
    Phenomenon("pronoun_reference", reference.pronoun),
    Phenomenon("licensing", reference.licensing),
    Phenomenon("filler_gap", reference.filler_gap),
    Phenomenon("object_selection", reference.selection),
    Phenomenon("recall_repeated", reference.recall_repeated),
    Phenomenon("recall_answer", reference.recall_answer, min_scale="1.5M"),
)


def make_pairs(tables: Tables, seed: int, phenomenon: Phenomenon, count: int) -> list[Pair]:
    """``count`` different pairs of one phenomenon, or fewer where the words do not give more."""
    speaker = Speaker(tables, draws(derive(seed, "pairs", phenomenon.name)), anything_goes=True)
    pairs: dict[str, Pair] = {}
    for _ in range(TRIES * count):
        if len(pairs) == count:
            break
        fresh(speaker)
        good, bad = phenomenon.make(speaker)
        if good != bad:
            pairs.setdefault(" ".join(good), (good, bad))
    return list(pairs.values())


def write_pair_sets(tables: Tables, seed: int, folder: Path, count: int) -> tuple[str, ...]:
    """Write ``<phenomenon>.jsonl`` each and return the names."""
    folder.mkdir()
    for phenomenon in PHENOMENA:
        rows = [
            {
                "sentence_good": " ".join(good),
                "sentence_bad": " ".join(bad),
                "phenomenon": phenomenon.name,
                "min_scale": phenomenon.min_scale,
            }
            for good, bad in make_pairs(tables, seed, phenomenon, count)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{phenomenon.name}.jsonl").write_text(text, encoding="utf-8")
    return tuple(phenomenon.name for phenomenon in PHENOMENA)
