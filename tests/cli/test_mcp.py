"""``model-discovery mcp``: the same operations over MCP and as lines of JSON, on clean standard streams."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from model_discovery.blocks.seed_designs import seed_designs, seed_units
from model_discovery.blocks.written_tree import spec_of
from model_discovery.design_tree import DesignTree
from model_discovery.errors import UserError
from model_discovery.evolution import begin_campaign
from model_discovery.system import BuildSystem, design_protocols, views
from model_discovery.system.design_server import OPERATIONS, DesignServer

SMALL = (
    "seed_designs=[griffin, min_gru]", "budget.runs={0.1M: 9}", "budget.designs=4", "ladder.seeds={}",
)  # fmt: skip
COMMAND = [sys.executable, "-m", "model_discovery", "mcp", "--db", "tree.db"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a campaign that has begun, the current one."""
    monkeypatch.chdir(tmp_path)
    config = BuildSystem(db="tree.db", overrides=SMALL, progress=False).config
    with DesignTree("tree.db") as tree:
        begin_campaign(tree, "first", instruction="x", config=config, seeds=seed_designs(), versions={})
    return tmp_path


def child() -> dict[str, Any]:
    """Griffin with another window and a unit of its own in place of its norm."""
    block = spec_of(seed_designs()["griffin"].tree)
    block["slots"]["second_mixer"]["config"] = {"window": 32}
    block["slots"]["mixer_norm"] = {"unit": "PlainNorm"}
    source = seed_units()["RMSNorm"].source.replace("RMSNorm", "PlainNorm")
    return {"title": "Nearer", "summary": "It sees half as far.", "block": block, "units": [source]}


# -- MCP


def over_mcp(folder: Path, talk: Callable[[Client], Awaitable[None]]) -> None:
    """Let a client talk to the command."""

    async def run() -> None:
        place = {"env": dict(os.environ), "cwd": folder}
        async with Client(StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], **place)) as client:
            await talk(client)

    anyio.run(run)


async def call(client: Client, operation: str, **args: Any) -> dict[str, Any]:
    answer = await client.call_tool(operation, args)
    assert not answer.is_error, answer.content
    assert json.loads(answer.content[0].text) == answer.structured_content
    return answer.structured_content


async def refusal(client: Client, operation: str, **args: Any) -> str:
    answer = await client.call_tool(operation, args)
    assert answer.is_error
    return str(answer.content[0].text)


def test_a_whole_session_over_mcp(folder: Path) -> None:
    async def talk(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tuple(tools) == OPERATIONS and client.instructions and "next_request" in client.instructions
        assert all(len(tool.description or "") > 60 for tool in tools.values())
        assert "$ref" not in json.dumps([tool.input_schema for tool in tools.values()])
        design = tools["submit"].input_schema["properties"]["design"]
        assert {"title", "prediction", "block", "units", "unit_tree"} <= design["properties"].keys()
        assert tools["submit"].input_schema["required"] == ["design"]
        asked = await call(client, "next_request")
        assert asked["campaign"] == "first" and asked["operator"] in ("scratch", "mutation", "crossover")
        assert "split_heads" in (await call(client, "contract"))["contract"]
        assert (await call(client, "design", name="griffin"))["block"]["unit"] == "HybridBlock"
        assert (await call(client, "search_papers", query="delta rule", k=2))["hits"]
        assert not (await call(client, "check_unit", source="import os\n"))["ok"]
        assert "Did you mean 'griffin'" in await refusal(client, "design", name="grifin")
        assert "name" in await refusal(client, "design")
        done = await call(client, "submit", design=child(), parents=["griffin"], name="mine")
        assert done["entered"] and done["design"] == "mine"
        assert "class PlainNorm" in (await call(client, "design", name="mine"))["source"]["PlainNorm"]
        assert "the same structure" in await refusal(client, "submit", design=child(), parents=["griffin"])
        assert "Nothing fills" in await refusal(client, "submit", design={"block": {"unit": "PreNormBlock"}})

    over_mcp(folder, talk)
    assert [row["design"] for row in views.designs("tree.db", None)] == ["griffin", "min_gru", "mine"]


def test_calls_made_at_once_are_all_answered(folder: Path) -> None:
    async def talk(client: Client) -> None:
        found: dict[str, Any] = {}

        async def ask(operation: str, **args: Any) -> None:
            found[operation] = await call(client, operation, **args)

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: ask("list_units", role="norm"))
            group.start_soon(lambda: ask("search_papers", query="gates", k=1))
            group.start_soon(lambda: ask("paper", name="gla"))
            group.start_soon(lambda: ask("results"))
        assert found.keys() == {"list_units", "search_papers", "paper", "results"}

    over_mcp(folder, talk)


