"""Whole verifications through the sandbox: what is left, what goes on, and a name for every failure."""

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_designs import sound, with_mixer

from model_discovery.blocks import LanguageModel, UnitTree
from model_discovery.engine import JobContext, Resources
from model_discovery.errors import UserError
from model_discovery.sandbox import Outcome
from model_discovery.verification import VerificationReport, VerifyRequest, get_recipe, work
from model_discovery.verification.data import prepare
from model_discovery.verification.folder import REPORT, find_report
from model_discovery.verification.orders import HeldOutAnswer, HeldOutOrder
from model_discovery.verification.runner import ServedModel
from model_discovery.verification.tokenizers import word_tokenizer
from model_discovery.verification.work import run_verify

TOKENS = 20_480
GRAMMAR = get_recipe("grammar", tokens={"0.1M": TOKENS})
RECIPE = GRAMMAR.model_copy(
    update={
        "grammar": GRAMMAR.grammar.model_copy(update={"pairs_per_set": 20}),
        "batch_tokens": {"0.1M": 512},
        "learning_rates": {"0.1M": 5e-3},
        "eval_tokens": 16_384,
    }
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verification")


@pytest.fixture(scope="module")
def resources() -> Iterator[Resources]:
    kept = Resources()
    yield kept
    kept.close()


def request_of(root: Path, tree: UnitTree, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "design": "a_design",
        "unit_tree": tree,
        "scale": "0.1M",
        "recipe": RECIPE,
        "seed": 0,
        "suites": (),
        "data_dir": str(root / "data"),
    }
    return VerifyRequest(**(settings | changes)).model_dump(mode="json")


class Place:
    """Runs verifications one after the other, as a worker does."""

    def __init__(self, root: Path, resources: Resources, name: str) -> None:
        self.root, self.folder, self._resources = root, root / "jobs" / name, resources
        self.folder.mkdir(parents=True, exist_ok=True)
        self.progress: list[dict[str, Any]] = []

    def verify(self, tree: UnitTree, **changes: Any) -> VerificationReport:
        context = JobContext(self.folder, 1, send=self.progress.append, resources=self._resources)
        return VerificationReport.model_validate(run_verify(request_of(self.root, tree, **changes), context))


@pytest.fixture
def place(root: Path, resources: Resources, request: pytest.FixtureRequest) -> Place:
    return Place(root, resources, request.node.name.replace("/", "_"))


@pytest.fixture(scope="module")
def whole(root: Path, resources: Resources) -> tuple[VerificationReport, Place]:
    place = Place(root, resources, "whole")
    return place.verify(sound(), suites=("minimal-pairs",)), place


def test_a_sound_design_is_verified(whole: tuple[VerificationReport, Place]) -> None:
    report, place = whole
    assert (report.status, report.error) == ("ok", "")
    assert report.held_out is not None and report.bits_per_byte is not None and report.unigram is not None
    assert 0 < report.held_out.value < report.unigram
    assert 0 < report.held_out.stderr < 0.1
    assert 0 < report.bits_per_byte.value < report.held_out.value
    assert [tokens for tokens, _ in report.held_out_curve] == [5120, 10240, 15360, 20480]
    assert report.held_out_curve[-1][1] == pytest.approx(report.held_out.value, abs=0.05)
    assert report.curve[-1][0] == TOKENS and report.curve[-1][1] < report.curve[0][1]
    assert report.size is not None and abs(report.size.non_embedding / 98_304 - 1) < 0.05
    pairs = report.scores["minimal-pairs"]
    assert pairs.chance == 0.5 and pairs.n == sum(s.n for n, s in report.scores.items() if "/" in n)
    for name, cost in report.cost.model_dump().items():
        assert cost > 0 if name not in ("package_joules", "card_memory_mb") else cost is None or cost > 0
    evidence = report.evidence
    assert evidence.structure_hash == sound().structure_hash and evidence.tokens == TOKENS
    assert evidence.recipe_hash == RECIPE.hash and len(evidence.weights_hash) == 64
    assert evidence.sandbox in ("plain", "namespaces") and evidence.device.startswith("cpu")
    assert evidence.versions["lm-eval"] == "0.4.13"
    machine = evidence.machine
    assert machine.cpu and machine.os and machine.cores >= 1 and machine.threads == 1
    assert len(machine.package) == 64 and all("driver" in gpu for gpu in machine.gpus)
    assert evidence.contamination["minimal-pairs"].items == pairs.n
    assert place.progress[-1]["doing"] == "scoring" and place.progress[-1]["tokens"] == TOKENS


def test_only_what_is_worth_keeping_stays(whole: tuple[VerificationReport, Place]) -> None:
    report, place = whole
    files = sorted(str(f.relative_to(place.folder)) for f in place.folder.rglob("*") if f.is_file())
    assert files == [
        "curve.csv",
        "model/model.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "report.json",
        "request.json",
    ]
    assert LanguageModel.load(Path(report.artefacts["model"])).count_parameters()[0] == report.size.total
    lines = (place.folder / "curve.csv").read_text().splitlines()
    assert len(lines) == 1 + len(report.curve) + len(report.held_out_curve)


def test_a_finished_verification_is_not_repeated(whole: tuple[VerificationReport, Place]) -> None:
    report, place = whole
    start = time.process_time()
    assert place.verify(sound(), suites=("minimal-pairs",)) == report
    assert time.process_time() - start < 0.5


def test_the_same_again_is_bit_equal(whole: tuple[VerificationReport, Place], place: Place) -> None:
    report, _ = whole
    again = place.verify(sound(), suites=("minimal-pairs",))
    assert again.evidence.weights_hash == report.evidence.weights_hash
    assert (again.held_out, again.curve, again.scores) == (report.held_out, report.curve, report.scores)


@pytest.mark.slow
def test_another_request_in_the_folder_is_another_run(place: Place) -> None:
    first = place.verify(sound())
    second = place.verify(sound(), seed=1)
    assert second.ok and second.evidence.weights_hash != first.evidence.weights_hash
    (place.folder / REPORT).write_text('{"status": "ok"')
    assert place.verify(sound(), seed=1).evidence.weights_hash == second.evidence.weights_hash


@pytest.mark.parametrize(
    ("last_lines", "status", "words"),
    [
        ("return self.out(h) * float('nan')", "non_finite", "training loss was nan at step 1"),
        ("return self.out(h * (1 if self.calls < 20 else 1e38) ** 2)", "non_finite", "was nan"),
        ("raise ValueError('no such luck')", "failed", "ValueError: no such luck"),
        ("return self.out(h[:, :, :3])", "failed", "RuntimeError"),
        ("import os; os._exit(3)", "failed", "exit: "),
        ("torch.ones(10**10)\nreturn self.out(h)", "memory", ""),
        ("while self.calls > 5: pass\nreturn self.out(h)", "timeout", ""),
    ],
)
def test_failures_have_names(last_lines: str, status: str, words: str, place: Place) -> None:
    report = place.verify(with_mixer(last_lines), cpu_seconds=3.0, memory_mb=1024)
    assert (report.status, words in report.error) == (status, True), report.error
    assert report.held_out is None and report.bits_per_byte is None and not report.scores
    assert report.unigram is not None and report.cost.cpu_seconds > 0
    assert sorted(f.name for f in place.folder.iterdir()) == ["curve.csv", "report.json", "request.json"]


def test_untrained_weights_are_named(place: Place) -> None:
    still = RECIPE.model_copy(update={"learning_rates": {"0.1M": 1e-9}})
    report = place.verify(sound(), recipe=still)
    assert (report.status, "does not beat the unigram" in report.error) == ("untrained", True)
    assert report.held_out is not None and report.held_out.value > report.unigram
    assert not (place.folder / "model").exists()


def test_a_machines_failure_is_tried_again_a_designs_is_not(place: Place) -> None:
    greedy = with_mixer("torch.ones(10**10)\nreturn self.out(h)")
    report = place.verify(greedy)
    asked = VerifyRequest.model_validate(request_of(place.root, greedy))
    assert report.status == "memory" and find_report(place.folder, asked) is None
    nan = with_mixer("return self.out(h) * float('nan')")
    report = place.verify(nan)
    assert find_report(place.folder, VerifyRequest.model_validate(request_of(place.root, nan))) == report


@pytest.mark.parametrize("kills", [1, 2])
def test_scoring_that_is_killed_from_outside_is_tried_once_more(
    kills: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out, asked = ServedModel.held_out, []

    def killed_at_first(model: ServedModel, order: HeldOutOrder) -> HeldOutAnswer:
        asked.append(order)
        if len(asked) <= kills:
            raise model._runner._failure(Outcome("signal", error="ended by SIGKILL"))
        return held_out(model, order)

    monkeypatch.setattr(ServedModel, "held_out", killed_at_first)
    report = place.verify(sound())
    assert len(asked) == 2
    assert (report.status, report.error[:12]) == (("ok", "") if kills == 1 else ("memory", "killed twice"))


def test_a_sandbox_that_cannot_start_is_no_result(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A really broken one: its server fails as it does where torch is missing."""
    broken = Resources()
    place = Place(tmp_path, broken, "broken")
    (root / "data").mkdir(exist_ok=True)
    (tmp_path / "data").symlink_to(root / "data")
    with monkeypatch.context() as patch:
        patch.setattr(work, "PRELOAD", ("no_such_module",))
        for _ in range(2):  # the worker keeps the sandbox, and asks it again
            with pytest.raises(UserError, match=r"could not start: .*No module named 'no_such_module'"):
                place.verify(sound())
            assert not (place.folder / REPORT).exists()
    broken.close()
    assert place.verify(sound()).ok


def test_data_damaged_under_a_run_is_not_the_designs_fault(place: Place) -> None:
    """Here the design itself plays the machine: it fails, and the data turns out to be damaged."""
    recipe = RECIPE.model_copy(update={"grammar": RECIPE.grammar.model_copy(update={"seed": 5})})
    place.verify(sound(), recipe=recipe)
    (folder,) = (
        f for f in (place.root / "data").iterdir() if recipe.data_key("0.1M") in f.name and f.is_dir()
    )

    def damage(fields: dict[str, Any]) -> None:
        if fields.get("doing") == "proving":
            (folder / "held_out.bin").unlink()

    asked = request_of(place.root, sound(), recipe=recipe, seed=1)
    with pytest.raises(UserError, match=r"data is damaged: .*held_out\.bin is missing"):
        run_verify(asked, JobContext(place.folder, 1, send=damage, resources=place._resources))
    assert not (place.folder / "model.json").exists()


def test_a_tokenizer_of_another_vocabulary_is_damage(root: Path, place: Place) -> None:
    recipe = RECIPE.model_copy(update={"grammar": RECIPE.grammar.model_copy(update={"seed": 6})})
    data = prepare(recipe, "0.1M", root / "data")
    word_tokenizer(["another", "vocabulary"]).save(str(data.tokenizer))
    with pytest.raises(UserError, match=r"tokenizer\.json is not what was written.*delete the folder"):
        place.verify(sound(), recipe=recipe)
    assert not (place.folder / REPORT).exists()


def test_bad_input_is_the_callers(place: Place) -> None:
    for changes, words in (
        ({"suites": ("minimal-pair",)}, "Did you mean 'minimal-pairs'"),
        ({"scale": "0.2M"}, "Unknown scale '0.2M'"),
        ({"suites": ("blimp",), "blimp_dir": "/nowhere"}, "no folder /nowhere"),
    ):
        with pytest.raises(UserError, match=words):
            place.verify(sound(), **changes)


def _verify_in_a_process(request: dict[str, Any], folder: Path) -> None:
    resources = Resources()
    try:
        run_verify(request, JobContext(folder, 1, send=lambda _: None, resources=resources))
    finally:
        resources.close()


def kill_when(
    request: dict[str, Any], folder: Path, ready: Callable[[], bool], delay: float = 0.0
) -> int | None:
    """Run a verification in a process of its own and kill it once ``ready``; its exit code."""
    process = multiprocessing.get_context("spawn").Process(
        target=_verify_in_a_process, args=(request, folder)
    )
    process.start()
    while process.is_alive() and not ready():
        time.sleep(0.01)
    time.sleep(delay)
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode


LONG = RECIPE.model_copy(update={"tokens": {"0.1M": 4 * TOKENS}})


def killed_in_training(root: Path, place: Place) -> Path:
    """The checkpoint of a training that was killed once it had one."""
    checkpoint = place.folder / "run" / "train" / "checkpoint.safetensors"
    request = request_of(root, sound(), recipe=LONG)
    assert kill_when(request, place.folder, checkpoint.exists) == -signal.SIGKILL
    return checkpoint


def test_killed_training_goes_on_and_ends_the_same(root: Path, resources: Resources) -> None:
    place, undisturbed = Place(root, resources, "killed"), Place(root, resources, "calm")
    killed_in_training(root, place)
    expected, report = (each.verify(sound(), recipe=LONG) for each in (undisturbed, place))
    assert expected.ok and expected.evidence.resumed_at == ()
    assert len(report.evidence.resumed_at) == 1 and report.evidence.resumed_at[0] > 0
    assert report.evidence.weights_hash == expected.evidence.weights_hash
    assert (report.held_out, report.curve) == (expected.held_out, expected.curve)


@pytest.mark.slow
def test_training_begins_anew_where_its_checkpoint_is_damaged(root: Path, resources: Resources) -> None:
    place, undisturbed = Place(root, resources, "damaged"), Place(root, resources, "undamaged")
    checkpoint = killed_in_training(root, place)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    expected, report = (each.verify(sound(), recipe=LONG) for each in (undisturbed, place))
    assert "checkpoint.safetensors was set aside: its checksum" in report.evidence.notes[-1]
    assert report.evidence.weights_hash == expected.evidence.weights_hash
    assert (report.held_out, report.curve) == (expected.held_out, expected.curve)


@pytest.mark.slow
def test_killed_at_random_moments_ends_the_same(root: Path, resources: Resources) -> None:
    request = request_of(root, sound(), recipe=LONG, suites=("minimal-pairs",))
    undisturbed = Place(root, resources, "peaceful").verify(sound(), recipe=LONG, suites=("minimal-pairs",))
    draw = random.Random(0)
    for number in range(6):
        place = Place(root, resources, f"killed_{number}")
        for _ in range(3):
            kill_when(request, place.folder, lambda: True, delay=draw.uniform(1.0, 9.0))
        report = place.verify(sound(), recipe=LONG, suites=("minimal-pairs",))
        assert report.evidence.weights_hash == undisturbed.evidence.weights_hash
        assert report.scores == undisturbed.scores and report.held_out == undisturbed.held_out
        assert json.loads((place.folder / REPORT).read_text())["status"] == "ok"
        assert not (place.folder / "run").exists()
