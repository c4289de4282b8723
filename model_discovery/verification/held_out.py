"""Which documents of a mixture are held out: chosen by their contents, before a single one is trained on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from model_discovery.errors import UserError
from model_discovery.verification.hub import Opened
from model_discovery.verification.sources import HubData
from model_discovery.verification.strands import Mixture, open_strands
from model_discovery.verification.text_corpus import content_key

SHARE = 0.05
BYTES_PER_TOKEN = 4


@dataclass(frozen=True)
class Progress:
    """How far a preparation is; ``of`` is ``None`` where the data itself decides."""

    doing: str
    documents: int
    tokens: int
    of: int | None = None


OnProgress = Callable[[Progress], None]


class HeldOut(NamedTuple):
    """A held-out document and the index of its source."""

    source: int
    text: str


def choose_held_out(data: HubData, opened: Sequence[Opened], report: OnProgress) -> list[HeldOut]:
    """Documents to hold out, each source its share of them.

    Of each source every twentieth document, by the hash of its contents, until there are enough; a source
    with fewer gives what it has, at least one. They are counted in bytes, so that they are the same under
    every tokenizer.
    """
    weights = sum(source.weight for source in data.sources)
    chosen: list[HeldOut] = []
    seen: set[str] = set()
    for index, one in enumerate(opened):
        wanted = data.held_out_tokens * BYTES_PER_TOKEN * one.source.weight / weights
        size = 0
        for key, text in _candidates(one, seen):
            seen.add(key)
            chosen.append(HeldOut(index, text))
            size += len(text.encode())
            report(Progress(f"held-out text of {one.source.name}", len(chosen), size // BYTES_PER_TOKEN))
            if size >= wanted:
                break
    return chosen


def _candidates(one: Opened, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Documents whose key is small; of a source without any, the one with the smallest."""
    found, least = 0, ("", "")
    with open_strands([one], _with_keys) as strands:
        for _, (key, text) in Mixture(strands, [1.0], lambda item: len(item[1])):
            if int(key[:8], 16) < SHARE * 2**32:
                found += 1
                if key not in seen:
                    yield key, text
            elif not least[0] or key < least[0]:
                least = key, text
    if not least[1] and not found:
        raise UserError(f"The data set {one.source.name} has no text.", hint="choose another split or column")
    if not found and least[0] not in seen:
        yield least


def _with_keys(texts: list[str]) -> list[tuple[str, str]]:
    return [(content_key(text), text) for text in texts]
