"""The text of a paper by section: headings, paragraphs, captions and footnotes told apart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from model_discovery.library.headings import (
    is_heading,
    is_numbered,
    opens_abstract,
    opens_appendix,
    opens_references,
    plain_heading,
    without_abstract_mark,
)
from model_discovery.library.layout import Line

FOOTNOTES = "Footnotes"
_CAPTION = re.compile(
    r"^(Figure|Fig\.?|Table|Algorithm|Listing)\s*([A-Z]?\.?\d+(?:\.\d+)?)\s*[:.|]", re.IGNORECASE
)
_NUMERIC = re.compile(r"[\d.,:%±+\-−–—×*()/<>^k]*\d[\d.,:%±+\-−–—×*()/<>^kMB]*|[-–—✓✗×]")
_NOTICE = re.compile(
    r"^[\W\d]*(?:equal contribution|correspondence|proceedings of|published (?:as|in)|copyright|"
    r"permission to|\w* ?(?:annual |international )?conference on|preprint|under review|"
    r"accepted (?:at|to)|work done)|^©",
    re.IGNORECASE,
)
_LEADERS = re.compile(r"(?:\. ?){5,}")
_UNNAMED = ""  # what stands before the first heading: the abstract, if it is as short as one
_LONGEST_ABSTRACT = 500  # words
_PROSE = 7  # words a line: cells of a table have fewer
_SENTENCE_END = re.compile(r"[.!?:;][\"”’)\]]*$")


@dataclass
class Paragraph:
    """Text, and on which page each part of it begins: ``(offset, page)``, the first at 0."""

    text: str = ""
    pages: list[tuple[int, int]] = field(default_factory=list)

    def page_at(self, offset: int) -> int:
        """The page of the character at an offset."""
        return max((begin, page) for begin, page in self.pages if begin <= offset)[1]


@dataclass
class Section:
    """A heading as it is written, and what stands below it."""

    heading: str
    paragraphs: list[Paragraph] = field(default_factory=list)


def read_sections(lines: Sequence[Line], body: float) -> list[Section]:
    """Sections in order; captions (``Figure 2``) and footnotes have sections of their own, at the end.

    References are left out; an appendix after them is kept. Numbers of tables and the words inside figures
    are left out too.

    Parameters
    ----------
    lines
        In reading order, from the abstract on.
    body
        Size of the text, in points.
    """
    return _Reading(lines, body).sections()


class _Reading:
    def __init__(self, lines: Sequence[Line], body: float) -> None:
        self._lines = lines
        self._body = body
        self._words = _vocabulary(lines)
        numbers = [line for line in lines if is_numbered(line.text) and is_heading(line, body, numbered=True)]
        self._numbered = len(numbers) >= 3
        self._floats = {line.page for line in lines if _CAPTION.match(line.text) and line.starts}
        self._sections: list[Section] = []
        self._captions: list[Section] = []
        self._footnotes = Section(FOOTNOTES)
        self._in_references: Line | None = None

    def sections(self) -> list[Section]:
        index = 0
        while index < len(self._lines):
            index = self._take(index)
        if self._sections and self._sections[0].heading == _UNNAMED:
            words = sum(len(paragraph.text.split()) for paragraph in self._sections[0].paragraphs)
            self._sections[0].heading = "Abstract" if words <= _LONGEST_ABSTRACT else "Text"
        found = [*self._sections, *self._captions, self._footnotes]
        return [section for section in found if section.paragraphs]

    def _take(self, index: int) -> int:
        """Read what begins at a line; returns the index of the line after it."""
        line = self._lines[index]
        if not self._sections and opens_abstract(line.text):
            return self._abstract(index)
        if self._is_heading(index):
            return self._heading(index)
        end = index + 1
        while end < len(self._lines) and not self._lines[end].starts and not self._is_heading(end):
            end += 1
        block = self._lines[index:end]
        if self._in_references is None:
            self._block(block)
        return end

    def _abstract(self, index: int) -> int:
        self._sections.append(Section("Abstract"))
        line = self._lines[index]
        rest = without_abstract_mark(line.text)
        if rest:
            self._append(self._sections[-1], [rest], [line.page])
        return index + 1

    def _is_heading(self, index: int) -> bool:
        line = self._lines[index]
        if not is_heading(line, self._body, numbered=self._numbered):
            return False
        list_heading = self._in_references
        if list_heading is None:
            return True
        alike = line.size > list_heading.size - 0.3 and line.bold == list_heading.bold
        return opens_appendix(line.text) or (alike and line.size > 0.97 * self._body)

    def _heading(self, index: int) -> int:
        line = self._lines[index]
        text, end = line.text, index + 1
        while end < len(self._lines) and _goes_on(self._lines[end - 1], self._lines[end]):
            text = f"{text} {self._lines[end].text}"
            end += 1
        self._in_references = line if opens_references(text) else None
        if self._in_references is None:
            self._sections.append(Section(" ".join(text.split())))
        return end

    def _block(self, block: Sequence[Line]) -> None:
        first = block[0]
        if caption := _CAPTION.match(first.text):
            kind = caption[1].rstrip(".").capitalize()
            self._captions.append(Section(f"{'Figure' if kind == 'Fig' else kind} {caption[2]}"))
            self._append(self._captions[-1], [line.text for line in block], [line.page for line in block])
            return
        if first.size < 0.93 * self._body and _NOTICE.match(first.text):
            return
        if first.mark and first.size < 0.93 * self._body:
            self._append(self._footnotes, [line.text for line in block], [line.page for line in block])
            return
        block = [line for line in block if not _is_row(line.text)]
        if not block or _is_label(block, self._body) or self._in_float(block):
            return
        if not self._sections:
            self._sections.append(Section(_UNNAMED))
        self._append(self._sections[-1], [line.text for line in block], [line.page for line in block])

    def _in_float(self, block: Sequence[Line]) -> bool:
        """Whether text beside a caption is part of its table or figure: in small print, or across columns."""
        words = sum(len(line.text.split()) for line in block)
        small = max(line.size for line in block) < self._body - 0.4 and words < _PROSE * len(block)
        abstract = bool(self._sections) and self._sections[-1].heading in ("Abstract", _UNNAMED)
        return (small or block[0].wide) and not abstract and block[0].page in self._floats

    def _append(self, section: Section, texts: Sequence[str], pages: Sequence[int]) -> None:
        """Add lines to a section: to its last paragraph where that was cut by a column or a page."""
        open_end = section.paragraphs and not _SENTENCE_END.search(section.paragraphs[-1].text[-8:])
        if not (open_end and (texts[0][:1].islower() or section.paragraphs[-1].text.endswith(("-", ",")))):
            section.paragraphs.append(Paragraph())
        paragraph = section.paragraphs[-1]
        for text, page in zip(texts, pages, strict=True):
            line = " ".join(text.split())
            paragraph.text = join_lines(paragraph.text, line, self._words)
            if not paragraph.pages or paragraph.pages[-1][1] != page:
                paragraph.pages.append((len(paragraph.text) - len(line), page))


def join_lines(text: str, line: str, words: set[str]) -> str:
    """Two lines as one; a hyphen at the end stays where the paper writes such a word with it, or writes its
    parts as words and never the whole.
    """
    broken = re.search(r"([^\W\d_][\w-]*)[-\u00ad]$", text[-60:])
    if not text or not broken or not line[:1].isalnum():
        return f"{text} {line}".strip()
    if text.endswith("\u00ad"):
        return text[:-1] + line
    if not line[:1].islower():
        return text + line
    head, tail = broken[1].lower(), re.split(r"\W", line, maxsplit=1)[0].lower()
    parts = len(head) > 3 and len(tail) > 3 and {head, tail} <= words
    keep = head + tail not in words and (f"{head}-{tail}" in words or "-" in head or parts)
    return (text if keep else text[:-1]) + line


def _vocabulary(lines: Sequence[Line]) -> set[str]:
    """Words of a paper, without the halves of those that a line's end broke."""
    words: set[str] = set()
    broken = False
    for line in lines:
        found = re.findall(r"[^\W\d_][\w-]*", line.text.lower())
        first, broken = int(broken), line.text.endswith(("-", "\u00ad"))
        words.update(word.strip("-") for word in found[first : len(found) - broken])
    return words


def _goes_on(heading: Line, line: Line) -> bool:
    same = abs(heading.size - line.size) < 0.3 and heading.bold == line.bold and heading.page == line.page
    close = -0.5 * heading.size < line.y0 - heading.y1 < 0.6 * heading.size and heading.bold
    return same and close and not is_numbered(line.text) and not plain_heading(line.text)


def _is_row(text: str) -> bool:
    """A row of a table: several cells, or mostly numbers, and no equation; or one of a table of contents."""
    tokens = text.split()
    if (text.count("  ") >= 2 and "=" not in text) or _LEADERS.search(text):
        return True
    numbers = sum(bool(_NUMERIC.fullmatch(token)) for token in tokens)
    return len(tokens) >= 3 and numbers >= 0.5 * len(tokens) and "=" not in text


def _is_label(block: Sequence[Line], body: float) -> bool:
    """A word inside a figure, or a cell of a table: it stands alone and says no sentence."""
    if max(line.size for line in block) < 0.7 * body:
        return True
    text = " ".join(line.text for line in block)
    return len(text.split()) <= 3 and not re.search(r"[.=∈≤≥∼→:+?!,]|\w-$", text)
