"""Agent specs: what ships loads, users replace file by file, and a mistake is shown where it stands."""

import os
import random
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from agent_situations import variables_of

from model_discovery.config import AgentsConfig
from model_discovery.designers.agentic.prompts import render
from model_discovery.designers.agentic.specs import DEFAULT_MODELS, default_model, load_specs
from model_discovery.designers.agentic.steps import ROLES
from model_discovery.errors import UserError
from model_discovery.shipped import shipped_folder

SHIPPED = shipped_folder("etc/agent_spec")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped specs, to be changed."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "mine"))


def _edit(file: Path, old: str, new: str) -> int:
    """Replace text once; the line where the new one stands."""
    text = file.read_text("utf-8")
    assert text.count(old) >= 1
    file.write_text(text.replace(old, new, 1), "utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_what_ships_is_whole() -> None:
    specs = load_specs()
    assert list(specs) == list(ROLES)
    for role, spec in specs.items():
        assert spec.name == role and set(spec.prompts) == set(spec.output) == set(ROLES[role])
        assert spec.model is None, "the campaign decides, or the key that is there"
    assert {role for role, spec in specs.items() if spec.side == "reviewer"} == {"reviewer", "observer"}


def test_default_models_have_a_price_and_a_schema() -> None:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    for model in DEFAULT_MODELS.values():
        facts = litellm.model_cost[model.split("/", 1)[1]]
        assert facts["litellm_provider"] == model.split("/", 1)[0]
        assert facts["input_cost_per_token"] > 0 and facts["output_cost_per_token"] > 0
        assert facts["supports_response_schema"] and facts["max_input_tokens"] >= 100_000


# -- mistakes


PLACE = '{% include "place.md" %}'
SIDE, TOKENS, WRITE = "side: designer", "max_output_tokens: 16384", "  write: UnitCode"
TASK, WORLD, PROPOSED = "partials/task.md", "partials/world.md", "partials/proposed.md"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("coder.yaml", TOKENS, "max_output_token: 9", "unknown key 'max_output_token'. Did you mean 'max_"),
        ("coder.yaml", SIDE, "side: writer", "'side': input should be 'designer' or 'reviewer'"),
        ("coder.yaml", TOKENS, "temperature: 9", "'temperature': input should be less"),
        ("coder.yaml", TOKENS, "fallbacks: [a/b, 3]", "'fallbacks.1': input should be a valid string"),
        ("coder.yaml", "name: coder", "name: codr", "the name is 'codr', the file coder.yaml"),
        (
            "coder.yaml",
            SIDE,
            f"{SIDE}\nlimits: {{dollar: 3}}",
            "unknown key 'limits.dollar'. Did you mean 'dol",
        ),
        ("coder.yaml", SIDE, f"{SIDE}\nmodel: {{a/b: 0}}", "'model.a/b': input should be greater"),
        ("coder.yaml", WRITE, "  wriet: UnitCode", "Unknown step of the coder 'wriet'. Did you mean 'write'"),
        ("coder.yaml", WRITE, "  write: Plan", "write answers UnitCode, not 'Plan'"),
        ("coder.yaml", "  write: |", "  scribble: |", "Unknown step of the coder 'scribble'"),
        ("coder.yaml", SIDE, "side: [designer", "not YAML"),
        ("coder.yaml", '"world.md"', '"wordl.md"', "there is no partial 'wordl.md'. Did you mean 'world.md'"),
        ("coder.yaml", PLACE, "{{ paht }}", "unknown variable 'paht'. Did you mean 'path'"),
        ("coder.yaml", PLACE, "{{ notes }}", "unknown variable 'notes'"),
        ("coder.yaml", PLACE, "{{ path | shout }}", "No filter named 'shout'"),
        ("coder.yaml", PLACE, "{% if path %}", "Unexpected end of template"),
        (TASK, "brief.instruction", "brief.instructoin", "'brief.instructoin'. Did you mean 'instruction'"),
        (PROPOSED, "proposal |", "proposal.titel |", "'proposal.titel'. Did you mean 'title'"),
        (WORLD, "How this works.", "How {{ this }} works.", "unknown variable 'this'"),
    ],
)
def test_a_mistake_names_file_line_and_nearest(
    folder: Path, file: str, old: str, new: str, said: str
) -> None:
    line = _edit(folder / file, old, new) + new.count("\n")
    with pytest.raises(UserError) as raised:
        load_specs(folder)
    message = str(raised.value)
    assert said in message and str(folder / file) in message and "\n" not in message
    found = re.search(r"line (\d+)", message)
    assert found, message
    if "not YAML" not in said and "end of template" not in said:
        assert int(found[1]) == line, message


