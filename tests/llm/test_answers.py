"""Data out of what models write around it, and back into the form that was asked for."""

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_makers import GOOD, Opinion
from pydantic import BaseModel, ConfigDict

from model_discovery.designers.agentic import schemas
from model_discovery.llm.answers import NotJson, ask_again, check, find_json, merged
from model_discovery.llm.schema import in_words, instructions, json_schema, part, strict

DATA = {"source": 'class A:\n    """Doc with ```json\n{"no": 1}\n``` inside."""\n    x = "\\t{}"\n', "n": 1}
RAW = '{"source": "def f():\n    return \'```\'\n```\n", "n": 1}'  # line breaks and a fence in a string


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DATA),
        f"  {json.dumps(DATA, indent=2)}\n",
        f"Here:\n```json\n{json.dumps(DATA, indent=2)}\n```\nDone.",
        f"```\n{json.dumps(DATA)}\n```",
        f"~~~JSON\n{json.dumps(DATA)}\n~~~",
        f'First I thought\n```json\n{{"source": "no"}}\n```\nbut then\n```json\n{json.dumps(DATA)}\n```',
        f"```json\n{json.dumps(DATA)}",
        f"Sure!\n{json.dumps(DATA, indent=1)}\nI hope this helps.",
        f"The answer is {json.dumps(DATA)}",
        f'<think>maybe {{}} or\n```json\n{{"a": 1}}\n```</think>\n{json.dumps(DATA)}',
        f"```json\n{json.dumps(DATA)}\n```\n```python\nprint({{}})\n```",
    ],
)
def test_the_object_is_found(text: str) -> None:
    assert find_json(text) == DATA


def test_source_with_raw_line_breaks_and_fences_survives() -> None:
    assert find_json(f"```json\n{RAW}\n```")["source"] == "def f():\n    return '```'\n```\n"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.text(max_size=20))
def test_any_source_survives_fenced_and_plain(source: str, around: str) -> None:
    data = {"source": source, "n": 1}
    if source.lower().startswith("block"):
        return
    around = around.replace("`", "").replace("~", "").replace("{", "").replace("<", "")
    for indent in (None, 1):
        written = json.dumps(data, indent=indent, ensure_ascii=False)
        assert find_json(f"{around}\n```json\n{written}\n```\n{around}") == data
        assert find_json(written) == data


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        assert isinstance(find_json(text), dict)
    except NotJson as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON|no JSON"),
        ("no idea", "Expecting value"),
        ("[1, 2]", "not an object"),
        ('```json\n{"a": 1,}\n```', "line 1"),
        ("[" * 100_000, "nested too deeply"),
        ("```json\n" * 50_000, "Expecting value|no JSON"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, why: str) -> None:
    with pytest.raises(NotJson, match=why):
        find_json(text)


def test_source_may_stand_in_blocks_of_its_own() -> None:
    text = (
        'Plan.\n```json\n{"source": "block 1", "children": [{"source": "(Block 2)"}], "note": "block 3"}\n'
        "```\n```python\nx = '\\n'\n```\n```py\ny = {}\n```\n"
    )
    data = find_json(text)
    assert data["source"] == "x = '\\n'\n" and data["children"][0]["source"] == "y = {}\n"
    assert data["note"] == "block 3"  # there is none: the text is left as it is


def test_half_a_surrogate_pair_does_not_get_through() -> None:
    assert find_json('{"a\\ud83d": ["\\ud83d"]}') == {"a?": ["?"]}


def test_mistakes_name_field_place_and_what_was_written() -> None:
    checked = check(Opinion, {"rating": "high", "part": {"source": "x"}, "more": 1})
    assert checked.parsed is None and checked.fields == ["rating", "why", "part"]
    asked = ask_again(checked)
    assert "`rating`: Input should be a valid number" in asked and 'you wrote "high"' in asked
    assert "`why`: it is missing" in asked and "`part.name`: it is missing" in asked
    assert "`rating`, `why`, `part`" in asked


def test_only_what_was_wrong_is_taken_from_the_second_answer() -> None:
    checked = check(Opinion, {**GOOD.model_dump(), "rating": -1})
    data = merged(checked, {"rating": 2, "why": "other", "concerns": []})
    assert data == {**GOOD.model_dump(), "rating": 2}


class Kinds(BaseModel):
    """Everything that has to be said otherwise in a strict schema."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["a", "b"] = "a"
    one: Literal["only"] = "only"
    parts: list[Opinion] = []
    pair: list[int] | None = None


class Free(BaseModel):
    values: dict[str, int]


class Tree(BaseModel):
    children: list["Tree"] = []


def _objects(node: object) -> list[dict]:
    if isinstance(node, list):
        return [each for item in node for each in _objects(item)]
    if not isinstance(node, dict):
        return []
    return [node, *[each for item in node.values() for each in _objects(item)]]


ROLES = [schemas.SearchNote, schemas.ProposalDraft, schemas.Review, schemas.Plan, schemas.UnitCode]


@pytest.mark.parametrize("schema", [Kinds, Opinion, schemas.Judgement, *ROLES])
def test_strict_schemas_hold_what_providers_take(schema: type[BaseModel]) -> None:
    bound = strict(json_schema(schema))
    for node in _objects(bound):
        if node.get("type") == "object":
            assert node["additionalProperties"] is False and node["required"] == list(node["properties"])
        assert not {"$ref", "default", "minimum", "minLength", "minItems", "oneOf", "const"} & set(node)


def test_what_cannot_be_bound_is_not() -> None:
    assert strict(json_schema(Free)) is None
    with pytest.raises(TypeError, match="Tree holds itself"):
        json_schema(Tree)


def test_a_schema_in_words_reads_like_the_answer() -> None:
    words = in_words(json_schema(Kinds))
    assert '"mode": "a" or "b"' in words and '"pair": [whole number, …] or null' in words
    assert '"why": string  // at least 3 characters' in words
    assert in_words(part(json_schema(Kinds), ["one"])) == '{\n  "one": "only"\n}'


def test_blocks_of_python_are_offered_where_there_is_source_only() -> None:
    assert "```python" in instructions(json_schema(schemas.UnitCode))
    assert "```python" not in instructions(json_schema(schemas.Review))
