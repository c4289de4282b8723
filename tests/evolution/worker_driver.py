"""Runs the small simulated campaign on worker processes until it ends; run by `test_campaign_workers`.

    python worker_driver.py FOLDER

Prints the number of each result as it is applied, and the lineage hash at the end.
"""

import sys
from pathlib import Path

from evolution_makers import NAME, begin, sit, small_config

from model_discovery.design_tree import DesignTree
from model_discovery.engine import LocalEngine
from model_discovery.errors import UserError
from model_discovery.evolution import CampaignEvent, StopFlag, resume_campaign, stop_on_signals
from model_discovery.evolution.simulator import simulated_seeds


def tell(event: CampaignEvent) -> None:
    """For the test to know how far it is."""
    if event.kind in ("verified", "designed", "fruitless", "stopping"):
        print(event.kind, event.data.get("job"), flush=True)


def main() -> None:
    """One sitting."""
    folder = Path(sys.argv[1])
    with (
        DesignTree(folder / "tree.db") as tree,
        LocalEngine(2) as engine,
        stop_on_signals(StopFlag()) as stop,
    ):
        try:
            resume_campaign(tree, NAME, simulated_seeds(4))
        except UserError:
            begin(tree, small_config())
        done = sit(tree, folder, engine, watch=tell, stop=stop)
        print(done.ending.state, done.ending.waiting, done.ending.lineage_hash, flush=True)


if __name__ == "__main__":
    main()
