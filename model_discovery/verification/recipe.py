"""A recipe: data, tokenizer, optimiser and length of a training run as one hashed object.

Two reports can be compared only when their recipes have the same hash.
"""

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from model_discovery.blocks.scales import get_scale
from model_discovery.errors import UserError
from model_discovery.verification.sources import HubData

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
    kind
        Which of ``grammar``, ``corpus`` and ``hub`` the data is; the other two are ``None``.
    tokenizer
        ``word`` (the grammar's own), ``bpe`` (trained on the data), a name on the hub, or a path, whose
        contents ``tokenizer_checksum`` stands for.
    context
        Tokens a model sees at once.
    tokens, batch_tokens, learning_rates
        By scale. A scale that is missing takes its own learning rate; ``tokens`` may also come from the
        scale.
    warmup, final_rate
        Share of the steps with a rising rate; share of the rate that the cosine ends at.
    precision
        ``auto`` takes bfloat16 where the device has it and it pays.
    compile
        Whether the block is compiled: ``auto`` on a GPU only. Not part of the hash: it changes how fast the
        same sums are taken, and their last bits, as the device does; a report says what was done.
    eval_tokens
        Held-out tokens a loss is measured on, in windows of ``context``; their spread gives the standard
        error.
    eval_points
        How often the held-out loss is taken during training, at fixed token counts.
    """

    name: str
    kind: Literal["grammar", "text", "hub"]
    grammar: GrammarData | None = None
    corpus: CorpusData | None = None
    hub: HubData | None = None
    tokenizer: str
    tokenizer_checksum: str = ""
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
    compile: Literal["auto", "on", "off"] = "auto"
    eval_tokens: PositiveInt = 40_960
    eval_points: PositiveInt = 4

    @model_validator(mode="after")
    def _data_fits_kind(self) -> Self:
        data = {"grammar": self.grammar, "text": self.corpus, "hub": self.hub}
        if [kind for kind, value in data.items() if value is not None] != [self.kind]:
            raise ValueError(
                "a grammar recipe has grammar data, a text recipe a corpus, a hub recipe hub data, "
                "and none of them anything else"
            )
        if (self.tokenizer == "word") != (self.kind == "grammar"):
            raise ValueError("the tokenizer 'word' belongs to the grammar, and the grammar to it")
        return self

    @property
    def hash(self) -> str:
        """Sixteen hex digits over everything but where files lie and whether the block is compiled."""
        data = self.model_dump(
            mode="json",
            exclude={"corpus": {"path"}, "hub": True, "tokenizer_checksum": True, "compile": True},
        )
        return _digest(data | self._hub_identity())

    @property
    def eval_windows(self) -> int:
        """Windows the held-out loss is averaged over."""
        return -(-self.eval_tokens // self.context)

    def compiles(self, *, on_gpu: bool) -> bool:
        """Whether to compile: on a CPU it costs 6 to 10 s a design, more than short runs gain."""
        return self.compile == "on" or (self.compile == "auto" and on_gpu)

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
        """Entries of the BPE tokenizer; ``None`` where the tokenizer has its own."""
        if self.tokenizer != "bpe":
            return None
        return 2048 if get_scale(scale).target < BPE_CHANGE_AT else 4096

    def data_key(self, scale: str) -> str:
        """Names the prepared data of a scale: recipes that differ in training only share it."""
        data: dict[str, object] = {"kind": self.kind, "vocabulary": self.vocabulary_for(scale)}
        if self.grammar is not None:
            data |= {"grammar": self.grammar.model_dump(), "tokens": self.unique_tokens_for(scale)}
        if self.corpus is not None:
            data |= {"corpus": self.corpus.model_dump(exclude={"path"})}
        if self.hub is not None:
            data |= {"tokens": self.unique_tokens_for(scale)}
        return _digest(data | self._hub_identity())

    def unique_tokens_for(self, scale: str) -> int | None:
        """Tokens to be made for a scale; ``None`` where the text there is decides."""
        if self.grammar is not None:
            return min(self.tokens_for(scale), self.grammar.most_tokens)
        return self.tokens_for(scale) if self.hub and self.hub.unique_tokens == "scale" else None

    def _hub_identity(self) -> dict[str, Any]:
        """What data sets and tokenizers made elsewhere add to hashes; nothing to those of other recipes."""
        data: dict[str, Any] = {} if self.hub is None else {"hub": self.hub.identity()}
        if self.tokenizer not in ("word", "bpe"):
            data["tokenizer"] = self.tokenizer_checksum or self.tokenizer
        return data

    def _batch_tokens(self, scale: str) -> int:
        return self.batch_tokens.get(scale) or int(get_scale(scale).batch_tokens)


def _digest(data: object) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
