"""The ledger: no limit is broken, by whatever asks at once, and nothing that fits is refused."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_driver import run_sessions

from model_discovery.config.agents import SpendingLimits
from model_discovery.errors import UserError
from model_discovery.llm import Bound, CallFacts, Ledger, sittings
from model_discovery.llm.types import LimitReached, ModelUnavailable, Usage

HERE = Path(__file__).parent


def call(session: str = "design-1", role: str = "coder", model: str = "m") -> CallFacts:
    return CallFacts(role=role, step="unit mixer/try 1", session=session, campaign="c", model=model)


def spend(
    ledger: Ledger, facts: CallFacts, tokens: int = 10, dollars: float | None = 0.1, **limits: Any
) -> None:
    reservation = ledger.reserve(facts, Bound(tokens, 0, dollars), limits)
    ledger.settle(reservation, usage=Usage(tokens), dollars=dollars, seconds=1.5, outcome="ok")


amounts = st.tuples(
    st.sampled_from(("reserve", "settle")),
    st.sampled_from(("design-1", "design-2", "design-3")),
    st.integers(0, 60),  # tokens of a bound
    st.integers(0, 60),  # dollars of a bound
    st.sampled_from((0.0, 0.5, 1.0, 1.3)),  # share of the bound that is used
)
bounds = st.one_of(st.none(), st.integers(1, 200))


@settings(max_examples=60, deadline=None)
@given(st.lists(amounts, max_size=40), *(bounds for _ in range(6)))
def test_a_request_is_refused_exactly_when_its_bound_does_not_fit(
    steps: list[tuple[str, str, int, int, float]],
    calls: int | None, tokens: int | None, dollars: int | None,
    all_calls: int | None, all_tokens: int | None, all_dollars: int | None,
) -> None:  # fmt: skip
    ledger = Ledger(None)
    limits = {
        "session": SpendingLimits(calls=calls, tokens=tokens, dollars=dollars),
        "campaign": SpendingLimits(calls=all_calls, tokens=all_tokens, dollars=all_dollars),
    }
    held: list[tuple[str, float, float]] = []  # session, tokens and dollars that count
    open_: list[tuple[int, Any, float]] = []

    def fits(session: str, tokens_: int, dollars_: int) -> bool:
        def one(limit: SpendingLimits, rows: list[tuple[str, float, float]]) -> bool:
            return (
                (limit.calls is None or len(rows) + 1 <= limit.calls)
                and (limit.tokens is None or sum(row[1] for row in rows) + tokens_ <= limit.tokens)
                and (limit.dollars is None or sum(row[2] for row in rows) + dollars_ <= limit.dollars + 1e-9)
            )

        return one(limits["session"], [row for row in held if row[0] == session]) and one(
            limits["campaign"], held
        )

    for what, session, tokens_, dollars_, share in steps:
        if what == "reserve":
            expected = fits(session, tokens_, dollars_)
            try:
                reservation = ledger.reserve(call(session), Bound(0, tokens_, dollars_), limits)
            except LimitReached:
                assert not expected
            else:
                assert expected
                open_.append((len(held), reservation, share))
                held.append((session, tokens_, dollars_))
        elif open_:
            index, reservation, share = open_.pop()
            usage, cost = Usage(0, int(share * reservation.bound.tokens)), share * reservation.bound.dollars
            ledger.settle(reservation, usage=usage, dollars=cost, seconds=0, outcome="ok")
            held[index] = (held[index][0], usage.output, cost)
    total = ledger.totals()[0]
    assert total.requests == len(held)
    assert total.output_tokens + total.unsettled_tokens == sum(row[1] for row in held)
    assert (total.dollars or 0) + total.unsettled_dollars == pytest.approx(sum(row[2] for row in held))


LIMITS: list[dict[str, Any]] = [
    {"session": {"calls": 30}, "campaign": {"dollars": 2.0}},
    {"session": {"dollars": 0.3}, "campaign": {"calls": 97}},
    {"session": {"tokens": 9000}, "campaign": {"tokens": 40_000}},
]


def assert_kept(path: Path, limits: dict[str, Any], sent: int) -> None:
    ledger = Ledger(path)
    totals = {"campaign": ledger.totals(), "session": ledger.totals(["session"])}
    assert totals["campaign"][0].requests == sent == len(ledger.rows())
    for scope, limit in limits.items():
        for total in totals[scope]:
            assert total.unsettled == 0
            assert total.requests <= limit.get("calls", sent)
            assert total.input_tokens + total.output_tokens <= limit.get("tokens", 10**9)
            assert total.dollars is not None and total.dollars <= limit.get("dollars", 1e9) + 1e-9


@pytest.mark.parametrize("limits", LIMITS)
def test_sixteen_sessions_in_threads_break_no_limit(limits: dict[str, Any], tmp_path: Path) -> None:
    parsed = {scope: SpendingLimits(**values) for scope, values in limits.items()}
    sent, refused = run_sessions(tmp_path / "ledger.db", 0, 16, parsed, seed=5)
    assert_kept(tmp_path / "ledger.db", limits, sent)
    assert sent > 20 and sum(refused.values()) >= 16 * 3


@pytest.mark.parametrize("limits", LIMITS)
def test_sixteen_sessions_in_four_processes_break_no_limit(limits: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    command = [sys.executable, str(HERE / "ledger_driver.py"), str(path)]
    running = [
        subprocess.Popen(
            [*command, str(number), "4", json.dumps(limits), "11"], stdout=subprocess.PIPE, text=True
        )
        for number in range(4)
    ]
    told = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    sent = sum(one["sent"] for one in told)
    assert_kept(path, limits, sent)
    if "calls" in limits["campaign"]:  # each costs one, so the last that fits goes through
        assert sent == limits["campaign"]["calls"]


def test_refusals_say_whose_limit_it_is_and_what_to_raise() -> None:
    ledger = Ledger(None)
    spend(ledger, call(), tokens=800, dollars=0.5)
    with pytest.raises(LimitReached) as refused:
        spend(ledger, call(), tokens=300, session=SpendingLimits(tokens=1000))
    error = refused.value
    assert (error.scope, error.what, error.limit, error.used) == ("session", "tokens", 1000, 800)
    assert str(error) == (
        "The session's limit of 1,000 tokens is reached: 800 spent or reserved, "
        "the next request may take 300. (to allow more, raise agents.per_session.tokens)"
    )
    with pytest.raises(LimitReached, match=r"campaign's limit of 0\.5500 dollars .* 0\.5000 .* take 0\.1000"):
        spend(ledger, call("design-2"), campaign=SpendingLimits(dollars=0.55))
    with pytest.raises(LimitReached, match=r"call's limit of 5 tokens .* raise agents\.per_call\.tokens"):
        spend(ledger, call("design-2"), call=SpendingLimits(tokens=5))
    with pytest.raises(LimitReached, match=r"role's limit of 1 calls .* agent spec"):
        spend(ledger, call(), role=SpendingLimits(calls=1))
    spend(ledger, call(role="planner"), role=SpendingLimits(calls=1))
    assert ledger.totals()[0].requests == 2


def test_minutes_run_from_the_first_request_of_the_scope() -> None:
    now = [1000.0]
    ledger = Ledger(None, clock=lambda: now[0])
    limit = SpendingLimits(minutes=2)
    spend(ledger, call(), session=limit)
    now[0] += 119
    spend(ledger, call(), session=limit)
    now[0] += 1
    with pytest.raises(LimitReached, match=r"session's limit of 2\.0 minutes is reached: 2\.0 at work\."):
        spend(ledger, call(), session=limit)
    spend(ledger, call("design-2"), session=limit)


def test_minutes_are_those_in_which_a_session_was_at_work(tmp_path: Path) -> None:
    """Sessions side by side count once, a night between two sittings not at all."""
    now = [1000.0]

    def later(minutes: float) -> None:
        now[0] += 60 * minutes

    def minutes(scope: str, facts: CallFacts) -> float:
        with pytest.raises(LimitReached) as reached:
            ledger.reserve(facts, Bound(1, 0), {scope: SpendingLimits(minutes=1e-9)})
        return round(reached.value.used, 6)

    ledger = Ledger(tmp_path / "ledger.db", clock=lambda: now[0])
    ledger.begin("c", "design-1")
    spend(ledger, call())
    later(5)
    ledger.begin("c", "design-2")
    spend(ledger, call("design-2"))
    later(10)
    spend(ledger, call())
    ledger.end("c", "design-2")
    assert minutes("campaign", call()) == 15, "10 of them with two sessions"
    later(600)  # killed; taken up in the morning
    ledger.close()
    ledger = Ledger(tmp_path / "ledger.db", clock=lambda: now[0])
    ledger.begin("c", "design-1")
    later(1)
    assert minutes("session", call()) == 16 and minutes("campaign", call()) == 16
    ledger.begin("c", "design-2")
    assert minutes("session", call("design-2")) == 10
    spend(ledger, call(role="observer"))
    later(2)
    assert minutes("role", call(role="observer")) == 2 and minutes("role", call()) == 18


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12), st.integers(0, 60))
def test_minutes_are_counted_once_whatever_overlaps(spans: list[tuple[int, int]], since: int) -> None:
    db = Ledger(None)._db
    for began, length in spans:
        sittings.begin(db, "c", "s", 60.0 * began)
        sittings.see(db, "c", "s", 60.0 * (began + length))
    whole = {minute for began, length in spans for minute in range(began, began + length) if minute >= since}
    assert sittings.minutes(db, "campaign = ?", ["c"], 60.0 * since) == pytest.approx(len(whole))


def test_a_ledger_of_the_first_version_goes_on(tmp_path: Path) -> None:
    now = [0.0]
    ledger = Ledger(tmp_path / "ledger.db", clock=lambda: now[0])
    spend(ledger, call())
    now[0] = 120.0
    spend(ledger, call())
    ledger._db.executescript("DROP TABLE sitting; PRAGMA user_version = 1;")
    ledger.close()
    now[0] = 9000.0
    ledger = Ledger(tmp_path / "ledger.db", clock=lambda: now[0])
    ledger.begin("c", "design-1")
    with pytest.raises(LimitReached, match=r"2\.0 at work"):
        spend(ledger, call(), session=SpendingLimits(minutes=2))
    assert ledger.totals()[0].requests == 2


def test_two_processes_take_up_a_ledger_of_the_first_version(tmp_path: Path) -> None:
    """The second one has seen the old version, and waits while the first one brings it up to date."""
    ledger = Ledger(tmp_path / "ledger.db")
    spend(ledger, call())
    ledger._db.executescript("DROP TABLE sitting; PRAGMA user_version = 1; BEGIN IMMEDIATE;")
    opened: list[Ledger] = []
    second = threading.Thread(target=lambda: opened.append(Ledger(tmp_path / "ledger.db")))
    second.start()
    time.sleep(0.2)
    ledger._db.execute(sittings.SCHEMA.split(";")[0])
    ledger._db.execute(sittings.FROM_REQUESTS)
    ledger._db.execute("PRAGMA user_version = 2")
    ledger._db.execute("COMMIT")
    second.join()
    assert ledger._read("SELECT COUNT(*) FROM sitting") == [(1,)]
    opened[0].close()
    ledger.close()


def test_a_price_is_needed_only_for_limits_in_dollars() -> None:
    ledger = Ledger(None)
    spend(ledger, call(model="mine"), dollars=None, session=SpendingLimits(tokens=100))
    with pytest.raises(
        ModelUnavailable, match=r"No price is known for mine, and the campaign .*agents.price"
    ):
        spend(ledger, call(model="mine"), dollars=None, campaign=SpendingLimits(dollars=1))
    assert ledger.totals()[0].dollars is None


def test_what_costs_more_than_its_bound_is_kept_as_it_was() -> None:
    ledger = Ledger(None)
    reservation = ledger.reserve(call(), Bound(10, 10, 0.1), {})
    ledger.settle(reservation, usage=Usage(50, 60, 5), dollars=0.9, seconds=2, outcome="ok", request_id="r1")
    row = ledger.rows()[0]
    assert (row.input_tokens, row.output_tokens, row.cached_tokens, row.dollars) == (50, 60, 5, 0.9)
    assert (row.outcome, row.request_id, row.bound_input, row.bound_dollars) == ("ok", "r1", 10, 0.1)
    with pytest.raises(LimitReached):
        ledger.reserve(call(), Bound(1, 1, 0.2), {"session": SpendingLimits(dollars=1.0)})


def test_an_answer_without_a_price_counts_as_its_bound() -> None:
    ledger = Ledger(None)
    reservation = ledger.reserve(call(), Bound(10, 10, 0.8), {})
    ledger.settle(reservation, usage=Usage(5, 5), dollars=None, seconds=2, outcome="timeout")
    with pytest.raises(LimitReached, match=r"0\.8000 spent"):
        ledger.reserve(call(), Bound(1, 1, 0.3), {"session": SpendingLimits(dollars=1.0)})


def test_what_a_killed_process_reserved_stays_counted(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from model_discovery.llm import Bound, CallFacts, Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "ledger.reserve(CallFacts('coder', 's', 'design-1', 'c', 'm'), Bound(60, 40, 0.7), {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env={**os.environ}, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    ledger = Ledger(path)
    ledger.reserve(call("design-2"), Bound(1, 1, 0.01), {})
    assert ledger.begin("c", "design-1") == 1
    assert ledger.begin("c", "design-1") == 0
    assert [row.outcome for row in ledger.rows()] == ["interrupted", "reserved"]
    total = ledger.totals(["session"])[0]
    assert (total.by, total.requests, total.dollars) == ({"session": "design-1"}, 1, None)
    assert (total.unsettled, total.unsettled_tokens, total.unsettled_dollars) == (1, 100, 0.7)
    with pytest.raises(LimitReached, match=r"100 spent or reserved"):
        spend(ledger, call(), tokens=1, session=SpendingLimits(tokens=100))


def test_totals_are_sums_of_rows_by_any_column() -> None:
    ledger = Ledger(None)
    for session, role, tokens in (("d2", "coder", 5), ("d1", "coder", 7), ("d1", "reviewer", 11)):
        spend(ledger, call(session, role), tokens=tokens)
    by_both = ledger.totals(["session", "role"])
    assert [(dict(total.by), total.input_tokens) for total in by_both] == [
        ({"session": "d1", "role": "coder"}, 7),
        ({"session": "d1", "role": "reviewer"}, 11),
        ({"session": "d2", "role": "coder"}, 5),
    ]
    assert [row.input_tokens for row in ledger.rows(session="d1")] == [7, 11]
    assert ledger.totals()[0].seconds == 4.5
    with pytest.raises(ValueError, match="no sums by 'colour'"):
        ledger.totals(["colour"])
    assert Ledger(None).totals(["role"]) == []
    assert Ledger(None).totals()[0].dollars is None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 40), st.integers(0, 700)), min_size=1, max_size=60),
    st.integers(1, 6),
    st.integers(100, 1000),
)
def test_no_minute_has_more_requests_or_tokens_than_told(
    arrivals: list[tuple[float, int]], requests: int, tokens: int
) -> None:
    now = [50.0]
    ledger = Ledger(None, clock=lambda: now[0])
    sent: list[tuple[float, int]] = []
    for pause, amount in arrivals:
        now[0] += pause
        while wait := ledger.pace("m", amount, requests, tokens):
            assert 0 < wait <= 60
            now[0] += wait
        assert ledger.pace("other", 10**6, None, None) == 0
        sent.append((now[0], amount))
    for start, first in sent:
        window = [size for then, size in sent if start <= then < start + 60 - 1e-6]
        assert len(window) <= requests
        assert sum(window) <= max(tokens, first if len(window) == 1 else 0)


def test_the_pace_is_shared_by_all_who_have_the_file(tmp_path: Path) -> None:
    now = [50.0]
    one, other = (Ledger(tmp_path / "ledger.db", clock=lambda: now[0]) for _ in range(2))
    assert one.pace("m", 1, 2, None) == 0
    now[0] += 10
    assert other.pace("m", 1, 2, None) == 0
    assert one.pace("m", 1, 2, None) == 50
    assert one.pace("m2", 1, 2, None) == 0
    now[0] += 50
    assert other.pace("m", 1, 2, None) == 0


def test_a_file_that_is_no_ledger_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("this is a note, not a database" * 100)
    with pytest.raises(UserError, match=r"ledger\.db cannot be used: file is not a database"):
        Ledger(path)
    Ledger(tmp_path / "new.db")._db.execute("PRAGMA user_version = 7")
    with pytest.raises(UserError, match="another version"):
        Ledger(tmp_path / "new.db")


@pytest.mark.parametrize("bound", [Bound(-1, 5), Bound(1, 5, float("nan")), Bound(1, 1, -0.1)])
def test_no_bound_below_nothing(bound: Bound) -> None:
    with pytest.raises(ValueError, match="no bound"):
        Ledger(None).reserve(call(), bound, {})


def test_no_cost_below_nothing_and_no_unknown_scope() -> None:
    ledger = Ledger(None)
    reservation = ledger.reserve(call(), Bound(1, 1), {})
    with pytest.raises(ValueError, match="no cost"):
        ledger.settle(reservation, usage=Usage(-5), dollars=None, seconds=0, outcome="ok")
    with pytest.raises(ValueError, match="not settled as"):
        ledger.settle(reservation, usage=Usage(5), dollars=None, seconds=0, outcome="reserved")
    with pytest.raises(ValueError, match="no scope 'chain'"):
        ledger.reserve(call(), Bound(1, 1), {"chain": SpendingLimits(calls=1)})
    assert ledger.totals()[0].unsettled == 1
