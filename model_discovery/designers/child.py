"""The sandbox's entry: does a design use all of its units, and compute anything that others do not?"""

from dataclasses import dataclass
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


def compare(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Compare ``tree`` with ``others`` at ``scale``.

    Returns
    -------
    dict
        ``same``: for each of the others whether it is the same model to every weight and logit. Structures
        may differ on paper only: a head width a narrow model cannot have, a window longer than the context.
        ``absent``: units of the tree that are in no block of the model, such as the second mixer of a hybrid
        of one block.
    """
    scale = get_scale(request["scale"])
    mine = _fingerprint(UnitTree.from_json(request["tree"]), scale)
    others = [_fingerprint(UnitTree.from_json(other), scale) for other in request["others"]]
    return {"same": [mine.equals(other) for other in others], "absent": list(mine.absent)}


@dataclass(frozen=True)
class _Fingerprint:
    shapes: dict[str, tuple[int, ...]]
    logits: Tensor
    absent: tuple[str, ...]

    def equals(self, other: "_Fingerprint") -> bool:
        return self.shapes == other.shapes and torch.equal(self.logits, other.logits)


@torch.no_grad()
def _fingerprint(tree: UnitTree, scale: Scale) -> _Fingerprint:
    size = size_block(tree, scale)
    model = LanguageModel(tree, vocab_size=_VOCABULARY, width=size.width, n_blocks=size.n_blocks).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        # Gates that start closed are opened, so that no difference hides behind them.
        parameter.add_(_STIR * torch.randn(parameter.shape, generator=generator))
    tokens = torch.randint(_VOCABULARY, (1, scale.context), generator=generator)
    present = {type(module).__name__ for module in model.blocks.modules()}
    absent = sorted({unit.name for _, _, unit in tree.walk()} - present)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    return _Fingerprint(shapes, model(tokens).logits, tuple(absent))
