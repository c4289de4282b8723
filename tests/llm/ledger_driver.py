"""A process of a campaign: sessions in threads that ask until the ledger refuses them.

Arguments: file, number of the process, sessions, limits of a session and of the campaign as JSON, seed.
Prints JSON: how many requests went through, and by which scope and measure the others were refused.
"""

import json
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from model_discovery.config.agents import SpendingLimits
from model_discovery.llm.bounds import Bound, CallFacts
from model_discovery.llm.ledger import Ledger
from model_discovery.llm.types import LimitReached, Usage


def ask_until_refused(
    ledger: Ledger, session: str, limits: dict[str, SpendingLimits], seed: int
) -> tuple[int, Counter[str]]:
    """Requests of random bounds, settled at random below them, until three in a row were refused."""
    rng = random.Random(seed)
    call = CallFacts(role="coder", step="s", session=session, campaign="c", model="m")
    sent, refused, in_a_row = 0, Counter[str](), 0
    while in_a_row < 3:
        bound = Bound(rng.randrange(1, 900), rng.randrange(1, 100), rng.uniform(0.001, 0.1))
        try:
            reservation = ledger.reserve(call, bound, limits)
        except LimitReached as error:
            refused[f"{error.scope} {error.what}"] += 1
            in_a_row += 1
            continue
        in_a_row = 0
        sent += 1
        share = rng.choice((0.0, 0.5, 1.0))
        usage = Usage(int(share * bound.input_tokens), int(share * bound.output_tokens))
        assert bound.dollars is not None
        ledger.settle(reservation, usage=usage, dollars=share * bound.dollars, seconds=0.0, outcome="ok")
    return sent, refused


def run_sessions(
    path: Path, number: int, sessions: int, limits: dict[str, SpendingLimits], seed: int
) -> tuple[int, Counter[str]]:
    """That many sessions at once, the odd ones with a ledger of their own."""
    shared = Ledger(path)
    names = [f"p{number}-s{index}" for index in range(sessions)]
    ledgers = [Ledger(path) if index % 2 else shared for index in range(sessions)]
    with ThreadPoolExecutor(sessions) as pool:
        done = pool.map(
            lambda index: ask_until_refused(ledgers[index], names[index], limits, seed * 1000 + index),
            range(sessions),
        )
        results = list(done)
    return sum(sent for sent, _ in results), sum((refused for _, refused in results), Counter[str]())


if __name__ == "__main__":
    path, number, sessions, limits, seed = sys.argv[1:]
    parsed = {scope: SpendingLimits(**values) for scope, values in json.loads(limits).items()}
    sent, refused = run_sessions(Path(path), int(number), int(sessions), parsed, int(seed) + int(number))
    print(json.dumps({"sent": sent, "refused": refused}))
