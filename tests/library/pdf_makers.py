"""Papers as PDF files, set line by line, so that tests know what stands where."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymupdf

LEFT, RIGHT, TOP, BOTTOM = 72.0, 307.0, 72.0, 760.0
ROMAN, BOLD, ITALIC = "tiro", "tibo", "tiit"

PROSE = """The state of the layer decays by a learned gate before every new outer product is added to it,
and the output is read by a query vector. Chunks of tokens are computed in parallel, since the gates inside
a chunk multiply to one matrix. We compare the layer with softmax attention under equal parameters and equal
tokens, and report losses with their standard errors over three seeds. The gap closes as the width grows.
Longer contexts favour the recurrent layer in memory, and the quadratic layer in recall of rare words."""


def wrapped(text: str, characters: int) -> list[str]:
    """Lines of at most so many characters."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= characters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


class Setting:
    """A document that is set line by line; ``y`` is where the next line of the page stands."""

    def __init__(self) -> None:
        self.document = pymupdf.open()
        self.page: Any = None
        self.y = TOP

    def new_page(self) -> None:
        self.page = self.document.new_page(width=595, height=842)
        self.y = TOP

    def line(self, x: float, text: str, size: float = 10, font: str = ROMAN, y: float | None = None) -> None:
        """One line at the current height, or at ``y`` without moving on."""
        self.page.insert_text((x, self.y if y is None else y), text, fontsize=size, fontname=font)
        if y is None:
            self.y += 1.2 * size

    def lines(self, x: float, lines: Sequence[str], size: float = 10, font: str = ROMAN) -> None:
        for text in lines:
            self.line(x, text, size, font)
        self.y += 0.8 * size

    def prose(self, x: float, characters: int = 46, text: str = PROSE) -> None:
        self.lines(x, wrapped(text, characters))

    def heading(self, x: float, text: str, size: float = 12) -> None:
        self.y += size
        self.line(x, text, size, BOLD)
        self.y += 0.5 * size

    def save(self, path: Path, **options: Any) -> Path:
        self.document.save(path, **options)
        self.document.close()
        return path


def two_column_paper(path: Path, **options: Any) -> Path:
    """Three pages: running heads, page numbers, a table and a figure across both columns, footnotes, broken
    words, an equation, references, an appendix.
    """
    made = Setting()
    for number in range(1, 4):
        made.new_page()
        made.line(200, "Gated Layers for Long Contexts", 8, ITALIC, y=40)
        made.line(290, str(number), 9, y=810)
        (_first, _second, _third)[number - 1](made)
    return made.save(path, **options)


def _first(made: Setting) -> None:
    made.y = 90
    made.line(120, "Gated Linear Layers: Decay Where It", 17, BOLD)
    made.line(200, "Helps and Nowhere Else", 17, BOLD)
    made.y += 10
    made.line(110, "Ada Example", 11, BOLD, y=140)
    made.line(260, "José van der Berg", 11, BOLD, y=140)
    made.line(430, "Mei-Ling O'Neil", 11, BOLD, y=140)
    made.line(90, "University of Somewhere", 10, y=154)
    made.line(250, "Institute of Networks", 10, y=154)
    made.line(420, "mei@example.org", 10, y=154)
    made.y = 190
    made.heading(150, "Abstract")
    top = made.y
    made.lines(90, wrapped("We study gates that decay the state of linear attention. " + PROSE, 38))
    made.heading(LEFT, "1 Introduction")
    made.lines(
        LEFT,
        [
            "Recurrent layers keep a state of constant size, and",
            "their cost grows with the length of the text. The ef-",
            "ficient kernels of recent work make them state-of-",
            "the-art in speed. A data-dependent gate decides how",
            "much of the state is kept.",
        ],
    )
    made.line(LEFT, "1", 6, y=738)
    made.line(LEFT + 4, "Code stands at https://example.org/gates.", 8, y=741)
    made.y = top
    made.prose(RIGHT)
    made.prose(RIGHT, text="The second column begins here. " + PROSE)


def _second(made: Setting) -> None:
    made.lines(
        LEFT, ["Model   Loss   Tokens   Width", "Gated   3.21   100M   512", "Plain   3.35   100M   512"], 8
    )
    made.lines(
        LEFT,
        ["Table 1: Losses of both layers at equal parameters, with the seeds that were run beside them."],
        9,
    )
    made.y += 12
    top = made.y
    made.heading(LEFT, "2 Method")
    made.heading(LEFT, "2.1 The Gate", 10)
    made.lines(LEFT, ["The state is updated as"])
    made.line(LEFT + 40, "S = a S + k v", 10, ITALIC)
    made.y += 8
    made.prose(LEFT)
    made.prose(LEFT, text="The left column goes on until it is full, and its last sentence is cut by the")
    made.y = top
    made.lines(RIGHT, ["end of the column, which is no end of a sentence."])
    made.prose(RIGHT)
    made.page.draw_rect(pymupdf.Rect(RIGHT, 500, 520, 560))
    made.line(RIGHT + 60, "Gate", 7, y=530)
    made.y = 580
    made.lines(RIGHT, ["Figure 1: The gate stands before the state", "and after the short convolution."], 9)
    made.heading(RIGHT, "3 Results")
    made.prose(RIGHT)


