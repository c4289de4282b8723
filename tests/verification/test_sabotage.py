"""The model on disk is changed between training and scoring, in real runs: each change is named, none scored.

A run is stopped like a killed one once it has trained; what lies in its folder is changed; the run goes on.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_designs import with_mixer

from model_discovery.blocks import LanguageModel, UnitTree
from model_discovery.engine import JobContext, Resources
from model_discovery.verification import VerificationReport, VerifyRequest, get_recipe
from model_discovery.verification.weights import hash_file_tensors
from model_discovery.verification.work import run_verify

DESIGN, TWIN = with_mixer("return self.out(h)"), with_mixer("return self.out(h * 0.5)")
TOKENS = 20_480
GRAMMAR = get_recipe("grammar", tokens={"0.1M": TOKENS})
RECIPE = GRAMMAR.model_copy(
    update={
        "grammar": GRAMMAR.grammar.model_copy(update={"pairs_per_set": 5}),
        "batch_tokens": {"0.1M": 512},
        "learning_rates": {"0.1M": 5e-3},
        "eval_tokens": 8_192,
    }
)
SHORTER = RECIPE.model_copy(update={"tokens": {"0.1M": TOKENS - 1024}})
MODEL, TRAINED = Path("run/train/model"), Path("run/trained.json")
Tensors = dict[str, Any]


class Killed(BaseException):
    """Stands for SIGKILL: nothing that was not on disk is kept."""


class Lab:
    """Folders side by side, as the jobs of a worker have them."""

    def __init__(self, root: Path, resources: Resources) -> None:
        self.root, self._resources = root, resources
        self.heard: list[dict[str, Any]] = []

    def request(self, tree: UnitTree = DESIGN, **changes: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "design": "a_design",
            "unit_tree": tree,
            "scale": "0.1M",
            "recipe": RECIPE,
            "seed": 0,
            "suites": ("minimal-pairs",),
            "data_dir": str(self.root / "data"),
        }
        return VerifyRequest(**(settings | changes)).model_dump(mode="json")

    def stopped(self, name: str, **changes: Any) -> Path:
        """A folder as a run leaves it that is killed once it has trained."""
        folder = self.root / "jobs" / name
        folder.mkdir(parents=True)

        def kill_before_proof(fields: dict[str, Any]) -> None:
            if fields.get("doing") == "proving":
                raise Killed

        with pytest.raises(Killed):
            context = JobContext(folder, 1, send=kill_before_proof, resources=self._resources)
            run_verify(self.request(**changes), context)
        return folder

    def go_on(self, folder: Path) -> VerificationReport:
        """The rest of the run in that folder."""
        self.heard.clear()
        context = JobContext(folder, 1, send=self.heard.append, resources=self._resources)
        return VerificationReport.model_validate(run_verify(self.request(), context))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    resources = Resources()
    yield Lab(tmp_path_factory.mktemp("sabotage"), resources)
    resources.close()


@pytest.fixture(scope="module")
def trained(lab: Lab) -> Path:
    return lab.stopped("trained")


@pytest.fixture(scope="module")
def others(lab: Lab) -> dict[str, Path]:
    """Models with tensors of the same names and shapes."""
    return {
        "seed": lab.stopped("seed", seed=1),
        "step": lab.stopped("step", recipe=SHORTER),
        "design": lab.stopped("twin", tree=TWIN),
    }


@pytest.fixture
def folder(lab: Lab, trained: Path, request: pytest.FixtureRequest) -> Path:
    return Path(shutil.copytree(trained, lab.root / "jobs" / request.node.name))


def rewrite(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    file = folder / MODEL / "model.safetensors"
    save_file({name: np.ascontiguousarray(t) for name, t in change(load_file(file)).items()}, file)


def swapped(folder: Path, _: dict[str, Path]) -> None:
    """Two tensors of one shape change places."""

    def change(tensors: Tensors) -> Tensors:
        first, second = sorted(name for name in tensors if name.endswith("up.weight"))[:2]
        return {**tensors, first: tensors[second], second: tensors[first]}

    rewrite(folder, change)


def zeroed(folder: Path, _: dict[str, Path]) -> None:
    rewrite(folder, lambda tensors: {name: np.zeros_like(tensor) for name, tensor in tensors.items()})


def one_nan(folder: Path, _: dict[str, Path]) -> None:
    def change(tensors: Tensors) -> Tensors:
        next(t for name, t in sorted(tensors.items()) if name.endswith("up.weight"))[0, 0] = np.nan
        return tensors

    rewrite(folder, change)


def flip(folder: Path, bit: int) -> None:
    def change(tensors: Tensors) -> Tensors:
        weight = next(t for name, t in sorted(tensors.items()) if name.endswith("up.weight"))
        weight.view(np.uint32)[0, 0] ^= np.uint32(1 << bit)
        return tensors

    rewrite(folder, change)


def low_bit(folder: Path, _: dict[str, Path]) -> None:
    flip(folder, 0)


def high_bit(folder: Path, _: dict[str, Path]) -> None:
    flip(folder, 30)


def truncated(folder: Path, _: dict[str, Path]) -> None:
    file = folder / MODEL / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def untrained(folder: Path, _: dict[str, Path]) -> None:
    model = LanguageModel.load(folder / MODEL)
    fresh = LanguageModel(
        DESIGN, vocab_size=model.vocab_size, width=model.width, n_blocks=model.n_blocks, seed=7
    ).state_dict()
    rewrite(folder, lambda tensors: {name: fresh[name].numpy() for name in tensors})


def weights_of(which: str) -> Callable[[Path, dict[str, Path]], None]:
    def change(folder: Path, others: dict[str, Path]) -> None:
        shutil.copyfile(others[which] / MODEL / "model.safetensors", folder / MODEL / "model.safetensors")

    change.__name__ = f"of_another_{which}"
    return change


def other_description(folder: Path, others: dict[str, Path]) -> None:
    shutil.copyfile(others["design"] / MODEL / "model.json", folder / MODEL / "model.json")


def forge(folder: Path, **answer: Any) -> None:
    """What the training is said to have come to, changed so that it fits what lies there now."""
    stored = json.loads((folder / TRAINED).read_text())
    stored["answer"] |= {"weights_hash": hash_file_tensors(folder / MODEL / "model.safetensors"), **answer}
    (folder / TRAINED).write_text(json.dumps(stored))


def refused(report: VerificationReport, folder: Path, *status: str) -> None:
    assert report.status in status, report.error
    assert report.error and not report.scores
    assert report.status == "untrained" or report.held_out is None
    assert not (folder / "model").exists() and "model" not in report.artefacts


def test_without_sabotage_a_run_cut_off_goes_on_with_scoring(lab: Lab, folder: Path, trained: Path) -> None:
    """The control: nothing is trained again, and the numbers are those of a run that was not cut off."""
    report = lab.go_on(folder)
    assert report.ok and report.scores["minimal-pairs"].n > 0 and report.cost.peak_memory_mb > 0
    assert [fields["doing"] for fields in lab.heard] == ["proving", "scoring"]
    (trained.parent / "whole").mkdir()
    whole = lab.go_on(trained.parent / "whole")
    assert (report.held_out, report.scores, report.curve) == (whole.held_out, whole.scores, whole.curve)
    assert report.evidence == whole.evidence


SABOTAGES = [
    swapped, zeroed, one_nan, low_bit, high_bit, truncated, untrained, other_description,
    weights_of("seed"), weights_of("step"), weights_of("design"),
]  # fmt: skip


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda change: change.__name__)
def test_a_changed_model_is_not_scored(
    sabotage: Callable[..., None], lab: Lab, folder: Path, others: dict[str, Path]
) -> None:
    sabotage(folder, others)
    refused(lab.go_on(folder), folder, "corrupt_checkpoint")


@pytest.mark.parametrize(
    ("sabotage", "status"),
    [
        (swapped, "corrupt_checkpoint"),
        (zeroed, "corrupt_checkpoint"),
        (one_nan, "non_finite"),
        (high_bit, "corrupt_checkpoint"),
        (untrained, "corrupt_checkpoint"),
        (weights_of("seed"), "corrupt_checkpoint"),
        (weights_of("step"), "corrupt_checkpoint"),
        (weights_of("design"), "corrupt_checkpoint"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_with_a_forged_hash_the_loss_tells(
    sabotage: Callable[..., None], status: str, lab: Lab, folder: Path, others: dict[str, Path]
) -> None:
    sabotage(folder, others)
    forge(folder)
    report = lab.go_on(folder)
    refused(report, folder, status)
    assert "on disk" not in report.error


def test_with_a_forged_loss_too_the_unigram_tells(lab: Lab, folder: Path) -> None:
    untrained(folder, {})
    forge(folder)
    loss = float(lab.go_on(folder).error.split()[6])  # "held-out loss A in the trainer, B reloaded"
    again = Path(shutil.copytree(folder.with_name("trained"), folder.with_name("forged")))
    untrained(again, {})
    forge(again, probe_loss=loss)
    refused(lab.go_on(again), again, "untrained")
