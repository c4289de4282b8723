"""The block compiled within the sandbox: for units of this package only."""

from pathlib import Path
from typing import Any

import pytest
from small_designs import sound, with_mixer

from model_discovery.blocks import UnitTree
from model_discovery.blocks.seed_designs import all_shipped, seed_designs
from model_discovery.engine import JobContext, Resources
from model_discovery.verification import VerificationReport, get_recipe
from model_discovery.verification.work import run_verify

RECIPE = get_recipe("grammar", tokens={"0.1M": 10_240}).model_copy(
    update={"batch_tokens": {"0.1M": 512}, "eval_tokens": 8_192, "precision": "fp32"}
)


def test_human_designs_are_known_and_changed_units_are_not() -> None:
    assert all(all_shipped(design.tree) for design in seed_designs().values())
    assert not all_shipped(with_mixer("return self.out(h), {}"))
    tree = sound()
    for id_, unit in tree.units.items():
        for change in ({"source": unit.source + " "}, {"name": "GAU"}, {"docstring": "another"}):
            units = tree.units | {id_: unit.model_copy(update=change)}
            assert not all_shipped(tree.model_copy(update={"units": units})), (unit.name, change)


def verify(folder: Path, name: str, tree: UnitTree, compile_: str) -> VerificationReport:
    resources = Resources()
    request: dict[str, Any] = {
        "design": "a_design",
        "unit_tree": tree,
        "scale": "0.1M",
        "recipe": RECIPE.model_copy(update={"compile": compile_}),
        "seed": 0,
        "suites": (),
        "data_dir": str(folder / "data"),
    }
    try:
        context = JobContext(folder / "jobs" / name, 1, send=lambda _: None, resources=resources)
        context.folder.mkdir(parents=True)
        return VerificationReport.model_validate(run_verify(request, context))
    finally:
        resources.close()


def test_code_that_nobody_has_read_trains_as_it_is(tmp_path: Path) -> None:
    report = verify(tmp_path, "unknown", with_mixer("return self.out(h), {}"), "on")
    assert report.status == "ok" and report.evidence is not None, report.error
    assert not report.evidence.compiled
    assert [note for note in report.evidence.notes if "units shipped with this package" in note]


@pytest.mark.slow
@pytest.mark.timeout(1200)  # the C++ compiler, on a busy machine
def test_a_known_design_is_compiled_and_learns_the_same(tmp_path: Path) -> None:
    fast, plain = (verify(tmp_path, name, sound(), name) for name in ("on", "off"))
    assert fast.status == plain.status == "ok", (fast.error, plain.error)
    assert fast.evidence is not None and plain.evidence is not None
    assert fast.evidence.compiled, fast.evidence.notes
    assert not plain.evidence.compiled
    assert [loss for _, loss in fast.curve] == pytest.approx([loss for _, loss in plain.curve], abs=1e-4)
