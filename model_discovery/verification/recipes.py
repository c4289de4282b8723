"""Recipes: data, tokenizer, optimiser and length of a training run as one hashed object.

Two reports can be compared only when their recipes have the same hash.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from model_discovery.blocks.scales import get_scale
from model_discovery.errors import UserError, unknown
from model_discovery.verification.text_corpus import checksum_corpus

GRAMMAR_VERSION = 3
BPE_CHANGE_AT = 1_500_000


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GrammarData(_Frozen):
    """Text made on the spot.

    ``version`` changes with the grammar's code; ``most_tokens`` is how much is made at most: a longer run
    goes over it again.
    """

    seed: int = Field(0, ge=0)
    version: int = GRAMMAR_VERSION
    held_out_tokens: PositiveInt = 40_960
    pairs_per_set: PositiveInt = 200
    most_tokens: PositiveInt = 20_000_000


class CorpusData(_Frozen):
    """The reader's own text: ``checksum`` is of its contents, so a moved folder is the same corpus."""

    path: str
    checksum: str
    bytes: PositiveInt
    held_out_share: float = Field(0.05, gt=0, lt=0.5)
    text_field: str = "text"


class Recipe(_Frozen):
    """How a design is trained and on what.

    Attributes
    ----------
    context
        Tokens a model sees at once.
    tokens, batch_tokens, learning_rates
        By scale. A scale that is missing takes its own learning rate; ``tokens`` may also come from the
        scale.
    warmup, final_rate
        Share of the steps with a rising rate; share of the rate that the cosine ends at.
    precision
        ``auto`` takes bfloat16 where the device has it and it pays.
    eval_tokens
        Held-out tokens a loss is measured on, in windows of ``context``; their spread gives the standard
        error.
    eval_points
        How often the held-out loss is taken during training, at fixed token counts.
    """

    name: str
    kind: Literal["grammar", "text"]
    grammar: GrammarData | None = None
    corpus: CorpusData | None = None
    tokenizer: Literal["word", "bpe"]
    context: int = Field(128, ge=8)
    tokens: dict[str, PositiveInt]
    batch_tokens: dict[str, PositiveInt] = {}
    learning_rates: dict[str, PositiveFloat] = {}
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(0.1, ge=0)
    clip: PositiveFloat = 1.0
    warmup: float = Field(0.02, ge=0, lt=1)
    final_rate: float = Field(0.1, ge=0, le=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    eval_tokens: PositiveInt = 40_960
    eval_points: PositiveInt = 4

    @model_validator(mode="after")
    def _data_fits_kind(self) -> Self:
        if (self.grammar is None) == (self.kind == "grammar") or (self.corpus is None) == (
            self.kind == "text"
        ):
            raise ValueError(
                "a grammar recipe has grammar data, a text recipe has a corpus, and nothing else"
            )
        return self

    @property
    def hash(self) -> str:
        """Sixteen hex digits over everything but where the corpus lies."""
        return _digest(self.model_dump(mode="json", exclude={"corpus": {"path"}}))

    @property
    def eval_windows(self) -> int:
        """Windows the held-out loss is averaged over."""
        return -(-self.eval_tokens // self.context)

    def tokens_for(self, scale: str) -> int:
        """Training tokens at a scale; from the scale itself when the recipe names none."""
        tokens = self.tokens.get(scale) or get_scale(scale).tokens
        if tokens is None:
            raise UserError(
                f"The recipe '{self.name}' does not say how many tokens the scale {scale} trains on.",
                hint=f"set them: --set tokens.{scale}=1000000",
            )
        return int(tokens)

    def batch_size_for(self, scale: str) -> int:
        """Windows of ``context`` tokens in one optimiser step."""
        return max(1, self._batch_tokens(scale) // self.context)

    def steps_for(self, scale: str) -> int:
        """Optimiser steps: the tokens of the scale in whole steps, at least one."""
        return max(1, self.tokens_for(scale) // (self.batch_size_for(scale) * self.context))

    def learning_rate_for(self, scale: str) -> float:
        """Peak learning rate."""
        return self.learning_rates.get(scale) or float(get_scale(scale).learning_rate)

    def vocabulary_for(self, scale: str) -> int | None:
        """Entries of the BPE tokenizer; ``None`` for the grammar, whose words are the vocabulary."""
        if self.tokenizer == "word":
            return None
        return 2048 if get_scale(scale).target < BPE_CHANGE_AT else 4096

    def data_key(self, scale: str) -> str:
        """Names the prepared data of a scale: recipes that differ in training only share it."""
        data: dict[str, object] = {"kind": self.kind, "vocabulary": self.vocabulary_for(scale)}
        if self.grammar is not None:
            data |= {"grammar": self.grammar.model_dump(), "tokens": self.unique_tokens_for(scale)}
        if self.corpus is not None:
            data |= {"corpus": self.corpus.model_dump(exclude={"path"})}
        return _digest(data)

    def unique_tokens_for(self, scale: str) -> int | None:
        """Tokens to be made for a scale; ``None`` where the corpus decides."""
        return None if self.grammar is None else min(self.tokens_for(scale), self.grammar.most_tokens)

    def _batch_tokens(self, scale: str) -> int:
        return self.batch_tokens.get(scale) or int(get_scale(scale).batch_tokens)


# Below a million tokens the number of steps counts more than their size; the rates belong to these sizes.
_SHORT_BATCHES = {"0.1M": 512, "0.4M": 512, "1.5M": 1024, "5M": 2048}
_SHORT_RATES = {"0.1M": 8e-3, "0.4M": 5e-3, "1.5M": 3e-3, "5M": 1.5e-3}
_LONG_BATCHES = {"0.1M": 1024, "0.4M": 1024, "1.5M": 2048, "5M": 4096}
_LONG_RATES = {"0.1M": 6e-3, "0.4M": 4e-3, "1.5M": 3e-3, "5M": 1.5e-3}


def get_recipe(
    name: str, corpus: str | Path | None = None, tokens: Mapping[str, int] | None = None
) -> Recipe:
    """The recipe called ``name``.

    Parameters
    ----------
    name
        ``grammar`` or ``text``.
    corpus
        Folder or file of text or JSONL. It makes the recipe ``text``, also when ``name`` is the default
        ``grammar``.
    tokens
        Training tokens by scale, in place of the recipe's.

    Raises
    ------
    UserError
        Unknown recipe (with the nearest), unknown scale, tokens below one step, or a corpus that cannot be
        used.
    """
    if name not in RECIPE_NAMES:
        raise unknown("recipe", name, RECIPE_NAMES)
    recipe = _text_recipe(corpus) if name == "text" or corpus is not None else _grammar_recipe()
    if tokens:
        recipe = recipe.model_copy(update={"tokens": recipe.tokens | _checked_tokens(recipe, tokens)})
    if recipe.corpus is not None:
        _check_one_batch(recipe, recipe.corpus)
    return recipe


def _grammar_recipe() -> Recipe:
    return Recipe(
        name="grammar",
        kind="grammar",
        grammar=GrammarData(),
        tokenizer="word",
        tokens={"0.1M": 300_000, "0.4M": 300_000, "1.5M": 2_000_000, "5M": 5_000_000},
        batch_tokens=_SHORT_BATCHES,
        learning_rates=_SHORT_RATES,
    )


def _text_recipe(corpus: str | Path | None) -> Recipe:
    if corpus is None:
        raise UserError("The recipe 'text' needs a corpus.", hint="name one: --corpus FOLDER_OR_FILE")
    path = Path(corpus).expanduser()
    checksum, size = checksum_corpus(path)
    return Recipe(
        name="text",
        kind="text",
        corpus=CorpusData(path=str(path.resolve()), checksum=checksum, bytes=size),
        tokenizer="bpe",
        tokens={"0.1M": 1_000_000, "0.4M": 2_000_000, "1.5M": 6_000_000, "5M": 15_000_000},
        batch_tokens=_LONG_BATCHES,
        learning_rates=_LONG_RATES,
    )


RECIPE_NAMES = ("grammar", "text")


def _checked_tokens(recipe: Recipe, tokens: Mapping[str, int]) -> dict[str, int]:
    for scale, count in tokens.items():
        step = recipe.batch_size_for(scale) * recipe.context
        if count < step:
            raise UserError(
                f"{count} training tokens at {scale} are fewer than one step of {step}.",
                hint=f"give at least {step}",
            )
    return dict(tokens)


def _check_one_batch(recipe: Recipe, corpus: CorpusData) -> None:
    """Refuse early what cannot fill one step: a byte-level token is at least one byte long."""
    step = min(recipe.batch_size_for(scale) for scale in recipe.tokens) * recipe.context
    if corpus.bytes < step:
        raise UserError(
            f"The corpus {corpus.path} has {corpus.bytes} bytes, less than one batch of {step} tokens.",
            hint="use more text",
        )


def _digest(data: object) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
