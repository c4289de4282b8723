"""Code fences in prompts: what is quoted can neither end the fence around it nor leave one open behind it."""

import re

_RUN = re.compile("`{3,}")
_FENCE = re.compile(r"^( {0,3})(`{3,}(?!.*`)|~{3,})(.*)$", re.MULTILINE)


def fenced(text: str, language: str = "") -> str:
    """A text in a code fence that is longer than any run of backticks in it."""
    mark = "`" * max([3, *(len(run) + 1 for run in _RUN.findall(text))])
    return f"{mark}{language}\n{text}\n{mark}"


def closed(text: str) -> str:
    """A text with the code fence closed that it leaves open, if it does."""
    indent, held = "", ""
    for found in _FENCE.finditer(text):
        if not held:
            indent, held = found[1], found[2]
        elif found[2].startswith(held) and not found[3].strip():
            held = ""
    return f"{text}\n{indent}{held}" if held else text