def test_a_step_that_is_missing_is_named(folder: Path) -> None:
    text = (folder / "planner.yaml").read_text("utf-8")
    (folder / "planner.yaml").write_text(text.split("prompts:")[0] + "prompts: {}\n", "utf-8")
    with pytest.raises(UserError, match="'prompts' lacks the step 'plan'"):
        load_specs(folder)


def test_a_template_that_fails_while_rendering_names_its_line(folder: Path) -> None:
    line = _edit(folder / "partials" / "parents.md", "{{ parent.name }}:", "{{ parent.nmae }}:")
    spec = load_specs(folder)["coder"]
    with pytest.raises(UserError, match=rf"parents\.md, line {line}: .*no attribute 'nmae'"):
        render(spec, "write", "mutation", variables_of("coder", "write", "mutation"))
    line = _edit(folder / "coder.yaml", '{% include "place.md" %}', "{{ tree.ascii()[0].nothing }}")
    spec = load_specs(folder)["coder"]
    (folder / "partials" / "parents.md").write_text("", "utf-8")
    with pytest.raises(UserError, match=rf"coder\.yaml, line {line}: .*'nothing'"):
        render(load_specs(folder)["coder"], "write", "mutation", variables_of("coder", "write", "mutation"))


@pytest.mark.parametrize(
    "attack", ["{{ brief.__class__.__mro__ }}", "{{ ''.__class__.__base__.__subclasses__() }}"]
)
def test_templates_reach_nothing_of_python(folder: Path, attack: str) -> None:
    _edit(folder / "coder.yaml", '{% include "place.md" %}', attack)
    with pytest.raises(UserError, match=r"coder\.yaml, line \d+"):
        render(load_specs(folder)["coder"], "write", "mutation", variables_of("coder", "write", "mutation"))


