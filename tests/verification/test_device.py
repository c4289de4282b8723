"""Precision, rows of a pass, what a trial leaves behind: all that can be seen without a GPU."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_training import SmallModel, batch_at, state
from torch import nn

from model_discovery.verification import device
from model_discovery.verification.device import (
    STATE_BYTES,
    as_before,
    choose_device,
    choose_precision,
    count_window,
    evaluation_rows,
    largest_fitting,
    micro_rows,
    put,
)
from model_discovery.verification.outcome import VerificationFailure

CPU = torch.device("cpu")


def test_precision_by_rule() -> None:
    has = torch.cpu._is_avx512_bf16_supported()
    assert choose_precision("auto", 400_000, CPU) == "fp32"
    assert choose_precision("auto", 2_000_000, CPU) == ("bf16" if has else "fp32")
    assert choose_precision("bf16", 1, CPU) == "bf16"
    assert choose_precision("fp32", 10**9, CPU) == "fp32"


@pytest.mark.parametrize(("has", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_computes_in_bf16_at_every_size(
    has: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    assert choose_precision("auto", 1, torch.device("cuda", 0)) == chosen


def test_products_outside_of_autocast_are_exact() -> None:
    choose_device()
    assert torch.get_float32_matmul_precision() == "highest"


def test_ids_keep_their_values_on_the_way() -> None:
    ids = batch_at(0).inputs
    assert torch.equal(put(ids, CPU), torch.from_numpy(ids))


def test_a_trial_leaves_nothing_behind() -> None:
    model = SmallModel()
    before, random = state(model), torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), as_before(model):
        model(put(batch_at(0).inputs, CPU), put(batch_at(0).labels, CPU)).loss.backward()
        assert model.batches == 1 and not torch.equal(torch.get_rng_state(), random)
        _ = 1 / 0
    assert all(torch.equal(before[name], tensor) for name, tensor in state(model).items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in model.parameters())


class TwoLinear(nn.Module):
    """Keeps what can be reckoned by hand: the input of each layer, and of the square."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Linear(width, width, bias=False)
        self.two = nn.Linear(width, width, bias=False)
        self.width = width

    def forward(self, ids: torch.Tensor, labels: torch.Tensor) -> "TwoLinear":
        x = ids.float()[..., None].expand(-1, -1, self.width).clone()
        self.loss = self.two(self.one(x)).square().mean()
        return self


@pytest.mark.parametrize("width", [8, 24])
def test_kept_memory_is_counted_to_the_byte(width: int) -> None:
    cost = count_window(TwoLinear(width), batch_at(0), "fp32")
    context = batch_at(0).inputs.shape[1]
    assert cost.bytes == 3 * context * width * 4  # inputs of both layers, and of the square
    assert cost.flops == 2 * context * width * width * (
        2 + 3
    )  # forward 2; backward 2 + 1: x needs no gradient


def test_an_operation_without_flops_still_has_memory() -> None:
    class Strange(TwoLinear):
        def forward(self, ids: torch.Tensor, labels: torch.Tensor) -> "TwoLinear":
            if torch.utils._python_dispatch._get_current_dispatch_mode() is not None:
                raise NotImplementedError
            return super().forward(ids, labels)

    cost = count_window(Strange(8), batch_at(0), "fp32")
    assert cost.flops is None and cost.bytes == 3 * 16 * 8 * 4


def test_rows_of_a_pass_are_a_rule_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = SmallModel(), batch_at(0)
    state_bytes = STATE_BYTES * sum(p.numel() for p in model.parameters())
    row = 1_000_000

    def rows(limit: int | None) -> int:
        return micro_rows(model, batch, "fp32", window_bytes=row, limit=limit)

    assert rows(None) == rows(10**9) == 4  # all that there are
    assert rows(state_bytes + 3 * 1_250_000) == 3
    assert rows(state_bytes + 3 * 1_250_000 - 1) == 2
    assert rows(state_bytes + 1_250_000) == 1
    with pytest.raises(VerificationFailure, match="weights, optimiser and one window need") as failure:
        rows(state_bytes + 1_250_000 - 1)
    assert failure.value.status == "memory"
    monkeypatch.setattr(device, "MICRO_TOKENS", 32)
    assert rows(None) == rows(10**9) == 2  # of 16 tokens


@given(
    rows=st.integers(1, 600),
    base=st.floats(0, 50),
    slope=st.floats(0.01, 10),
    room=st.floats(1, 500),
    limit=st.floats(1, 500),
)
def test_the_largest_that_fits_is_found_without_running_out(
    rows: int, base: float, slope: float, room: float, limit: float
) -> None:
    """Memory that grows by the row: all sizes that fit are tried, none above, but for the first two."""
    sizes = sorted({-(-rows // 2**k) for k in range(rows.bit_length() + 1)})
    assert sizes[0] == 1 and sizes[-1] == rows
    tried: list[int] = []

    def peak(size: int) -> float:
        tried.append(size)
        if base + slope * size > max(room, limit):
            raise torch.OutOfMemoryError
        return base + slope * size

    fitting = [size for size in sizes if base + slope * size <= room]
    if not fitting:
        with pytest.raises(VerificationFailure, match="memory"):
            largest_fitting(sizes, peak, room)
        return
    found = largest_fitting(sizes, peak, room)
    assert found == fitting[-1] or math.isclose(base + slope * fitting[-1], room, rel_tol=1e-6)
    assert tried == [size for size in sizes if size <= max(found, *sizes[:2])] or len(fitting) == 1


@pytest.mark.parametrize(
    ("rows", "context", "vocabulary", "expected"),
    [
        (4, 128, 563, 4),
        (32, 128, 4096, 32),
        (256, 2048, 32_000, 1),
        (256, 2048, 50_000, 1),
        (64, 256, 4096, 64),
    ],
)
def test_logits_of_an_evaluation_are_bounded(rows: int, context: int, vocabulary: int, expected: int) -> None:
    assert evaluation_rows(rows, context, vocabulary) == expected
