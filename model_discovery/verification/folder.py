"""What a verification leaves on disk: ``model/``, ``curve.csv`` and, last of all, ``report.json``."""

import csv
import os
import shutil
from pathlib import Path

from pydantic import ValidationError

from model_discovery.verification.report import VerificationReport, VerificationStatus, VerifyRequest

REPORT = "report.json"
CURVE = "curve.csv"
MODEL = "model"
SCRATCH = "run"
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


def place_model(saved: Path, tokenizer: Path, folder: Path) -> Path:
    """Move a saved model to where it stays, with its tokenizer."""
    shutil.copyfile(tokenizer, saved / "tokenizer.json")
    place = folder / MODEL
    if place.exists():
        shutil.rmtree(place)
    return saved.replace(place)


def write_report(folder: Path, report: VerificationReport) -> None:
    """Write curve and report, the report last and whole; then drop what was only needed on the way."""
    with (folder / CURVE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["tokens", "loss", "split"])
        writer.writerows((tokens, loss, "train") for tokens, loss in report.curve)
        writer.writerows((tokens, loss, "held_out") for tokens, loss in report.held_out_curve)
    part = folder / f"{REPORT}.part"
    with part.open("w", encoding="utf-8") as file:
        file.write(report.model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / REPORT)
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