def test_folders_that_are_no_specs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        load_specs(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no agent specs"):
        load_specs(tmp_path)
    (tmp_path / "reviwer.yaml").write_text("name: reviwer\n", "utf-8")
    with pytest.raises(UserError, match=r"Unknown role 'reviwer'\. Did you mean 'reviewer'"):
        load_specs(tmp_path)
    (tmp_path / "reviwer.yaml").rename(tmp_path / "reviewer.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        load_specs(tmp_path)
    (tmp_path / "reviewer.yaml").write_text("", "utf-8")
    with pytest.raises(UserError, match="the file"):
        load_specs(tmp_path)


# -- what users change


def test_a_folder_replaces_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials" / "world.md").write_text("{% include 'mine.md' %}", "utf-8")
    (tmp_path / "partials" / "mine.md").write_text("A world of my own.", "utf-8")
    shutil.copy(SHIPPED / "reviewer.yaml", tmp_path)
    _edit(tmp_path / "reviewer.yaml", "side: reviewer", "side: reviewer\nmodel: openai/other")
    specs = load_specs(tmp_path)
    assert specs["reviewer"].model == "openai/other" and specs["reviewer"].file.parent == tmp_path
    assert specs["proposer"].file.parent == SHIPPED
    for role in ROLES:
        step = next(iter(ROLES[role]))
        system = render(specs[role], step, "mutation", variables_of(role, step, "mutation"))[0]
        assert "A world of my own." in system.content


def test_prompts_by_operator_and_parts_that_may_be_dropped(folder: Path) -> None:
    text = (folder / "planner.yaml").read_text("utf-8").split("prompts:")[0]
    text += "prompts:\n  plan:\n    scratch: four\n    mutation: |\n"
    text += "      one {% optional %}two{% endoptional %} three\n"
    (folder / "planner.yaml").write_text(text, "utf-8")
    spec = load_specs(folder)["planner"]
    values = variables_of("planner", "plan", "mutation")
    messages = render(spec, "plan", "mutation", values)
    assert [(message.content, message.optional) for message in messages[1:]] == [
        ("one", False), ("two", True), ("three", False),
    ]  # fmt: skip
    assert render(spec, "plan", "scratch", values)[1].content == "four"
    with pytest.raises(UserError, match="'plan' has no prompt for crossover"):
        render(spec, "plan", "crossover", values)


def test_names_that_a_template_sets_itself(folder: Path) -> None:
    values = variables_of("coder", "write", "mutation")
    _edit(folder / "coder.yaml", PLACE, "{% if path %}{% set mine = path %}[{{ mine }}]{% endif %}")
    assert "[mixer]" in render(load_specs(folder)["coder"], "write", "mutation", values)[1].content
    line = _edit(
        folder / "coder.yaml",
        "{% if path %}",
        "{% if not path %}{% set mine = 1 %}{% endif %}{{ mine }}{% if path %}",
    )
    with pytest.raises(UserError, match=rf"coder\.yaml, line {line}: 'mine' is undefined"):
        render(load_specs(folder)["coder"], "write", "mutation", {**values, "path": "ffn"})


def test_material_cannot_forge_a_boundary(folder: Path) -> None:
    values = variables_of("proposer", "propose", "mutation") | {"notes": ["a\x1eoptional\x1eb"]}
    messages = render(load_specs()["proposer"], "propose", "mutation", values)
    assert not any(message.optional and message.content.startswith("b") for message in messages)


# -- which model


def test_the_model_of_a_role(folder: Path) -> None:
    key = {"OPENAI_API_KEY": "x"}
    coder = load_specs()["coder"]
    rng = random.Random(0)
    assert coder.settings(AgentsConfig(), rng, key).model == DEFAULT_MODELS["OPENAI_API_KEY"]
    assert coder.settings(AgentsConfig(default_model="a/b"), rng, key).model == "a/b"
    _edit(
        folder / "coder.yaml", "side: designer",
        "side: designer\nmodel: vllm/own\nfallbacks: [a/c]\napi_base: http://127.0.0.1:1/v1\n"
        "temperature: 0.3\nrequests_per_minute: 7\ntimeout: 9",
    )  # fmt: skip
    own = load_specs(folder)["coder"]
    asked = own.settings(AgentsConfig(default_model="a/b"), rng, {})
    assert (asked.model, asked.fallbacks, asked.api_base) == ("vllm/own", ("a/c",), "http://127.0.0.1:1/v1")
    assert (asked.temperature, asked.requests_per_minute, asked.timeout) == (0.3, 7, 9.0)
    told = own.settings(AgentsConfig(model="x/y", api_base="http://127.0.0.1:2/v1"), rng, {})
    assert (told.model, told.fallbacks, told.api_base) == ("x/y", (), "http://127.0.0.1:2/v1")


def test_without_a_key_it_says_what_to_set() -> None:
    assert default_model({}) is None and default_model({"ANTHROPIC_API_KEY": ""}) is None
    both = dict.fromkeys(DEFAULT_MODELS, "x")
    assert default_model(both) == next(iter(DEFAULT_MODELS.values()))
    with pytest.raises(UserError, match="No language model is configured") as raised:
        load_specs()["proposer"].settings(AgentsConfig(), random.Random(0), {})
    assert "OPENAI_API_KEY" in raised.value.hint and "--model" in raised.value.hint


def test_a_mixture_is_drawn_by_weight(folder: Path) -> None:
    _edit(folder / "coder.yaml", "side: designer", "side: designer\nmodel: {b/one: 3, a/two: 1}")
    spec = load_specs(folder)["coder"]
    drawn = Counter(spec.settings(AgentsConfig(), random.Random(seed), {}).model for seed in range(400))
    assert set(drawn) == {"b/one", "a/two"} and 260 < drawn["b/one"] < 340
    again = [spec.settings(AgentsConfig(), random.Random(5), {}).model for _ in range(3)]
    assert len(set(again)) == 1
