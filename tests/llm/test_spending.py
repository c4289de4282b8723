"""Money: what a request can cost at most is reserved before it; no limit is passed, also in parallel."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llm_makers import GOOD, PRICE, Asker
from scripted_server import Answer, ScriptedServer, cut, no_such_model, say, server_error

from model_discovery.config.agents import SpendingLimits
from model_discovery.llm import (
    Bound,
    CallFacts,
    Ledger,
    LimitReached,
    Message,
    ModelUnavailable,
    Patience,
    Reservation,
    Usage,
    read_journal,
)
from model_discovery.llm.loading import load_litellm
from model_discovery.llm.sending import bound_of

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_no_tokenizer_at_hand_passes_the_bound(texts: list[str]) -> None:
    messages = [Message(role="user", content=text) for text in texts]
    bound = bound_of(messages, None, 100, PRICE)
    plain = [{"role": "user", "content": text} for text in texts]
    assert load_litellm().token_counter(model="gpt-4o", messages=plain) <= bound.input_tokens
    assert bound.dollars == pytest.approx((bound.input_tokens * 1.0 + 100 * 4.0) / 1e6)


def _outcomes(path: Path, scopes: dict[str, SpendingLimits], answers: list[Answer]) -> tuple[int, int]:
    """Sixteen sessions with a ledger of their own on one file, until each is refused: requests, refusals."""

    def script(request: dict[str, Any]) -> Answer:
        return answers[sum(map(ord, request["messages"][0]["content"])) % len(answers)]

    with ScriptedServer(script) as server:

        def session(number: int) -> int:
            asker = Asker(server, ledger=Ledger(path), scopes=scopes, patience=Patience(tries=2, first=0.001))
            asker.journal.session = f"session-{number}"
            for turn in range(20):
                try:
                    asker.ask(f"{number} {turn}", schema=None, schema_mode=None)
                except LimitReached:
                    return 1
                except ModelUnavailable:  # the answer stayed broken, and may have been paid
                    continue
            return 0

        load_litellm()
        with ThreadPoolExecutor(16) as pool:
            refused = sum(pool.map(session, range(16)))
        return len(server.requests), refused


@pytest.mark.parametrize(
    "limit",
    [SpendingLimits(calls=25), SpendingLimits(tokens=20_000), SpendingLimits(dollars=0.03)],
    ids=["calls", "tokens", "dollars"],
)
def test_sixteen_sessions_never_overspend(limit: SpendingLimits, tmp_path: Path) -> None:
    answers = [say("short", usage=(60, 500, 0)), say("short", usage=(60, 20, 0)), server_error(), cut()]
    requests, refused = _outcomes(tmp_path / "l.db", {"campaign": limit}, answers)
    ledger = Ledger(tmp_path / "l.db")
    (total,) = ledger.totals()
    assert refused == 16 and requests == total.requests == len(ledger.rows()) > 10
    assert total.unsettled == 0
    if limit.calls:
        assert requests == limit.calls
    if limit.tokens:
        assert limit.tokens * 0.7 < total.input_tokens + total.output_tokens <= limit.tokens
    if limit.dollars:
        assert total.dollars is not None and limit.dollars * 0.7 < total.dollars <= limit.dollars


def test_a_limit_is_kept_within_a_call_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with ScriptedServer(["no json", GOOD]) as server:
        for mode in ("resume", "resume", "replay"):
            asker = Asker(server, journal=path, mode=mode, scopes={"session": SpendingLimits(calls=1)})
            with pytest.raises(LimitReached, match="limit of 1 calls") as caught:
                asker.ask()
            assert (caught.value.scope, caught.value.what) == ("session", "calls")
            assert (caught.value.limit, caught.value.used) == (1, 1)
    assert len(server.requests) == 1
    data = read_journal(path)[0].data
    assert data["requests"] == 1 and data["dollars"] > 0 and data["error"]["type"] == "limit"
    assert len(data["messages"]) == 3 and data["text"] == ""  # what would have been sent next


def holder(asker: Asker, tokens: int) -> Reservation:
    """What another session's request on its way has reserved of the same campaign."""
    facts = CallFacts("coder", "write", "session-2", "tests", "openai/scripted")
    return asker.ledger.reserve(facts, Bound(tokens, 0, 0.0), {})


