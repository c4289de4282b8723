"""Designs that people make: written, edited, checked, compared, added to a campaign."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from model_discovery.blocks import standalone_source
from model_discovery.blocks.design_folder import read_design_folder
from model_discovery.blocks.seed_designs import seed_designs
from model_discovery.design_tree import DesignTree, DuplicateDesign
from model_discovery.errors import UserError
from model_discovery.evolution import begin_campaign, load_state
from model_discovery.system import BuildSystem, design_folders, differences, views
from model_discovery.system.check import check, print_check
from model_discovery.system.designs import find_design
from model_discovery.system.verify import verify

SMALL = (
    "seed_designs=[griffin, min_gru]", "budget.runs={0.1M: 5}", "budget.designs=2", "ladder.seeds={}",
)  # fmt: skip
DB = "tree.db"
LEAK = "def forward(self, x, z):\n        x = x + 0.1 * x.flip(1).cumsum(1).flip(1)\n"


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A campaign that has begun, in the current folder."""
    monkeypatch.chdir(tmp_path)
    config = BuildSystem(db=DB, overrides=SMALL, progress=False).config
    with DesignTree(DB) as tree:
        begin_campaign(tree, "first", instruction="x", config=config, seeds=seed_designs(), versions={})
    return "first"


def edit(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new))


def new(name: str = "mine", source: str = "griffin") -> Path:
    """A new design whose mixer sees twice as far."""
    path = design_folders.create(name, source, force=False, campaign=None, db=DB)
    if source == "griffin":
        edit(
            f"{name}/design.yaml", "{unit: WindowAttention}", "{unit: WindowAttention, config: {window: 32}}"
        )
    return path


def add(path: Path, parent: str | None = None, campaign: str | None = None) -> design_folders.Facts:
    facts, report = design_folders.add(path, parent=parent, campaign=campaign, db=DB, level="auto")
    assert report.ok, [str(finding) for finding in report.findings]
    return facts


