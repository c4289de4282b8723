"""Data sets streamed from a hub on this machine: the same bytes as from a folder, and its refusals."""

import json
import os
import subprocess
import sys
from pathlib import Path

from data_hub import COMMIT, data_hub
from made_up_sets import documents, write_parquet

from model_discovery.verification import get_recipe, prepare

CODE = """
import json, sys
from model_discovery.errors import UserError
from model_discovery.verification import get_recipe, prepare
from model_discovery.verification.sources import HubData, Source

for name in sys.argv[2:]:
    recipe = get_recipe(name.partition("@")[0])
    if "@" in name:
        source = recipe.hub.sources[0].model_copy(update={"revision": name.partition("@")[2]})
        recipe = recipe.model_copy(update={"hub": HubData(sources=(source,))})
    try:
        data = prepare(recipe, "0.1M", sys.argv[1])
        print(json.dumps([data.checksum, data.sources[0].revision, list(data.notes)]))
    except UserError as error:
        print(json.dumps(str(error)))
"""


def test_a_hub_gives_the_same_bytes_and_its_refusals_are_named(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    write_parquet(root / "owner" / "name" / "data", documents(500, seed=1))
    configs = "configs:\n- config_name: part\n  data_files: data/*.parquet\n"
    (root / "owner" / "name" / "README.md").write_text(f"---\n{configs}---\n")
    write_parquet(root / "owner" / "gated-set", documents(5, seed=2))
    names = ["owner/name:part", "owner/name:prat", "owner/gated-set", "owner/nothing", "owner/name:part@v9"]
    with data_hub(root) as hub:
        environment = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}
        environment |= {"HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0"}
        result = subprocess.run(
            [sys.executable, "-c", CODE, str(tmp_path / "data"), *names],
            env=environment,
            capture_output=True,
            text=True,
        )
    assert result.returncode == 0, result.stderr
    made, config, gated, nothing, revision = map(json.loads, result.stdout.splitlines())
    local = prepare(get_recipe(str(root / "owner" / "name"), config="part"), "0.1M", tmp_path / "local")
    assert made[:2] == [local.checksum, COMMIT]
    assert "goes over them again" in made[2][0]
    assert "Unknown config of owner/name 'prat'. Did you mean 'part'" in config
    assert "owner/gated-set is gated" in gated and "HF_TOKEN" in gated
    assert "There is no data set owner/nothing" in nothing
    assert "has no revision 'v9'" in revision
