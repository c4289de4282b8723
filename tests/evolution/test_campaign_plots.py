"""The plots of a campaign, from its tree, by the command line."""

from pathlib import Path

import pytest
from evolution_makers import NAME, whole_campaign
from evolution_makers import small_config as config
from typer.testing import CliRunner

from model_discovery.cli.app import app
from model_discovery.design_tree import DesignTree
from model_discovery.errors import UserError
from model_discovery.evolution import simulator
from model_discovery.system import plots


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plots")
    whole_campaign(folder, config(ladder={"seeds": {"0.1M": 2, "0.4M": 2}}))
    return str(folder / "tree.db")


@pytest.mark.parametrize("kind", ["ladder", "baselines"])
def test_both_files_are_written_where_they_are_said_to_be(
    kind: str, db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["plot", kind, "--db", db])
    assert done.exit_code == 0, done.output
    for ending in ("png", "svg"):
        file = f"plots/{NAME}-{kind}.{ending}"
        assert file in done.output and (tmp_path / file).stat().st_size > 5000


def test_the_ladder_has_every_design_with_its_loss_and_generation(db: str) -> None:
    with DesignTree(db) as tree:
        row = tree.campaign(NAME)
        runs = [run for run in tree.verifications(row.id) if run.status == "ok"]
        ladder = {design.name: design for design in plots._ladder_designs(tree, row, runs)}
        for design in tree.designs(row.id):
            above = [ladder[parent.name].generation for parent in design.parents]
            assert ladder[design.name].generation == (1 + max(above) if above else 0)
            for scale in ("0.1M", "0.4M"):
                losses = [
                    run.losses["held_out"]["value"]
                    for run in runs
                    if run.design_id == design.id and run.scale == scale
                ]
                if losses:
                    mean = sum(losses) / len(losses)
                    assert ladder[design.name].losses[scale][0] == pytest.approx(mean)
                else:
                    assert scale not in ladder[design.name].losses


def test_runs_without_curves_and_unknown_designs_are_said(
    db: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "_held_out_curve", lambda *_: ())
    bare = tmp_path_factory.mktemp("bare")
    whole_campaign(bare, config())
    with pytest.raises(UserError, match="held-out curve"):
        plots.plot("curves", db=str(bare / "tree.db"), campaign=None, out=tmp_path / "x")
    with pytest.raises(UserError, match="Did you mean 'human_1'"):
        plots.plot("curves", db=db, campaign=None, designs=["humn_1"], out=tmp_path / "x")
    assert not list(tmp_path.iterdir())
