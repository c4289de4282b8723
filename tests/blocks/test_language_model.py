"""The model shell: loss, determinism, decoding, storing."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from example_units import example_tree, node, tree

from model_discovery.blocks import LanguageModel
from model_discovery.errors import UserError


def model(seed: int = 0, **sizes: int) -> LanguageModel:
    return LanguageModel(
        example_tree(), **{"vocab_size": 31, "width": 16, "n_blocks": 2, "seed": seed, **sizes}
    )


IDS = torch.arange(24).view(2, 12) % 31


def test_loss_is_cross_entropy_of_given_labels() -> None:
    subject = model()
    labels = IDS.roll(-1, 1).clone()
    labels[:, -1] = -100
    output = subject(IDS, labels)
    expected = F.cross_entropy(output.logits[:, :-1].reshape(-1, 31), labels[:, :-1].reshape(-1))
    assert torch.allclose(output.loss, expected)
    assert subject(IDS).loss is None


def test_auxiliary_losses_are_added() -> None:
    mixer = node("MeanMixer", local=node("Shift"))
    subject = LanguageModel(
        tree(node("PreNormBlock", mixer=mixer, ffn=node("CountingMixer"))),
        vocab_size=31,
        width=16,
        n_blocks=3,
    )
    output = subject(IDS, IDS)
    plain = F.cross_entropy(output.logits.view(-1, 31), IDS.view(-1))
    assert torch.allclose(output.loss, plain + 3)


def test_same_seed_same_weights_whatever_was_drawn_before() -> None:
    first = model(3)
    torch.rand(7)
    state = torch.get_rng_state()
    second, other = model(3), model(4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.embedding.weight, other.embedding.weight)
    assert not torch.equal(first.blocks[0].ffn.out.weight, first.blocks[1].ffn.out.weight)


def test_generate_continues_with_the_most_likely() -> None:
    subject = model()
    out = subject.generate(IDS[:, :4], 5)
    assert out.shape == (2, 9) and torch.equal(out[:, :4], IDS[:, :4])
    for length in range(4, 9):
        assert torch.equal(subject(out[:, :length]).logits[:, -1].argmax(-1), out[:, length])
    sampled = [subject.generate(IDS[:, :4], 5, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(sampled[0], sampled[1]) and not torch.equal(sampled[0], sampled[2])


def test_count_parameters() -> None:
    total, non_embedding = model().count_parameters()
    assert total - non_embedding == 31 * 16
    assert total == sum(parameter.numel() for parameter in model().parameters())


def test_save_and_load(tmp_path: Path) -> None:
    subject = model(5)
    subject.save(tmp_path, {"step": 3})
    again = LanguageModel.load(tmp_path)
    assert torch.equal(again(IDS).logits, subject(IDS).logits)
    assert json.loads((tmp_path / "model.json").read_text())["extra"] == {"step": 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_tied_weights_inside_a_unit_survive(tmp_path: Path) -> None:
    subject = model()
    subject.blocks[0].ffn.alias = subject.blocks[0].ffn.out
    other = model(1)
    other.blocks[0].ffn.alias = other.blocks[0].ffn.out
    subject.save(tmp_path)
    other.load_weights(tmp_path / "model.safetensors")
    assert torch.equal(other(IDS).logits, subject(IDS).logits)


def test_damaged_checkpoints_are_named(tmp_path: Path) -> None:
    model().save(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cannot be read"):
        LanguageModel.load(tmp_path)
    model(width=32).save(tmp_path / "wide")
    weights.write_bytes((tmp_path / "wide" / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match="not of this model"):
        LanguageModel.load(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(UserError, match="not of format"):
        LanguageModel.load(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        LanguageModel.load(tmp_path / "nowhere")


def test_missing_and_unexpected_tensors(tmp_path: Path) -> None:
    model().save(tmp_path)
    with pytest.raises(UserError, match="is missing"):
        model(n_blocks=3).load_weights(tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="is unexpected"):
        model(n_blocks=1).load_weights(tmp_path / "model.safetensors")
