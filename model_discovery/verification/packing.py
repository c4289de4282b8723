"""Preparing a mixture of data sets: held-out documents first, then the training stream, step by step.

The stream is appended to; now and then its length and the place of every source are written down, after the
bytes themselves are on the disk. An interrupted preparation cuts the stream back to the last such point and
goes on from there, to the same bytes.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from model_discovery.verification.held_out import (
    HeldOut,
    OnProgress,
    Progress,
    choose_held_out,
)
from model_discovery.verification.hub import Opened, open_source
from model_discovery.verification.manifest import TOKENIZER, SourceCounts
from model_discovery.verification.near_duplicates import NearDuplicates
from model_discovery.verification.sources import HubData
from model_discovery.verification.strands import Mixture, Place, open_strands
from model_discovery.verification.streams import token_dtype, write_stream
from model_discovery.verification.text_corpus import content_key
from model_discovery.verification.tokenizers import BPE_SAMPLE_BYTES, encoded, load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SAVE_SECONDS = 10.0
REPORT_SECONDS = 0.2
STATE_VERSION = 1
WORK = "work"

MakeTokenizer = Callable[[Iterable[str]], "tuple[Tokenizer, int, int]"]
"""From training documents, which a tokenizer that exists leaves alone, to the tokenizer, its separator and
its number of entries."""


@dataclass(frozen=True)
class Packed:
    """What was written; ``train`` and ``held_out`` are ``(tokens, documents)``, separators included."""

    train: tuple[int, int]
    held_out: tuple[int, int]
    held_out_bytes: int
    vocab_size: int
    separator_id: int
    sources: tuple[SourceCounts, ...]


class _State(BaseModel):
    """All that a training stream needs to go on; ``bytes`` of it are on the disk."""

    model_config = ConfigDict(extra="forbid")

    version: int
    revisions: list[str | None]
    vocab_size: int
    separator_id: int
    bytes: int = 0
    tokens: int = 0
    documents: list[int]
    near_duplicates: list[int]
    sizes: list[list[int]]
    places: list[list[Place]]


class _Piece(NamedTuple):
    """Tokens of a training document; none where it is a held-out one or resembles one."""

    ids: list[int]
    near_duplicate: bool


def pack(
    data: HubData,
    tokens: int | None,
    draft: Path,
    make_tokenizer: MakeTokenizer,
    *,
    need: str,
    on_progress: OnProgress | None = None,
) -> Packed:
    """Write streams and tokenizer of a mixture into ``draft``, or go on where it was left.

    Parameters
    ----------
    tokens
        Training tokens to make; all there are with ``None``.
    need
        What is needed from the hub, for the message where there is no network.
    """
    report = on_progress or (lambda _: None)
    state = _read_state(draft)
    revisions = state.revisions if state else [None] * len(data.sources)
    opened = [
        open_source(source, need=need, revision=revision)
        for source, revision in zip(data.sources, revisions, strict=True)
    ]
    if state is None:
        state = _begin(data, opened, draft, make_tokenizer, report)
    held_out = [HeldOut(*row) for row in json.loads((draft / WORK / "held_out.json").read_text("utf-8"))]
    tokenizer = load_tokenizer(draft / TOKENIZER, state.vocab_size)
    texts = [text for _, text in held_out]
    written = write_stream(
        draft / "held_out.bin", encoded(tokenizer, texts), state.vocab_size, state.separator_id
    )
    ended = _write_training(state, opened, _treatment(tokenizer, texts), tokens, draft, report)
    return Packed(
        train=(state.tokens + 1, sum(state.documents)),
        held_out=written,
        held_out_bytes=sum(len(text.encode()) for text in texts),
        vocab_size=state.vocab_size,
        separator_id=state.separator_id,
        sources=_counts(state, data, held_out, ended),
    )


def _begin(
    data: HubData, opened: Sequence[Opened], draft: Path, make_tokenizer: MakeTokenizer, report: OnProgress
) -> _State:
    """Hold documents out and make the tokenizer: short, and done again when it is interrupted."""
    (draft / WORK).mkdir(parents=True, exist_ok=True)
    held_out = choose_held_out(data, opened, report)
    keys = frozenset(content_key(text) for _, text in held_out)
    _write_json(draft / WORK / "held_out.json", held_out)
    report(Progress("tokenizer", 0, 0))
    tokenizer, separator, vocab_size = make_tokenizer(_sample(opened, keys))
    tokenizer.save(str(draft / TOKENIZER))
    (draft / "train.bin").write_bytes(b"")
    state = _State(
        version=STATE_VERSION,
        revisions=[one.revision for one in opened],
        vocab_size=vocab_size,
        separator_id=separator,
        documents=[0] * len(opened),
        near_duplicates=[0] * len(opened),
        sizes=[[0] * len(one.parts) for one in opened],
        places=[],
    )
    _save(state, draft)
    return state


def _sample(opened: Sequence[Opened], held_out: frozenset[str]) -> Iterator[str]:
    """Training documents of all sources by their shares, as many as a tokenizer looks at."""
    seen = 0
    with open_strands(opened, list[str]) as strands:
        for _, text in Mixture(strands, _weights(opened), len):
            if content_key(text) not in held_out:
                yield text
                seen += len(text)
            if seen >= BPE_SAMPLE_BYTES:
                return


def _treatment(tokenizer: "Tokenizer", held_out: Sequence[str]) -> Callable[[list[str]], list[_Piece]]:
    """What happens to a batch of documents; depends on nothing but each document."""
    keys = frozenset(map(content_key, held_out))
    index = NearDuplicates(held_out)

    def treat(texts: list[str]) -> list[_Piece]:
        own = [content_key(text) in keys for text in texts]
        near = [hit and not same for hit, same in zip(index.matches(texts), own, strict=True)]
        kept = [not (same or hit) for same, hit in zip(own, near, strict=True)]
        ids = encoded(tokenizer, [text for text, keep in zip(texts, kept, strict=True) if keep])
        return [_Piece(next(ids) if keep else [], hit) for keep, hit in zip(kept, near, strict=True)]

    return treat


def _write_training(
    state: _State,
    opened: Sequence[Opened],
    treat: Callable[[list[str]], list[_Piece]],
    tokens: int | None,
    draft: Path,
    report: OnProgress,
) -> tuple[int, ...]:
    """Append documents until there are ``tokens``, or no more; the sources that ended."""
    dtype = np.dtype(token_dtype(state.vocab_size))
    separator = np.array([state.separator_id], dtype).tobytes()
    with open_strands(opened, treat, state.places) as strands, (draft / "train.bin").open("r+b") as file:
        file.truncate(state.bytes)
        file.seek(state.bytes)
        mixture = Mixture(
            strands, _weights(opened), lambda piece: len(piece.ids) + 1 if piece.ids else 0, state.sizes
        )

        def save() -> None:
            file.flush()
            os.fsync(file.fileno())
            state.bytes, state.sizes, state.places = file.tell(), mixture.sizes, mixture.places
            _save(state, draft)

        saved = told = time.monotonic()
        items = iter(mixture)
        while tokens is None or state.tokens < tokens:
            found = next(items, None)
            if found is None:
                break
            source, piece = found
            state.near_duplicates[source] += piece.near_duplicate
            if piece.ids:
                file.write(separator + np.asarray(piece.ids, dtype).tobytes())
                state.tokens += len(piece.ids) + 1
                state.documents[source] += 1
            now = time.monotonic()
            if now - told > REPORT_SECONDS:
                report(Progress("training text", sum(state.documents), state.tokens, tokens))
                told = now
            if now - saved > SAVE_SECONDS:
                save()
                saved = now
        save()
        file.write(separator)
        return mixture.ended


def _counts(
    state: _State, data: HubData, held_out: Sequence[HeldOut], ended: Sequence[int]
) -> tuple[SourceCounts, ...]:
    weights = sum(source.weight for source in data.sources)
    tokens = [sum(sizes) for sizes in state.sizes]
    return tuple(
        SourceCounts(
            name=source.name,
            config=source.config,
            split=source.split,
            revision=state.revisions[index],
            weight=source.weight / weights,
            share=tokens[index] / max(1, sum(tokens)),
            tokens=tokens[index],
            documents=state.documents[index],
            held_out_documents=sum(one.source == index for one in held_out),
            near_duplicates=state.near_duplicates[index],
            ended=index in ended,
        )
        for index, source in enumerate(data.sources)
    )


def _weights(opened: Sequence[Opened]) -> list[float]:
    return [one.source.weight for one in opened]


def _read_state(draft: Path) -> _State | None:
    """What an interrupted preparation wrote down; ``None`` where there is nothing to go on from."""
    try:
        state = _State.model_validate_json((draft / WORK / "state.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    whole = (draft / "train.bin").exists() and (draft / "train.bin").stat().st_size >= state.bytes
    return state if state.version == STATE_VERSION and whole else None


def _save(state: _State, draft: Path) -> None:
    _write_json(draft / WORK / "state.json", state.model_dump(mode="json"))


def _write_json(path: Path, value: object) -> None:
    """Whole or not at all, also when the machine stops."""
    aside = path.with_suffix(".new")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
