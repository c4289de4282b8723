"""Which lines of a paper are headings."""

import re

from model_discovery.library.layout import Line

_NUMBER = re.compile(r"^(?:(?:\d{1,2}|[IVX]{1,5}|[A-Z])(?:\.\d{1,2})*[.:)]?|§\s?\d+(?:\.\d+)*)\s+(?=\S)")
_KNOWN = {
    "abstract", "introduction", "related work", "related works", "background", "preliminaries", "method",
    "methods", "methodology", "approach", "model", "experiments", "experimental setup", "results", "analysis",
    "evaluation", "discussion", "conclusion", "conclusions", "limitations", "future work", "acknowledgments",
    "acknowledgements", "acknowledgment", "acknowledgement", "references", "bibliography", "works cited",
    "literature cited", "appendix", "appendices", "supplementary material", "supplementary materials",
    "ethics statement", "reproducibility statement", "broader impact", "impact statement",
    "discussion and conclusion", "conclusion and future work", "results and discussion",
}  # fmt: skip
_REFERENCES = {"references", "bibliography", "works cited", "literature cited", "reference"}
_APPENDIX = re.compile(r"^(?:appendi(?:x|ces)\b|supplement|[A-Z](?:\.\d{1,2})*[.:]?\s+[A-Z])", re.IGNORECASE)
_ABSTRACT = re.compile(
    r"^a\s?b\s?s\s?t\s?r\s?a\s?c\s?t\s*(?:[.:—–-]+\s*|$)|^abstract\s+(?=[A-Z])", re.IGNORECASE
)


def plain_heading(text: str) -> str:
    """A heading without its number, in small letters; ``""`` for one that is none of the usual."""
    plain = " ".join(_NUMBER.sub("", text).replace("&", "and").split()).strip(" .:").lower()
    plain = plain if len(plain.split()) < 6 or "  " in plain else ""
    spaced = plain.replace(" ", "")
    if plain in _KNOWN:
        return plain
    return next((known for known in sorted(_KNOWN) if known.replace(" ", "") == spaced), "")


def is_numbered(text: str) -> bool:
    """Whether a heading begins with a number or the letter of an appendix."""
    return bool(_NUMBER.match(text))


def opens_references(text: str) -> bool:
    """Whether the list of references begins here."""
    return plain_heading(text) in _REFERENCES


def opens_appendix(text: str) -> bool:
    """Whether what follows the references is text again."""
    return bool(_APPENDIX.match(text))


def opens_abstract(text: str) -> bool:
    """Whether the abstract begins in this line: with its heading, or after the word."""
    return bool(_ABSTRACT.match(text))


def without_abstract_mark(text: str) -> str:
    """What stands on the abstract's first line beside the word."""
    return _ABSTRACT.sub("", text, count=1)


def is_heading(line: Line, body: float, *, numbered: bool) -> bool:
    """Whether a line is a heading.

    Parameters
    ----------
    line
        In reading order.
    body
        Size of the text, in points.
    numbered
        Whether the paper numbers its headings; one without number is then a usual one, or bold and larger.
    """
    text = line.text
    letters = [letter for letter in text if letter.isalpha()]
    if not line.starts or len(letters) < 3 or len(text.split()) > 14 or text.endswith((".", ",", ";", "-")):
        return False
    distinct = line.bold or line.size > 1.08 * body or (len(letters) > 3 and text == text.upper())
    if plain_heading(text):
        return distinct or len(text.split()) <= 3
    if is_numbered(text):
        after = _NUMBER.sub("", text)
        return distinct and after[:1].isupper() and line.size > 0.9 * body
    wordy = any(len(word) > 3 for word in re.findall(r"[^\W\d_]+", text)) and text[:1].isupper()
    sure = line.bold and line.size > 1.08 * body
    return (sure or not numbered) and distinct and wordy and "=" not in text and line.size > 0.97 * body
