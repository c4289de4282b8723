"""What turns a text into a vector, by name."""

import hashlib
import importlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from model_discovery.config.environment import environment
from model_discovery.errors import EXIT_FAILED, UserError, unknown
from model_discovery.library import lexical_svd
from model_discovery.library.lexical_svd import LexicalSvd, Matrix

NAMES = ("lexical-svd", "sentence-transformers:NAME", "litellm:MODEL")


class EmbedderFacts(BaseModel):
    """What tells one embedder from another: vectors of two that differ in this do not compare."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str
    parameters: str = ""


class Embedder(Protocol):
    """Embeds texts as rows of length 1.

    ``learns``: it has to be fitted on the library's passages first; what it has learned is kept with them.
    """

    facts: EmbedderFacts
    learns: bool

    def fit(self, texts: Iterable[str], count: int) -> bytes:
        """Learn from ``count`` passages; returns what is to be kept."""

    def restore(self, learned: bytes) -> None:
        """Take up what `fit` returned."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """A row for every text; zeros where nothing is known about it."""

    def dollars(self, texts: Sequence[str]) -> float | None:
        """What embedding them costs; None when it costs nothing."""


class LexicalSvdEmbedder:
    """`LexicalSvd` as the library uses it."""

    learns = True

    def __init__(self) -> None:
        shape = [lexical_svd.DIMENSIONS, lexical_svd.FEATURES, lexical_svd.FITTED_PASSAGES]
        self.facts = EmbedderFacts(name="lexical-svd", version="1", parameters=_digest(shape))
        self._fitted: LexicalSvd | None = None

    def fit(self, texts: Iterable[str], count: int) -> bytes:
        """Learn from passages."""
        self._fitted = LexicalSvd.fit(texts, count)
        return self._fitted.to_bytes()

    def restore(self, learned: bytes) -> None:
        """Take up what was learned before."""
        self._fitted = LexicalSvd.from_bytes(learned)

    def embed(self, texts: Sequence[str]) -> Matrix:
        """A row for every text."""
        if self._fitted is None:
            return np.zeros((len(texts), lexical_svd.DIMENSIONS), dtype=np.float32)
        return self._fitted.embed(texts)

    def dollars(self, texts: Sequence[str]) -> float | None:
        """Nothing."""
        return None


class _Given:
    """An embedder that was trained elsewhere."""

    learns = False

    def __init__(self, name: str, version: str) -> None:
        self.facts = EmbedderFacts(name=name, version=version)

    def fit(self, texts: Iterable[str], count: int) -> bytes:
        """It has nothing to learn."""
        return b""

    def restore(self, learned: bytes) -> None:
        """It has learned nothing."""


class SentenceTransformer(_Given):
    """A model of the `sentence-transformers` package, which is not installed with this one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"sentence-transformers:{name}", "1")
        self._name = name
        self._model: Any = None

    def embed(self, texts: Sequence[str]) -> Matrix:
        """A row for every text."""
        if not texts:
            return np.zeros((0, 1), dtype=np.float32)
        if self._model is None:
            self._model = self._load()
        vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def dollars(self, texts: Sequence[str]) -> float | None:
        """Nothing."""
        return None

    def _load(self) -> Any:
        try:
            sentence_transformers: Any = importlib.import_module("sentence_transformers")
        except ImportError:
            raise UserError(
                f"The embedder '{self.facts.name}' needs the package sentence-transformers.",
                hint="pip install sentence-transformers, or use the embedder lexical-svd",
            ) from None
        importlib.import_module("transformers.utils.logging").disable_progress_bar()
        try:
            return sentence_transformers.SentenceTransformer(self._name, local_files_only=True)
        except (OSError, ValueError) as error:
            if Path(self._name).exists() or isinstance(error, FileNotFoundError):
                raise self._cannot_load(error) from None
        _reach_hub(self._name)
        try:
            return sentence_transformers.SentenceTransformer(self._name)
        except (OSError, ValueError) as error:
            raise self._cannot_load(error) from None

    def _cannot_load(self, error: Exception) -> UserError:
        first = (str(error) or type(error).__name__).splitlines()[0][:200]
        return UserError(
            f"The model '{self._name}' could not be loaded: {first}",
            hint="name a model of the hub, which is fetched once, or a folder with one",
            exit_code=EXIT_FAILED,
        )


