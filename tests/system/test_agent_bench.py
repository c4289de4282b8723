"""The benchmark of agents over a real server, engine and sandbox; and how it counts."""

import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from agentic_makers import BLOCK, GOOD, LEAK_UNSEEN, WHOLE_BLOCK, code, draft, judgement, note, plan, review
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import Answer, ScriptedServer, fenced

from model_discovery.blocks.seed_designs import seed_designs
from model_discovery.checks.report import Finding
from model_discovery.config import load_config
from model_discovery.designers.agentic.bench import mean, ratio, tally, wilson
from model_discovery.designers.agentic.situations import in_turn, load_situations
from model_discovery.designers.requests import Attempt, DesignOutcome, Spending, read_request
from model_discovery.errors import UserError
from model_discovery.system.agent_bench import _sessions, bench, print_bench

REUSED = {
    "norm": "LayerNorm",
    "channel_mixer": "MLP",
    "sequence_mixer": "Retention",
    "local_mixer": "TokenShift",
}


def answer(request: dict[str, Any]) -> Answer:
    """What a capable model would say to each question; its first try at a mixer leaks."""
    text = "\n".join(message["content"] for message in request["messages"])
    now = re.findall(r"^# Now: (.*)$", text, re.MULTILINE)[-1]
    if now.startswith("read"):
        return fenced(note(enough=True))
    if now == "propose":
        scratch = "A block from nothing: `paths`" in text
        title = re.findall(r"^Asked for: (.*)$", text, re.MULTILINE)[-1]
        return fenced(draft(title=title[:100], paths=[""] if scratch else ["mixer"], references=[]))
    if now == "review it":
        return fenced(review())
    if now == "plan the next unit":
        return fenced(_plan(text))
    if now == "judge it":
        return fenced(judgement())
    if now.startswith("write the whole block"):
        return fenced(code(WHOLE_BLOCK))
    if "The slot to fill: the root" in text:
        return fenced(code(BLOCK))
    return fenced(code(GOOD if "# Your last try" in text else LEAK_UNSEEN))


def _plan(text: str) -> dict[str, Any]:
    slots = re.findall(r"^- (?:`([\w.]+)`|the root .*) \[(\w+)\]$", text, re.MULTILINE)
    path, role = slots[0]
    if role in ("block", "sequence_mixer"):
        return plan(path)
    return plan(path, reuse={"unit": REUSED[role], "parent": "", "path": ""})


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIBRARY_DIR", str(tmp_path / "papers"))
    monkeypatch.setenv("CKPT_DIR", str(tmp_path / "checkpoints"))
    return tmp_path


def _agents(server: ScriptedServer, **more: Any) -> dict[str, Any]:
    return {"model": "openai/scripted", "api_base": server.base_url, "search_rounds": 0, **more}


