"""A PDF read into a paper and its passages, in a process of its own."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.library.chunking import passages_of
from model_discovery.library.front_page import read_front
from model_discovery.library.layout import Line, Page, body_size, in_reading_order, read_page
from model_discovery.library.sections import read_sections
from model_discovery.library.types import Paper, Passage

MOST_PAGES = 1500
MOST_SECONDS = 60
MOST_BYTES = 512 << 20
_PROGRAM = Path(__file__).with_name("pdf_child.py")
_ARXIV_STAMP = re.compile(r"arXiv:\s?(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})", re.IGNORECASE)
_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"<>{}|]+[^\s\"<>{}|.,;:)\]]")
_YEAR = re.compile(r"\b(?:19[5-9]\d|20[0-4]\d)\b")


@dataclass(frozen=True)
class ReadPaper:
    """A paper as its file tells it; ``notes`` say what could not be read as it should."""

    paper: Paper
    passages: list[Passage]
    notes: list[str] = field(default_factory=list)


class UnreadableFile(UserError):
    """A file that gives no text; the message says why."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, exit_code=EXIT_FAILED)


def file_id(path: Path) -> str:
    """The id of a paper that is a file: by its bytes."""
    with _open(path) as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:24]}"


def read_pdf(path: Path, *, most_pages: int = MOST_PAGES, most_seconds: int = MOST_SECONDS) -> ReadPaper:
    """Title, authors and passages of a paper; references are left out.

    Parameters
    ----------
    path
        The file; it need not be trusted.
    most_pages, most_seconds
        How much is read at most; what was read until then is kept, with a note.

    Raises
    ------
    UnreadableFile
        Empty, no PDF, needs a password, damaged beyond repair, or without text (scanned).
    """
    _check(path)
    facts, pages, notes = _pages(path, most_pages, most_seconds)
    lines = in_reading_order(pages)
    if sum(len(line.text.split()) for line in lines) < 5 + len(pages) // 2:
        if not pages:
            raise UnreadableFile(f"{path} is damaged: no page can be read.")
        raise UnreadableFile(
            f"{path} has no text on its {len(pages):,} pages: it seems to be scanned.",
            hint="make text of it with a program such as ocrmypdf, then add the result",
        )
    body = body_size(lines)
    front = read_front(lines, body, facts.get("metadata", {}))
    sections = read_sections(front.text, body) or read_sections(lines, body)
    if not any(section.heading == "Abstract" for section in sections):
        notes.append("no abstract was found")
    passages = passages_of(sections)
    arxiv, doi, year = _printed(pages[0])
    title = front.title or path.stem
    paper = Paper(
        id=file_id(path), title=title, authors=front.authors, year=year, arxiv=arxiv, doi=doi, source="papers"
    )
    return ReadPaper(paper, passages, notes)


def _open(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}.") from None


def _check(path: Path) -> None:
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(1024)
    if size == 0:
        raise UnreadableFile(f"{path} is empty.")
    if size > MOST_BYTES:
        raise UnreadableFile(f"{path} is larger than {MOST_BYTES >> 20} MiB.")
    if b"%PDF-" not in head:
        raise UnreadableFile(f"{path} is no PDF.")


def _pages(path: Path, most_pages: int, seconds: int) -> tuple[dict[str, Any], list[Page], list[str]]:
    """Facts of the file, its pages as far as they could be read, and what is to be said about them."""
    with tempfile.TemporaryFile() as output:
        ended = _run(path, most_pages, seconds, output)
        output.seek(0)
        records = list(_records(output))
    facts = records[0] if records else {}
    if "error" in facts:
        raise UnreadableFile(f"{path} is damaged beyond repair.")
    if facts.get("needs_password"):
        raise UnreadableFile(f"{path} needs a password.", hint="save it without one, then add it")
    if "pages" not in facts:
        raise UnreadableFile(f"{path} cannot be read: {ended or 'the reader ended early'}.")
    pages = [read_page(record) for record in records if "lines" in record]
    notes = []
    if facts["repaired"]:
        notes.append("the file is damaged; what could be repaired was read")
    if facts["protected"]:
        notes.append("the file is protected by its owner")
    if len(pages) < facts["pages"]:
        why = ended if "done" not in records[-1] else ""
        why = why or (f"no more than {most_pages:,} are" if facts["pages"] > most_pages else "damaged")
        notes.append(f"{len(pages):,} of {facts['pages']:,} pages were read ({why})")
    return facts, pages, notes


def _run(path: Path, most_pages: int, seconds: int, output: IO[bytes]) -> str:
    """Run the reading program; returns why it ended before its end, if so."""
    # -P: the folder of the program is no place to import from, it has modules named as those of Python.
    command = [
        sys.executable,
        "-P",
        str(_PROGRAM),
        os.fspath(path.absolute()),
        str(most_pages),
        str(seconds + 5),
    ]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL, env=kept
    )
    try:
        code = child.wait(seconds)
    except subprocess.TimeoutExpired:
        return f"it took longer than {seconds} s"
    finally:
        child.kill()
        child.wait()
    return "" if code == 0 else f"the reader ended with {f'signal {-code}' if code < 0 else f'code {code}'}"


def _records(output: IO[bytes]) -> Iterator[dict[str, Any]]:
    """What the program printed; a line that it could not finish, or that a library wrote, is left out."""
    for line in output:
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


def _printed(page: Page) -> tuple[str, str, int | None]:
    """arXiv id, DOI and year as the first page states them; turned text and margins included."""
    lines: Sequence[Line] = page.lines
    text = "\n".join(line.text for line in lines)
    stamp = _ARXIV_STAMP.search(text)
    arxiv = stamp[1] if stamp else ""
    dois = sorted(set(_DOI.findall(text)))
    if arxiv[:2].isdigit():
        return arxiv, dois[0] if len(dois) == 1 else "", 2000 + int(arxiv[:2])
    edges = [line for line in lines if line.y1 < 0.09 * page.height or line.y0 > 0.91 * page.height]
    years = {int(year) for line in edges for year in _YEAR.findall(line.text)}
    return arxiv, dois[0] if len(dois) == 1 else "", years.pop() if len(years) == 1 else None