class LiteLlmEmbedder(_Given):
    """A service or local server behind litellm; keys come from the environment.

    ``MODEL,price=0.02`` gives the dollars for a million tokens where litellm does not know them (0 for a
    server of one's own).
    """

    BATCH = 64

    def __init__(self, name: str) -> None:
        model, _, price = name.partition(",price=")
        super().__init__(f"litellm:{model}", "1")
        self._model = model
        self._price = self._known_price(model) if not price else _number(price, name) / 1e6

    def embed(self, texts: Sequence[str]) -> Matrix:
        """A row for every text."""
        rows: list[list[float]] = []
        for start in range(0, len(texts), self.BATCH):
            rows += self._ask([text[:20_000] or " " for text in texts[start : start + self.BATCH]])
        vectors = np.array(rows, dtype=np.float32).reshape(len(rows), -1 if rows else 1)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    def dollars(self, texts: Sequence[str]) -> float:
        """At the price of a token, counted by litellm."""
        litellm = _litellm()
        return float(sum(litellm.token_counter(model=self._model, text=text) for text in texts) * self._price)

    def _ask(self, texts: list[str]) -> list[list[float]]:
        litellm, openai = _litellm(), importlib.import_module("openai")
        try:
            reply = litellm.embedding(
                model=self._model, input=texts, num_retries=3, timeout=120, **_access(self._model)
            )
        except (openai.OpenAIError, ValueError) as error:
            raise self._failed(error) from None
        return [one["embedding"] for one in sorted(reply.data, key=lambda one: one["index"])]

    def _failed(self, error: Exception) -> UserError:
        kind = type(error).__name__
        missing = not _access(self._model)["api_key"]
        hint = f"{'no key is set for it: ' if missing else ''}check its key and address; nothing was changed"
        return UserError(
            f"The embedder '{self.facts.name}' failed: {kind}.", hint=hint, exit_code=EXIT_FAILED
        )

    def _known_price(self, model: str) -> float:
        price = _litellm().model_cost.get(model, {}).get("input_cost_per_token")
        if price is None:
            raise UserError(
                f"What the embedder 'litellm:{model}' costs is not known.",
                hint=f"say litellm:{model},price=0.02 with its dollars for a million tokens; 0 if it is free",
            )
        return float(price)


def embedder_of(name: str) -> Embedder:
    """The embedder called ``name``: `NAMES`.

    Raises
    ------
    UserError
        There is none of that name.
    """
    kind, _, model = name.partition(":")
    if name == "lexical-svd":
        return LexicalSvdEmbedder()
    if kind == "sentence-transformers" and model:
        return SentenceTransformer(model)
    if kind == "litellm" and model:
        return LiteLlmEmbedder(model)
    raise unknown("embedder", name, NAMES)


def _reach_hub(model: str) -> None:
    """Refuse at once where the hub does not answer: its own client tries for more than a minute."""
    import httpx

    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        httpx.head(hub, timeout=10)
    except (httpx.HTTPError, httpx.InvalidURL):
        raise UserError(
            f"The model '{model}' is not on this machine, and {hub} is not reachable.",
            hint="fetch it once with a network, name a folder that has it, or use the embedder lexical-svd",
            exit_code=EXIT_FAILED,
        ) from None


def _litellm() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    # Or it loads .env into the environment, and so into that of every child.
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm

    litellm.suppress_debug_info = True
    return litellm


def _access(model: str) -> dict[str, str | None]:
    """Key and address of a model's provider; None what is not set."""
    try:
        provider = str(_litellm().get_llm_provider(model)[1]).upper()
    except importlib.import_module("openai").OpenAIError:
        provider = ""
    known = environment()
    return {"api_key": known.get(f"{provider}_API_KEY"), "api_base": known.get(f"{provider}_API_BASE")}


def _number(text: str, name: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price < 1e6:
        raise UserError(f"The price in the embedder 'litellm:{name}' is not an amount of dollars.")
    return price


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]
