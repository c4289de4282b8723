"""Reads the text of one PDF, as a program of its own: files come from strangers, and the C library that
parses them may crash, hang or eat the machine. Nothing of the package is imported here.

Standard output is JSON lines: facts of the file first, then one line a page, then ``{"done": true}``.
"""

import json
import resource
import sys
from typing import Any

MEMORY = 3 << 30  # bytes of address space
OUTPUT = 64 << 20  # bytes of text that may come out


def main(path: str, most_pages: int, seconds: int) -> None:
    """Print facts and pages of a file; an exception ends with its name in ``{"error": …}``."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT, OUTPUT))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    import pymupdf

    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    try:
        document = pymupdf.open(path, filetype="pdf")
    except (RuntimeError, ValueError, MemoryError) as error:
        say({"error": " ".join(str(error).split())[:200]})
        return
    facts = {
        "needs_password": bool(document.needs_pass),
        "protected": bool(document.is_encrypted or (document.metadata or {}).get("encryption")),
        "repaired": bool(document.is_repaired),
    }
    if document.needs_pass:
        say(facts)
        return
    metadata = {key: document.metadata.get(key) or "" for key in ("title", "author", "creationDate")}
    say({**facts, "pages": document.page_count, "metadata": metadata})
    for number in range(min(document.page_count, most_pages)):
        try:
            say(page_facts(document[number], number + 1))
        except (RuntimeError, ValueError, MemoryError) as error:
            say({"page": number + 1, "error": " ".join(str(error).split())[:200]})
        pymupdf.TOOLS.store_shrink(100)
    say({"done": True})


def page_facts(page: Any, number: int) -> dict[str, Any]:
    """Lines of a page, and how much of it pictures cover."""
    import pymupdf

    flags = (
        pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP | pymupdf.TEXT_CID_FOR_UNKNOWN_UNICODE
    )
    blocks = page.get_text("dict", flags=flags)["blocks"]
    lines = [line_facts(line, index) for index, block in enumerate(blocks) for line in block.get("lines", ())]
    facts = {"page": number, "width": page.rect.width, "height": page.rect.height}
    if not lines:
        facts["pictures"] = len(page.get_images())
    return {**facts, "lines": [line for line in lines if line["spans"]]}


def line_facts(line: dict[str, Any], block: int) -> dict[str, Any]:
    """A line: its block, box, whether it runs from left to right, and spans ``[text, size, flags, font]``."""
    spans = [
        [span["text"], round(span["size"], 1), span["flags"], span["font"]]
        for span in line["spans"]
        if span["text"]
    ]
    level = line["dir"][0] > 0.99
    return {"block": block, "box": [round(x, 1) for x in line["bbox"]], "level": level, "spans": spans}


def say(facts: dict[str, Any]) -> None:
    """One line, in pure ASCII: lone surrogates of broken fonts are no UTF-8."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
