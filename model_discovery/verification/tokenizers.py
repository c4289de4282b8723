"""Tokenizers of the recipes: whole words for the grammar, a byte-level BPE trained on the reader's own text.

Both are stored in the hub's ``tokenizer.json`` format. Id 0 is the separator that stands in front of every
document.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model_discovery.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SEPARATOR = "<|document|>"
SEPARATOR_ID = 0
UNKNOWN = "<|unknown|>"
BPE_SAMPLE_BYTES = 32_000_000


def word_tokenizer(words: Sequence[str]) -> "Tokenizer":
    """A tokenizer that splits at white space and knows exactly ``words``, in their order.

    Ids 0 and 1 are the separator and the unknown word.
    """
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    vocabulary = {word: index for index, word in enumerate([SEPARATOR, UNKNOWN, *words])}
    if len(vocabulary) != len(words) + 2:
        raise ValueError("a word occurs twice in the vocabulary")
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(SEPARATOR, special=True)])
    return tokenizer


def train_bpe(documents: Iterable[str], vocab_size: int) -> "Tokenizer":
    """Train a byte-level BPE of ``vocab_size`` entries; the same documents give the same tokenizer.

    Every byte has an entry, so nothing is unknown. At most the first ``BPE_SAMPLE_BYTES`` bytes are looked
    at. A text with little repetition may yield fewer entries than asked for.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[SEPARATOR],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(_sample(documents), trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def load_tokenizer(path: Path, vocab_size: int | None = None) -> "Tokenizer":
    """Load a ``tokenizer.json``; a separator written out in a text is read as plain text.

    Raises
    ------
    UserError
        No file, a damaged one, or entries beyond ``vocab_size``: a tokenizer of other data.
    """
    from tokenizers import Tokenizer

    if not path.is_file():
        raise UserError(f"no tokenizer at {path}", hint="prepare the data of the recipe again")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise UserError(
            f"{path} is not a tokenizer: {error}", hint="a tokenizer.json of `tokenizers`"
        ) from error
    if vocab_size is not None and entries(tokenizer) > vocab_size:
        raise UserError(
            f"{path} has {entries(tokenizer):,} entries, the data {vocab_size:,}: another tokenizer.",
            hint="prepare the data of the recipe again",
        )
    tokenizer.encode_special_tokens = True
    return tokenizer


def encoded(tokenizer: "Tokenizer", texts: Sequence[str]) -> Iterator[list[int]]:
    """Token ids of each text, without special tokens."""
    for first in range(0, len(texts), 256):
        part = list(texts[first : first + 256])
        yield from (found.ids for found in tokenizer.encode_batch_fast(part, add_special_tokens=False))


def entries(tokenizer: "Tokenizer") -> int:
    """One more than the largest id; some vocabularies have holes."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


def _sample(documents: Iterable[str]) -> Iterable[str]:
    seen = 0
    for document in documents:
        if seen >= BPE_SAMPLE_BYTES:
            return
        seen += len(document)
        yield document
