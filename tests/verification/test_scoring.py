"""Scores made only where tokens count are those of all logits together."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_designs import sound

from model_discovery.blocks import LanguageModel
from model_discovery.verification import scoring
from model_discovery.verification.scoring import score_rows

WORDS = 40
MODEL = LanguageModel(sound(), vocab_size=WORDS, width=32, n_blocks=1, seed=3).eval()
with torch.no_grad():
    for parameter in MODEL.parameters():
        parameter.mul_(3)  # else all tokens are about equally likely

tokens = st.lists(st.integers(0, WORDS - 1), min_size=2, max_size=20)
asked = st.lists(
    tokens.flatmap(lambda row: st.tuples(st.just(row), st.integers(1, len(row) - 1))), min_size=1
)


@torch.no_grad()
def expected(row: list[int], start: int) -> tuple[float, bool]:
    """One row alone, from all its logits."""
    chances = F.log_softmax(MODEL(torch.tensor([row[:-1]])).logits[0].double(), dim=-1)[start - 1 :]
    targets = torch.tensor(row[start:])
    found = chances.gather(1, targets[:, None])
    return float(found.sum()), bool((chances.argmax(dim=-1) == targets).all())


@settings(max_examples=30, deadline=None)
@given(asked=asked, at_once=st.sampled_from([WORDS, 7 * WORDS, 1 << 20]))
def test_the_same_as_from_all_logits(asked: list[tuple[list[int], int]], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "AT_ONCE", at_once)
        found = score_rows(MODEL, [row for row, _ in asked], [start for _, start in asked])
    alone = [expected(row, start) for row, start in asked]
    assert found["sums"] == pytest.approx([value for value, _ in alone], abs=1e-5)
    assert found["greedy"] == [greedy for _, greedy in alone]


def test_what_the_model_writes_is_its_first_choice() -> None:
    row = MODEL.generate(torch.tensor([[1, 2]]), 6)[0].tolist()
    found = score_rows(MODEL, [row, [*row[:-1], (row[-1] + 1) % WORDS], row], [2, 2, 1])
    assert found["greedy"][:2] == [True, False]
