"""Lines of a paper's pages in the order in which a person reads them, without headers and page numbers."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

_SUPERSCRIPT, _BOLD = 1, 16
_BOLD_FONT = re.compile(r"bold|black|heavy|semib|medi(?!um-?ital)|cmbx", re.IGNORECASE)
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00a0": " "}
)
_BROKEN = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]"
)  # of broken fonts: no text can be kept with them
_PAGE_NUMBER = re.compile(
    r"(?:page\s+)?[-–—\s]*(?:\d{1,4}|[ivxl]{1,6})[-–—\s]*(?:(?:of|/)\s*\d+)?", re.IGNORECASE
)
_MARGIN = 0.09  # of a page's height: where headers and footers stand
_LEAST_REPEATS = 0.25  # of the pages: how often a header says the same


@dataclass(frozen=True)
class Line:
    """A line of text in one column.

    Attributes
    ----------
    page
        From 1.
    block
        Lines of one block stand close together, mostly a paragraph.
    starts
        Whether it is the first of its block, or stands apart from the line above it.
    mark
        Whether it begins with a raised sign, as footnotes do.
    level
        Whether it runs from left to right.
    wide
        Whether its block crosses both columns of a page that has two.
    """

    page: int
    block: int
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool
    text: str
    starts: bool = True
    mark: bool = False
    level: bool = True
    wide: bool = False


@dataclass(frozen=True)
class Page:
    """Lines of a page as they lie in the file, and its size in points."""

    number: int
    width: float
    height: float
    lines: tuple[Line, ...]


def read_page(facts: dict[str, Any]) -> Page:
    """A page from what the reading program printed."""
    number = facts["page"]
    lines = [_line(number, each) for each in facts.get("lines", ())]
    return Page(
        number, facts.get("width", 0.0), facts.get("height", 0.0), tuple(line for line in lines if line.text)
    )


def in_reading_order(pages: Sequence[Page]) -> list[Line]:
    """Lines column by column, top to bottom; what crosses both columns stands between what is above and
    below it. Headers, footers, page numbers and turned text are left out.
    """
    repeated = _repeated(pages)
    ordered: list[Line] = []
    for page in pages:
        lines = [
            line
            for line in page.lines
            if line.level and not _is_furniture(line, page, repeated, alone=len(pages) == 1)
        ]
        ordered += _page_order(lines, page.width)
    return ordered


def body_size(lines: Iterable[Line]) -> float:
    """The size in points that most characters have."""
    counts: Counter[float] = Counter()
    for line in lines:
        counts[line.size] += len(line.text)
    return min(counts, key=lambda size: (-counts[size], size)) if counts else 0.0


def _line(page: int, facts: dict[str, Any]) -> Line:
    spans = facts["spans"]
    sizes: Counter[float] = Counter()
    bold = letters = 0
    for text, size, flags, font in spans:
        count = sum(map(str.isalnum, text))
        sizes[size] += count or 0.5  # type: ignore[assignment]
        letters += count
        bold += count if flags & _BOLD or _BOLD_FONT.search(font) else 0
    size = max(sizes, key=lambda each: (sizes[each], each))
    x0, y0, x1, y1 = facts["box"]
    mark = bool(spans[0][2] & _SUPERSCRIPT or spans[0][1] < 0.8 * size) and len(spans[0][0].strip()) <= 3
    text = _text(spans[1:] if mark and len(spans) > 1 else spans, size)
    return Line(
        page, facts["block"], x0, y0, x1, y1, size, bold > letters / 2, text, mark=mark, level=facts["level"]
    )


def _text(spans: Sequence[Sequence[Any]], size: float) -> str:
    """Spans as one text: marks of footnotes are dropped, other raised signs follow ``^``."""
    text = ""
    for written, span_size, flags, _ in spans:
        if flags & _SUPERSCRIPT and span_size < size and written.strip():
            if _is_note_mark(text, written.strip()):
                continue
            written = f"^{written.strip()}" if text else written
        text += written
    return " ".join(_BROKEN.sub("", text.translate(_LIGATURES)).split())


def _is_note_mark(before: str, sign: str) -> bool:
    if not re.fullmatch(r"[\d,∗*†‡§¶♠♥♦♣⋄\s]{1,6}", sign):
        return False
    return bool(re.search(r"[^\W\d_]{3,}$|[.,;:!?)”’\"]$", before.rstrip())) or not before.strip()


def _repeated(pages: Sequence[Page]) -> set[str]:
    """What stands in the margins of many pages, digits aside."""
    counts: Counter[str] = Counter()
    for page in pages:
        counts.update({_key(line.text) for line in page.lines if _in_margin(line, page)})
    return {key for key, count in counts.items() if count >= max(2, _LEAST_REPEATS * len(pages))}


def _is_furniture(line: Line, page: Page, repeated: set[str], *, alone: bool) -> bool:
    if not _in_margin(line, page):
        return False
    return bool(_PAGE_NUMBER.fullmatch(line.text)) or (not alone and _key(line.text) in repeated)


def _in_margin(line: Line, page: Page) -> bool:
    return line.y1 < _MARGIN * page.height or line.y0 > (1 - _MARGIN) * page.height


def _key(text: str) -> str:
    return re.sub(r"\d+", "#", text).casefold()


def _page_order(lines: Sequence[Line], width: float) -> list[Line]:
    middle = find_gutter(lines, width)
    if middle is None:
        return _column(lines)
    crossing = {line.block for line in lines if line.x0 < middle - 3 and line.x1 > middle + 3}
    lines = [replace(line, wide=line.block in crossing) for line in lines]
    ordered: list[Line] = []
    wide: list[Line] = []
    zone: list[Line] = []
    for line in sorted(lines, key=lambda line: (line.y0, line.x0)):
        if line.x0 < middle - 3 and line.x1 > middle + 3:
            ordered += _two_columns(zone, middle)
            zone = []
            wide.append(line)
        else:
            ordered += _column(wide)
            wide = []
            zone.append(line)
    return ordered + _column(wide) + _two_columns(zone, middle)


def _two_columns(lines: Sequence[Line], middle: float) -> list[Line]:
    left = [line for line in lines if line.x1 <= middle + 3]
    return _column(left) + _column([line for line in lines if line.x1 > middle + 3])


def find_gutter(lines: Sequence[Line], width: float) -> float | None:
    """Where the empty strip between two columns lies; None where there is one column.

    It is crossed by the fewest characters, and lines right of it begin at one place: gaps inside the lines
    of a single column do not.
    """
    candidates = [width * (0.35 + 0.005 * step) for step in range(61)]
    crossed = [
        sum(len(line.text) for line in lines if line.x0 < x - 3 and line.x1 > x + 3) for x in candidates
    ]
    least = min(crossed, default=0)
    best = [x for x, count in zip(candidates, crossed, strict=True) if count == least]
    middle = best[len(best) // 2]
    left = [line for line in lines if line.x1 <= middle + 3]
    right = [line for line in lines if line.x0 >= middle - 3]
    for side in (left, right):
        long = [line for line in side if line.x1 - line.x0 > 0.2 * width]
        if len(long) < 3 or sum(len(line.text) for line in side) < 0.1 * sum(
            len(line.text) for line in lines
        ):
            return None
        begins = Counter(round(line.x0 / 3) for line in long)
        if max(begins.values()) < 0.4 * len(long):
            return None
    return middle


def _column(lines: Sequence[Line]) -> list[Line]:
    """Blocks from top to bottom; pieces that stand on one line joined."""
    blocks: dict[int, list[Line]] = {}
    for line in sorted(lines, key=lambda line: (line.y0, line.x0)):
        blocks.setdefault(line.block, []).append(line)
    ordered = []
    for block in blocks.values():
        rows = _rows(block)
        for row, above in zip(rows, [None, *rows], strict=False):
            apart = above is None or row.y0 - above.y1 > 0.5 * row.size
            ordered.append(replace(row, starts=apart))
    return ordered


def _rows(block: Sequence[Line]) -> list[Line]:
    rows: list[list[Line]] = []
    for line in block:
        if rows and _same_row(rows[-1][0], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_join(sorted(row, key=lambda line: line.x0)) for row in rows]


def _same_row(first: Line, second: Line) -> bool:
    overlap = min(first.y1, second.y1) - max(first.y0, second.y0)
    return overlap > 0.6 * min(first.y1 - first.y0, second.y1 - second.y0)


def _join(row: Sequence[Line]) -> Line:
    longest = max(row, key=lambda line: len(line.text))
    return replace(
        longest,
        x0=row[0].x0,
        y0=min(line.y0 for line in row),
        x1=max(line.x1 for line in row),
        y1=max(line.y1 for line in row),
        text=_spaced(row),
        mark=row[0].mark,
        bold=sum(len(line.text) for line in row if line.bold) > sum(len(line.text) for line in row) / 2,
    )


def _spaced(row: Sequence[Line]) -> str:
    """Pieces of a line; two spaces stand for a wide gap, as between the names of a table."""
    text = row[0].text
    for left, right in pairwise(row):
        text += ("  " if right.x0 - left.x1 > 1.2 * left.size else " ") + right.text
    return text
