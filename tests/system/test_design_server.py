"""A design session for any agent: what it is asked, what it can look up, what it may submit."""

from pathlib import Path
from typing import Any

import pytest

from model_discovery.blocks import seed_units
from model_discovery.blocks.seed_designs import seed_designs
from model_discovery.blocks.unit_source import parse_unit
from model_discovery.blocks.written_tree import spec_of
from model_discovery.config import parse_config
from model_discovery.design_tree import DesignTree, DuplicateDesign
from model_discovery.designers.external import Answer
from model_discovery.designers.growth import leaf
from model_discovery.errors import UserError
from model_discovery.evolution import begin_campaign, decide_design, get_selector, load_state
from model_discovery.system import BuildSystem, design_folders, views
from model_discovery.system.design_server import DesignServer

SMALL = (
    "seed_designs=[griffin, min_gru]", "budget.runs={0.1M: 9}", "budget.designs=4", "ladder.seeds={}",
    "design.seeds_only_until=2",
)  # fmt: skip
DB = "tree.db"
DOUBLING = '''
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class DoublingNorm(GAU):
    """Two times the input::

        y = 2 x

    Source: Zhang 2019, arXiv 1910.07467.
    """

    role = "norm"
    pointwise = True

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)

    def forward(self, x, z):
        return 2 * x, {}
'''


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DesignServer:
    """A session on a campaign that has begun, in the current folder."""
    monkeypatch.chdir(tmp_path)
    config = BuildSystem(db=DB, overrides=SMALL, progress=False).config
    with DesignTree(DB) as tree:
        begin_campaign(
            tree, "first", instruction="short memories", config=config, seeds=seed_designs(), versions={}
        )
    return DesignServer(DB)


def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DesignServer:
    monkeypatch.chdir(tmp_path)
    return DesignServer(DB)


def child(name: str = "griffin", **config: Any) -> dict[str, Any]:
    """Griffin with another window, as an agent writes it."""
    block = spec_of(seed_designs()[name].tree)
    block["slots"]["second_mixer"]["config"] = {"window": 32, **config}
    return {"title": "Nearer", "summary": "It sees half as far.", "block": block}


# -- ask


def test_the_request_is_what_the_campaign_would_ask_for(server: DesignServer) -> None:
    asked = server.next_request()
    assert (asked["campaign"], asked["instruction"]) == ("first", "short memories")
    assert asked["limits"] == {"scales": ["0.1M"], "designs_left": 4, "runs_left": {"0.1M": 9}}
    assert asked == server.next_request()
    with DesignTree(DB) as tree:
        row = tree.campaign("first")
        config = parse_config(row.config)
        state = load_state(tree, row.id, config)
        step = decide_design(state, get_selector(config.selector), 0, "external").step
    assert asked["operator"] == step.operator
    names = [state.designs[index].name for index in step.parents]
    assert [one["design"] for one in asked["parents"]] == names


def test_parents_of_ones_own_choice(server: DesignServer) -> None:
    asked = server.next_request(parents=("min_gru", "griffin"))
    assert asked["operator"] == "crossover" and asked["reason"] == "parents as told"
    assert [one["design"] for one in asked["parents"]] == ["min_gru", "griffin"]
    assert {one["relation"] for one in asked["knowledge"]["designs"]} == {"parent"}
    with pytest.raises(UserError, match=r"Unknown design 'grifin'\. Did you mean 'griffin'"):
        server.next_request(parents=("grifin",))
    with pytest.raises(UserError, match="none, one, or two different ones"):
        server.next_request(parents=("griffin", "griffin"))


def test_a_survey_asks_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = alone(tmp_path, monkeypatch)
    config = BuildSystem(db=DB, overrides=(*SMALL, "budget.designs=0"), progress=False).config
    with DesignTree(DB) as tree:
        begin_campaign(tree, "all", instruction="x", config=config, seeds=seed_designs(), versions={})
    with pytest.raises(UserError, match="survey of human designs"):
        server.next_request()


def test_without_a_campaign_human_designs_are_there_to_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = alone(tmp_path, monkeypatch)
    asked = server.next_request()
    assert asked["campaign"] is None and asked["operator"] == "mutation"
    assert server.next_request(parents=("hawk",))["parents"][0]["design"] == "hawk"
    assert server.design("hawk")["block"]["unit"] == "PreNormBlock"
    with pytest.raises(UserError, match=r"no design tree tree\.db.*discover"):
        server.submit(child(), parents=("griffin",))
    with pytest.raises(UserError, match="no design tree"):
        server.results()
    DesignTree(DB).close()
    assert server.next_request()["campaign"] is None
    with pytest.raises(UserError, match="holds no campaign"):
        server.submit(child(), parents=("griffin",))


