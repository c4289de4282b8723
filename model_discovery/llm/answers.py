"""From what a model wrote to data: found in the text, checked against the schema, mended field by field."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic

from pydantic import ValidationError

from model_discovery.llm.types import Parsed

Json = dict[str, Any]
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+-]*)[^\n`]*$", re.MULTILINE)
_THINKING = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_REFERENCE = re.compile(r"\A\W*block\s+(\d+)\W*\Z", re.IGNORECASE)
_MOST_FENCES = 200
_WHOLE = "Write the whole answer again."


class NotJson(ValueError):
    """There is no JSON object in a text; the message says why the likeliest one cannot be read."""


@dataclass(frozen=True)
class Mistake:
    """What is wrong in an answer: in which field (``""``: the whole), where in it, what, what was written."""

    field: str
    where: str
    what: str
    written: str

    def __str__(self) -> str:
        return f"`{self.where or 'the object'}`: {self.what}" + (
            f"; you wrote {self.written}" if self.written else ""
        )


@dataclass(frozen=True)
class Checked(Generic[Parsed]):
    """An answer against its schema: ``parsed`` where it is right, else its mistakes."""

    data: Json
    parsed: Parsed | None
    mistakes: tuple[Mistake, ...] = ()

    @property
    def fields(self) -> list[str]:
        """The fields that have to be written again; ``[""]`` for the whole answer."""
        names = list(dict.fromkeys(mistake.field for mistake in self.mistakes))
        return [""] if "" in names else names


def find_json(text: str) -> Json:
    """The JSON object of a reply: the last fenced one, else the text itself, else its last lines.

    Line breaks inside strings are taken as they are. ``"block 2"`` as a text stands for the second block of
    Python in the reply.

    Raises
    ------
    NotJson
        There is none.
    """
    text = _THINKING.sub("", text)
    problem = ""
    for candidate in _candidates(text):
        try:
            data = json.loads(candidate, strict=False)
        except (json.JSONDecodeError, RecursionError) as error:
            problem = problem or _where(error, candidate)
            continue
        if isinstance(data, dict):
            cleaned: Json = _cleaned(data, _python_blocks(text))
            return cleaned
        problem = problem or "it is JSON, but not an object"
    raise NotJson(problem or "it is not JSON")


def check(schema: type[Parsed], data: Json) -> Checked[Parsed]:
    """An answer against its schema; keys that the schema does not know are dropped."""
    try:
        return Checked(data, schema.model_validate(data))
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
    known = data
    for each in errors:
        if each["type"] == "extra_forbidden":
            known = _without(known, each["loc"])
    if known != data:
        return check(schema, known)
    return Checked(data, None, tuple(_mistake(each) for each in errors))


def ask_again(checked: Checked[Parsed]) -> str:
    """What a model is told about an answer with mistakes: what is wrong, and to write only that again."""
    lines = "\n".join(f"- {mistake}" for mistake in checked.mistakes)
    if checked.fields == [""]:
        return f"Your answer does not have the form that was asked for:\n{lines}\n\n{_WHOLE}"
    names = ", ".join(f"`{name}`" for name in checked.fields)
    return (
        f"Your answer was read, and is right except for this:\n{lines}\n\n"
        f"Write only what replaces it: a JSON object with nothing but {names}."
    )


def ask_whole(problem: str) -> str:
    """What a model is told about an answer in which no JSON object was found."""
    return f"No JSON object could be read in your answer: {problem}.\n\n{_WHOLE}"


def merged(checked: Checked[Parsed], again: Json) -> Json:
    """The answer with what was written again; nothing else of it changes."""
    if checked.fields == [""]:
        return again
    return {**checked.data, **{name: again[name] for name in checked.fields if name in again}}


def _candidates(text: str) -> Iterator[str]:
    fences = list(_FENCE.finditer(text))[-_MOST_FENCES:]
    for opening in reversed(range(len(fences))):
        if fences[opening][2].lower() not in ("", "json", "jsonc", "json5"):
            continue
        # A block that closes nowhere, or whose text holds fences of its own, is read as far as JSON goes.
        if inside := text[fences[opening].end() :].strip():
            yield _first_object(inside)
    yield text.strip()
    starts = [match.start() for match in re.finditer(r"^[ \t]*\{", text, re.MULTILINE)]
    for start in [*starts[:10], *([text.find("{")] if "{" in text else [])]:
        yield _first_object(text[start:].strip())


def _first_object(text: str) -> str:
    """The text up to the end of the JSON that it begins with; all of it where it begins with none."""
    try:
        return text[: json.JSONDecoder(strict=False).raw_decode(text)[1]]
    except (json.JSONDecodeError, RecursionError):
        return text


def _python_blocks(text: str) -> list[str]:
    blocks, opened = [], None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif not fence[2] and fence[1][0] == opened[1][0] and len(fence[1]) >= len(opened[1]):
            if opened[2].lower() in ("python", "py"):
                blocks.append(text[opened.end() + 1 : fence.start()])
            opened = None
    return blocks


def _cleaned(value: Any, blocks: list[str]) -> Any:
    """References to blocks replaced; halves of surrogate pairs, which no file can hold, too."""
    if isinstance(value, dict):
        return {_text(key): _cleaned(each, blocks) for key, each in value.items()}
    if isinstance(value, list):
        return [_cleaned(each, blocks) for each in value]
    if not isinstance(value, str):
        return value
    reference = _REFERENCE.match(value)
    if reference and 0 < int(reference[1]) <= len(blocks):
        return blocks[int(reference[1]) - 1]
    return _text(value)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _where(error: Exception, text: str) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return "it is nested too deeply"
    line = text.splitlines()[error.lineno - 1] if text else ""
    near = line[max(0, error.colno - 30) : error.colno + 10].strip()
    return f"{error.msg} in line {error.lineno} near {near!r}" if near else "there is no JSON in it"


def _without(data: Any, place: tuple[Any, ...]) -> Any:
    """Data without what stands at a place; steps that name a kind and no key are passed over."""
    if isinstance(data, dict) and len(place) == 1:
        return {key: value for key, value in data.items() if key != place[0]}
    if isinstance(data, dict) and place[0] in data:
        return {**data, place[0]: _without(data[place[0]], place[1:])}
    if isinstance(data, list) and isinstance(place[0], int):
        return [_without(each, place[1:]) if i == place[0] else each for i, each in enumerate(data)]
    return _without(data, place[1:]) if len(place) > 1 else data


def _mistake(error: Any) -> Mistake:
    place = error["loc"]
    if error["type"] == "missing":
        return Mistake(str(place[0]), ".".join(map(str, place)), "it is missing", "")
    written = json.dumps(error["input"], ensure_ascii=False, default=str)
    return Mistake(
        str(place[0]) if place else "",
        ".".join(map(str, place)),
        str(error["msg"]),
        written if len(written) <= 200 else f"{written[:200]}…",
    )
