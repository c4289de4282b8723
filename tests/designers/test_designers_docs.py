"""The page of the room: its examples run."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "designers.md").read_text(encoding="utf-8")


def test_examples_run(capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict = {"__name__": "example"}
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(example, "docs/designers.md", "exec"), namespace)
    assert "valid" in capsys.readouterr().out
    assert len(list((tmp_path / "exchange").glob("*.outcome.json"))) == 1
