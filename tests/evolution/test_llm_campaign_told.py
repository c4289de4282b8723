"""A campaign of two designers as people see it: told while it runs, compared at its end, its words kept."""

import json
from pathlib import Path

import pytest
from evolution_makers import NAME, begin, sit, small_config

from model_discovery.design_tree import DesignTree
from model_discovery.designers.requests import Spending
from model_discovery.evolution import CampaignEvent, simulator
from model_discovery.evolution.controller import WorkFunctions
from model_discovery.system import models, views
from model_discovery.system.narration import Narrator
from model_discovery.system.progress import Display
from model_discovery.system.result import DiscoveryResult, gather

CONFIG = small_config(
    preset="demo",
    designers={"agentic": 0.7, "genetic": 0.3},
    budget={"designs": 14, "runs": {"0.1M": 26, "0.4M": 8}},
    agents={"model": "openai/mine", "per_campaign": {"dollars": 1}},
)


class Page(Display):
    """Lines as a list, wide."""

    def __init__(self) -> None:
        super().__init__(enabled=False)
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("campaign")


@pytest.fixture(scope="module")
def told(folder: Path) -> tuple[DiscoveryResult, list[str]]:
    page = Page()
    told: list[Spending] = []
    narrator = Narrator(page, NAME, "", lambda: sum(told, Spending()))

    def watch(event: CampaignEvent) -> None:
        if spent := event.data.get("session", {}).get("spending"):
            told.append(Spending(**spent))
        narrator.event(event)

    functions = WorkFunctions(design="llm_work:run_until_money_is_gone", verify=simulator.FUNCTIONS.verify)
    with DesignTree(folder / "tree.db") as tree:
        begin(tree, CONFIG)
        narrator.begin("find", CONFIG, "grammar", "1 worker")
        done = sit(tree, folder, watch=watch, functions=functions)
        result = gather(tree, tree.campaign(NAME), done.ending, options="")
    return result, page.lines


def test_the_beginning_says_who_is_asked(told: tuple[DiscoveryResult, list[str]]) -> None:
    assert told[1][1:4] == [
        "designer: agentic and genetic · recipe: grammar · selector: posterior · seed 0",
        "language models: openai/mine",
        "they may spend: a call at most 200,000 tokens; a session at most 120 calls; "
        "the whole campaign at most $1.00",
    ]


def test_without_a_key_one_line_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    page = Page()
    Narrator(page, NAME, "").begin("find", small_config(), "grammar", "1 worker")
    assert sum("ANTHROPIC_API_KEY or OPENAI_API_KEY" in line for line in page.lines) == 1
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-secret")
    words = models.without_models()
    assert "add --designer agentic (it would ask openai/" in words and "sk-planted" not in words


def test_each_session_says_what_it_cost(told: tuple[DiscoveryResult, list[str]]) -> None:
    result, lines = told
    asked = result.designers[0].sessions
    assert sum("7 calls, $0.25" in line for line in lines) == asked
    assert any(f"${0.25 * asked:.2f} so far" in line for line in lines)
    assert sum("limit of dollars is reached" in line for line in lines) == 1
    assert any("designed" in line and ": idea " in line for line in lines)
    assert any("may be taken up again" in line for line in lines)


