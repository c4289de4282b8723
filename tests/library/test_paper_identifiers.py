"""Under which names papers are known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_discovery.library.identifiers import Identifier, recognise

HEX = "7d755929690577dbd4b8c187238ed44c3e3a247a"
MAMBA = Identifier("arxiv", "2312.00752")


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("2312.00752", MAMBA),
        (" arXiv:2312.00752v2 ", MAMBA),
        ("https://arxiv.org/abs/2312.00752v1", MAMBA),
        ("http://www.arxiv.org/pdf/2312.00752.pdf", MAMBA),
        ("https://arxiv.org/html/2312.00752v2#S3", MAMBA),
        ("https://huggingface.co/papers/2312.00752", MAMBA),
        ("10.48550/arXiv.2312.00752", MAMBA),
        ("https://doi.org/10.48550/arXiv.2312.00752", MAMBA),
        ("cs/0101001v3", Identifier("arxiv", "cs/0101001")),
        ("math.GT/0309136", Identifier("arxiv", "math/0309136")),
        ("https://arxiv.org/abs/hep-th/9901001", Identifier("arxiv", "hep-th/9901001")),
        ("10.1162/TACL_a_00321", Identifier("doi", "10.1162/tacl_a_00321")),
        ("doi: 10.1000/a(b)c", Identifier("doi", "10.1000/a(b)c")),
        ("https://dx.doi.org/10.1000%2Fx", Identifier("doi", "10.1000/x")),
        (HEX, Identifier("s2", HEX)),
        (f"https://www.semanticscholar.org/paper/Mamba%3A-Linear/{HEX}", Identifier("s2", HEX)),
        ("CorpusID:265551773", Identifier("s2", "CorpusId:265551773")),
        ("https://api.semanticscholar.org/CorpusID:265551773", Identifier("s2", "CorpusId:265551773")),
        ("2399.00752", None),  # there is no month 99
        ("2312.752", None),
        ("paper.pdf", None),
        ("10.12/short", None),
        (HEX[:-1], None),
        ("", None),
    ],
)
def test_names_are_recognised(text: str, identifier: Identifier | None) -> None:
    assert recognise(text) == identifier


@pytest.mark.parametrize("identifier", [MAMBA, Identifier("doi", "10.1000/x"), Identifier("s2", HEX)])
def test_the_id_in_the_library_is_a_name_too(identifier: Identifier) -> None:
    assert recognise(identifier.paper_id) == identifier


@given(st.text(max_size=60))
def test_any_text_is_one_name_or_none(text: str) -> None:
    found = recognise(text)
    assert found is None or recognise(found.paper_id) == found
