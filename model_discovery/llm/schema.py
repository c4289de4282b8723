"""Schemas as models see them: strict JSON schemas for those that can be bound to one, and in words."""

import json
from typing import Any

from pydantic import BaseModel

Json = dict[str, Any]
PYTHON = "text/x-python"
_NAMES = {"string": "string", "number": "number", "integer": "whole number", "boolean": "true or false"}
_KEPT = ("type", "description", "enum", "properties", "required", "items", "anyOf", "additionalProperties")
_FENCED = (
    "\n\nWrite your answer as one JSON object of this form, in a fenced block that begins with ```json. "
    "What follows // explains a line and does not belong into the answer.\n\n"
)
_CODE = (
    "\n\nA text that is Python source may be left out of the JSON: write \"block 1\" in its place, and after "
    "the JSON the source in a fenced block that begins with ```python; the second such text is \"block 2\", "
    "and so on. Nothing has to be escaped there."
)  # fmt: skip


def json_schema(schema: type[BaseModel]) -> Json:
    """The JSON schema of a model, its definitions put in where they are used."""
    whole = schema.model_json_schema()
    inlined: Json = _inlined(whole, whole.get("$defs", {}), ())
    return inlined


def part(schema: Json, fields: list[str]) -> Json:
    """The schema of an object that has only these fields."""
    properties = {name: node for name, node in schema["properties"].items() if name in fields}
    return {"type": "object", "properties": properties, "required": list(properties)}


def strict(schema: Json) -> Json | None:
    """A schema as providers want it to bind a model to it; None where it cannot be said so.

    Every field is required and no other allowed; bounds, which few providers know, go into descriptions.
    """
    try:
        return _strict(schema)
    except _NotStrict:
        return None


def in_words(schema: Json) -> str:
    """A schema in a compact form that reads like the answer itself."""
    return _written(schema, "")


def instructions(schema: Json) -> str:
    """What is added to a prompt for a model that cannot be bound to a schema."""
    holds_source = PYTHON in json.dumps(schema)
    return f"{_FENCED}{in_words(schema)}{_CODE if holds_source else ''}"


class _NotStrict(Exception):
    pass


def _inlined(node: Any, definitions: Json, inside: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_inlined(each, definitions, inside) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: value for key, value in node.items() if key != "$defs"}
    if (reference := node.pop("$ref", None)) is not None:
        name = reference.rsplit("/", 1)[-1]
        if name in inside:
            raise TypeError(f"{name} holds itself; a model cannot be asked for it")
        return {**_inlined(definitions[name], definitions, (*inside, name)), **node}
    return {
        key: {name: _inlined(each, definitions, inside) for name, each in value.items()}
        if key == "properties"
        else _inlined(value, definitions, inside)
        for key, value in node.items()
    }


def _strict(node: Json) -> Json:
    node = dict(node)
    if "const" in node:
        node["enum"] = [node["const"]]
    if "oneOf" in node:
        node["anyOf"] = node["oneOf"]
    if "prefixItems" in node or not {"type", "anyOf", "enum"} & set(node):
        raise _NotStrict
    if words := _bounds(node):
        node["description"] = "; ".join(filter(None, (node.get("description"), words)))
    if node.get("type") == "object":
        if "properties" not in node:
            raise _NotStrict
        node["required"] = list(node["properties"])
        node["properties"] = {name: _strict(each) for name, each in node["properties"].items()}
        node["additionalProperties"] = False
    if node.get("type") == "array":
        node["items"] = _strict(node.get("items", {}))
    if "anyOf" in node:
        node["anyOf"] = [_strict(each) for each in node["anyOf"]]
    return {key: node[key] for key in _KEPT if key in node}


def _bounds(node: Json) -> str:
    """Bounds of a value in words."""
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    said = {
        "minimum": "at least {}", "maximum": "at most {}", "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}", "minLength": "at least {} characters",
        "maxLength": "at most {} characters", "minItems": "at least {} items", "maxItems": "at most {} items",
        "pattern": "matches {}",
    }  # fmt: skip
    bounds = [(words.format(node[key]), node[key]) for key, words in said.items() if key in node]
    return ", ".join(words.removesuffix("s") if number == 1 else words for words, number in bounds)


def _written(node: Json, indent: str) -> str:
    if "enum" in node or "const" in node:
        return " or ".join(json.dumps(value) for value in node.get("enum", [node.get("const")]))
    for key in ("anyOf", "oneOf"):
        if key in node:
            return " or ".join(_written(each, indent) for each in node[key])
    kind, deeper = node.get("type"), indent + "  "
    if kind == "object" and "properties" in node:
        lines = [
            f'{deeper}"{name}": {_written(each, deeper)}{_comment(each)}'
            for name, each in node["properties"].items()
        ]
        return "{\n" + "\n".join(lines) + f"\n{indent}}}"
    if kind == "array":
        return f"[{_written(node.get('items', {}), indent)}, …]"
    if kind == "object":
        return f"{{name: {_written(node.get('additionalProperties') or {}, indent)}, …}}"
    return _NAMES.get(str(kind), str(kind or "anything"))


def _comment(node: Json) -> str:
    words = "; ".join(filter(None, (_bounds(node), node.get("description", ""))))
    return f"  // {' '.join(words.split())}" if words else ""
