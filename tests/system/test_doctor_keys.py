"""What the doctor says of keys: what each is for, and never the key."""

from pathlib import Path

import pytest

from model_discovery.system import doctor


@pytest.fixture(autouse=True)
def without_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "S2_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_hub_token_is_used_by_this_version() -> None:
    facts = {fact.what: fact for fact in doctor._keys()}
    assert "export --push" in facts["HF_TOKEN"].more and "later" not in facts["HF_TOKEN"].more
    assert "Semantic Scholar" in facts["S2_API_KEY"].more and "later" not in facts["S2_API_KEY"].more
    assert all("doctor --llm" in facts[name].more for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"))


def test_a_key_is_set_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_5ec2e7")
    fact = {fact.what: fact for fact in doctor._keys()}["HF_TOKEN"]
    assert fact.ok and "5ec2e7" not in f"{fact}"
