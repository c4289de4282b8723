"""Scores on suites of minimal pairs; the model is a function from token batches to answers."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model_discovery.verification.encoding import Encoder
from model_discovery.verification.item_sets import PairSet
from model_discovery.verification.metrics import get_metric
from model_discovery.verification.report import Score
from model_discovery.verification.tokenizers import SEPARATOR_ID, load_tokenizer

if TYPE_CHECKING:
    from model_discovery.verification.encoding import Scorer


def score_sets(
    sets: Sequence[PairSet], scorer: "Scorer", *, tokenizer: Path, max_length: int
) -> dict[str, Score]:
    """Accuracies by suite (the mean over its sets) and by ``suite/set``, through stock lm-eval.

    Parameters
    ----------
    sets
        What is scored; no sets give no scores.
    scorer
        Log-likelihoods of one batch of token rows.
    tokenizer
        The recipe's ``tokenizer.json``.
    max_length
        Tokens that the model reads at once.
    """
    if not sets:
        return {}
    from model_discovery.verification.tasks import ServedLM, run_tasks

    encoder = tokenizer_encoder(tokenizer, max_length)
    model = ServedLM(scorer, encoder)
    by_suite: dict[str, list[Score]] = {}
    scores: dict[str, Score] = {}
    for (suite, name), (value, stderr, n) in run_tasks(model, sets).items():
        score = Score(value=value, stderr=stderr, n=n, chance=_chance(suite))
        by_suite.setdefault(suite, []).append(score)
        scores[f"{suite}/{name}"] = score
    return {suite: _mean(parts) for suite, parts in by_suite.items()} | scores


def tokenizer_encoder(tokenizer: Path, max_length: int) -> Encoder:
    """How the texts of suites become rows for a model of this tokenizer that reads ``max_length`` tokens."""
    loaded = load_tokenizer(tokenizer)
    return Encoder(
        lambda text: list(loaded.encode(text, add_special_tokens=False).ids), SEPARATOR_ID, max_length
    )


def _mean(parts: Sequence[Score]) -> Score:
    """Every set counts the same, as in lm-eval's own group; the sets are independent."""
    errors = [part.stderr for part in parts if part.stderr is not None]
    return Score(
        value=sum(part.value for part in parts) / len(parts),
        stderr=math.hypot(*errors) / len(parts) if len(errors) == len(parts) else None,
        n=sum(part.n for part in parts),
        chance=parts[0].chance,
    )


def _chance(suite: str) -> float:
    chance = get_metric(suite).chance
    assert chance is not None
    return chance
