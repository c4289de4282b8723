"""lm-eval's view of a model that sits elsewhere: texts become token rows, answers come back.

With `tasks` and `task_suites` the only module that knows lm-eval; import them where scores are wanted.
Without default task index, torch or transformers lm-eval loads in under a CPU second.
"""

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from model_discovery.errors import UserError
from model_discovery.verification.encoding import (
    Answer,
    Encoder,
    Plan,
    Row,
    ScoreBatch,
    Texts,
    ask,
    plan_rows,
)

# Nothing is ever fetched; the constants of these libraries are read when they are imported, which is next.
for _name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ.setdefault(_name, "1")

import lm_eval.evaluator  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.api.model import LM  # noqa: E402
from lm_eval.models.utils import (  # noqa: E402
    handle_stop_sequences,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window  # noqa: E402

BOOTSTRAP = 1000
"""Resamples for the standard errors that have no formula (F1, Matthews, perplexity)."""

_FIRST_STRETCH = 16  # tokens generated before looking for the end; doubled each time
_GENERATE_TOKENS = 4096

Planner = Callable[[Texts], Plan]

Rows = tuple[tuple[int, ...], ...]


class Asked(Protocol):
    """A model to be asked."""

    def score(self, rows: Rows, starts: tuple[int, ...]) -> Sequence[Answer]:
        """Log-likelihood of each row from its start on, and whether it was the first choice."""

    def generate(self, rows: Rows, most: int) -> Sequence[tuple[int, ...]]:
        """The ``most`` most likely tokens after each row."""


@dataclass
class Seen:
    """Requests so far, and those among them that were longer than the model reads."""

    requests: int = 0
    cut: int = 0


@dataclass
class ServedLM(LM):  # type: ignore[misc]
    """What lm-eval runs its tasks on.

    Attributes
    ----------
    asked
        The model.
    encoder
        Of the recipe's tokenizer.
    decode
        Tokens to text; only needed for generated text.
    planner
        `Encoder.plan`, or something that remembers what it gave.
    seen
        What was asked so far.
    """

    asked: Asked
    encoder: Encoder
    decode: Callable[[Sequence[int]], str] = repr
    planner: Planner | None = None
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        super().__init__()

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[Answer]:
        plan = (self.planner or self.encoder.plan)([request.args for request in requests])
        self._count(len(requests), plan.cut)
        return ask(plan, self._score)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        """Whole documents, in windows that do not overlap in what they predict."""
        rows: list[Row] = []
        ends = [0]
        for request in requests:
            rows += self._windows(request.args[0])
            ends.append(len(rows))
        self._count(len(requests), 0)
        answers = ask(plan_rows(rows), self._score)
        return [sum(value for value, _ in answers[start:end]) for start, end in pairwise(ends)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """The most likely continuation of each text, up to a stop string or the task's length."""
        texts = [""] * len(requests)
        groups: dict[tuple[tuple[str, ...], int], list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(self._ending(request.args[1]), []).append(index)
        for (stops, most), members in groups.items():
            kept = self.encoder.max_length - most
            prompts = {index: self.encoder.encode(requests[index].args[0]) for index in members}
            self._count(len(prompts), sum(len(prompt) > kept for prompt in prompts.values()))
            rows = {
                index: tuple(prompt[-kept:] or [self.encoder.separator]) for index, prompt in prompts.items()
            }
            for index, text in self._write(rows, stops, most).items():
                texts[index] = text
        return texts

    def _score(self, batch: ScoreBatch) -> Sequence[Answer]:
        return self.asked.score(batch.rows, batch.starts)

    def _count(self, requests: int, cut: int) -> None:
        self.seen.requests += requests
        self.seen.cut += cut

    def _windows(self, text: str) -> list[Row]:
        windows = get_rolling_token_windows(
            self.encoder.encode(text), self.encoder.separator, self.encoder.max_length, 1
        )
        return [self.encoder.row(*make_disjoint_window(window)) for window in windows]

    def _ending(self, settings: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
        """Stop strings and most tokens; where the model reads too little, half of what it reads."""
        wanted = normalize_gen_kwargs(dict(settings))
        if wanted["do_sample"]:
            raise UserError("A task asks for sampled text; only the most likely text can be scored.")
        stops = handle_stop_sequences(wanted["until"], eos=None)
        return tuple(stops), min(wanted["max_gen_toks"], max(1, self.encoder.max_length // 2))

    def _write(
        self, rows: Mapping[int, tuple[int, ...]], stops: tuple[str, ...], most: int
    ) -> dict[int, str]:
        """Texts by index; rows go on in stretches until they stop, so that short answers cost little."""
        written: dict[int, tuple[int, ...]] = dict.fromkeys(rows, ())
        open_rows, length = sorted(rows, key=lambda index: len(rows[index])), 0
        while open_rows and length < most:
            stretch = min(max(_FIRST_STRETCH, length), most - length)
            lengths = {index: len(rows[index]) + length + stretch for index in open_rows}
            for part in _parts(lengths):
                prompts = tuple((*rows[index], *written[index]) for index in part)
                for index, tokens in zip(part, self.asked.generate(prompts, stretch), strict=True):
                    written[index] += tokens
            length += stretch
            open_rows = [index for index in open_rows if not self._ended(written[index], stops)]
        return {index: self._text(tokens, stops) for index, tokens in written.items()}

    def _ended(self, tokens: tuple[int, ...], stops: tuple[str, ...]) -> bool:
        text = self.decode(tokens)
        return self.encoder.separator in tokens or any(stop and stop in text for stop in stops)

    def _text(self, tokens: tuple[int, ...], stops: tuple[str, ...]) -> str:
        if self.encoder.separator in tokens:
            tokens = tokens[: tokens.index(self.encoder.separator)]
        return str(postprocess_generated_text(self.decode(tokens), list(stops), None))


def _parts(lengths: Mapping[int, int]) -> Iterator[list[int]]:
    """Consecutive indices of about `_GENERATE_TOKENS` tokens together, from the shortest row on."""
    part: list[int] = []
    for index, length in lengths.items():
        if part and (len(part) + 1) * length > _GENERATE_TOKENS:
            yield part
            part = []
        part.append(index)
    if part:
        yield part


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without lm-eval's progress bars, remarks and prints."""
    for name in ("lm_eval", "lm-eval", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


def evaluate(lm: LM, tasks: Mapping[str, Any]) -> dict[str, Any]:
    """lm-eval's results; in this process alone, whatever the number of cores."""
    before = os.environ.get("DISABLE_MULTIPROC")
    os.environ["DISABLE_MULTIPROC"] = "1"  # else a bootstrap starts a process for every core
    try:
        with quiet():
            results = lm_eval.evaluator.evaluate(
                lm=lm, task_dict=tasks, log_samples=False, bootstrap_iters=BOOTSTRAP
            )
    finally:
        if before is None:
            del os.environ["DISABLE_MULTIPROC"]
    assert results is not None
    return dict(results)
