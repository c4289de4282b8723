"""The page of the room: its example runs, and its tables name what there is."""

import re
from pathlib import Path

import pytest

from model_discovery.verification.report import STATUSES

PAGE = (Path(__file__).parents[2] / "docs" / "verification.md").read_text(encoding="utf-8")


def test_every_status_is_explained() -> None:
    table = PAGE.split("## Status")[1].split("## ")[0]
    assert set(re.findall(r"`(\w+)`", table)) >= set(STATUSES)


def test_every_file_it_names_exists() -> None:
    room = Path(__file__).parents[2] / "model_discovery" / "verification"
    for name in re.findall(r"`(\w+\.py|grammar/)`", PAGE):
        assert (room / name).exists(), name


@pytest.mark.slow
def test_example_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/verification.md", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.startswith("ok value=")
    assert sorted(file.name for file in (tmp_path / "runs" / "min_gru-0").iterdir()) == [
        "curve.csv",
        "job.log",
        "model",
        "report.json",
        "request.json",
    ]