def test_from_a_recipe_into_a_campaign(campaign: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = new()
    edit("mine/units/rglru.py", "class RGLRU(GAU):\n", "class RGLRU(GAU):\n    # mine\n")
    edit("mine/units/rms_norm.py", "Field(1e-5", "Field(1e-6")
    facts = add(path)
    assert facts["parent"] == "griffin" and facts["sizes"]["0.1M"]["width"] == 64
    assert facts["next"] == "waits for its first run, one of 5 left at 0.1M"
    shown = views.design(DB, None, "mine")
    assert (shown["origin"], shown["operator"], shown["parents"]) == ("external", "mutation", "griffin")
    assert shown["proposal"]["title"] == "Griffin, changed" and shown["status"] == "valid"
    assert [row["design"] for row in views.designs(DB, None)] == ["griffin", "min_gru", "mine"]
    difference = differences.in_tree(DB, None, "mine", None)
    assert [change["slot"] for change in difference["changed"]] == ["mixer_norm", "second_mixer", "ffn_norm"]
    assert [(code["from"], code["slot"]) for code in difference["code"]] == [
        ("RMSNorm", "mixer_norm, ffn_norm"), ("RGLRU", "mixer"),
    ]  # fmt: skip
    assert "+    # mine" in difference["code"][1]["diff"].splitlines()
    json.dumps(difference, allow_nan=False)
    with DesignTree(DB) as tree:
        row = tree.campaign(campaign)
        state = load_state(tree, row.id, BuildSystem(db=DB, overrides=SMALL, progress=False).config)
    mine = state.designs[state.index["mine"]]
    assert mine.parents == (state.index["griffin"],) and state.index["mine"] in state.waiting
    again = design_folders.create("again", "mine", force=False, campaign=campaign, db=DB)
    assert read_design_folder(again).tree.structure_hash == shown["structure_hash"]
    assert read_design_folder(again).parent == "mine"
    with pytest.raises(DuplicateDesign, match="'mine' has the same structure"):
        add(again)
    with pytest.raises(UserError, match="The campaign 'first' has this design 'mine' already"):
        add(path)
    edit("mine/design.yaml", "window: 32", "window: 16")
    with pytest.raises(UserError, match="has another design 'mine' already"):
        add(path)


@pytest.mark.slow
def test_what_the_checks_refuse_is_not_added(campaign: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = new()
    edit("mine/units/rglru.py", "def forward(self, x, z):\n", LEAK)
    facts, report = design_folders.add(path, parent=None, campaign=None, db=DB, level="auto")
    assert facts == {} and not report.ok
    design_folders.print_added(path, facts, report, "")
    assert "mine is refused" in capsys.readouterr().out
    assert [row["design"] for row in views.designs(DB, None)] == ["griffin", "min_gru"]


@pytest.mark.slow
def test_what_only_looks_different_is_not_added(campaign: str) -> None:
    """Heads wider than a narrow model can have compute what the parent computes."""
    path = design_folders.create("mine", "griffin", force=False, campaign=None, db=DB)
    edit("mine/design.yaml", "{unit: WindowAttention}", "{unit: WindowAttention, config: {head_dim: 128}}")
    facts, report = design_folders.add(path, parent=None, campaign=None, db=DB, level="auto")
    assert facts == {} and report.findings[-1].check == "same_function"


def test_a_forbidden_source_is_refused_before_it_runs(
    campaign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = new()
    edit("mine/units/rglru.py", "class RGLRU(GAU):", "open('/tmp/trap', 'w')\n\n\nclass RGLRU(GAU):")
    report = check(path, scales=["0.1M"], level="auto")
    assert not report.ok and report.stages == ("source",)
    assert report.findings[0].where.startswith("mixer (RGLRU), line")
    facts, refused = design_folders.add(path, parent=None, campaign=None, db=DB, level="auto")
    assert facts == {} and refused.findings[0].check == report.findings[0].check
    with pytest.raises(UserError, match=r"mine: RGLRU at 'mixer': .*open"):
        verify(
            "mine", scale="0.1M", seeds=1, recipe="grammar", corpus=None, suites=None, blimp_dir=None,
            workers=1, campaign=None, db=DB, progress=False,
        )  # fmt: skip
    assert not Path("data").exists()


def test_a_folder_is_checked_and_says_what_nobody_asked_for(
    campaign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = new()
    edit("mine/design.yaml", "    mixer: {unit: RGLRU}\n", "    mixer: {unit: MinGRU}\n")
    report = check(path, scales=["0.1M"], level="auto")
    assert report.ok and len(report.stages) >= 7
    print_check(path, report)
    printed = capsys.readouterr().out
    assert "no slot asks for the unit RGLRU" in printed and "mine passes" in printed
    name, tree = find_design("mine", db=DB, campaign=None)
    assert "class MinGRU" in standalone_source(tree, name=name)
    with pytest.raises(UserError, match="Unknown design 'mine'"):
        find_design("mine", db=DB, campaign=campaign)


# -- refusals that cost nothing


@pytest.mark.parametrize(
    ("change", "parent", "words"),
    [
        (("parent: griffin", "parent: mine"), None, "names itself as its parent"),
        (("parent: griffin", "parent: grifin"), None, "no design 'grifin' to be the parent. Did you mean"),
        (("parent: griffin", "parent: griffin"), "gla", "no design 'gla' to be the parent"),
        (("    mixer: {unit: RGLRU}\n", ""), None, "mine: nothing fills 'mixer'"),
        (("{unit: RGLRU}", "{unit: RMSNorm}"), None, "design.yaml: RMSNorm at 'mixer' is a norm"),
    ],
)  # fmt: skip
def test_what_cannot_be_added(change: tuple[str, str], parent: str | None, words: str, campaign: str) -> None:
    path = new()
    edit("mine/design.yaml", *change)
    with pytest.raises(UserError) as caught:
        add(path, parent)
    assert words in str(caught.value)
    assert not Path("checkpoints").exists()


def test_a_campaign_at_work_is_left_alone(campaign: str) -> None:
    path = new()
    hold = (
        "import sys; from model_discovery.design_tree import DesignTree\n"
        f"with DesignTree({DB!r}) as tree, tree.campaign_lock('first'):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"'first' is in use by process {holder.pid}"):
            add(path)
        holder.communicate("")
    assert len(views.designs(DB, None)) == 2


def test_without_a_tree_or_a_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = new()
    with pytest.raises(UserError, match=r"no design tree tree\.db.*discover"):
        add(path)
    DesignTree(DB).close()
    with pytest.raises(UserError, match=r"holds no campaign.*discover"):
        add(path)


def test_new_is_careful(campaign: str) -> None:
    new()
    with pytest.raises(UserError, match=r"is there already.*--force"):
        new()
    with pytest.raises(UserError, match="cannot name a design"):
        new("a/b")
    with pytest.raises(UserError, match=r"Unknown design 'grifin'\. Did you mean 'griffin'"):
        new("other", "grifin")
    assert sorted(file.name for file in Path().iterdir()) == ["mine", DB]
    copied = read_design_folder(design_folders.create("copy", "mine", force=False, campaign=None, db=DB))
    assert copied.parent == "mine" and copied.tree.config("second_mixer")["window"] == 32


# -- differences


def test_a_folder_against_its_parent(campaign: str, capsys: pytest.CaptureFixture[str]) -> None:
    new()
    edit("mine/design.yaml", "mixer: {unit: RGLRU}", "mixer: {unit: Retention}")
    edit("mine/design.yaml", "    ffn_norm: {unit: RMSNorm}\n", "")
    edit("mine/units/gated_mlp.py", "Gated channel mixer", "My gated channel mixer")
    facts = differences.of_any(DB, None, "mine", None)
    assert (facts["from"], facts["to"]) == ("griffin", "mine")
    kinds = {
        kind: [change["slot"] for change in facts[kind]] for kind in ("reused", "changed", "new", "gone")
    }
    assert kinds == {
        "reused": ["(block)", "mixer_norm", "ffn"], "changed": ["mixer", "second_mixer"], "new": [],
        "gone": ["ffn_norm"],
    }  # fmt: skip
    differences.print_difference(facts)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    for line in (
        "griffin -> mine", "  changed  mixer: RGLRU -> Retention", "  gone     ffn_norm: RMSNorm -> nothing",
        "  changed  second_mixer: WindowAttention: window 64 -> 32", "  reused   3 units",
        "--- from/GatedMLP", "+++ to/Retention", "-class RGLRU(GAU):", "+class Retention(GAU):",
    ):  # fmt: skip
        assert line in printed.splitlines(), line
    assert '+    """My gated channel mixer (SwiGLU, GeGLU)::' in printed


def test_units_that_came_or_went_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    facts = differences.of_any(DB, None, "griffin", "hawk")
    assert [(code["from"], code["to"]) for code in facts["code"]] == [
        ("PreNormBlock", "HybridBlock"), (None, "WindowAttention"),
    ]  # fmt: skip
    differences.print_difference(facts)
    assert "new: WindowAttention, of the library" in capsys.readouterr().out
    same = differences.of_any(DB, None, "hawk", "hawk")
    assert same["code"] == [] and not (same["changed"] or same["new"] or same["gone"])


def test_colours_on_a_terminal(
    campaign: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new()
    edit("mine/units/gated_mlp.py", "Gated channel mixer", "My gated channel mixer")
    monkeypatch.setenv("FORCE_COLOR", "1")
    differences.print_difference(differences.of_any(DB, None, "mine", None))
    printed = capsys.readouterr().out
    assert "\x1b[32m+    " in printed and "\x1b[31m-    " in printed


def test_no_parent_to_compare_with(campaign: str) -> None:
    new()
    edit("mine/design.yaml", "parent: griffin\n", "")
    with pytest.raises(UserError, match="mine names no parent"):
        differences.of_any(DB, None, "mine", None)
    with pytest.raises(UserError, match="griffin has no parent to compare with"):
        differences.of_any(DB, None, "griffin", None)
