"""What a scale needs against what there is; the estimate against what a real model keeps."""

import pytest
import torch

from model_discovery.blocks import LanguageModel, get_scale, get_seed_design, size_block
from model_discovery.blocks.scales import SCALES
from model_discovery.engine import Card, JobContext, Resources, Slot, places
from model_discovery.errors import UserError
from model_discovery.verification import get_recipe, memory
from model_discovery.verification.device import count_window
from model_discovery.verification.memory import check_fits, largest_need, training_need
from model_discovery.verification.runner import seconds_expected_on_card, training_limits
from model_discovery.verification.streams import Batch
from model_discovery.verification.work import run_verify

GB = 10**9
RECIPE = get_recipe("grammar").model_copy(update={"context": 2048})


def test_a_scale_too_large_says_what_it_needs_and_what_fits() -> None:
    with pytest.raises(UserError) as refusal:
        check_fits(RECIPE, "1300M", memory=23 * GB)
    assert refusal.value.message == (
        "The scale 1300M is too large for this machine: training with a context of 2048 needs at least "
        "59.6 GB of memory, of 23.0 GB that can be used."
    )
    assert refusal.value.hint == ("scales that fit: 0.1M, 0.4M, 1.5M, 5M, 14M, 31M, 70M, 125M, 350M")
    check_fits(RECIPE, "350M", memory=23 * GB)
    with pytest.raises(UserError, match="no scale fits"):
        check_fits(RECIPE, "0.1M", memory=GB)


def test_a_gpu_has_its_own_memory() -> None:
    card = Card("GPU-0", "NVIDIA T4", 16 * GB, 1 * GB)  # what others use now may be free later
    check_fits(RECIPE, "350M", card=card)
    with pytest.raises(UserError, match=r"1300M is too large for the GPU \(NVIDIA T4\).*of 14.4 GB"):
        check_fits(RECIPE, "1300M", card=card)


def test_where_nobody_knows_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "total_memory", lambda: None)
    check_fits(RECIPE, "1300M")


def test_the_largest_scale_counts() -> None:
    assert largest_need(RECIPE, ["0.1M", "14M", "0.4M"]) == training_need("14M", 2048, 0)


@pytest.mark.parametrize(("scale", "vocab", "context"), [("0.1M", 563, 128), ("1.5M", 4096, 256)])
def test_the_estimate_is_near_what_is_kept(scale: str, vocab: int, context: int) -> None:
    """Counted: what autograd keeps, and the loss's gradient, which it does not count."""
    tree = get_seed_design("transformer_pp").tree
    size = size_block(tree, get_scale(scale))
    model = LanguageModel(tree, vocab_size=vocab, width=size.width, n_blocks=size.n_blocks)
    ids = torch.zeros(1, context, dtype=torch.long).numpy()
    counted = count_window(model, Batch(ids, ids), "fp32").bytes
    parameters = model.count_parameters()[0]
    need = training_need(scale, context, vocab)
    assert need.training == pytest.approx(16 * parameters + counted, rel=0.3)
    assert need.disk == pytest.approx(40 * parameters, rel=0.1)


def test_it_is_refused_before_anything_is_prepared(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from small_designs import sound

    monkeypatch.setattr(memory, "total_memory", lambda: 6 * GB)
    request = {
        "design": "x",
        "unit_tree": sound().to_json(),
        "scale": "350M",
        "recipe": RECIPE.model_dump(mode="json"),
        "seed": 0,
        "suites": (),
        "data_dir": str(tmp_path / "data"),
    }
    context = JobContext(tmp_path / "job", 1, send=lambda _: None, resources=Resources())
    with pytest.raises(UserError, match="The scale 350M is too large for this machine"):
        run_verify(request, context)
    assert not (tmp_path / "data").exists()


class _Data:
    vocab_size = 32_000


@pytest.mark.parametrize("scale", [scale for scale in SCALES if SCALES[scale].published])
def test_limits_let_large_scales_through(scale: str) -> None:
    """On a CPU and on a GPU: memory, and checkpoints with the embedding of a large vocabulary."""
    from small_designs import sound

    from model_discovery.verification import VerifyRequest

    request = VerifyRequest(
        design="x", unit_tree=sound(), scale=scale, recipe=RECIPE, seed=0, suites=(), data_dir="."
    )
    need = training_need(scale, RECIPE.context, _Data.vocab_size)
    slot = Slot(Card("GPU-0", "NVIDIA H200", 140 * GB, 140 * GB), share=0.5)
    on_cpu = training_limits(request, _Data, Slot())  # type: ignore[arg-type]
    on_card = training_limits(request, _Data, slot)  # type: ignore[arg-type]
    assert on_cpu.memory_mb is not None and on_cpu.memory_mb * 2**20 >= 1.9 * need.training
    assert on_cpu.file_mb == on_card.file_mb and on_cpu.file_mb * 2**20 >= 1.9 * need.disk
    assert on_card.memory_mb is None
    alone = seconds_expected_on_card(request, _Data.vocab_size)
    assert on_card.wall_seconds == pytest.approx(600 + 6 * alone * 2)
    # 6 operations a parameter and token at 40 % of a card of 40 TFLOP/s stay well within.
    size = get_scale(scale)
    operations = 6 * (size.target + 32_000 * size.width) * RECIPE.tokens_for(scale)
    assert on_card.wall_seconds > 6 * operations / 16e12


def test_memory_that_is_there_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_system_memory", lambda kind: {"MemTotal": 8 * GB, "MemAvailable": GB}[kind])
    monkeypatch.setattr(places, "_cgroup_rooms", lambda used: [2 * GB if used else 4 * GB])
    assert places.total_memory() == 4 * GB and places.available_memory() == GB
