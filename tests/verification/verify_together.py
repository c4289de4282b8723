"""A verification as ``verify`` does it, of a small design with few tokens: ``verify_together.py TOKENS``."""

import sys

from model_discovery.blocks import get_seed_design
from model_discovery.config import Settings
from model_discovery.system.verify import run_all
from model_discovery.verification import VerifyRequest, get_recipe
from model_discovery.verification.distributed import follow, launched


def main(tokens: int) -> None:
    launch = launched()
    if launch is not None and launch.follows:
        follow(launch, 1)
        return
    request = VerifyRequest(
        design="min_gru",
        unit_tree=get_seed_design("min_gru").tree,
        scale="0.1M",
        recipe=get_recipe("grammar", tokens={"0.1M": tokens}),
        seed=0,
        suites=(),
        data_dir=str(Settings().data_dir),
    )
    folder = Settings().ckpt_dir / "verify"
    for report in run_all([request], folder, 1, False, track="none", track_dir=folder):
        print(report.status)


if __name__ == "__main__":
    main(int(sys.argv[1]))
