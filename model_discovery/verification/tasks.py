"""Stock lm-eval over a model that sits elsewhere: tasks built in Python, requests deduplicated and batched.

The only module that knows lm-eval; import it where scores are wanted. Without default task index, torch or
transformers it loads in under a CPU second.
"""

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError
from model_discovery.verification.suites import BAD, GOOD, PairSet

# Nothing is ever fetched; the constants of these libraries are read when they are imported, which is next.
for _name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ.setdefault(_name, "1")

import lm_eval.evaluator  # noqa: E402
from datasets import Dataset  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.api.model import TemplateLM  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH_TOKENS = 1024
PORTION_PAIRS = 10_000


@dataclass(frozen=True)
class ScoreBatch:
    """Token rows to be scored together; row ``i`` counts from ``starts[i]`` (at least 1) on."""

    rows: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]


Answer = tuple[float, bool]
"""Log-likelihood in nats of the tokens that count, and whether each was the model's first choice."""

Scorer = Callable[[ScoreBatch], Sequence[Answer]]

Figures = tuple[float, float | None, int]
"""Accuracy, its standard error, items."""


class PairModel(TemplateLM):  # type: ignore[misc]
    """lm-eval's view of a model: texts are encoded here, batches of tokens go to ``scorer``.

    Parameters
    ----------
    scorer
        Answers for one batch, in its order.
    tokenizer
        Of the recipe.
    separator
        Token that stands before a document; what a text without context is conditioned on.
    max_length
        Tokens of a row at most; longer ones lose their beginning.
    """

    def __init__(self, scorer: Scorer, tokenizer: "Tokenizer", *, separator: int, max_length: int) -> None:
        super().__init__()
        self._scorer = scorer
        self._encoder = tokenizer
        self._separator = separator
        self._max_length = max_length

    @property
    def eot_token_id(self) -> int:
        return self._separator

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        return list(self._encoder.encode(string, add_special_tokens=False).ids)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[Answer]:
        return list(super().loglikelihood(requests, disable_tqdm=True))

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **_: Any
    ) -> list[Answer]:
        wanted = [self._row(context, continuation) for _, context, continuation in requests]
        answers: dict[tuple[tuple[int, ...], int], Answer] = {}
        for batch in make_batches(wanted):
            found = self._scorer(batch)
            answers.update(zip(zip(batch.rows, batch.starts, strict=True), found, strict=True))
        return [answers[row] for row in wanted]

    def _row(self, context: list[int], continuation: list[int]) -> tuple[tuple[int, ...], int]:
        if not continuation:
            raise UserError("An item of a suite has no tokens to score.")
        row = (*context, *continuation)
        row = row[-(self._max_length + 1) :]  # the last token is predicted, not read
        return row, max(1, len(row) - len(continuation))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        raise UserError("Only tasks that compare continuations can be scored, not whole-text perplexity.")

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        raise UserError("Only tasks that compare continuations can be scored, not generated text.")


def make_batches(
    rows: Sequence[tuple[tuple[int, ...], int]], batch_tokens: int = BATCH_TOKENS
) -> list[ScoreBatch]:
    """Each different row once, the longest first, about ``batch_tokens`` tokens with padding together."""
    unique = sorted(dict.fromkeys(rows), key=lambda row: (-len(row[0]), row))
    batches = []
    first = 0
    while first < len(unique):
        size = max(1, batch_tokens // (len(unique[first][0]) - 1))
        part = unique[first : first + size]
        batches.append(ScoreBatch(tuple(row for row, _ in part), tuple(start for _, start in part)))
        first += size
    return batches


def run_tasks(model: PairModel, sets: Sequence[PairSet]) -> dict[tuple[str, str], Figures]:
    """Run lm-eval, a few sets at a time, which bounds its memory: figures by ``(suite, set)``."""
    _hush()
    figures: dict[tuple[str, str], Figures] = {}
    for portion in _portions(sets):
        tasks = {_task_name(pairs): _task(pairs) for pairs in portion}
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
            results = lm_eval.evaluator.evaluate(lm=model, task_dict=tasks, log_samples=False)
        found: Mapping[str, Mapping[str, Any]] = results["results"]
        figures |= {(pairs.suite, pairs.name): _figures(found[_task_name(pairs)]) for pairs in portion}
    return figures


def _portions(sets: Sequence[PairSet]) -> Iterator[list[PairSet]]:
    """Consecutive sets of about `PORTION_PAIRS` pairs together."""
    portion: list[PairSet] = []
    for pairs in sets:
        portion.append(pairs)
        if sum(len(one.pairs) for one in portion) >= PORTION_PAIRS:
            yield portion
            portion = []
    if portion:
        yield portion


def _figures(result: Mapping[str, Any]) -> Figures:
    error = result["acc_stderr,none"]  # "N/A" over a single item
    return float(result["acc,none"]), error if isinstance(error, float) else None, int(result["sample_len"])


def _task_name(pairs: PairSet) -> str:
    return f"{pairs.suite}_{pairs.name}"


def _task(pairs: PairSet) -> ConfigurableTask:
    """The settings of lm-eval's own ``blimp`` tasks, without templates: those cost a millisecond a pair."""
    rows = [{GOOD: good, BAD: bad} for good, bad in pairs.pairs]
    return ConfigurableTask(
        config={
            "task": _task_name(pairs),
            "dataset_path": pairs.suite,
            "custom_dataset": lambda **_: {"train": Dataset.from_list(rows)},
            "output_type": "multiple_choice",
            "validation_split": "train",
            "doc_to_text": _no_context,
            "doc_to_target": _first,
            "doc_to_choice": _choices,
            "num_fewshot": 0,
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
            "metadata": {"version": 1.0},
        }
    )


def _no_context(_: Mapping[str, str]) -> str:
    return ""


def _first(_: Mapping[str, str]) -> int:
    return 0


def _choices(row: Mapping[str, str]) -> list[str]:
    return [row[GOOD], row[BAD]]


def _hush() -> None:
    for name in ("lm_eval", "lm-eval", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
