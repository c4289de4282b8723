"""Money of models, summed and said: the list of sessions and the end of a campaign tell the same."""

from pathlib import Path

import pytest
from evolution_makers import NAME, begin, sit, small_config
from hypothesis import given
from hypothesis import strategies as st

from model_discovery.design_tree import DesignTree
from model_discovery.designers.agentic.work import LEDGER
from model_discovery.designers.requests import Spending
from model_discovery.evolution import Ending, simulator
from model_discovery.evolution.controller import WorkFunctions
from model_discovery.llm import Bound, CallFacts, Ledger, Usage
from model_discovery.system import session_pages, sessions, spending
from model_discovery.system.designers import spent_in_words
from model_discovery.system.result import DiscoveryResult, gather

CONFIG = small_config(
    preset="demo",
    designers={"agentic": 0.6, "genetic": 0.4},
    budget={"designs": 8, "runs": {"0.1M": 16, "0.4M": 5}},
    agents={"model": "openai/mine"},
)
FUNCTIONS = WorkFunctions(design="llm_work:run_design", verify=simulator.FUNCTIONS.verify)


@pytest.mark.parametrize(
    ("spent", "amount", "whole", "cell"),
    [
        (Spending(), "0 tokens", "0 calls, 0 tokens", "-"),
        (
            Spending(calls=1, input_tokens=900, output_tokens=100, dollars=0.123),
            "$0.12", "1 call, 1,000 tokens, $0.12", "0.12",
        ),
        (
            Spending(
                calls=1, input_tokens=9, dollars=0.0031,
                unanswered=1, unanswered_tokens=7, unanswered_dollars=0.001,
            ),
            "$0.003", "1 call, 9 tokens, $0.003, and at most $0.001 of 1 request without an answer",
            "0.003 to 0.004",
        ),
        (
            Spending(calls=3, input_tokens=900, output_tokens=100, dollars=0.0),
            "1,000 tokens", "3 calls, 1,000 tokens", "-",
        ),
        (
            Spending(calls=3, input_tokens=900, output_tokens=100),
            "1,000 tokens", "3 calls, 1,000 tokens, price unknown", "-",
        ),
        (
            Spending(calls=3, input_tokens=900, output_tokens=100, dollars=0.5, unpriced_tokens=40),
            "at least $0.50", "3 calls, 1,000 tokens, at least $0.50", "at least 0.50",
        ),
        (
            Spending(
                calls=3, input_tokens=9, dollars=0.5,
                unanswered=1, unanswered_tokens=7, unanswered_dollars=0.25,
            ),
            "$0.50", "3 calls, 9 tokens, $0.50, and at most $0.25 of 1 request without an answer",
            "0.50 to 0.75",
        ),
        (
            Spending(calls=3, input_tokens=9, dollars=0.0, unanswered=2, unanswered_tokens=1700),
            "9 tokens", "3 calls, 9 tokens, and at most 1,700 tokens of 2 requests without an answer", "-",
        ),
        (
            Spending(unanswered=1, unanswered_tokens=7, unanswered_dollars=0.25),
            "0 tokens", "0 calls, 0 tokens, and at most $0.25 of 1 request without an answer", "0.00 to 0.25",
        ),
    ],
)  # fmt: skip
def test_words(spent: Spending, amount: str, whole: str, cell: str) -> None:
    assert spending.amount(spent) == amount
    assert spending.whole(spent) == whole
    assert spending.dollars_cell(spent) == cell


SPENDINGS = st.builds(
    Spending,
    calls=st.integers(0, 9),
    input_tokens=st.integers(0, 999),
    output_tokens=st.integers(0, 99),
    dollars=st.none() | st.integers(0, 8),
    unanswered_tokens=st.integers(0, 5),
)


@given(SPENDINGS, SPENDINGS, SPENDINGS)
def test_sums_do_not_depend_on_their_order(one: Spending, two: Spending, three: Spending) -> None:
    assert (one + two) + three == three + (one + two) == one + (two + three)
    assert one + Spending() == one
    assert 0 <= (one + two).unpriced_tokens <= (one + two).tokens
    assert Spending.model_validate(one.model_dump(exclude_defaults=True)) == one


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DesignTree:
    monkeypatch.chdir(tmp_path)
    return DesignTree("tree.db")


def run(tree: DesignTree, price: float | None) -> tuple[DiscoveryResult, int]:
    """A campaign, and its ledger by hand: two sessions with a request each, one without an answer."""
    begin(tree, CONFIG)
    done = sit(tree, Path(), functions=FUNCTIONS)
    row = tree.campaign(NAME)
    numbers = [job.number for job in sessions.design_jobs(tree, row)]
    ledger = Ledger(Path("checkpoints") / NAME / LEDGER)
    for count, number in enumerate(numbers[:3]):
        facts = CallFacts("coder", "write", f"{NAME}/design-{number}", NAME, "m")
        dollars = None if price is None else price * 1000
        held = ledger.reserve(facts, Bound(900, 100, dollars), {})
        if count == 2:
            break
        cost = None if price is None else price * 100
        ledger.settle(held, usage=Usage(90, 10), dollars=cost, seconds=1.0, outcome="ok")
    ledger.begin(NAME, f"{NAME}/design-{numbers[2]}")
    ledger.close()
    return gather(tree, row, done.ending, options=""), len(numbers)


@pytest.mark.parametrize(
    ("price", "words", "cell"),
    [
        (
            0.001,
            "2 calls, 200 tokens, $0.20, and at most $1.00 of 1 request without an answer",
            "0.20 to 1.20",
        ),
        (0.0, "2 calls, 200 tokens, and at most 1,000 tokens of 1 request without an answer", "200"),
        (
            None,
            "2 calls, 200 tokens, price unknown, and at most 1,000 tokens of 1 request without an answer",
            "200",
        ),
    ],
)
def test_the_end_and_the_list_say_the_same(
    price: float | None, words: str, cell: str, tree: DesignTree, capsys: pytest.CaptureFixture[str]
) -> None:
    result, asked = run(tree, price)
    assert spent_in_words(result.designers) == f"language models: {asked} sessions, {words}"
    result.show()
    shown = capsys.readouterr().out
    titles, agentic, genetic = shown[shown.index("designer  ") :].splitlines()[:3]
    assert titles.endswith("dollars" if price else "tokens")
    assert agentic.endswith(f"  {cell}") and genetic.endswith("  -")
    if price is None:
        cost = spending.of_campaign(NAME)
        assert cost is not None and cost.unpriced_tokens == 200 and cost.dollars is None

    rows = sessions.sessions("tree.db", None)
    session_pages.print_sessions(rows)
    listed = capsys.readouterr().out
    in_list = spending.total(spending.read(row["spending"]) for row in rows[:3])
    assert spending.whole(in_list) == words
    assert ("dollars" in listed) == bool(price or listed.count("0.25")) and "unanswered" in listed
    assert "$0.00" not in shown and " 0.00 " not in listed


def test_a_ledger_that_cannot_be_read_hides_no_result(tree: DesignTree) -> None:
    result, asked = run(tree, 0.001)
    file = Path("checkpoints") / NAME / LEDGER
    for path in file.parent.glob(f"{LEDGER}*"):
        path.unlink()
    file.write_text("no ledger")
    again = gather(tree, tree.campaign(NAME), result_ending(result), options="")
    assert again.designers[0].spending.calls == 7 * asked, "what the results of the sessions say"


def result_ending(result: DiscoveryResult) -> Ending:
    return Ending(result.state, result.reason, result.waiting, result.lineage_hash)
