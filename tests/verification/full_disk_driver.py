"""Verifies a design on a disk of its own that runs full; run by `test_full_disk` as root of a namespace.

    python full_disk_driver.py FOLDER

Prints, as JSON, what came of a disk that cannot be written, of one that is full during training, of one that
is full once the report is to be written, and of one with room.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from small_designs import sound

from model_discovery.engine import JobContext, Resources
from model_discovery.errors import UserError
from model_discovery.verification import VerifyRequest, get_recipe
from model_discovery.verification.work import run_verify

GRAMMAR = get_recipe("grammar", tokens={"0.1M": 10_240})
RECIPE = GRAMMAR.model_copy(
    update={"batch_tokens": {"0.1M": 512}, "learning_rates": {"0.1M": 1e-2}, "eval_tokens": 4_096}
)


def fill(folder: Path) -> None:
    """Take all the room there is."""
    try:
        with (folder / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        return


def attempt(root: Path, resources: Resources, fill_at: str = "") -> dict[str, Any]:
    """One sitting; the disk is filled once it says that it does ``fill_at``."""
    disk = root / "disk"
    folder = disk / "job"
    folder.mkdir(exist_ok=True)

    def hear(fields: dict[str, Any]) -> None:
        if fill_at and fields.get("doing") == fill_at:
            fill(disk)

    request = VerifyRequest(
        design="a_design",
        unit_tree=sound(),
        scale="0.1M",
        recipe=RECIPE,
        seed=0,
        suites=(),
        data_dir=str(root / "data"),
        sandbox="plain",
    )
    context = JobContext(folder, 1, send=hear, resources=resources)
    try:
        said = run_verify(request.model_dump(mode="json"), context)["status"]
    except UserError as error:
        said = error.message
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return {"said": said, "files": files}


def main() -> None:
    """All four."""
    root = Path(sys.argv[1])
    disk = root / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs"]
    subprocess.run([*mount, "-o", "size=1500k", "none", disk], check=True)
    (disk / "job").mkdir()
    resources = Resources()
    subprocess.run([*mount, "-o", "remount,ro", "none", disk], check=True)
    found = [attempt(root, resources)]
    subprocess.run([*mount, "-o", "remount,rw", "none", disk], check=True)
    found.append(attempt(root, resources))
    subprocess.run([*mount, "-o", "remount,size=64m", "none", disk], check=True)
    found.append(attempt(root, resources, fill_at="scoring"))
    (disk / "filler").unlink()
    found.append(attempt(root, resources))
    resources.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
