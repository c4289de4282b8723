"""What a report says of its machine, and energy from counters that wrap around."""

import subprocess
from pathlib import Path

import pytest

from model_discovery.verification import VerificationReport, VerifyRequest, environment
from model_discovery.verification.energy import EnergyMeter
from model_discovery.verification.environment import describe_machine, versions


def zone(root: Path, name: str, energy: int, full: int = 1_000_000) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{full}\n")
    return folder / "energy_uj"


def test_energy_of_all_packages_through_a_wrap(tmp_path: Path) -> None:
    first, second = zone(tmp_path, "intel-rapl:0", 900_000), zone(tmp_path, "intel-rapl:1", 5)
    zone(tmp_path, "intel-rapl:0:0", 0)  # the cores of a package, which are in it already
    meter = EnergyMeter(tmp_path)
    assert meter.joules == 0.0
    first.write_text("950000\n")
    meter.sample()
    first.write_text("100000\n")  # full at a million, then from 0 again
    second.write_text("25\n")
    meter.sample()
    meter.sample()
    assert meter.joules == pytest.approx(0.05 + 0.15 + 20e-6)


def test_energy_that_cannot_be_read_is_absent(tmp_path: Path) -> None:
    assert EnergyMeter(tmp_path / "none").joules is None
    zone(tmp_path, "intel-rapl:0", 7).unlink()
    meter = EnergyMeter(tmp_path)
    meter.sample()
    assert meter.joules is None


def test_the_machine_is_described() -> None:
    machine = describe_machine(3)
    assert machine.threads == 3 and machine.cores and machine.cpu and "Linux" in machine.os
    assert versions()["python"].startswith("3.") and "torch" in versions()
    assert describe_machine(3) == machine


def test_commit_is_of_the_checkout_and_says_when_it_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(environment.model_discovery, "__file__", str(package / "__init__.py"))
    look, hashed = environment._commit.__wrapped__, environment._package.__wrapped__
    assert look() == ""  # installed, not a checkout
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    assert look() == git("rev-parse", "HEAD")
    before = hashed()
    (package / "__init__.py").write_text("x = 1\n")
    assert look() == f"{git('rev-parse', 'HEAD')}-dirty" and hashed() != before


def test_a_program_that_is_missing_or_fails_says_nothing() -> None:
    assert environment._ask("no-such-program-anywhere") == ""
    assert environment._ask("false") == ""


def test_reports_and_requests_of_the_first_release_are_still_read() -> None:
    folder = Path(__file__).parent / "stored_run"
    report = VerificationReport.model_validate_json((folder / "report.json").read_bytes())
    request = VerifyRequest.model_validate_json((folder / "request.json").read_bytes())
    assert report.ok and report.evidence.machine.threads is None and report.cost.package_joules is None
    assert report.evidence.request_hash == request.hash
    assert report.evidence.recipe_hash == request.recipe.hash