def test_the_contract_holds_all_one_needs(server: DesignServer) -> None:
    text = server.contract()["contract"]
    for word in (
        "# What a unit may be", "from model_discovery.blocks import GAU", "split_heads(", "causality:",
        "class GatedMLP(GAU):", '"block": {', "`prediction`",
    ):  # fmt: skip
        assert word in text, word
    example = text.split("```json")[1].split("```")[0]
    answer = Answer.model_validate_json(example)
    assert answer.prediction is not None
    report = server.check_tree(answer.model_dump(mode="json", exclude_defaults=True))
    assert report["ok"] and report["unfilled"] == [] and report["sizes"]["0.1M"]["width"] == 64


# -- look up


def test_designs_with_and_without_their_code(server: DesignServer) -> None:
    facts = server.design("griffin")
    assert facts["block"] == spec_of(seed_designs()["griffin"].tree) and "RGLRU" in facts["map"]
    assert facts["source"]["RGLRU"] == seed_units()["RGLRU"].source and facts["origin"] == "seed"
    short = server.design("griffin", sources=False)
    assert "source" not in short and short["units"]["RGLRU"]["role"] == "sequence_mixer"
    assert "verifications" not in server.design("gla")  # human, and not of this campaign
    with pytest.raises(UserError, match="Did you mean 'griffin'"):
        server.design("grifin")


@pytest.mark.parametrize("name", ["../secret.json", "/etc/passwd", "folder/design", "tree.json"])
def test_agents_name_designs_and_read_no_files(server: DesignServer, name: str) -> None:
    with pytest.raises(UserError, match="no name of a design"):
        server.design(name)
    with pytest.raises(UserError, match="no name of a design"):
        server.check_tree(child(), parents=(name,))


def test_units_by_role(server: DesignServer) -> None:
    listed = server.list_units()
    assert {row["unit"] for row in listed["units"]} == set(seed_units())
    assert {row["recipe"] for row in listed["designs"]} == set(seed_designs())
    norms = server.list_units("norm")
    assert {row["unit"] for row in norms["units"]} == {"DynamicTanh", "LayerNorm", "RMSNorm"}
    assert (
        "equations" in server.unit("MinGRU") and "class MinGRU" in server.unit("MinGRU")["source"]["MinGRU"]
    )
    with pytest.raises(UserError, match="Did you mean 'norm'"):
        server.list_units("norms")
    with pytest.raises(UserError, match="Did you mean 'MinGRU'"):
        server.unit("minGRU")


def test_papers_are_found_and_shown(server: DesignServer) -> None:
    hits = server.search_papers("a memory that overwrites what it held under a key", k=5)["hits"]
    assert {"deltanet", "fast_weight_programmers"} & {hit["paper"]["id"] for hit in hits}
    assert server.paper("2312.06635")["paper"]["id"] == "gla"


def test_nothing_was_measured_yet(server: DesignServer) -> None:
    board = server.results()
    assert board["not_run_yet"] == ["griffin", "min_gru"]
    assert board["rows"] == [] and "No design was compared" in board["status"]
    assert server.results("griffin") == {
        "design": "griffin", "status": "valid", "prediction": None, "verifications": [],
    }  # fmt: skip


# -- check and submit


def test_a_source_that_is_no_unit_is_reported_like_check_does(server: DesignServer) -> None:
    report = server.check_unit("import os\n")
    assert not report["ok"] and report["stages"] == ["source"]
    assert report["findings"][0]["check"] and report["findings"][0]["hint"]


def test_into_the_campaign_with_words_and_parents(server: DesignServer) -> None:
    before = server.next_request()
    answer = child() | {
        "motivation": "less to look at", "expected_effect": "faster", "papers": ["2402.19427"],
        "prediction": {"direction": "lower", "amount": 0.01}, "risks": ["too near"],
    }  # fmt: skip
    done = server.submit(answer, parents=("griffin",))
    assert done["entered"] and done["check"]["ok"] and done["parents"] == ["griffin"]
    assert done["next"] == "waits for its first run, one of 9 left at 0.1M"
    facts = server.design(done["design"])
    assert (facts["origin"], facts["operator"], facts["parents"]) == ("external", "mutation", "griffin")
    proposal = facts["proposal"]
    assert (proposal["title"], proposal["path"]) == ("Nearer", "second_mixer")
    assert (proposal["motivation"], proposal["risks"]) == ("less to look at", ["too near"])
    assert facts["prediction"]["verdict"] == "open"
    with pytest.raises(DuplicateDesign, match="has the same structure"):
        server.submit(answer, parents=("griffin",), name="again")
    with pytest.raises(UserError, match="has no design 'gla' to be the parent"):
        server.submit(answer, parents=("gla",))
    assert server.next_request() != before


