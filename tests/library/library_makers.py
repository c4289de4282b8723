"""Small papers for tests of the library, and a library without shipped cards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from model_discovery.library.library import PaperLibrary
from model_discovery.library.types import Paper, Passage

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