def test_without_the_package_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    with pytest.raises(UserError, match=r"needs the package mcp\..*model-discovery\[mcp\].*mcp --json"):
        design_protocols.serve_mcp(DesignServer("tree.db"))


# -- lines of JSON


def lines(folder: Path, *asked: Any) -> list[dict[str, Any]]:
    """What the command answers to lines, each of which has to be JSON and nothing else."""
    text = "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in asked)
    done = subprocess.run(
        [*COMMAND, "--json"], input=text, capture_output=True, text=True, cwd=folder, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_whole_session_as_lines(folder: Path) -> None:
    help_, asked, unit, done = lines(
        folder,
        {"id": "a", "op": "help"},
        {"id": 2, "op": "next_request", "args": {"parents": ["min_gru"]}},
        {"op": "unit", "args": {"name": "MinGRU"}},
        {"id": 4, "op": "submit", "args": {"design": child(), "parents": ["griffin"], "name": "mine"}},
    )
    described = {one["op"]: one for one in help_["result"]["operations"]}
    assert help_["id"] == "a" and tuple(described) == OPERATIONS
    assert "design" in described["submit"]["args"]["properties"]
    assert asked["id"] == 2 and asked["result"]["operator"] == "mutation"
    assert unit["id"] is None and unit["result"]["role"] == "sequence_mixer"
    assert done["result"]["entered"] and done["result"]["check"]["ok"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "Not a line of JSON"),
        ("[1]", "an object with 'op'"),
        ({"id": 1}, "an object with 'op'"),
        ({"op": "unit", "arg": {}}, "Did you mean 'args'"),
        ({"op": "units"}, "Unknown operation 'units'. Did you mean 'unit'"),
        ({"op": "unit"}, "unit: 'name': Missing required"),
        ({"op": "unit", "args": {"nam": "MinGRU"}}, "'nam'"),
        ({"op": "unit", "args": ["MinGRU"]}, "an object with arguments by name"),
        ({"op": "search_papers", "args": {"query": "x", "k": "many"}}, "'k'"),
        ({"op": "unit", "args": {"name": "MinGRUU"}}, "Did you mean 'MinGRU'"),
        ({"op": "submit", "args": {"design": {"title": "x"}}}, "either 'unit_tree' or 'block'"),
    ],
)
def test_a_line_that_cannot_be_answered_is_answered(folder: Path, line: Any, words: str) -> None:
    text = line if isinstance(line, str) else json.dumps(line)
    known = design_protocols.operations(DesignServer("tree.db"))
    answer = design_protocols._answer(known, text)
    assert words in answer["error"]["message"] + answer["error"]["hint"] and "result" not in answer


def test_a_fault_of_ours_ends_no_session(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> dict[str, Any]:
        raise KeyError("lost")

    answer = design_protocols._answer({"unit": broken}, '{"id": 3, "op": "unit"}')
    assert answer["id"] == 3 and answer["error"]["message"] == "KeyError: 'lost'"
    assert "Traceback" in capsys.readouterr().err


def test_nothing_but_the_protocol_is_on_standard_output(folder: Path) -> None:
    """What is printed during an operation, by Python or below it, goes to standard error."""
    code = (
        "import os, sys\n"
        "from model_discovery.system.design_protocols import serve_json\n"
        "from model_discovery.system.design_server import DesignServer\n"
        "class Loud(DesignServer):\n"
        "    def contract(self):\n"
        "        print('noise'); os.write(1, b'more noise\\n')\n"
        "        return {}\n"
        "serve_json(Loud('tree.db'))\n"
        "print('after')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input='{"id": 1, "op": "contract"}\n\n', capture_output=True, text=True,
        cwd=folder, timeout=60,
    )  # fmt: skip
    assert done.stdout == '{"id": 1, "result": {}}\nafter\n'
    assert "noise" in done.stderr and "more noise" in done.stderr


def test_the_configuration_on_the_page_starts_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "agents.md").read_text("utf-8")
    section = page.split("## Any agent can be the designer")[1].split("\n## ")[0]
    config = json.loads(section.split("```json")[1].split("```")[0])["mcpServers"]["model-discovery"]
    done = subprocess.run(
        [*COMMAND[:3], *config["args"], "--help"], capture_output=True, text=True, timeout=60
    )
    assert config["command"] == "model-discovery" and done.returncode == 0, done.stderr
    rows = [row for row in section.splitlines() if row.startswith("| `")]
    named = {name for row in rows for name in row.split("|")[1].replace("`", "").replace(" ", "").split(",")}
    assert named == set(OPERATIONS)
