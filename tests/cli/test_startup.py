"""Starting costs nothing: no heavy library is loaded to print help or to import the package."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "litellm",
    "lm_eval",
    "faiss",
    "datasets",
    "wandb",
    "tensorboard",
    "matplotlib",
    "sqlalchemy",
    "mcp",
    "numpy",
    "pymupdf",
    "semanticscholar",
    "bibtexparser",
)

PROBE = """
import sys
{statement}
loaded = [name for name in {heavy!r} if name in sys.modules]
assert not loaded, loaded
"""


@pytest.mark.parametrize(
    "statement",
    [
        "import model_discovery",
        "import model_discovery.config",
        "import model_discovery.cli.app",
        "import model_discovery.cli.app as a\ntry: a.app(['--help'])\nexcept SystemExit: pass",
        "import model_discovery.cli.app as a\ntry: a.app(['discover', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_importing_and_help_load_nothing_heavy(statement: str) -> None:
    code = PROBE.format(statement=statement, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_importing_the_rooms_loads_no_torch() -> None:
    rooms = (
        "blocks",
        "checks",
        "design_tree",
        "designers",
        "engine",
        "evolution",
        "export",
        "library",
        "sandbox",
        "system",
        "verification",
    )
    imports = "\n".join(f"import model_discovery.{room}" for room in rooms)
    code = PROBE.format(statement=imports, heavy=("torch", "transformers", "lm_eval", "datasets"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