@pytest.mark.parametrize("kind", ["submitted", "taken_up"])
def test_progress_of_a_session_is_told_by_stages(kind: str) -> None:
    page = Page()
    narrator = Narrator(page, NAME, "")
    job = {"job": 3, "designer": "agentic", "operator": "mutation"}
    narrator.event(CampaignEvent(kind, job))
    steps = (
        {"stage": "propose", "attempt": 1, "of": 10, "spending": {}},
        {"stage": "review", "title": "A [bold] idea", "spending": {"calls": 1, "dollars": 0.031}},
        {
            "stage": "code",
            "unit": "mixer.gate",
            "attempt": 1,
            "of": 7,
            "spending": {"calls": 2, "dollars": 0.05},
        },
        {
            "stage": "code",
            "unit": "mixer.gate",
            "attempt": 2,
            "of": 7,
            "spending": {"calls": 3, "dollars": 0.07},
        },
        {"stage": "check", "unit": "mixer.gate", "spending": {"calls": 3, "dollars": 0.07}},
        {"stage": "judge", "unit": "", "spending": {"calls": 1, "input_tokens": 1200, "dollars": 0.0}},
        {"stage": "judge", "unit": "ffn", "spending": {"calls": 2, "input_tokens": 1300, "output_tokens": 5}},
        {"stage": "judge", "unit": "norm", "spending": {"calls": 3, "dollars": 0.5, "unpriced_tokens": 9}},
        {"stage": "wait", "attempt": 1, "seconds": 16, "why": "HOST cannot be reached"},
        {"stage": "wait", "attempt": 2, "seconds": 32, "why": "HOST cannot be reached"},
    )
    for fields in steps:
        narrator.event(CampaignEvent("progress", {"job": 3, **fields}))
    shown = [line.partition("agentic design by mutation (#3) ")[2] for line in page.lines]
    assert shown == [
        "proposes, draft 1 of 10",
        "reviews 'A \\[bold] idea', $0.03",
        "writes mixer.gate, try 1 of 7, $0.05",
        "writes mixer.gate, try 2 of 7, $0.07",
        "judges the block, 1 call, 1,200 tokens",
        "judges ffn, 2 calls, 1,305 tokens",
        "judges norm, at least $0.50",
        "waits 16 s to ask again: HOST cannot be reached",
        "waits 32 s to ask again: HOST cannot be reached",
    ]


def test_the_result_compares_the_designers(told: tuple[DiscoveryResult, list[str]]) -> None:
    result = told[0]
    records = {row["designer"]: row for row in result.to_dict()["designers"]}
    json.dumps(records, allow_nan=False)
    agentic, genetic = records["agentic"], records["genetic"]
    assert agentic["dollars"] == 0.25 * agentic["sessions"] and genetic["dollars"] is None
    assert agentic["right"] + agentic["wrong"] + agentic["open"] == agentic["designs"]
    for row in (agentic, genetic):
        assert row["valid_low"] < row["valid"] <= row["valid_high"]
        assert row["best"] and row["best_loss_stderr"] > 0
    assert {row["verdict"] for row in result.leaderboard().records()} >= {None, "wrong"}
    assert "predicted" in str(result.leaderboard())
    page = result._repr_html_()
    assert page.count("<table>") == 2 and "<td>agentic</td>" in page


def test_the_result_is_printed_with_the_sum(
    told: tuple[DiscoveryResult, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    told[0].show()
    printed = capsys.readouterr().out
    asked = told[0].designers[0]
    assert f"language models: {asked.sessions} sessions, {asked.spending.calls} calls" in printed
    assert f"${asked.spending.dollars:.2f}" in printed and "over parent" in printed


def test_tree_show_prints_words_prediction_and_verdict(
    told: tuple[DiscoveryResult, list[str]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = told[0].leaderboard().records()
    name = next(row["design"] for row in rows if row["verdict"] == "wrong")
    facts = views.design(str(folder / "tree.db"), None, name)
    assert facts["prediction"]["verdict"] == "wrong" and "±" in facts["prediction"]["evidence"]
    views.print_design(facts)
    printed = capsys.readouterr().out
    assert "expected: less loss" in printed and f"wrong: {facts['prediction']['evidence']}" in printed
    assert "loss lower than its parent by at least 0.002 nats, because it must" in printed
    human = views.design(str(folder / "tree.db"), None, "human_0")
    assert human["prediction"] is None
    views.print_design(human)


def test_a_genetic_campaign_shows_no_columns_it_has_no_use_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DesignTree(tmp_path / "tree.db") as tree:
        begin(tree, small_config(preset="demo"))
        done = sit(tree, tmp_path)
        result = gather(tree, tree.campaign(NAME), done.ending, options="")
    result.show()
    printed = capsys.readouterr().out
    assert "predicted" not in printed and "language models" not in printed and "over parent" not in printed
    assert result.to_dict()["designers"][0]["designer"] == "genetic"
