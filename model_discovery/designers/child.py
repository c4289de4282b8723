"""The sandbox's entry: does a design compute anything that others do not?"""

from typing import Any

import torch
from torch import Tensor

from model_discovery.blocks.language_model import LanguageModel
from model_discovery.blocks.scales import Scale, get_scale
from model_discovery.blocks.sizing import size_block
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.sandbox import Channel

_VOCABULARY = 61
_STIR = 0.1


def same_function(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Whether ``tree`` and each of ``others`` are the same model at ``scale``, to every weight and logit.

    Two structures may differ on paper only: a head width that a narrow model cannot have, a window longer
    than the context. Training both would give the same numbers twice.
    """
    scale = get_scale(request["scale"])
    mine = _fingerprint(UnitTree.from_json(request["tree"]), scale)
    others = [_fingerprint(UnitTree.from_json(other), scale) for other in request["others"]]
    return {"same": [_equal(mine, other) for other in others]}


Fingerprint = tuple[dict[str, tuple[int, ...]], Tensor]


@torch.no_grad()
def _fingerprint(tree: UnitTree, scale: Scale) -> Fingerprint:
    size = size_block(tree, scale)
    model = LanguageModel(
        tree, vocab_size=_VOCABULARY, width=size.width, n_blocks=size.n_blocks, seed=0
    ).eval()
    generator = torch.Generator().manual_seed(0)
    for (
        parameter
    ) in model.parameters():  # gates that start closed are opened, so that nothing hides behind them
        parameter.add_(_STIR * torch.randn(parameter.shape, generator=generator))
    tokens = torch.randint(_VOCABULARY, (1, scale.context), generator=generator)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    return shapes, model(tokens).logits


def _equal(mine: Fingerprint, other: Fingerprint) -> bool:
    return mine[0] == other[0] and torch.equal(mine[1], other[1])