def test_finished_sessions_are_counted_and_nobody_is_asked(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, how = places / "bench", {"model": "openai/scripted", "api_base": "http://127.0.0.1:9/v1"}
    kept = {
        "units-m01-retention": _outcome(True, 0.25, checks=("causality",)),
        "units-c01-state-and-window": _outcome(False, 0.15, checks=("forward", "causality")),
        "direct-m01-retention": _outcome(False, 0.05),
        "direct-c01-state-and-window": _outcome(False, 0.05, "campaign dollars"),
    }
    for name, outcome in kept.items():
        (out / name).mkdir(parents=True)
        (out / name / "outcome.json").write_text(outcome.model_dump_json(), "utf-8")
    found = bench(agents=how, n=2, flows=("units", "direct"), out=out, progress=False)
    assert found["flows"]["units"]["dollars_per_valid"]["value"] == pytest.approx(0.4)
    assert found["flows"]["direct"]["cut"] == 1 and found["flows"]["direct"]["dollars_per_valid"] is None
    json.dumps(found, allow_nan=False)
    print_bench(found)
    shown = " ".join(capsys.readouterr().out.split())
    for said in (
        "openai/scripted, situations version 1", "valid designs 1 of 2 0 of 1", "dollars in all $0.40 $0.10",
        "dollars a valid design $0.400 ($0.250 to no end) -", "checks, units: causality 2, forward 1",
        "without a design, direct: no proposal passed its review 1", "direct: 1 sessions were cut short",
    ):  # fmt: skip
        assert said in shown, shown
    with pytest.raises(UserError, match="holds a benchmark with other seed"):
        bench(agents=how, n=1, flows=("units",), seed=1, out=out, progress=False)
    with pytest.raises(UserError, match="holds a benchmark with other agents"):
        bench(agents={**how, "beam": 2}, n=1, flows=("units",), out=out, progress=False)
    mine = places / "mine" / "partials"
    mine.mkdir(parents=True)
    (mine / "world.md").write_text("Another world.", "utf-8")
    with pytest.raises(UserError, match="holds a benchmark with other prompts"):
        bench(agents={**how, "agent_spec": str(mine.parent)}, n=1, flows=("units",), out=out, progress=False)


def test_a_beam_is_for_unit_by_unit_alone(places: Path) -> None:
    how = {"model": "openai/scripted", "api_base": "http://127.0.0.1:9/v1", "beam": 2}
    with pytest.raises(UserError, match=r"beam has no meaning in the flow direct.*leave it out"):
        bench(agents=how, n=1, flows=("direct",), progress=False)
    config = load_config("demo", (), agents=how)
    for flow, beam in (("units", 2), ("direct", 1)):
        (session,) = _sessions(flow, 1, config, 0, places)
        asked = read_request(session.request.model_dump(mode="json")).agents
        assert asked is not None and (asked.flow, asked.beam) == (flow, beam)


@pytest.mark.slow
def test_a_benchmark_counts_both_flows_and_goes_on_for_nothing(places: Path) -> None:
    with ScriptedServer(answer) as server:
        first = bench(agents=_agents(server), n=1, flows=("units", "direct"), workers=1, progress=False)
        asked = len(server.requests)
        units, direct = first["flows"]["units"], first["flows"]["direct"]
        assert (units["valid"], units["sessions"], units["errors"]) == (1, 1, {"causality": 1})
        assert (direct["valid"], direct["sessions"], direct["errors"]) == (1, 1, {})
        assert units["calls"]["value"] + direct["calls"]["value"] == asked
        assert units["tokens"]["value"] > 5000 and units["dollars"]["value"] == 0
        again = bench(agents=_agents(server), n=1, flows=("units", "direct"), workers=1, progress=False)
        assert len(server.requests) == asked and again == first
        # An outcome that was not kept is had again from its journal, for nothing.
        folder = Path(first["folder"])
        (folder / "units-m01-retention" / "outcome.json").unlink()
        again = bench(agents=_agents(server), n=1, flows=("units",), workers=1, progress=False)
        assert len(server.requests) == asked
        assert again["flows"]["units"]["valid"] == 1
    assert {path.name for path in folder.iterdir()} >= {"llm_ledger.db", "bench.json", "direct-m01-retention"}


@pytest.mark.slow
def test_all_operators(places: Path) -> None:
    with ScriptedServer(answer) as server:
        facts = bench(agents=_agents(server), n=3, flows=("units", "direct"), workers=2, progress=False)
    assert facts["failed"] == {}
    assert {row["operator"] for row in facts["sessions"]} == {"mutation", "crossover", "scratch"}
    assert facts["flows"]["units"]["valid"] == 3, facts["sessions"]
    assert facts["flows"]["direct"]["valid"] == 3, facts["sessions"]


@pytest.mark.parametrize(
    ("spent", "said"),
    [
        (Spending(calls=2, input_tokens=900, output_tokens=100, dollars=0.0), ""),
        (Spending(calls=2, input_tokens=900, output_tokens=100), ""),
        (
            Spending(calls=2, input_tokens=900, output_tokens=100, dollars=0.5, unpriced_tokens=300),
            "dollars in all at least $0.50",
        ),
    ],
)
def test_money_is_printed_where_there_is_any(
    spent: Spending, said: str, places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, how = places / "bench", {"model": "openai/scripted", "api_base": "http://127.0.0.1:9/v1"}
    (out / "units-m01-retention").mkdir(parents=True)
    kept = _outcome(True, None).model_copy(update={"spending": spent})
    (out / "units-m01-retention" / "outcome.json").write_text(kept.model_dump_json(), "utf-8")
    print_bench(bench(agents=how, n=1, flows=("units",), out=out, progress=False))
    shown = " ".join(capsys.readouterr().out.split())
    assert "tokens a session 1,000" in shown and ("dollars" in shown) == bool(said) and said in shown


@pytest.mark.slow
def test_killed_it_goes_on_and_pays_no_call_twice(places: Path) -> None:
    """Killed between any two calls: the second run asks only what the first had no answer to."""
    with ScriptedServer(answer) as server:
        asking = ["--model", "openai/scripted", "--api-base", server.base_url]
        sized = ["--n", "1", "--flow", "units", "--workers", "1", "--set", "agents.search_rounds=0"]
        command = [sys.executable, "-m", "model_discovery", "agents", "bench", *asking, *sized, "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ, cwd=places)
        while len(server.requests) < 3:
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.wait()
        before = len(server.requests)
        done = subprocess.run(command, capture_output=True, text=True, cwd=places, timeout=240)
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)
        whole = facts["flows"]["units"]["calls"]["value"]
        assert facts["flows"]["units"]["valid"] == 1
        assert len(server.requests) <= whole + 1 and before >= 3  # the call under way when it died


def test_what_cannot_be_run_is_said(places: Path) -> None:
    with pytest.raises(UserError, match="Unknown flow 'unit'"):
        bench(agents={}, n=1, flows=("unit",))
    nobody = {"model": "openai/x", "api_base": "http://127.0.0.1:9/v1"}
    with pytest.raises(UserError, match=r"The models' server http://127\.0\.0\.1:9/v1 "):
        bench(agents=nobody, n=1, flows=("units",), progress=False)
    with pytest.raises(UserError, match="Nothing to run"):
        bench(agents={}, n=0, flows=("units",))
    with pytest.raises(UserError, match=r"Unknown key 'agents\.planer'"):
        bench(agents={"model": "a/b"}, n=1, flows=("units",), overrides=["agents.planer=false"])


# -- situations


def test_the_situations_are_twenty_over_the_operators() -> None:
    situations = load_situations().situations
    assert len(situations) == len({one.name for one in situations}) == 20
    needed = {"scratch": 0, "mutation": 1, "crossover": 2}
    for one in situations:
        assert len(one.parents) == needed[one.operator] and set(one.parents) <= set(seed_designs())
        assert one.instruction.strip()
    assert sorted(one.name for one in in_turn()) == sorted(one.name for one in situations)
    assert {one.operator for one in in_turn()[:3]} == set(needed)


# -- counting


def _outcome(
    valid: bool, dollars: float | None, limit: str = "", checks: tuple[str, ...] = ()
) -> DesignOutcome:
    note = Finding(check="probes", severity="info")
    attempts = tuple(
        Attempt(structure_hash="", ok=False, findings=(Finding(check=check), note)) for check in checks
    )
    return DesignOutcome(
        status="valid" if valid else "abandoned", attempts=attempts, limit=limit,
        spending=Spending(calls=10, input_tokens=900, output_tokens=100, dollars=dollars),
    )  # fmt: skip


def test_tally() -> None:
    outcomes = [
        _outcome(True, 0.2, checks=("forward", "causality")),
        _outcome(True, 0.4),
        _outcome(False, 0.6, "session calls"),
        _outcome(False, 0.0, checks=("causality",)),
        _outcome(False, 0.1, "campaign dollars"),
    ]
    found = tally(outcomes)
    assert (found.sessions, found.valid, found.cut) == (4, 2, 1)
    assert found.errors == {"causality": 2, "forward": 1}
    assert found.reasons == {"limit: session calls": 1, "no proposal passed its review": 1}
    assert found.calls is not None and (found.calls.value, found.calls.low, found.calls.high) == (10, 10, 10)
    assert found.dollars_per_valid is not None and found.dollars_per_valid.value == pytest.approx(0.6)
    assert found.total_dollars == pytest.approx(1.3)
    unknown = tally([_outcome(True, None), _outcome(True, 0.1)])
    assert unknown.dollars is None and unknown.dollars_per_valid is None


def test_intervals_by_hand() -> None:
    found = wilson(15, 20)
    assert found is not None and found.value == 0.75
    assert (found.low, found.high) == (pytest.approx(0.5313, abs=1e-3), pytest.approx(0.8881, abs=1e-3))
    assert wilson(0, 0) is None and mean([]) is None and ratio([1.0], [False]) is None
    spread = mean([1.0, 2.0, 3.0])
    assert spread is not None and spread.high == pytest.approx(2 + 4.3027 / math.sqrt(3), abs=1e-3)
    alone = ratio([2.0], [True])
    assert alone is not None and (alone.value, alone.low) == (2.0, None)
    rare = ratio([1.0] * 4, [True, False, False, False])
    assert rare is not None and rare.value == 4.0 and rare.high == math.inf and rare.low is not None


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_share(pair: tuple[int, int]) -> None:
    found = wilson(*pair)
    assert found is not None and found.low is not None and found.high is not None
    assert 0 <= found.low <= found.value + 1e-12 and found.value - 1e-12 <= found.high <= 1
    assert found.high > found.low


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), min_size=2, max_size=12))
def test_bootstrap_is_around_its_ratio_and_repeatable(pairs: list[tuple[float, bool]]) -> None:
    spent, good = [each[0] for each in pairs], [each[1] for each in pairs]
    found = ratio(spent, good)
    assert found == ratio(spent, good)
    if found is not None:
        assert found.low is not None and found.high is not None and found.low <= found.value + 1e-9
        assert found.low <= found.high
