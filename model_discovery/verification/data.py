"""Preparing a recipe's data: made once, whole or not at all, the same bytes for the same recipe."""

import errno
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from model_discovery.errors import UserError
from model_discovery.verification import manifest as manifests
from model_discovery.verification.held_out import OnProgress
from model_discovery.verification.manifest import DataManifest, SourceCounts, Split, load_manifest
from model_discovery.verification.near_duplicates import NearDuplicates
from model_discovery.verification.packing import WORK, pack
from model_discovery.verification.recipe import CorpusData, GrammarData, Recipe
from model_discovery.verification.sources import HubData, local_source
from model_discovery.verification.streams import open_stream, token_dtype, unigram_loss, write_stream
from model_discovery.verification.tokenizers import SEPARATOR_ID, encoded

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from model_discovery.verification.grammar import Grammar


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def prepare(
    recipe: Recipe, scale: str, data_dir: str | Path, on_progress: OnProgress | None = None
) -> DataManifest:
    """Prepare the data of ``recipe`` at ``scale`` below ``data_dir``, or find it there.

    The data is made in a folder beside its place and moved in when it is whole, under a lock: a killed
    preparation leaves nothing that is taken for data, and of two processes one makes it and the other
    waits. What was made of data sets goes on where it was left. Files found are compared with their
    checksums.

    Raises
    ------
    UserError
        A damaged file, a corpus that changed or is too small, data sets that cannot be had, a folder that
        cannot be written.
    """
    root = Path(data_dir)
    folder = root / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', recipe.name)}-{recipe.data_key(scale)}"
    try:
        if not folder.exists():
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):
                if not folder.exists():
                    _make(recipe, scale, folder, on_progress)
    except OSError as error:
        raise _disk_error(folder, error) from error
    found = load_manifest(folder)
    found.verify()
    return found


def _make(recipe: Recipe, scale: str, folder: Path, on_progress: OnProgress | None) -> None:
    draft = folder.with_name(f".{folder.name}.draft")
    if recipe.hub is not None:
        draft.mkdir(exist_ok=True)
        try:
            _finish(recipe, scale, _make_hub(recipe, recipe.hub, scale, draft, on_progress), draft)
        except UserError:
            if not (draft / WORK / "state.json").exists():
                shutil.rmtree(draft, ignore_errors=True)
            raise
        shutil.rmtree(draft / WORK)
        draft.replace(folder)
        return
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        if recipe.grammar is not None:
            made = _make_grammar(recipe.grammar, recipe.unique_tokens_for(scale) or 0, draft)
        else:
            assert recipe.corpus is not None
            made = _make_text(recipe, recipe.corpus, scale, draft)
        _finish(recipe, scale, made, draft)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.replace(folder)


@dataclass(frozen=True)
class _Made:
    """Streams that were written into a draft: ``(tokens, documents)`` a split."""

    vocab_size: int
    train: tuple[int, int]
    held_out: tuple[int, int]
    held_out_bytes: int
    phenomena: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    separator_id: int = SEPARATOR_ID
    sources: tuple[SourceCounts, ...] = ()


def _make_grammar(data: GrammarData, train_tokens: int, draft: Path) -> _Made:
    from model_discovery.verification.grammar import Grammar
    from model_discovery.verification.tokenizers import word_tokenizer

    grammar = Grammar(data.seed)
    tokenizer = word_tokenizer(grammar.words)
    tokenizer.save(str(draft / manifests.TOKENIZER))
    ids: dict[str, int] = tokenizer.get_vocab()
    vocab_size = tokenizer.get_vocab_size()
    held_out = list(_documents(grammar, "held_out", data.held_out_tokens))
    return _Made(
        vocab_size=vocab_size,
        train=write_stream(
            draft / "train.bin",
            ([ids[word] for word in words] for words in _documents(grammar, "train", train_tokens)),
            vocab_size,
        ),
        held_out=write_stream(
            draft / "held_out.bin", ([ids[word] for word in words] for words in held_out), vocab_size
        ),
        held_out_bytes=sum(len(" ".join(words).encode()) for words in held_out),
        phenomena=grammar.write_pairs(draft / manifests.PAIRS, data.pairs_per_set),
    )


def _documents(grammar: "Grammar", split: Split, tokens: int) -> Iterator[list[str]]:
    """Documents until their stream has at least ``tokens`` targets."""
    total = 0
    for words in grammar.documents(split):
        yield words
        total += len(words) + 1
        if total >= tokens:
            return


def _make_text(recipe: Recipe, data: CorpusData, scale: str, draft: Path) -> _Made:
    from model_discovery.verification.text_corpus import checksum_corpus, read_corpus

    path = Path(data.path)
    if checksum_corpus(path)[0] != data.checksum:
        raise UserError(
            f"The corpus {path} changed since the recipe was made.", hint="start a new campaign for it"
        )
    corpus = read_corpus(path, held_out_share=data.held_out_share, text_field=data.text_field)
    near = NearDuplicates(corpus.held_out).matches(corpus.train)
    train = tuple(text for text, hit in zip(corpus.train, near, strict=True) if not hit)
    tokenizer, separator, vocab_size = _tokenizer(recipe, scale, train)
    tokenizer.save(str(draft / manifests.TOKENIZER))
    notes = [f"not text, left out: {name}" for name in corpus.skipped]
    if corpus.duplicates:
        notes.append(f"documents that occur more than once: {corpus.duplicates} copies left out")
    if any(near):
        notes.append(f"near-duplicates of held-out documents: {sum(near)} left out of {len(near)}")
    return _Made(
        vocab_size=vocab_size,
        train=write_stream(draft / "train.bin", encoded(tokenizer, train), vocab_size, separator),
        held_out=write_stream(
            draft / "held_out.bin", encoded(tokenizer, corpus.held_out), vocab_size, separator
        ),
        held_out_bytes=sum(len(text.encode()) for text in corpus.held_out),
        notes=tuple(notes),
        separator_id=separator,
    )