def _third(made: Setting) -> None:
    made.heading(LEFT, "References")
    for name in ("Smith", "Jones", "Brown"):
        made.lines(
            LEFT,
            [f"{name}, A. 2020. A paper on something that", "nobody should find. Journal of References."],
        )
    top = made.y
    made.prose(LEFT, text="White, B. 2021. Another reference. " * 6)
    made.y = top
    made.heading(RIGHT, "A Proof of the Bound")
    made.prose(RIGHT, text="The proof goes by induction over the chunks. " + PROSE)


def one_column_paper(path: Path) -> Path:
    """Two pages of one column, headings without numbers, abstract after its word."""
    made = Setting()
    made.new_page()
    made.line(LEFT, "Sparse Mixtures Without Routers", 16, BOLD)
    made.y += 6
    made.line(LEFT, "Kim Lee and Lars Ångström", 11)
    made.y += 12
    made.lines(LEFT, wrapped("Abstract. We remove the router. " + PROSE, 92))
    made.heading(LEFT, "Introduction", 13)
    made.prose(LEFT, 92)
    made.heading(LEFT, "How Experts Are Chosen", 13)
    made.prose(LEFT, 92)
    made.new_page()
    made.prose(LEFT, 92)
    made.heading(LEFT, "Conclusion", 13)
    made.prose(LEFT, 92)
    return made.save(path)


def scanned_paper(path: Path) -> Path:
    """Pages that are pictures."""
    document = pymupdf.open()
    picture = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 40, 40))
    picture.clear_with(200)
    for _ in range(3):
        document.new_page().insert_image(pymupdf.Rect(0, 0, 595, 842), pixmap=picture)
    document.save(path)
    return path


def long_paper(path: Path, pages: int) -> Path:
    """Many pages with a little text."""
    made = Setting()
    for number in range(pages):
        made.new_page()
        made.lines(
            LEFT,
            [f"Page {number + 1} tells of attention and of gates.", "It has two lines of text, no more."],
        )
    return made.save(path)


def journal_style(path: Path) -> Path:
    """Two columns, Roman numbers, headings in capitals, the abstract after its word, bracketed references."""
    made = Setting()
    made.new_page()
    made.line(100, "Recurrent Memory for Long Documents", 22)
    made.line(120, "Ada B. Example, Member, IEEE, and Bo Chen", 11)
    made.y = top = 140
    made.lines(48, wrapped("Abstract-We study recurrent memory. " + PROSE, 50), 9, BOLD)
    made.line(130, "I. INTRODUCTION")
    made.prose(48, 50)
    made.y = top
    made.prose(311, 50)
    made.line(380, "II. METHOD")
    made.prose(311, 50)
    made.line(390, "REFERENCES")
    made.lines(
        311, ["[1] A. Smith, Nobody finds this, in Proc. X, 2020.", "[2] B. Jones, Nor this, 2021."], 8
    )
    return made.save(path)


def conference_style(path: Path) -> Path:
    """Two columns under one line of names with marks; notices in small print at the foot."""
    made = Setting()
    made.new_page()
    made.line(130, "Selective Gates Are All You Need", 14, BOLD)
    made.line(180, "Albert Example * 1", 10, BOLD, y=110)
    made.line(300, "Tri Sample * 2", 10, BOLD, y=110)
    made.y = top = 150
    made.line(150, "Abstract", 12, BOLD)
    made.lines(75, wrapped("We study gates. " + PROSE, 40))
    made.heading(55, "1. Introduction")
    made.prose(55)
    made.y = 690
    made.lines(
        55, ["*Equal contribution 1University of Somewhere 2Company.", "Correspondence to: A <a@b.c>."], 8
    )
    made.lines(
        55, ["Proceedings of the 40th International Conference on Machine Learning, Honolulu, 2023."], 8
    )
    made.y = top
    made.prose(RIGHT)
    made.heading(RIGHT, "2. Method")
    made.heading(RIGHT, "2.1. Gates", 10)
    made.prose(RIGHT)
    return made.save(path)


def workshop_style(path: Path) -> Path:
    """One column; every author above an address; a heading without number among numbered ones."""
    made = Setting()
    made.new_page()
    made.line(120, "Deep Layers Without Norms", 17, BOLD)
    for x, name in ((130, "Ada Example"), (260, "Bo Chen"), (380, "Chloé Dupont")):
        made.line(x, name, 10, BOLD, y=120)
        made.line(x, "Google Brain", 10, ROMAN, y=132)
        made.line(x, "name@example.com", 9, "cour", y=144)
    made.y = 180
    made.line(270, "Abstract", 12, BOLD)
    made.lines(140, wrapped("We remove norms. " + PROSE, 66))
    made.heading(108, "1 Introduction")
    made.prose(108, 84)
    made.heading(108, "2 Related Work")
    made.prose(108, 84)
    made.line(108, "37th Conference on Neural Information Processing Systems (NeurIPS 2023).", 8, y=780)
    made.new_page()
    made.heading(108, "3 Method")
    made.prose(108, 84)
    made.heading(108, "Acknowledgments and Disclosure of Funding")
    made.prose(108, 84, "We thank everybody who read this far and said so.")
    made.heading(108, "References")
    made.lines(108, ["[1] A. Smith. Nobody finds this. 2020."] * 3, 9)
    made.heading(108, "A Additional Experiments")
    made.prose(108, 84)
    return made.save(path)
