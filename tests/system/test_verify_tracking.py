"""Verifications outside a campaign are tracked from their reports, and say how they go on when stopped."""

from pathlib import Path

import pytest

from model_discovery.blocks import get_seed_design
from model_discovery.engine import LocalEngine
from model_discovery.errors import UserError
from model_discovery.system.tracking import run_of_report
from model_discovery.system.verify import run_all
from model_discovery.verification import VerificationReport, VerifyRequest, get_recipe
from model_discovery.verification.folder import MODEL, write_report
from model_discovery.verification.report import Cost, Evidence, Measure, Score, Size


def request(seed: int, data: Path) -> VerifyRequest:
    tree = get_seed_design("min_gru").tree
    return VerifyRequest(
        design="min_gru",
        unit_tree=tree,
        scale="0.1M",
        recipe=get_recipe("grammar"),
        seed=seed,
        suites=(),
        data_dir=str(data),
    )


def report(asked: VerifyRequest) -> VerificationReport:
    structure = asked.unit_tree.structure_hash
    evidence = Evidence(
        request_hash=asked.hash,
        structure_hash=structure,
        code_hash="c0de",
        recipe_hash=asked.recipe.hash,
        seed=asked.seed,
        tokens=2000,
    )
    return VerificationReport(
        status="ok",
        design=asked.design,
        scale=asked.scale,
        size=Size(total=100, non_embedding=80, width=8, n_blocks=2),
        held_out=Measure(value=2.5, stderr=0.01),
        curve=((1000, 3.0), (2000, 2.6)),
        held_out_curve=((2000, 2.5),),
        scores={"minimal-pairs": Score(value=0.6, stderr=0.01, n=100, chance=0.5)},
        cost=Cost(cpu_seconds=3.0),
        evidence=evidence,
        artefacts={"folder": "/runs/min_gru"},
    )


def test_a_report_becomes_a_run(tmp_path: Path) -> None:
    run = run_of_report(report(request(3, tmp_path)), "grammar")
    assert (run.group, run.name) == ("verify-min_gru", "min_gru 0.1M seed 3")
    assert run.curves == {"train/loss": ((1000, 3.0), (2000, 2.6)), "held_out/loss": ((2000, 2.5),)}
    assert run.numbers["loss/held_out"] == 2.5 and run.numbers["score/minimal-pairs/stderr"] == 0.01
    assert run.facts["recipe"] == "grammar" and run.facts["code_hash"] == "c0de"
    assert run.id == run_of_report(report(request(3, tmp_path)), "grammar").id
    assert run.id != run_of_report(report(request(4, tmp_path)), "grammar").id


def test_verify_hands_its_reports_to_the_tracker(tmp_path: Path) -> None:
    asked = [request(seed, tmp_path) for seed in (0, 1)]
    for each in asked:  # finished before, so nothing is trained
        folder = tmp_path / "verify" / f"min_gru-0.1M-{each.recipe.hash}-{each.seed}"
        (folder / MODEL).mkdir(parents=True)
        write_report(folder, each, report(each))
    tracks = tmp_path / "tracking"
    reports = run_all(asked, tmp_path / "verify", 1, False, track="tensorboard", track_dir=tracks)
    assert [each.evidence.seed for each in reports] == [0, 1]
    names = sorted(
        run.name.rsplit("-", 1)[0] for run in (tracks / "tensorboard" / "verify-min_gru").iterdir()
    )
    assert names == ["min_gru-0.1M-seed-0", "min_gru-0.1M-seed-1"]


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalEngine, "submit", lambda *_: None)
    monkeypatch.setattr(LocalEngine, "wait", interrupted)
    with pytest.raises(UserError, match="Stopped") as raised:
        run_all([request(0, tmp_path)], tmp_path, 1, False, track="none", track_dir=tmp_path)
    assert raised.value.exit_code == 130
    assert "the same command goes on" in raised.value.hint
