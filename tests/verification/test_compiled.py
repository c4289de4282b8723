"""The block compiled once for all layers, or as it is with a note."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_training import batch_at, plan, run
from torch import nn

from model_discovery.blocks import LanguageModel, get_seed_design
from model_discovery.verification import get_recipe
from model_discovery.verification.compiled import compile_blocks, uncompiled
from model_discovery.verification.streams import Batch


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Dynamo's memory, and where its compiler writes, are the process's."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "")
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def model(n_blocks: int = 3) -> LanguageModel:
    return LanguageModel(get_seed_design("min_gru").tree, vocab_size=23, width=16, n_blocks=n_blocks)


def graphs() -> int:
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def test_it_pays_on_a_gpu_only_unless_told() -> None:
    asked = [get_recipe("grammar").model_copy(update={"compile": value}) for value in ("auto", "on", "off")]
    assert [recipe.compiles(on_gpu=False) for recipe in asked] == [False, True, False]
    assert [recipe.compiles(on_gpu=True) for recipe in asked] == [True, True, False]


def test_it_is_not_part_of_a_recipes_hash() -> None:
    recipe = get_recipe("grammar")
    assert recipe.compile == "auto"
    assert recipe.model_copy(update={"compile": "on"}).hash == recipe.hash


def test_without_a_compiler_training_goes_on_as_it_is(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is kept in one line, nothing half-compiled stays."""

    def no_compiler(*_: object) -> None:
        raise OSError("no compiler\nhere")

    compile_ = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: compile_(self, backend=no_compiler))
    asked = model()
    before = {name: tensor.clone() for name, tensor in asked.state_dict().items()}
    note = compile_blocks(asked, batch_at(0), "fp32", tmp_path)
    assert note.startswith("not compiled: BackendCompilerFailed: ") and "no compiler" in note
    assert "\n" not in note
    ids = torch.from_numpy(batch_at(1).inputs)
    assert torch.equal(asked(ids).logits, model()(ids).logits)
    assert all(torch.equal(before[name], tensor) for name, tensor in asked.state_dict().items())
    assert all(parameter.grad is None for parameter in asked.parameters())


def test_evaluation_is_not_compiled(fresh: None) -> None:
    asked = model()
    for block in asked.blocks:
        block.compile(backend="eager")
    ids = torch.from_numpy(batch_at(0).inputs)
    asked(ids)
    seen = graphs()
    with uncompiled(asked), torch.no_grad():
        asked.eval()(ids[:1, :5])
    assert graphs() == seen


@pytest.mark.slow
@pytest.mark.timeout(1200)  # the C++ compiler, on a busy machine
def test_one_graph_for_all_blocks_and_the_same_losses(fresh: None, tmp_path: Path) -> None:
    from torch._dynamo.utils import counters

    counters.clear()
    steps, size = plan(20, precision="fp32", probes=2), 4
    first = Batch(batch_at(0).inputs[:size], batch_at(0).labels[:size])
    fast, plain = model(), model()
    assert compile_blocks(fast, first, "fp32", tmp_path / "cache") == ""
    assert graphs() == 1
    assert any((tmp_path / "cache" / "inductor").rglob("*.so"))
    curves = [
        [loss for _, loss in run(tmp_path / name, steps, model=trained)[1].record.curve]
        for name, trained in (("fast", fast), ("plain", plain))
    ]
    assert graphs() == 1  # also after evaluations, and over all steps
    assert curves[0] == pytest.approx(curves[1], abs=1e-4) and len(curves[0]) == 20
    assert curves[0][-1] < curves[0][0] - 0.2
