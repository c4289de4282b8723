"""Sections cut into passages of bounded length, at the ends of sentences."""

import re
from collections.abc import Iterable, Iterator, Sequence

from model_discovery.library.sections import Section
from model_discovery.library.types import Passage

WORDS = 220  # a passage is closed after the sentence that reaches this
MOST_WORDS = 300
_SHORT = 60  # a last passage below this joins the one before, where there is room
_END = re.compile(r"(?<=[.!?])[\"”’)\]]*\s+(?=[\"“‘(\[]?[^\W_a-z])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|et al|cf|vs|etc|figs?|eqs?|secs?|tabs?|refs?|pp?|dr|prof|mr|mrs|st|resp|approx|"
    r"app|ch|vol|ed|eds|w\.r\.t|i\.i\.d)|\b[A-Z])\.$",
    re.IGNORECASE,
)


def passages_of(sections: Iterable[Section]) -> list[Passage]:
    """Passages of all sections, each with the page on which it begins."""
    return [passage for section in sections for passage in _section_passages(section)]


def split_sentences(text: str) -> list[str]:
    """Sentences of a text; together, with single spaces between, they are the text."""
    sentences: list[str] = []
    begin = 0
    for end in _END.finditer(text):
        piece = text[begin : end.end()]
        if _ABBREVIATION.search(piece.rstrip()):
            continue
        sentences.append(piece.strip())
        begin = end.end()
    return [*sentences, text[begin:].strip()] if text[begin:].strip() else sentences


def _section_passages(section: Section) -> Iterator[Passage]:
    chunks: list[tuple[int, list[str]]] = []
    for page, sentence in _sentences(section):
        count = len(sentence.split())
        if not chunks or _words(chunks[-1][1]) >= WORDS or _words(chunks[-1][1]) + count > MOST_WORDS:
            chunks.append((page, []))
        chunks[-1][1].append(sentence)
    if len(chunks) > 1:
        last, before = _words(chunks[-1][1]), _words(chunks[-2][1])
        if last < _SHORT and last + before <= MOST_WORDS:
            chunks[-2][1].extend(chunks.pop()[1])
    for page, sentences in chunks:
        yield Passage(section=section.heading, text=" ".join(sentences), page=page)


def _sentences(section: Section) -> Iterator[tuple[int, str]]:
    """Sentences with their pages; what has no end for too long is cut."""
    for paragraph in section.paragraphs:
        offset = 0
        for sentence in split_sentences(paragraph.text):
            offset = max(offset, paragraph.text.find(sentence, offset))
            words = sentence.split()
            for begin in range(0, len(words), MOST_WORDS):
                yield paragraph.page_at(offset), " ".join(words[begin : begin + MOST_WORDS])
            offset += len(sentence)


def _words(sentences: Sequence[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)
