"""An installed package has everything that a checkout has beside it: cards, agent specs, recipes."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INCLUDED = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"][
    "wheel"
]["force-include"]
PROBE = """
import model_discovery
from pathlib import Path
from model_discovery.library import PaperLibrary, load_cards
from model_discovery.shipped import shipped_folder
here = Path(model_discovery.__file__).parent
for folder in {folders!r}:
    assert shipped_folder(folder).is_relative_to(here), shipped_folder(folder)
library = PaperLibrary.open(Path("paper_library"))
assert len(library.papers()) == len(load_cards()) >= 120
assert library.search("attention", 3)
print("whole", here)
"""


def _folders() -> set[str]:
    """Folders that the code asks for by name."""
    sources = (file.read_text("utf-8") for file in (ROOT / "model_discovery").rglob("*.py"))
    return {name for source in sources for name in re.findall(r'shipped_folder\(\s*"([^"]+)"', source)}


def test_every_shipped_folder_travels_with_the_wheel() -> None:
    folders = _folders()
    assert {"library/papers", "etc/agent_spec"} <= folders
    for folder in sorted(folders):
        assert (ROOT / folder).is_dir(), folder
        top = folder.split("/")[0]
        assert INCLUDED.get(top) == f"model_discovery/_shipped/{top}", folder


@pytest.mark.slow
def test_a_wheel_works_outside_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "-q", "-w", str(tmp_path)]
    built = subprocess.run(build, capture_output=True, text=True, timeout=250)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("no package index is reachable to build a wheel with")
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    probe = [sys.executable, "-c", PROBE.format(folders=sorted(_folders()))]
    done = subprocess.run(probe, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"whole {tmp_path / 'installed' / 'model_discovery'}\n"
