"""Small papers for tests of the library, and a library without shipped cards."""

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from model_discovery.library.library import PaperLibrary
from model_discovery.library.types import Paper, Passage

# Of Linux: to read and write in spite of a file's modes (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH).
_OVERRIDES, _VERSION_3 = 0b110, 0x20080522
ABSTRACTS = {
    "attention": "We replace recurrence by attention over all positions of a sequence, with several heads.",
    "rotary": "Queries and keys are rotated by an angle that grows with their position in the sequence.",
    "retention": "A decaying state is kept for each head, so decoding needs constant memory a token.",
    "mixture": "A router sends each token to few of many feed-forward experts, balanced by an extra loss.",
    "convolution": "Long implicit convolutions with gates are computed by the fast Fourier transform.",
    "norm": "Activations are divided by their root mean square; the mean is not subtracted.",
    "delta": "The fast weight matrix is corrected by the error of its own prediction, the delta rule.",
    "scan": "A linear recurrence with input-dependent gates is computed by a parallel prefix scan.",
}


def paper(id_: str, title: str = "") -> Paper:
    """A paper of one's own."""
    return Paper(id=id_, title=title or f"On {id_}", authors=("Ada Example",), year=2024, source="papers")


def passage(text: str, section: str = "Abstract", page: int | None = 1) -> Passage:
    """A passage of a first page."""
    return Passage(section=section, text=text, page=page)


def small_papers() -> list[tuple[Paper, Sequence[Passage]]]:
    """Eight papers of one passage each."""
    return [(paper(id_), [passage(text)]) for id_, text in ABSTRACTS.items()]


@contextmanager
def own_library(folder: Path, cards: Path | None = None, **options: object) -> Iterator[PaperLibrary]:
    """A library without cards, or with those of a folder."""
    library = PaperLibrary.open(folder, cards=cards or folder / "no cards", **options)  # type: ignore[arg-type]
    try:
        yield library
    finally:
        library.close()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing in the folder may be written; not by root either, who gives up that power meanwhile."""
    before = _capabilities()
    _set_modes(folder, 0o555, 0o444)
    _set_capabilities(before & ~_OVERRIDES)
    try:
        yield
    finally:
        _set_capabilities(before)
        _set_modes(folder, 0o755, 0o644)


@contextmanager
def writable_again(folder: Path) -> Iterator[None]:
    """Within `read_only`: for a moment its owner may write."""
    _set_modes(folder, 0o755, 0o644)
    yield
    _set_modes(folder, 0o555, 0o444)


def _set_modes(folder: Path, of_folder: int, of_files: int) -> None:
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(of_files)
    folder.chmod(of_folder)


def _capabilities() -> int:
    """The effective capabilities of this thread, as bits."""
    [line] = [line for line in Path("/proc/thread-self/status").read_text().splitlines() if "CapEff" in line]
    return int(line.split()[1], 16)


def _set_capabilities(effective: int) -> None:
    libc, header = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then their upper halves
    assert libc.capget(header, sets) == 0
    sets[0], sets[3] = effective & 0xFFFFFFFF, effective >> 32
    assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())
