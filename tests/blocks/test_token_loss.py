"""The loss in pieces is the loss of all logits, with its gradients, in less memory."""

import pytest
import torch
import torch.nn.functional as F
from example_units import example_tree
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_discovery.blocks import LanguageModel, language_model, token_loss

Results = tuple[Tensor, Tensor, Tensor]


def plain(states: Tensor, head: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(states, head).float(), labels, ignore_index=-100)


def draw(rows: int, vocabulary: int, ignored: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, 8, generator=generator, requires_grad=True)
    head = torch.randn(vocabulary, 8, generator=generator, requires_grad=True)
    labels = torch.randint(vocabulary, (rows,), generator=generator)
    labels[torch.rand(rows, generator=generator) < ignored] = -100
    return states, head, labels


def gradients(loss: Tensor, states: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
    a, b = torch.autograd.grad(3 * loss, (states, head))
    return a, b


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 40),
    vocabulary=st.integers(2, 60),
    at_once=st.integers(1, 500),
    ignored=st.sampled_from([0.0, 0.3]),
    half=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_plain_loss_however_it_is_cut(
    rows: int, vocabulary: int, at_once: int, ignored: float, half: bool, seed: int
) -> None:
    states, head, labels = draw(rows, vocabulary, ignored, seed)
    labels[0] = seed % vocabulary
    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", torch.bfloat16, enabled=half):
        patch.setattr(token_loss, "AT_ONCE", at_once)
        ours = token_loss.token_loss(states, head, labels)
        expected = plain(states, head, labels)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    rtol, atol = (0.02, 0.02) if half else (1e-4, 1e-5)
    for got, wanted in zip(gradients(ours, states, head), gradients(expected, states, head), strict=True):
        torch.testing.assert_close(got, wanted, rtol=rtol, atol=atol)


def test_is_exact_in_float64() -> None:
    states, head, labels = (x.double() if x.is_floating_point() else x for x in draw(5, 7, 0.3))
    assert torch.autograd.gradcheck(lambda s, h: token_loss.token_loss(s, h, labels), (states, head))


def test_nothing_to_predict_is_no_number() -> None:
    states, head, _ = draw(3, 5, 0.0)
    assert token_loss.token_loss(states, head, torch.full((3,), -100)).isnan()


def kept_bytes(loss_of: object, *inputs: Tensor) -> int:
    """Bytes that the graph of a loss keeps for the way back, inputs left out."""
    own = {x.untyped_storage().data_ptr() for x in inputs}
    kept: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = loss_of(*inputs)  # type: ignore[operator]
    assert loss.requires_grad
    return sum(kept.values())


def test_keeps_the_head_and_no_logits() -> None:
    states, head, labels = draw(512, 4000, 0.0)
    assert kept_bytes(plain, states, head, labels) >= 512 * 4000 * 4
    assert kept_bytes(token_loss.token_loss, states, head, labels) <= 4 * (states.numel() + head.numel()) + 64


@pytest.mark.parametrize("half", [False, True])
def test_a_model_with_a_large_vocabulary_uses_it(monkeypatch: pytest.MonkeyPatch, half: bool) -> None:
    ids = torch.arange(24).view(2, 12) % 31
    results = []
    for bound in (30, 31):
        monkeypatch.setattr(language_model, "LARGE_VOCABULARY", bound)
        monkeypatch.setattr(token_loss, "AT_ONCE", 31 * 5)
        model = LanguageModel(example_tree(), vocab_size=31, width=16, n_blocks=2, seed=1)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = model(ids, ids)
            assert (output.held is None) == (bound == 30)
            assert torch.equal(output.logits, model(ids).logits)
        output.loss.backward()
        results.append([output.loss, *(p.grad for p in model.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=0.02 if half else 1e-4, atol=2e-3 if half else 1e-6)


def test_without_gradients_the_logits_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "LARGE_VOCABULARY", 30)
    model = LanguageModel(example_tree(), vocab_size=31, width=16, n_blocks=1)
    ids = torch.arange(8).view(1, 8)
    with torch.no_grad():
        output = model(ids, ids)
    assert output.held is not None
    torch.testing.assert_close(output.loss, model(ids, ids).loss)
