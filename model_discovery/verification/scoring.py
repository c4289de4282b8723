"""Log-likelihoods of token rows: head and softmax only where tokens count."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from model_discovery.blocks.language_model import LanguageModel
from model_discovery.verification.device import device_of

AT_ONCE = 1 << 20  # logits, 4 MB: what a processor's cache still holds


@torch.inference_mode()
def score_rows(model: LanguageModel, rows: list[list[int]], starts: list[int]) -> dict[str, Any]:
    """Log-likelihood of each row from its start on, and whether every token was the most likely one.

    Rows are padded on the right, which a causal model does not see.

    Parameters
    ----------
    rows
        Tokens; the last of each row is predicted, not read.
    starts
        First position that counts, by row, at least 1.

    Returns
    -------
    dict
        ``sums`` in nats and ``greedy``, by row.
    """
    device = device_of(model)
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    ends = torch.tensor([len(row) for row in rows])
    places = torch.arange(1, longest)
    counts = (places >= torch.tensor(starts)[:, None]) & (places < ends[:, None])
    of_row, position = (index.to(device) for index in counts.nonzero(as_tuple=True))
    ids = ids.to(device)
    states, _ = model.hidden(ids[:, :-1])
    found, first = _tokens(states[of_row, position], model.embedding.weight, ids[of_row, position + 1])
    sums = torch.zeros(counts.shape, dtype=torch.double, device=device)
    greedy = torch.ones(counts.shape, dtype=torch.bool, device=device)
    sums[of_row, position], greedy[of_row, position] = found.double(), first
    return {"sums": sums.sum(dim=1).tolist(), "greedy": greedy.all(dim=1).tolist()}


def _tokens(states: Tensor, head: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Log-likelihood of each target after its state ``(N, D)``, and whether none was likelier."""
    found, first = [], []
    size = max(1, AT_ONCE // len(head))
    for part, asked in zip(torch.split(states, size), torch.split(targets, size), strict=True):
        logits = F.linear(part, head).float()
        right = logits.gather(1, asked[:, None])[:, 0]
        most = logits.amax(dim=-1)  # argmax is ten times slower
        first.append(right == most)
        found.append(right - most - logits.sub_(most[:, None]).exp_().sum(dim=-1).log())
    return torch.cat(found), torch.cat(first)
