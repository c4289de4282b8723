"""The most likely continuation of rows of different lengths, together in one batch."""

from typing import Any

import torch
from torch import Tensor

from model_discovery.blocks.language_model import LanguageModel


@torch.inference_mode()
def generate_rows(model: LanguageModel, rows: list[list[int]], most: int) -> dict[str, Any]:
    """``most`` tokens after each row, each the most likely one.

    Step by step where every unit can: a row that has ended goes on with what it wrote while longer ones are
    still read. Otherwise everything is computed anew for every token, rows padded on the right, which a
    causal model does not see.
    """
    device = next(model.parameters()).device
    lengths = torch.tensor([len(row) for row in rows], device=device)
    longest = int(lengths.max())
    ids = torch.zeros(len(rows), longest + most, dtype=torch.long, device=device)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    if model.steps:
        _by_steps(model, ids, lengths, most)
    else:
        _by_prefixes(model, ids, lengths, most)
    return {"tokens": [ids[i, len(row) : len(row) + most].tolist() for i, row in enumerate(rows)]}


def _by_steps(model: LanguageModel, ids: Tensor, lengths: Tensor, most: int) -> None:
    state = model.init_state(len(ids))
    for position in range(int(lengths.max()) + most - 1):
        following = model.step(ids[:, position], state, position).float().argmax(dim=-1)
        writes = (position + 1 >= lengths) & (position + 1 < lengths + most)
        ids[:, position + 1] = torch.where(writes, following, ids[:, position + 1])


def _by_prefixes(model: LanguageModel, ids: Tensor, lengths: Tensor, most: int) -> None:
    every = torch.arange(len(ids), device=ids.device)
    for written in range(most):
        last = lengths + written - 1
        logits = model(ids[:, : int(last.max()) + 1]).logits[every, last]
        ids[every, last + 1] = logits.float().argmax(dim=-1)
