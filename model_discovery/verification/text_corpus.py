"""The reader's own text: any folder or file of text or JSONL, as documents, split by document.

A small file is one document; a big one is cut at blank lines, or at line ends where it has none. Which
documents are held out depends only on their contents, and identical ones count once, so none is on both
sides.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_discovery.errors import UserError, nearest

JSONL_SUFFIXES = frozenset({".jsonl", ".ndjson"})
BIG_FILE = 16_384
DOCUMENT = 1_024
LONGEST = 65_536
FEWEST_DOCUMENTS = 20


@dataclass(frozen=True)
class Corpus:
    """Documents of the two sides, and what was left out: files that are not text, documents seen before."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    skipped: tuple[str, ...]
    duplicates: int


def checksum_corpus(path: Path) -> tuple[str, int]:
    """``(sha256 of names and contents, bytes)`` of the text files; ``UserError`` when there are none."""
    files, _ = _text_files(path)
    digest, size = hashlib.sha256(), 0
    for file in files:
        data = file.read_bytes()
        digest.update(f"{_name(path, file)}\0{len(data)}\0".encode())
        digest.update(data)
        size += len(data)
    return digest.hexdigest(), size


def read_corpus(path: Path, *, held_out_share: float = 0.05, text_field: str = "text") -> Corpus:
    """Read every text file below ``path`` and split its documents.

    Raises
    ------
    UserError
        Nothing there, no text in it, a text file that is not UTF-8, a broken JSONL line, or fewer than two
        documents.
    """
    files, skipped = _text_files(path)
    whole = [document for file in files for document in _file_documents(file, text_field)]
    documents = [piece for document in whole for piece in _cut(document, DOCUMENT, over=BIG_FILE)]
    if not whole:
        raise UserError(f"The corpus {path} is empty.", hint="give a folder or a file of text or JSONL")
    if len(documents) < FEWEST_DOCUMENTS:
        size = max(1, min(DOCUMENT, sum(map(len, documents)) // FEWEST_DOCUMENTS))
        documents = [piece for document in whole for piece in _cut(document, size, over=size)]
    unique = {content_key(document): document for document in reversed(documents)}
    ordered = list(reversed(unique.items()))
    if len(ordered) < 2:
        raise UserError(
            f"The corpus {path} is a single document; none would be left to hold out.",
            hint="use more text, with blank lines or line ends between its documents",
        )
    held_out = _held_out_keys(ordered, held_out_share)
    return Corpus(
        train=tuple(text for key, text in ordered if key not in held_out),
        held_out=tuple(text for key, text in ordered if key in held_out),
        skipped=skipped,
        duplicates=len(documents) - len(ordered),
    )


def _held_out_keys(documents: list[tuple[str, str]], share: float) -> frozenset[str]:
    """The smallest keys whose documents together make up ``share`` of the text; one at least."""
    wanted = share * sum(len(text) for _, text in documents)
    chosen: list[str] = []
    size = 0
    for key, text in sorted(documents)[:-1]:
        if chosen and size >= wanted:
            break
        chosen.append(key)
        size += len(text)
    return frozenset(chosen)


def content_key(document: str) -> str:
    """Of the words, whatever the white space between them."""
    return hashlib.sha256(" ".join(document.split()).encode()).hexdigest()


def _name(root: Path, file: Path) -> str:
    return file.name if root.is_file() else file.relative_to(root).as_posix()


def _text_files(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Text files in the order of their names, and the names of others; hidden files are passed over."""
    if not path.exists():
        raise UserError(f"There is no corpus at {path}.", hint="give a folder or a file of text or JSONL")
    if path.is_file():
        candidates = [path]
    else:
        found = (file for file in path.rglob("*") if file.is_file() and not _hidden(path, file))
        candidates = sorted(found, key=lambda file: _name(path, file))
    texts = [file for file in candidates if not _is_binary(file)]
    skipped = tuple(_name(path, file) for file in candidates if file not in set(texts))
    if candidates and not texts:
        raise UserError(f"The corpus {path} is binary, not text.", hint="give UTF-8 text or JSONL")
    texts = [file for file in texts if file.stat().st_size]
    if not texts:
        raise UserError(f"The corpus {path} is empty.", hint="give a folder or a file of text or JSONL")
    return texts, skipped


def _hidden(root: Path, file: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def _is_binary(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(8192)
    except OSError as error:
        raise UserError(f"The corpus file {file} cannot be read: {error.strerror}.") from error
    return b"\0" in head


def _read_text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"The corpus file {file} is not UTF-8 text (byte {error.start}).",
            hint=f"convert it: iconv -f latin1 -t utf-8 '{file.name}'",
        ) from error


def _file_documents(file: Path, text_field: str) -> Iterator[str]:
    text = _read_text(file)
    if file.suffix.lower() in JSONL_SUFFIXES:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                document = _json_document(file, number, line, text_field).strip()
                if document:
                    yield document
    elif text.strip():
        yield text.strip()


def _json_document(file: Path, number: int, line: str, text_field: str) -> str:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file}, line {number}: not JSON ({error.msg}).", hint="one JSON object a line"
        ) from error
    value = row.get(text_field) if isinstance(row, dict) else row
    if isinstance(value, str):
        return value
    names = list(row) if isinstance(row, dict) else []
    raise UserError(
        f"{file}, line {number}: no text field '{text_field}'.{nearest(text_field, names)}",
        hint=f"each line is an object with '{text_field}', or a string",
    )


def _cut(document: str, size: int, *, over: int) -> list[str]:
    """Pieces of at least ``size`` characters: paragraphs, or lines where paragraphs are missing."""
    if len(document) <= over:
        return [document]
    pieces = _gathered(document.split("\n\n"), "\n\n", size)
    lines = [part for piece in pieces for part in _gathered_lines(piece, size)]
    return [part for line in lines for part in _cut_long(line, max(size, LONGEST))]


def _gathered_lines(piece: str, size: int) -> list[str]:
    return [piece] if len(piece) <= 16 * size else _gathered(piece.split("\n"), "\n", size)


def _gathered(parts: list[str], glue: str, size: int) -> list[str]:
    """Neighbouring parts joined until each is at least ``size`` long; the rest is the last."""
    pieces: list[str] = []
    held: list[str] = []
    length = 0
    for part in parts:
        if not part.strip():
            continue
        held.append(part.strip("\n"))
        length += len(part)
        if length >= size:
            pieces.append(glue.join(held))
            held, length = [], 0
    if held:
        pieces.append(glue.join(held))
    return pieces


def _cut_long(line: str, most: int) -> list[str]:
    """Cut a line without end at spaces."""
    pieces = []
    while len(line) > most:
        at = line.rfind(" ", 0, most)
        at = at if at > 0 else most
        pieces.append(line[:at])
        line = line[at:].lstrip()
    return [*pieces, line] if line else pieces