def test_what_the_checks_refuse_comes_back_with_the_reasons(server: DesignServer) -> None:
    design = child()
    design["block"]["slots"]["ffn_norm"] = {"unit": "DoublingNorm"}
    design["units"] = [DOUBLING.replace("2 * x, {}", "2 * x.flip(1), {}")]
    done = server.submit(design, parents=("griffin",), name="leak")
    assert not done["entered"] and "design" not in done
    assert not done["check"]["ok"] and done["check"]["findings"][0]["hint"]
    assert [row["design"] for row in views.designs(DB, None)] == ["griffin", "min_gru"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"block": None}, "needs either 'unit_tree' or 'block'"),
        ({"block": {"unit": "RMSNorm"}}, "RMSNorm at the root is a norm"),
        ({"block": {"unit": "PreNormBlock"}}, "Nothing fills"),
        ({"block": {"unit": "PreNormBlok"}}, "Did you mean 'PreNormBlock'"),
        ({"block": {"unit": "PreNormBlock", "slot": {}}}, "Did you mean 'slots'"),
        ({"block": ["PreNormBlock"]}, "is a list, not a unit"),
        ({"tilte": "x"}, "Did you mean 'title'"),
        ({"units": ["x = 1"]}, "no class inherits from GAU"),
        ({"prediction": {"metric": "loss", "amout": 1}}, "prediction.amout"),
    ],
)
def test_a_design_that_is_none_is_refused_in_one_line(
    server: DesignServer, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError) as caught:
        server.submit(child() | change, parents=("griffin",))
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not Path("checkpoints").exists()


TAKEN = "The class name RMSNorm belongs to another unit."


@pytest.mark.slow
def test_a_new_unit_may_not_take_a_human_ones_name(server: DesignServer) -> None:
    """Words and statistics about a unit go by its name; refused in every check as at the end."""
    other = DOUBLING.replace("DoublingNorm", "RMSNorm")
    by_name = child() | {"units": [other]}
    whole = {
        "title": "Doubled",
        "unit_tree": seed_designs()["griffin"].tree.graft("ffn_norm", None)
        .graft("ffn_norm", leaf(parse_unit(other, origin="seed"))).to_json(),
    }  # fmt: skip
    for refused in (
        lambda: server.check_unit(other),
        lambda: server.check_tree(by_name, parents=("griffin",)),
        lambda: server.check_tree(whole),
        lambda: server.submit(by_name, parents=("griffin",)),
        lambda: server.submit(whole, parents=("griffin",)),
    ):
        with pytest.raises(UserError) as caught:
            refused()
        assert caught.value.message == TAKEN
        assert caught.value.hint == "give the new class a name of its own, after what it does"
    assert [row["design"] for row in views.designs(DB, None)] == ["griffin", "min_gru"]
    same = seed_units()["RMSNorm"].source.replace('"""', '"""Told otherwise. ', 1)
    assert server.check_unit(same)["ok"]  # other words, the same unit


@pytest.mark.slow
def test_a_unit_that_a_person_edited_stays_usable_under_its_name(server: DesignServer) -> None:
    """A folder may change a human unit in place; children of that design name what their parent has."""
    path = design_folders.create("mine", "griffin", force=False, campaign=None, db=DB)
    norm = path / "units" / "rms_norm.py"
    norm.write_text(norm.read_text().replace("Field(1e-5", "Field(1e-6"))
    facts, _ = design_folders.add(path, parent="griffin", campaign=None, db=DB, level="auto")
    assert facts["design"] == "mine"
    edited = parse_unit(norm.read_text())
    design = child() | {"units": [edited.source]}
    with pytest.raises(UserError, match=TAKEN):
        server.check_tree(design, parents=("griffin",))
    assert server.check_tree(design, parents=("mine",))["ok"]
    done = server.submit(child(), parents=("mine",))
    assert done["entered"] and "1e-6" in server.design(done["design"])["source"]["RMSNorm"]


def test_a_name_that_is_none_or_taken(server: DesignServer) -> None:
    with pytest.raises(UserError, match="cannot name a design"):
        server.submit(child(), parents=("griffin",), name="a b")
    with pytest.raises(UserError, match="has another design 'min_gru' already"):
        server.submit(child(), parents=("griffin",), name="min_gru")
