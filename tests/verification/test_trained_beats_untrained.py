"""What scores are for: a trained model beats itself before training on every suite that should move."""

import math
from pathlib import Path
from typing import Any

import pytest

from model_discovery.blocks import LanguageModel, get_seed_design
from model_discovery.engine import JobContext, Resources
from model_discovery.seeds import derive
from model_discovery.verification import VerificationReport, VerifyRequest, get_recipe
from model_discovery.verification.data import prepare
from model_discovery.verification.evaluator import score_suites, text_coder
from model_discovery.verification.scoring import score_rows
from model_discovery.verification.suites import SuiteSource, load_suites
from model_discovery.verification.work import run_verify

SUITES = ("minimal-pairs", "probes")
MOVES = ("minimal-pairs", "probes/recall_near")  # the others need a larger scale or other text
RECIPE = get_recipe("grammar")


class InMemory:
    """A model asked in this process."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def score(self, rows: tuple[tuple[int, ...], ...], starts: tuple[int, ...]) -> list[tuple[float, bool]]:
        answer = score_rows(self._model, [list(row) for row in rows], list(starts))
        return list(zip(answer["sums"], answer["greedy"], strict=True))

    def generate(self, rows: Any, most: int) -> Any:
        raise AssertionError("these suites ask for no text")


@pytest.mark.slow
def test_training_moves_the_suites_that_should_move(tmp_path: Path) -> None:
    resources = Resources()
    request = VerifyRequest(
        design="mamba2", unit_tree=get_seed_design("mamba2").tree, scale="0.1M", recipe=RECIPE, seed=0,
        suites=SUITES, data_dir=str(tmp_path / "data"),
    )  # fmt: skip
    folder = tmp_path / "run"
    folder.mkdir()
    context = JobContext(folder, 1, send=lambda _: None, resources=resources)
    try:
        report = VerificationReport.model_validate(run_verify(request.model_dump(mode="json"), context))
    finally:
        resources.close()
    assert report.status == "ok", report.error

    data = prepare(RECIPE, "0.1M", tmp_path / "data")
    trained = LanguageModel.load(folder / "model")
    untrained = LanguageModel(
        get_seed_design("mamba2").tree, vocab_size=data.vocab_size, width=trained.width,
        n_blocks=trained.n_blocks, seed=derive(0, "weights"),
    )  # fmt: skip
    source = SuiteSource(scale="0.1M", pairs=data.pairs, prepared=data.folder, context=RECIPE.context)
    coder = text_coder(data.tokenizer, RECIPE.context, data.separator_id)
    sets = load_suites(SUITES, source)
    before = score_suites(sets, [], InMemory(untrained.eval()), coder).scores
    again = score_suites(sets, [], InMemory(trained.eval()), coder).scores
    for name in MOVES:
        after, first = report.scores[name], before[name]
        assert again[name].value == after.value  # one process or the other, the same model and items
        error = math.hypot(after.stderr or 0.0, first.stderr or 0.0)
        assert error > 0
        assert after.value - first.value > 3 * error, (name, after, first)
        assert after.chance is not None and abs(first.value - after.chance) < 0.1
