"""What is shown of scores: one number a suite, and all of them in a table."""

import pytest

from model_discovery.system.scores import headline, print_scores


def score(value: float, **more: object) -> dict[str, object]:
    return {"value": value, "stderr": 0.02, "n": 100, "chance": 0.5, "metric": "acc"} | more


SCORES = {
    "blimp": score(0.6),
    "blimp/island_effects": score(0.55),
    "wikitext/word_perplexity": score(40.0, chance=None, stderr=None, metric="word_perplexity"),
    "wikitext/bits_per_byte": score(1.2, chance=None),
    "hellaswag": score(0.3, chance=0.25, metric="acc_norm"),
    "hellaswag/acc": score(0.28, chance=0.25),
}


def test_a_line_has_one_number_a_suite() -> None:
    assert list(headline(SCORES)) == ["blimp", "wikitext/word_perplexity", "hellaswag"]


def test_a_table_has_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores("min_gru", SCORES)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert lines.keys() >= SCORES.keys()
    assert "+5.0 s.e." in lines["blimp"] and "+2.5 s.e." in lines["hellaswag"]
    assert "s.e." not in lines["wikitext/bits_per_byte"]
