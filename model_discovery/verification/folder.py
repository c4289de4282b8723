"""What a verification leaves on disk: ``model/``, ``curve.csv``, ``request.json`` and, last, ``report.json``.

On the way there is ``run/``, with checkpoints, the trained model and what its training came to.
"""

import csv
import io
import os
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from model_discovery.verification.orders import MODEL_FOLDER, TrainAnswer
from model_discovery.verification.report import VerificationReport, VerificationStatus, VerifyRequest

REPORT = "report.json"
REQUEST = "request.json"
CURVE = "curve.csv"
MODEL = "model"
SCRATCH = "run"
TRAINING = "trained.json"  # in SCRATCH, where the sandbox lets no design's code write
# The machine may have been at fault, and may be better now.
_WORTH_ANOTHER_TRY: tuple[VerificationStatus, ...] = ("timeout", "memory", "failed")


def find_report(folder: Path, request: VerifyRequest) -> VerificationReport | None:
    """The report of exactly this request, if it is there and whole."""
    try:
        report = VerificationReport.model_validate_json((folder / REPORT).read_bytes())
    except (OSError, ValidationError):
        return None
    if report.evidence.request_hash != request.hash or report.status in _WORTH_ANOTHER_TRY:
        return None
    if report.ok and not (folder / MODEL).is_dir():
        return None
    return report


class Training(BaseModel):
    """A training that ended well; by ``identity``, of request and data, only its own run goes on with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: str
    answer: TrainAnswer
    peak_memory_mb: FiniteFloat | None


def find_training(folder: Path, identity: str) -> Training | None:
    """The training of an earlier sitting that was cut off while it scored, with its model still in place."""
    if not (folder / SCRATCH / "train" / MODEL_FOLDER).is_dir():
        return None
    try:
        found = Training.model_validate_json((folder / SCRATCH / TRAINING).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.identity == identity else None


def write_training(folder: Path, training: Training) -> None:
    """Keep what a training came to, for a sitting after this one."""
    _write_whole(folder / SCRATCH / TRAINING, training.model_dump_json())


def place_model(saved: Path, tokenizer: Path, folder: Path) -> Path:
    """Move a saved model to where it stays, with its tokenizer."""
    shutil.copyfile(tokenizer, saved / "tokenizer.json")
    place = folder / MODEL
    if place.exists():
        shutil.rmtree(place)
    return saved.replace(place)


def write_report(folder: Path, request: VerifyRequest, report: VerificationReport) -> None:
    """Write curve, request and report, the report last; then drop what was only needed on the way."""
    rows = [(tokens, loss, "train") for tokens, loss in report.curve]
    rows += [(tokens, loss, "held_out") for tokens, loss in report.held_out_curve]
    curve = io.StringIO()
    csv.writer(curve, lineterminator="\n").writerows([("tokens", "loss", "split"), *rows])
    _write_whole(folder / CURVE, curve.getvalue())
    _write_whole(folder / REQUEST, request.model_dump_json(indent=1) + "\n")
    _write_whole(folder / REPORT, report.model_dump_json(indent=1) + "\n")
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def _write_whole(path: Path, text: str) -> None:
    """Write a file aside, then put it in its place: it is there whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
