"""Stock lm-eval over a model that sits elsewhere: tasks built in Python, requests deduplicated and batched.

The only module that knows lm-eval; import it where scores are wanted. Without default task index, torch or
transformers it loads in under a CPU second.
"""

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from model_discovery.errors import UserError
from model_discovery.verification.encoding import Answer, Encoder, Plan, Scorer, Texts, ask
from model_discovery.verification.item_sets import BAD, GOOD, PairSet

# Nothing is ever fetched; the constants of these libraries are read when they are imported, which is next.
for _name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ.setdefault(_name, "1")

import lm_eval.evaluator  # noqa: E402
from datasets import Dataset  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.api.model import LM  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402

Planner = Callable[[Texts], Plan]

PORTION_PAIRS = 10_000

Figures = tuple[float, float | None, int]
"""Accuracy, its standard error, items."""


class ServedLM(LM):  # type: ignore[misc]
    """lm-eval's view of a model: texts become token rows by ``planner``, whose batches go to ``scorer``.

    Parameters
    ----------
    scorer
        Answers for one batch, in its order.
    encoder
        Of the recipe's tokenizer.
    planner
        `Encoder.plan`, or something that remembers what it gave.
    """

    def __init__(self, scorer: Scorer, encoder: Encoder, planner: Planner | None = None) -> None:
        super().__init__()
        self._scorer = scorer
        self._encoder = encoder
        self._plan = planner or encoder.plan

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[Answer]:
        return ask(self._plan([request.args for request in requests]), self._scorer)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        raise UserError("Only tasks that compare continuations can be scored, not whole-text perplexity.")

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        raise UserError("Only tasks that compare continuations can be scored, not generated text.")


def run_tasks(model: ServedLM, sets: Sequence[PairSet]) -> dict[tuple[str, str], Figures]:
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