def _make_hub(
    recipe: Recipe, data: HubData, scale: str, draft: Path, on_progress: OnProgress | None
) -> _Made:
    for source in data.sources:
        if source.checksum and local_source(Path(source.dataset)).checksum != source.checksum:
            raise UserError(
                f"The data set {source.dataset} changed since the recipe was made.",
                hint="start a new campaign for it",
            )
    tokens = recipe.unique_tokens_for(scale)
    packed = pack(
        data,
        tokens,
        draft,
        lambda texts: _tokenizer(recipe, scale, texts),
        need=_need(recipe, data, scale, tokens),
        on_progress=on_progress,
    )
    return _Made(
        vocab_size=packed.vocab_size,
        train=packed.train,
        held_out=packed.held_out,
        held_out_bytes=packed.held_out_bytes,
        notes=tuple(_mixture_notes(packed.sources, tokens)),
        separator_id=packed.separator_id,
        sources=packed.sources,
    )


def _tokenizer(recipe: Recipe, scale: str, texts: Iterable[str]) -> "tuple[Tokenizer, int, int]":
    """The recipe's tokenizer, its separator and its number of entries."""
    from model_discovery.verification.foreign_tokenizers import open_foreign
    from model_discovery.verification.tokenizers import entries, train_bpe

    if recipe.tokenizer == "bpe":
        tokenizer = train_bpe(texts, recipe.vocabulary_for(scale) or 0)
        return tokenizer, SEPARATOR_ID, entries(tokenizer)
    tokenizer, separator = open_foreign(recipe.tokenizer)
    return tokenizer, separator, entries(tokenizer)


def _need(recipe: Recipe, data: HubData, scale: str, tokens: int | None) -> str:
    """What a recipe takes from the hub, in words."""
    sizes = [f"{source.name}{f' ({source.size})' if source.size else ''}" for source in data.remote]
    reads = "" if tokens is None else f"; {scale} reads about {_megabytes(tokens * 4.5)} of it"
    return f"the recipe '{recipe.name}' needs {', '.join(sizes)}{reads}; it"


def _megabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6)):,} MB"


def _mixture_notes(sources: tuple[SourceCounts, ...], tokens: int | None) -> Iterator[str]:
    for source in sources:
        if source.near_duplicates:
            yield (
                f"near-duplicates of held-out documents: {source.near_duplicates} left out of "
                f"{source.documents + source.near_duplicates} of {source.name}"
            )
        if source.ended and tokens is not None and len(sources) > 1:
            yield (
                f"{source.name} ran out after {source.tokens:,} tokens: {source.share:.1%} of the text "
                f"instead of {source.weight:.1%}"
            )
        elif source.ended and tokens is not None:
            yield f"{source.name} has {source.tokens:,} tokens: a run of {tokens:,} goes over them again"


def _finish(recipe: Recipe, scale: str, made: _Made, draft: Path) -> None:
    step = recipe.batch_size_for(scale) * recipe.context
    for side, (tokens, _), least in (
        ("training", made.train, step),
        ("held-out", made.held_out, recipe.context),
    ):
        if tokens <= least:
            notes = "".join(f"; {note}" for note in made.notes)
            raise UserError(
                f"The data has {tokens} {side} tokens; at {scale} it needs more than {least}{notes}.",
                hint="use more text",
            )
    dtype = token_dtype(made.vocab_size)
    train, held_out = (open_stream(draft / f"{split}.bin", dtype) for split in ("train", "held_out"))
    files = tuple(file for file in manifests.list_files(draft) if not file.name.startswith(f"{WORK}/"))
    DataManifest(
        folder=draft,
        key=recipe.data_key(scale),
        vocab_size=made.vocab_size,
        dtype=dtype,
        train_tokens=made.train[0],
        held_out_tokens=made.held_out[0],
        train_documents=made.train[1],
        held_out_documents=made.held_out[1],
        bytes_per_token=made.held_out_bytes / held_out.targets,
        unigram_loss=unigram_loss(train, held_out, made.vocab_size),
        phenomena=made.phenomena,
        files=files,
        checksum=manifests.files_checksum(files),
        notes=made.notes,
        separator_id=made.separator_id,
        sources=made.sources,
    ).save()


def _disk_error(folder: Path, error: OSError) -> UserError:
    if error.errno in _FULL:
        return UserError(
            f"The disk is full: {folder} could not be written.", hint="free some space and run it again"
        )
    return UserError(
        f"Data cannot be prepared in {folder.parent}: {error.strerror or error}.",
        hint="choose a folder you may write, with DATA_DIR",
    )