def test_what_requests_on_their_way_hold_is_waited_for() -> None:
    with ScriptedServer([say(GOOD, usage=(60, 20, 0))]) as server:
        asker = Asker(server, scopes={"campaign": SpendingLimits(tokens=20_000)})
        held = holder(asker, 19_900)

        def come_back() -> None:
            if len(asker.naps.seconds) == 3:
                asker.ledger.settle(held, usage=Usage(40, 5), dollars=0.0, seconds=1.0, outcome="ok")

        asker.naps.then = come_back
        assert asker.ask().parsed == GOOD
    assert asker.naps.seconds == [1.0] * 3
    assert asker.told == [(1.0, "other requests hold what is left of a limit")]


def test_what_never_comes_back_is_waited_for_as_long_as_an_answer_may_take() -> None:
    with ScriptedServer([]) as server:
        asker = Asker(server, scopes={"campaign": SpendingLimits(tokens=20_000)})
        holder(asker, 19_900)
        with pytest.raises(LimitReached, match="limit of 20,000 tokens"):
            asker.ask(timeout=7.0)
        assert asker.naps.seconds == [1.0] * 7


def test_what_was_spent_is_not_waited_for() -> None:
    with ScriptedServer([]) as server:
        asker = Asker(server, scopes={"campaign": SpendingLimits(tokens=20_000)})
        spent = Usage(19_900, 0)
        asker.ledger.settle(holder(asker, 19_900), usage=spent, dollars=0.0, seconds=1.0, outcome="ok")
        with pytest.raises(LimitReached):
            asker.ask()
        assert asker.naps.seconds == []


def test_tries_count_as_calls_of_their_own() -> None:
    with ScriptedServer([server_error()] * 2) as server:
        asker = Asker(server, scopes={"campaign": SpendingLimits(calls=2)})
        with pytest.raises(LimitReached):
            asker.ask()
    assert [row.outcome for row in asker.ledger.rows()] == ["server", "server"]


@pytest.mark.parametrize("scope", ["call", "role"])
def test_limits_of_a_call_and_of_a_role(scope: str) -> None:
    limit = SpendingLimits(tokens=600)
    with ScriptedServer([]) as server:
        asker = Asker(server, per_call=limit if scope == "call" else None)
        with pytest.raises(LimitReached, match=f"The {scope}'s limit of 600 tokens"):
            asker.ask("much " * 100, limits=limit if scope == "role" else None)


def test_the_ledger_knows_who_asked() -> None:
    with ScriptedServer([say(GOOD, usage=(50, 10, 40))]) as server:
        asker = Asker(server)
        asker.ask()
    (row,) = asker.ledger.rows()
    assert (row.campaign, row.session, row.role, row.step) == ("tests", "session-1", "reviewer", "review")
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (50, 10, 40)
    assert row.model == "openai/scripted" and row.request_id == "req-1"


@pytest.mark.parametrize(("first", "dollars"), [(cut(), True), (no_such_model(), False)])
def test_what_has_no_price_is_counted_apart(first: Answer, dollars: bool) -> None:
    """A fallback without a price: the money of the first model is not all there is."""
    with ScriptedServer([first, say(GOOD, usage=(60, 20, 0))]) as server:
        asker = Asker(
            server, prices={"openai/scripted": PRICE}, scopes={"session": SpendingLimits(tokens=50_000)},
            patience=Patience(tries=1, billed_tries=1),
        )  # fmt: skip
        asker.ask(fallbacks=("openai/second",))
    (call,), (total,) = asker.journal.events, asker.ledger.totals()
    assert call.data["unpriced_tokens"] == total.unpriced_tokens == 80
    assert bool(call.data["dollars"]) == bool(total.dollars) == dollars
    assert call.data["requests"] == total.paid == 1 + dollars and total.requests == 2


def test_the_pace_of_a_model_is_kept() -> None:
    now = [1000.0]
    with ScriptedServer(["yes"] * 3) as server:
        asker = Asker(server, ledger=Ledger(None, clock=lambda: now[0]))

        def pass_time(seconds: float) -> None:
            asker.naps(seconds)
            now[0] += seconds

        asker.llm._purse.__dict__["sleep"] = pass_time
        for text in "abc":
            asker.ask(text, schema=None, requests_per_minute=2)
    assert sum(asker.naps.seconds) == pytest.approx(60)
    assert [seconds for seconds, _ in asker.told] == asker.naps.seconds
