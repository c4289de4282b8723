"""Embedders by name: what is fitted here, and what a server or another package gives."""

import io
import json
import os
import sys
import threading
import types
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_makers import ABSTRACTS, own_library, small_papers
from paper_services import PaperServices

from model_discovery.errors import UserError
from model_discovery.library.embedders import embedder_of
from model_discovery.library.lexical_svd import LexicalSvd
from model_discovery.library.ngrams import ngram_hashes, words_of

TEXTS = list(ABSTRACTS.values())


def test_texts_are_nearest_to_themselves_and_vectors_have_length_one() -> None:
    embedder = LexicalSvd.fit(TEXTS, len(TEXTS))
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (8, 256)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert ((vectors @ vectors.T).argmax(axis=1) == np.arange(8)).all()


def test_other_forms_of_a_word_are_near() -> None:
    embedder = LexicalSvd.fit(TEXTS, len(TEXTS))
    [query] = embedder.embed(["rotating rotation"])
    assert (embedder.embed(TEXTS) @ query).argmax() == list(ABSTRACTS).index("rotary")


def test_fitting_again_and_reading_back_give_the_same_vectors() -> None:
    first, second = LexicalSvd.fit(TEXTS, len(TEXTS)), LexicalSvd.fit(TEXTS, len(TEXTS))
    assert first.to_bytes() == second.to_bytes()
    assert (LexicalSvd.from_bytes(first.to_bytes()).embed(TEXTS) == first.embed(TEXTS)).all()


