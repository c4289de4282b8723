"""A design session on a campaign that has run: requests with what was measured, the leaderboard, results."""

import pytest
from evolution_makers import begin, sit, small_config

from model_discovery.design_tree import DesignTree
from model_discovery.evolution.simulator import InlineEngine
from model_discovery.system.design_server import DesignServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> DesignServer:
    folder = tmp_path_factory.mktemp("campaign")
    with DesignTree(folder / "tree.db") as tree:
        begin(tree, small_config())
        assert sit(tree, folder, InlineEngine(2)).ending.state == "finished"
    return DesignServer(str(folder / "tree.db"))


def test_a_request_tells_what_was_measured(server: DesignServer) -> None:
    asked = server.next_request()
    names = [parent["design"] for parent in asked["parents"]]
    known = {one["name"]: one for one in asked["knowledge"]["designs"]}
    for name in names:
        assert known[name]["relation"] == "parent" and known[name]["results"][0]["stderr"] > 0
    runs_left = {"0.1M": 0, "0.4M": 1}
    assert asked["limits"] == {"scales": ["0.1M", "0.4M"], "designs_left": 0, "runs_left": runs_left}


def test_what_is_passed_over_counts_as_asked(server: DesignServer) -> None:
    """So the operators come in their shares, and other parents have their turn."""
    asked = [server.next_request(skip=skip) for skip in range(12)]
    operators = [one["operator"] for one in asked]
    assert 5 <= operators.count("mutation") <= 9 and set(operators) == {"mutation", "crossover", "scratch"}
    assert len({str([parent["design"] for parent in one["parents"]]) for one in asked}) > 4
    assert server.next_request(skip=5) == asked[5]


def test_the_leaderboard_and_one_design(server: DesignServer) -> None:
    board = server.results(limit=3)
    assert [row["rank"] for row in board["rows"]] == [1, 2, 3] and board["not_run_yet"] == []
    best = board["rows"][0]
    assert best["loss"]["stderr"] > 0 and best["gain"] is not None and best["design"] in board["status"]
    one = server.results(best["design"])
    runs = [run["losses"]["held_out"]["value"] for run in one["verifications"] if run["scale"] == "0.4M"]
    assert sum(runs) / len(runs) == pytest.approx(best["loss"]["value"], abs=1e-4)
    assert server.design(best["design"])["verifications"] == one["verifications"]
