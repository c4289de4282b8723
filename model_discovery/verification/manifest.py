"""What prepared data is: its files with checksums, its counts, and the losses that frame a model's."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from model_discovery.errors import UserError
from model_discovery.verification.streams import Stream, open_stream

MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
PAIRS = "pairs"
REMAKE = "delete the folder and run the command again: the same recipe gives the same bytes"

Split = Literal["train", "held_out"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataFile(_Frozen):
    """A file of the folder, by its relative name."""

    name: str
    bytes: int
    sha256: str


class SourceCounts(_Frozen):
    """What one source of a mixture gave.

    Attributes
    ----------
    revision
        Commit on the hub; ``None`` of a local data set.
    weight, share
        Of the training tokens: asked for, and reached.
    near_duplicates
        Documents left out because they resemble a held-out one.
    ended
        Whether it had nothing more to give.
    """

    name: str
    config: str | None
    split: str
    revision: str | None
    weight: float
    share: float
    tokens: int
    documents: int
    held_out_documents: int
    near_duplicates: int
    ended: bool


class DataManifest(_Frozen):
    """Prepared data of one recipe at one scale.

    Attributes
    ----------
    folder
        Where it lies.
    dtype
        Numpy type of the streams.
    train_tokens, held_out_tokens
        Lengths of the streams, separators included.
    bytes_per_token
        UTF-8 bytes of the held-out text per held-out token: bits per byte = nats per token / (ln 2 · this).
    unigram_loss
        Held-out loss in nats per token of the training frequencies.
    checksum
        Over names and contents of all files; reports on data of different checksums cannot be compared.
    notes
        What was left out, in words.
    separator_id
        Token that stands before every document and after the last.
    sources
        Of a mixture of data sets, what each gave.
    """

    folder: Path
    key: str
    vocab_size: int
    dtype: str
    train_tokens: int
    held_out_tokens: int
    train_documents: int
    held_out_documents: int
    bytes_per_token: float
    unigram_loss: float
    phenomena: tuple[str, ...]
    files: tuple[DataFile, ...]
    checksum: str
    notes: tuple[str, ...] = ()
    separator_id: int = 0
    sources: tuple[SourceCounts, ...] = ()

    @property
    def tokenizer(self) -> Path:
        """The tokenizer in the hub's format."""
        return self.folder / TOKENIZER

    @property
    def pairs(self) -> Path | None:
        """Folder of minimal pairs, one JSONL a phenomenon; ``None`` where the recipe has none."""
        return self.folder / PAIRS if self.phenomena else None

    def stream(self, split: Split) -> Stream:
        """Map one split."""
        return open_stream(self.folder / f"{split}.bin", self.dtype)

    def verify(self) -> None:
        """Compare every file with its checksum; raises ``UserError`` naming the first damaged one."""
        for file in self.files:
            path = self.folder / file.name
            if not path.is_file():
                raise UserError(f"Prepared data is damaged: {path} is missing.", hint=REMAKE)
            if path.stat().st_size != file.bytes or hash_file(path) != file.sha256:
                raise UserError(f"Prepared data is damaged: {path} is not what was written.", hint=REMAKE)

    def save(self) -> None:
        """Write the manifest into its folder; the folder's own place is not part of it."""
        text = self.model_dump_json(indent=2, exclude={"folder"}) + "\n"
        (self.folder / MANIFEST).write_text(text, encoding="utf-8")


def load_manifest(folder: Path) -> DataManifest:
    """Read the manifest of a prepared folder, without looking at the files it lists."""
    path = folder / MANIFEST
    try:
        data = DataManifest.model_validate_json(_with_folder(path.read_bytes(), folder))
    except FileNotFoundError as error:
        raise UserError(f"Prepared data is damaged: {path} is missing.", hint=REMAKE) from error
    except (ValidationError, ValueError) as error:
        raise UserError(f"Prepared data is damaged: {path} cannot be read.", hint=REMAKE) from error
    if data.checksum != files_checksum(data.files):
        raise UserError(f"Prepared data is damaged: {path} does not fit its own checksum.", hint=REMAKE)
    return data


def list_files(folder: Path) -> tuple[DataFile, ...]:
    """Every file below ``folder`` but the manifest, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return tuple(
        DataFile(name=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256=hash_file(path))
        for path in paths
    )


def files_checksum(files: tuple[DataFile, ...]) -> str:
    """One checksum over all files."""
    text = "\n".join(f"{file.sha256} {file.name}" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _with_folder(content: bytes, folder: Path) -> bytes:
    import json

    data = json.loads(content)
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return json.dumps({**data, "folder": str(folder)}).encode()
