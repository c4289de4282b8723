"""Recipes by name: two that need nothing but the package or a text of yours, those that ship as files, any
data set of the hub, and files and folders of your own.
"""

from collections.abc import Mapping
from pathlib import Path

from model_discovery.errors import UserError, unknown
from model_discovery.verification.foreign_tokenizers import find_tokenizer
from model_discovery.verification.recipe import CorpusData, GrammarData, Recipe
from model_discovery.verification.recipe_files import read_recipe, shipped_recipe
from model_discovery.verification.sources import HUB_ID, HubData, Source, local_size, local_source
from model_discovery.verification.text_corpus import checksum_corpus

__all__ = ["RECIPE_NAMES", "Recipe", "get_recipe"]

WHOLE_BYTES = 2_000_000_000
RECIPE_NAMES = ("grammar", "text", "babylm", "babylm-100m", "smollm")

# Below a million tokens the number of steps counts more than their size; the rates belong to these sizes.
_SHORT_BATCHES = {"0.1M": 512, "0.4M": 512, "1.5M": 1024, "5M": 2048}
_SHORT_RATES = {"0.1M": 8e-3, "0.4M": 5e-3, "1.5M": 3e-3, "5M": 1.5e-3}
_LONG_BATCHES = {"0.1M": 1024, "0.4M": 1024, "1.5M": 2048, "5M": 4096}
_LONG_RATES = {"0.1M": 6e-3, "0.4M": 4e-3, "1.5M": 3e-3, "5M": 1.5e-3}
_LONG_TOKENS = {"0.1M": 1_000_000, "0.4M": 2_000_000, "1.5M": 6_000_000, "5M": 15_000_000}


def get_recipe(
    name: str,
    corpus: str | Path | None = None,
    tokens: Mapping[str, int] | None = None,
    *,
    tokenizer: str | None = None,
    config: str | None = None,
    split: str | None = None,
    text_field: str | None = None,
) -> Recipe:
    """The recipe called ``name``.

    Parameters
    ----------
    name
        One of ``RECIPE_NAMES``; a data set of the hub as ``owner/name`` or ``owner/name:config``; a recipe's
        YAML file; or a folder or file of data in one of the hub's layouts.
    corpus
        Folder or file of text or JSONL. It makes the recipe ``text``, also when ``name`` is the default
        ``grammar``.
    tokens
        Training tokens by scale, in place of the recipe's.
    tokenizer
        In place of the recipe's: ``bpe``, a name on the hub, a ``tokenizer.json`` or its folder.
    config, split, text_field
        Of a data set.

    Raises
    ------
    UserError
        Unknown recipe (with the nearest), unknown scale, tokens below one step, or a corpus that cannot be
        used.
    """
    named = {"config": config, "split": split, "text_field": text_field}
    part = {key: value for key, value in named.items() if value is not None}
    recipe = _find(name, corpus, part)
    if tokenizer is not None:
        recipe = _with_tokenizer(recipe, tokenizer)
    if tokens:
        recipe = recipe.model_copy(update={"tokens": recipe.tokens | _checked_tokens(recipe, tokens)})
    if recipe.corpus is not None:
        _check_one_batch(recipe, recipe.corpus)
    return recipe


def _find(name: str, corpus: str | Path | None, part: dict[str, str]) -> Recipe:
    if name in RECIPE_NAMES:
        if part:
            raise UserError(
                f"The recipe '{name}' says itself which {', '.join(part)} it takes.",
                hint="these options belong to a data set: owner/name, or a folder",
            )
        if name == "text" or (name == "grammar" and corpus is not None):
            return _text_recipe(corpus)
    if corpus is not None:
        raise UserError(f"The recipe '{name}' brings its own data.", hint="leave out --corpus, or --recipe")
    if name == "grammar":
        return _grammar_recipe()
    if name in RECIPE_NAMES:
        return shipped_recipe(name)
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return read_recipe(path)
    if path.exists() or name.startswith((".", "/", "~")):
        return _data_recipe(path.stem, local_source(path, **part))
    dataset, _, named_config = name.partition(":")
    if HUB_ID.fullmatch(dataset):
        if named_config:
            part = {"config": named_config} | part
        return _data_recipe(name, Source.model_validate({"dataset": dataset, **part}))
    raise unknown("recipe", name, [*RECIPE_NAMES, "owner/name"])


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
        tokens=_LONG_TOKENS,
        batch_tokens=_LONG_BATCHES,
        learning_rates=_LONG_RATES,
    )


def _data_recipe(name: str, source: Source) -> Recipe:
    """One data set, trained on like a text of one's own; a local one that is not large is taken whole."""
    whole = source.checksum and local_size(source) <= WHOLE_BYTES
    return Recipe(
        name=name,
        kind="hub",
        hub=HubData(sources=(source,), unique_tokens="all" if whole else "scale"),
        tokenizer="bpe",
        tokens=_LONG_TOKENS,
        batch_tokens=_LONG_BATCHES,
        learning_rates=_LONG_RATES,
    )


def _with_tokenizer(recipe: Recipe, tokenizer: str) -> Recipe:
    if recipe.kind == "grammar":
        raise UserError("The grammar's words are its tokenizer.", hint="leave out --tokenizer")
    if tokenizer == "bpe":
        return recipe.model_copy(update={"tokenizer": "bpe", "tokenizer_checksum": ""})
    if tokenizer == "word":
        raise UserError("The tokenizer 'word' is the grammar's.", hint="bpe, a name on the hub, or a file")
    name, checksum = find_tokenizer(tokenizer)
    return recipe.model_copy(update={"tokenizer": name, "tokenizer_checksum": checksum})


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
