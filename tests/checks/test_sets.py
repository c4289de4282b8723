"""Precision: every good unit passes every stage, every bad one is refused by the check it names."""

import pytest
from checked_units import BAD, GOOD, SANDBOXED, run_stages, serious, source_of

from model_discovery.blocks.seed_designs import seed_designs, seed_units
from model_discovery.checks import QUICK_STAGES, check_source
from model_discovery.checks.catalogue import CHECKS
from model_discovery.checks.child import run_stage
from model_discovery.checks.subject import Subject

QUICK = (
    "causal_mean",
    "fft_convolution",
    "no_parameters",
    "token_choice_experts",
    "value_of_first_layer",
)
STATIC = [name for name, check in BAD.items() if check_source(source_of(name))]
RUNNING = [name for name, check in BAD.items() if name not in STATIC and check not in SANDBOXED]
# Each takes up to a second: every fifth of a kind of mistake is quick, and the first of each.
KINDS = {check: [name for name in RUNNING if BAD[name] == check] for check in BAD.values()}
LATER = {name for names in KINDS.values() for number, name in enumerate(names) if number % 5}


def test_the_sets_cover_every_stage() -> None:
    stages = {CHECKS[check].stage for check in BAD.values()}
    assert stages >= set(QUICK_STAGES)
    assert set(BAD.values()) <= set(CHECKS)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in GOOD]
)
def test_a_good_unit_passes(name: str) -> None:
    assert serious(run_stages(source_of(name))) == []


@pytest.mark.parametrize("name", STATIC)
def test_a_bad_source_is_refused_unread(name: str) -> None:
    findings = check_source(source_of(name))
    assert [finding.check for finding in findings][:1] == [BAD[name]]
    assert len(findings) <= 2
    assert all(finding.hint and finding.limit for finding in findings)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LATER else name for name in RUNNING]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_bad_unit_is_refused_by_its_check(name: str) -> None:
    stage = "forward" if BAD[name] in ("contract", "cost") else CHECKS[BAD[name]].stage
    stages = ("build", stage)
    findings = run_stages(source_of(name), *dict.fromkeys(stages))
    assert [finding.check for finding in findings][:1] == [BAD[name]]
    assert all(finding.where and finding.measured and finding.limit and finding.hint for finding in findings)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNNING)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_earlier_stage_takes_a_bad_unit_for_another(name: str) -> None:
    errors = [finding for finding in run_stages(source_of(name)) if finding.severity == "error"]
    assert [finding.check for finding in errors][:1] == [BAD[name]]


@pytest.mark.parametrize("name", list(seed_units()))
def test_a_seed_unit_reads_well(name: str) -> None:
    assert check_source(seed_units()[name].source) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", list(seed_designs()))
def test_a_seed_design_passes(name: str) -> None:
    subject = Subject(seed_designs()[name].tree, ("0.1M", "0.4M", "5M"))
    findings = [finding for stage in QUICK_STAGES[1:] for finding in run_stage(stage, subject)]
    assert serious(findings) == []
