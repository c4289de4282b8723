"""Attention without the softmax: a sum over the past that is carried along."""

import torch
import torch.nn.functional as F
from torch import nn

from model_discovery.blocks import GAU, Field, UnitConfig, UnitContext
from model_discovery.blocks.kernels import head_count, merge_heads, scalar_decay, split_heads, widen


class LinearAttention(GAU):
    """Kernelised attention with a running sum, no decay and no positions::

        f(u) = elu(u) + 1,   S_t = sum_{s<=t} f(k_s) v_s^T,   n_t = sum_{s<=t} f(k_s)
        y_t = W_o concat_h  f(q_t) S_t / (f(q_t) n_t)

    Source: Katharopoulos 2020, arXiv 2006.16236.
    Cost: O(T d d_h) time, a state of d d_h numbers, 4 d^2 parameters.
    """

    role = "sequence_mixer"

    class Config(UnitConfig):
        head_dim: int = Field(32, ge=8, le=256, description="wanted width of a head")

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.n_heads = head_count(ctx.width, ctx.config.head_dim)
        self.qkv = nn.Linear(ctx.width, 3 * ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        q, k, v = (split_heads(part, self.n_heads) for part in self.qkv(x).chunk(3, dim=-1))
        q, k = F.elu(widen(q)) + 1, F.elu(widen(k)) + 1
        weight = (q * k.cumsum(2)).sum(-1, keepdim=True)
        y = scalar_decay(q, k, widen(v)) / (weight + 1e-6)
        return self.out(merge_heads(y).to(x.dtype))


def test_a_constant_value_comes_back():
    unit = LinearAttention(UnitContext(32))
    with torch.no_grad():
        unit.out.weight.copy_(torch.eye(32))
        unit.qkv.weight[64:].zero_()
        unit.qkv.weight[64:, 0] = 1.0
    x = torch.randn(1, 9, 32)
    x[..., 0] = 2.0
    assert torch.allclose(unit(x)[0], torch.full((1, 9, 32), 2.0), atol=1e-4)
