"""Title and authors of a paper, and where its text begins."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model_discovery.library.headings import is_heading, opens_abstract, plain_heading
from model_discovery.library.layout import Line

_SEPARATORS = re.compile(r"\s{2,}|[,;·•|&]|\band\b|\^|[\d∗*†‡§¶♠♥♦♣⋄]+")
_NAME = re.compile(r"[^\W\d_][^\W\d_.'’`´-]*(?:[.'’`´-][^\W\d_]*)*\.?")
_PARTICLES = {"de", "da", "di", "del", "della", "den", "der", "des", "du", "la", "le", "el", "al", "bin",
              "ten", "ter", "van", "von", "zu", "dos", "y"}  # fmt: skip
_NO_NAME = re.compile(
    r"universit|institut|department|dept|school|college|laborator|\blabs?\b|research|cent(er|re)\b|google|"
    r"deepmind|microsoft|\bmeta\b|facebook|openai|anthropic|nvidia|amazon|\bapple\b|\bibm\b|\binc\b|\bcorp|"
    r"\bltd\b|gmbh|academy|faculty|\bgroup\b|\bteam\b|\bai\b|brain|technolog|scienc|engineering|correspond|"
    r"equal|contribut|\busa\b|\bchina\b|\buk\b|\babstract\b|preprint|conference|journal|proceedings|"
    r"work done|author|anonymous|under review|@|http|\.com|\.edu",
    re.IGNORECASE,
)
_NO_TITLE = re.compile(r"^(untitled|microsoft word|powerpoint)|\.(dvi|tex|docx?|pdf|indd|ps)$", re.IGNORECASE)

_MOST_TITLE_LINES = 5


@dataclass(frozen=True)
class Front:
    """Title and authors, and the lines of the text that follows them."""

    title: str
    authors: tuple[str, ...]
    text: tuple[Line, ...]


def read_front(lines: Sequence[Line], body: float, metadata: dict[str, str]) -> Front:
    """Title, authors, and the lines from the abstract or the first section on.

    Parameters
    ----------
    lines
        In reading order.
    body
        Size of the text, in points.
    metadata
        ``title`` and ``author`` of the file; used where the page does not tell.
    """
    first = [index for index, line in enumerate(lines) if line.page == lines[0].page]
    begin, end = _title_lines(lines, first, body)
    title = " ".join(" ".join(line.text for line in lines[begin:end]).split())
    stated = metadata.get("title", "").strip()
    if lines[begin].size < 1.1 * body and len(stated.split()) > 2 and not _NO_TITLE.search(stated):
        title = stated
    start = _text_begin(lines, end, first[-1] + 1, body)
    above = _above(lines, start, first[-1] + 1)
    between = sorted({*range(end, start), *above})
    authors = _authors([lines[index] for index in between]) or _names(metadata.get("author", ""))
    text = [line for index, line in enumerate(lines) if index >= start and index not in above]
    return Front(title, authors, tuple(text))


def _above(lines: Sequence[Line], start: int, end: int) -> set[int]:
    """Lines of the right column that stand higher than the text's first line: names and addresses."""
    if start >= end:
        return set()
    above = set()
    for index in range(start, end):
        block = [line for line in lines[start:end] if line.block == lines[index].block]
        if lines[index].y1 <= lines[start].y0 and not _is_prose(block):
            above.add(index)
    return above


def _title_lines(lines: Sequence[Line], first: Sequence[int], body: float) -> tuple[int, int]:
    """From the first line of the largest letters to the last of them in a row."""
    wordy = [index for index in first if sum(map(str.isalpha, lines[index].text)) >= 8]
    wordy = wordy or list(first)
    begin = max(wordy, key=lambda index: (round(lines[index].size), lines[index].bold, -index))
    if lines[begin].size < 1.1 * body:
        begin = next((index for index in wordy if lines[index].bold), wordy[0])
    end = begin + 1
    last = min(first[-1], begin + _MOST_TITLE_LINES - 1)
    while end <= last and _same_style(lines[begin], lines[end]) and not opens_abstract(lines[end].text):
        end += 1
    return begin, end


def _same_style(one: Line, other: Line) -> bool:
    near = abs(one.size - other.size) < 0.6
    return near and one.bold == other.bold and other.y0 - one.y1 < 6 * one.size


def _text_begin(lines: Sequence[Line], begin: int, end: int, body: float) -> int:
    """The abstract's heading, or else the first heading, or else the first long block."""
    for index in range(begin, end):
        if opens_abstract(lines[index].text):
            return index
    for index in range(begin, end):
        line = lines[index]
        if is_heading(line, body, numbered=True) and plain_heading(line.text) in ("introduction", ""):
            return _long_block(lines, begin, index) or index
    return _long_block(lines, begin, end) or begin


def _long_block(lines: Sequence[Line], begin: int, end: int) -> int | None:
    """The first block of prose: an abstract without heading."""
    index = begin
    while index < end:
        stop = index + 1
        while stop < end and lines[stop].block == lines[index].block:
            stop += 1
        if _is_prose(lines[index:stop]):
            return index
        index = stop
    return None


def _is_prose(block: Sequence[Line]) -> bool:
    words = " ".join(line.text for line in block).split()
    return len(words) > 30 and sum(word[0].islower() for word in words) > 0.5 * len(words)


def _authors(lines: Sequence[Line]) -> tuple[str, ...]:
    """Names in the style of the first line of names; addresses mostly have another."""
    found: list[str] = []
    style: Line | None = None
    for line in lines:
        names = _names(line.text)
        if not names or (style and (abs(line.size - style.size) > 0.4 or line.bold != style.bold)):
            continue
        style = style or line
        found += [name for name in names if name not in found]
    return tuple(found)


def _names(text: str) -> tuple[str, ...]:
    if _NO_NAME.search(text) and "," not in text and "  " not in text:
        return ()
    pieces = (" ".join(piece.split()) for piece in _SEPARATORS.split(text))
    return tuple(piece for piece in pieces if _is_name(piece))


def _is_name(text: str) -> bool:
    words = text.split()
    if not 2 <= len(words) <= 5 or _NO_NAME.search(text):
        return False
    return all(_NAME.fullmatch(word) and (word[0].isupper() or word.lower() in _PARTICLES) for word in words)
