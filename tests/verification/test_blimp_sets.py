"""The table of BLiMP's sets says what BLiMP's own files say."""

import json
from collections import Counter
from pathlib import Path

from model_discovery.verification.blimp_sets import BLIMP_PHENOMENA, BLIMP_SETS


def test_67_sets_in_12_phenomena() -> None:
    assert len(BLIMP_SETS) == 67
    assert list(BLIMP_SETS) == sorted(BLIMP_SETS)
    sizes = Counter(BLIMP_PHENOMENA.values())
    assert len(sizes) == 12
    assert sizes["argument_structure"] == 9 and sizes["ellipsis"] == 2  # table 1 of the paper


def test_phenomena_are_those_of_the_files(shared_data: Path) -> None:
    for name, phenomenon in BLIMP_PHENOMENA.items():
        with (shared_data / "blimp" / f"{name}.jsonl").open(encoding="utf-8") as file:
            terms = {json.loads(line)["linguistics_term"] for line in file}
        # The paper counts the sets on animate subjects among argument structure.
        expected = {"s-selection"} if name.startswith("animate_subject") else {phenomenon}
        assert terms == expected, name
