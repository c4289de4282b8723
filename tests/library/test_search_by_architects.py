"""Questions that designers ask of the shipped cards, and the names by which they call papers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from model_discovery.library import PaperLibrary
from model_discovery.library.ngrams import stems_of

QUESTIONS = {
    "gated linear attention decay": {"gla"},
    "state space model with selective scan": {"mamba"},
    "normalisation without statistics": {"dyt"},
    "share keys and values among heads": {"gqa", "multi_query"},
    "mixture of experts without auxiliary loss": {"loss_free_balancing"},
    "context extension by rescaling rotary frequencies": {"yarn", "position_interpolation"},
    "delta rule fast weights": {"fast_weight_programmers", "deltanet", "gated_deltanet"},
    "compress the kv cache with low rank latents": {"deepseek_v2"},
    "hybrid of attention and recurrence in one model": {"griffin", "jamba", "hymba", "samba", "zamba"},
    "why do linear attention models fail at recall": {"zoology", "based"},
    "pre-norm versus post-norm": {"pre_norm"},
    "attention sink first tokens": {"attention_sinks", "gated_attention"},
    "subtract two attention maps to cancel noise": {"differential_transformer"},
    "learned weights over earlier layers' outputs": {"denseformer"},
    "several residual streams": {"hyper_connections", "mhc"},
    "weight sharing across depth": {"universal_transformer", "albert", "moeut"},
    "test-time training hidden state is a model": {"ttt", "titans"},
    "state tracking negative eigenvalues": {"negative_eigenvalues", "deltaproduct"},
    "minimal GRU parallel scan": {"min_gru"},
    "forget gate in softmax attention": {"forgetting_transformer"},
    "scaling law compute optimal": {"chinchilla", "kaplan"},
    "linear bias attention extrapolation": {"alibi"},
    "random features kernel attention": {"performer", "rfa"},
    "hyperparameter transfer across width": {"mup"},
    "squared relu feed forward": {"primer"},
    "sliding window attention": {"longformer"},
    "long convolution with FFT instead of attention": {"hyena"},
    "skip layers for easy tokens": {"mixture_of_depths"},
    "parallel attention and mlp block": {"palm", "gpt_neox"},
    "how to make transformers with 1000 layers": {"deepnet"},
}
NAMES = ("gla", "mamba", "s4", "retnet", "rwkv6", "griffin", "hyena", "xlstm", "gqa", "alibi", "yarn", "mup")


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperLibrary]:
    library = PaperLibrary.open(Path(tmp_path_factory.mktemp("cards")))
    yield library
    library.close()


def test_questions_of_architects(cards: PaperLibrary) -> None:
    found = [q for q, right in QUESTIONS.items() if right & {hit.paper.id for hit in cards.search(q, k=5)}]
    assert len(found) >= 26, sorted(set(QUESTIONS) - set(found))


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_found_by_its_short_name(cards: PaperLibrary, name: str) -> None:
    assert name in [hit.paper.id for hit in cards.search(name.upper(), k=3)]


def test_a_card_that_goes_takes_its_name_along(tmp_path: Path) -> None:
    library = PaperLibrary.open(tmp_path / "library")
    name = stems_of(["gla"])
    [before], passages = library._current()[1].of(name), len(library.passages("gla"))
    assert library.remove("gla")
    assert library._current()[1].of(name) == [before - passages]
    assert "gla" not in [hit.paper.id for hit in library.search("GLA", k=10)]
    library.close()