@given(st.lists(st.text(max_size=60), max_size=5), st.lists(st.text(max_size=60), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_any_texts_can_be_fitted_and_embedded(others: list[str], fitted: list[str]) -> None:
    vectors = LexicalSvd.fit(fitted, len(fitted)).embed(others)
    assert vectors.shape == (len(others), 256)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.isfinite(vectors).all() and np.all((lengths < 1e-6) | (np.abs(lengths - 1) < 1e-4))


@given(st.lists(st.text(max_size=60), max_size=5), st.lists(st.text(max_size=60), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_a_vector_is_the_weighted_sum_of_its_ngrams(others: list[str], fitted: list[str]) -> None:
    embedder = LexicalSvd.fit(fitted, len(fitted))
    with np.load(io.BytesIO(embedder.to_bytes())) as learned:
        known = {hash_: place for place, hash_ in enumerate(learned["hashes"].tolist())}
        for text, vector in zip(others, embedder.embed(others), strict=True):
            expected = np.zeros(256)
            for hash_, count in Counter(ngram_hashes(text).tolist()).items():
                if hash_ in known:
                    place = known[hash_]
                    expected += (1 + np.log(count)) * learned["idf"][place] * learned["directions"][place]
            assert np.allclose(vector * np.linalg.norm(expected), expected, atol=1e-3)


def test_ngrams_stay_within_words() -> None:
    assert words_of("Don't  stop_me—now2") == ["don", "t", "stop", "me", "now2"]
    assert set(ngram_hashes("ab cd")) == set(ngram_hashes("ab")) | set(ngram_hashes("cd"))
    # " ab ": two of three, one of four; a word of one letter is one of three.
    assert len(ngram_hashes("ab")) == 3 and len(ngram_hashes("a")) == 1 and len(ngram_hashes("")) == 0


@pytest.mark.parametrize("name", ["", "lexical", "litellm", "litellm:", "sentence-transformers:"])
def test_an_unknown_name_is_told(name: str) -> None:
    with pytest.raises(UserError, match="Unknown embedder"):
        embedder_of(name)


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(UserError, match="needs the package sentence-transformers"):
        embedder_of("sentence-transformers:all-MiniLM-L6-v2").embed(["text"])


@pytest.fixture
def sentence_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """A package that has no model on this machine, as the real one says it; what it was asked for."""
    asked: list[tuple[str, bool]] = []

    def load(name: str, local_files_only: bool = False) -> None:
        asked.append((name, local_files_only))
        if name.startswith("/"):
            raise FileNotFoundError(f"Path {name} not found")
        raise OSError("We couldn't connect to the hub, and couldn't find them.\nCheck your connection.")

    package = types.SimpleNamespace(SentenceTransformer=load)
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    return asked


def test_a_model_is_looked_for_on_this_machine_first(
    sentence_transformers: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError) as caught:
        embedder_of("sentence-transformers:all-MiniLM-L6-v2").embed(["text"])
    assert "http://127.0.0.1:9 is not reachable" in caught.value.message
    assert sentence_transformers == [("all-MiniLM-L6-v2", True)]
    with PaperServices.running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(UserError, match="could not be loaded: We couldn't connect to the hub") as caught:
            embedder_of("sentence-transformers:all-MiniLM-L6-v2").embed(["text"])
    assert "\n" not in caught.value.message
    assert sentence_transformers[1:] == [("all-MiniLM-L6-v2", True), ("all-MiniLM-L6-v2", False)]


def test_a_folder_without_a_model_is_not_looked_for_on_the_web(
    sentence_transformers: list[tuple[str, bool]],
) -> None:
    with pytest.raises(UserError, match="Path /no/model not found"):
        embedder_of("sentence-transformers:/no/model").embed(["text"])
    assert sentence_transformers == [("/no/model", True)]


@pytest.mark.parametrize(
    "name, message",
    [
        ("litellm:openai/nobody-knows-this", "is not known"),
        ("litellm:openai/nobody-knows-this,price=cheap", "not an amount"),
        ("litellm:openai/nobody-knows-this,price=-1", "not an amount"),
    ],
)
def test_no_price_no_call(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        embedder_of(name)


@contextmanager
def embedding_server(monkeypatch: pytest.MonkeyPatch, status: int = 200) -> Iterator[list[list[str]]]:
    """A server that speaks /v1/embeddings; a text's vector counts some of its words."""
    asked: list[list[str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(request["input"])
            vectors = [[float(text.count(word)) for word in ("state", "angle", "gate")] for text in asked[-1]]
            data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            answer = {"object": "list", "model": "m", "data": data, "usage": usage}
            body = json.dumps(answer if status == 200 else {"error": {"message": "no", "type": "x"}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OPENAI_API_BASE", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_embeds_and_its_cost_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with embedding_server(monkeypatch) as asked:
        with own_library(tmp_path, embedder="litellm:openai/local,price=1") as library:
            library.add_all(small_papers())
            assert library.search("state", k=1)[0].paper.id == "retention"
            stats = library.stats()
            assert stats.embedder == "litellm:openai/local" and stats.dimensions == 3
            assert stats.dollars is not None and 5e-5 < stats.dollars < 1e-3
        sent = sum(len(texts) for texts in asked)
        with own_library(tmp_path, embedder="litellm:openai/local,price=1") as library:
            assert library.search("state", k=1)[0].paper.id == "retention"
        assert sum(len(texts) for texts in asked) == sent + 1  # the query alone: vectors are never paid twice


def test_key_and_address_in_a_file_are_used_and_stay_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedding_server(monkeypatch):
        address = os.environ["OPENAI_API_BASE"]
        monkeypatch.delenv("OPENAI_API_KEY")
        monkeypatch.delenv("OPENAI_API_BASE")
        monkeypatch.chdir(tmp_path)
        (tmp_path / ".env").write_text(f"OPENAI_API_KEY=sk-planted\nOPENAI_API_BASE={address}\n", "utf-8")
        assert embedder_of("litellm:openai/local,price=0").embed(["a state"]).tolist() == [[1, 0, 0]]
        assert "OPENAI_API_KEY" not in os.environ


def test_a_server_that_fails_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        embedding_server(monkeypatch, status=401),
        own_library(tmp_path, embedder="litellm:openai/local,price=0") as library,
    ):
        with pytest.raises(UserError, match="failed: AuthenticationError") as caught:
            library.add_all(small_papers())
        assert "sk-planted" not in str(caught.value)
        assert library.papers() == []
