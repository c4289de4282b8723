"""Preparing a recipe's data: made once, whole or not at all, the same bytes for the same recipe."""

import errno
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from model_discovery.errors import UserError
from model_discovery.verification import manifest as manifests
from model_discovery.verification.manifest import DataManifest, Split, load_manifest
from model_discovery.verification.recipes import CorpusData, GrammarData, Recipe
from model_discovery.verification.streams import open_stream, token_dtype, unigram_loss, write_stream

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from model_discovery.verification.grammar import Grammar


def prepare(recipe: Recipe, scale: str, data_dir: str | Path) -> DataManifest:
    """Prepare the data of ``recipe`` at ``scale`` below ``data_dir``, or find it there.

    The data is made in a folder beside its place and moved in when it is whole, under a lock: a killed
    preparation leaves nothing that is taken for data, and of two processes one makes it and the other
    waits. Files found are compared with their checksums.

    Raises
    ------
    UserError
        A damaged file, a corpus that changed or is too small, a folder that cannot be written.
    """
    root = Path(data_dir)
    folder = root / f"{recipe.name}-{recipe.data_key(scale)}"
    try:
        if not folder.exists():
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):
                if not folder.exists():
                    _make(recipe, scale, folder)
    except OSError as error:
        raise _disk_error(folder, error) from error
    found = load_manifest(folder)
    found.verify()
    return found


def _make(recipe: Recipe, scale: str, folder: Path) -> None:
    draft = folder.with_name(f".{folder.name}.draft")
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
    from model_discovery.verification.tokenizers import train_bpe

    path = Path(data.path)
    if checksum_corpus(path)[0] != data.checksum:
        raise UserError(
            f"The corpus {path} changed since the recipe was made.", hint="start a new campaign for it"
        )
    corpus = read_corpus(path, held_out_share=data.held_out_share, text_field=data.text_field)
    tokenizer = train_bpe(corpus.train, recipe.vocabulary_for(scale) or 0)
    tokenizer.save(str(draft / manifests.TOKENIZER))
    vocab_size = tokenizer.get_vocab_size()
    notes = [f"not text, left out: {name}" for name in corpus.skipped]
    if corpus.duplicates:
        notes.append(f"documents that occur more than once: {corpus.duplicates} copies left out")
    return _Made(
        vocab_size=vocab_size,
        train=write_stream(draft / "train.bin", _encoded(tokenizer, corpus.train), vocab_size),
        held_out=write_stream(draft / "held_out.bin", _encoded(tokenizer, corpus.held_out), vocab_size),
        held_out_bytes=sum(len(text.encode()) for text in corpus.held_out),
        notes=tuple(notes),
    )


def _encoded(tokenizer: "Tokenizer", texts: tuple[str, ...]) -> Iterator[list[int]]:
    for first in range(0, len(texts), 256):
        for encoding in tokenizer.encode_batch_fast(
            list(texts[first : first + 256]), add_special_tokens=False
        ):
            yield encoding.ids


def _finish(recipe: Recipe, scale: str, made: _Made, draft: Path) -> None:
    step = recipe.batch_size_for(scale) * recipe.context
    for side, (tokens, _), least in (
        ("training", made.train, step),
        ("held-out", made.held_out, recipe.context),
    ):
        if tokens <= least:
            raise UserError(
                f"The data has {tokens} {side} tokens; at {scale} it needs more than {least}.",
                hint="use more text",
            )
    dtype = token_dtype(made.vocab_size)
    train, held_out = (open_stream(draft / f"{split}.bin", dtype) for split in ("train", "held_out"))
    files = manifests.list_files(draft)
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
    ).save()


def _disk_error(folder: Path, error: OSError) -> UserError:
    if error.errno == errno.ENOSPC:
        return UserError(
            f"The disk is full: {folder} could not be written.", hint="free some space and run it again"
        )
    return UserError(
        f"Data cannot be prepared in {folder.parent}: {error.strerror or error}.",
        hint="choose a folder you may write, with DATA_DIR",
    )
