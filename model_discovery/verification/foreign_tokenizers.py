"""Tokenizers made elsewhere: a ``tokenizer.json``, a folder that has one, or a name on the hub."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError
from model_discovery.verification.tokenizers import load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
TIMEOUT = 10.0

# For a tokenizer.json without its settings: what the common families end a text with.
KNOWN_ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|document|>", "<s>", "<bos>", "[SEP]")


def find_tokenizer(name: str) -> tuple[str, str]:
    """``(name, checksum)`` of a tokenizer: a path made absolute with the checksum of its files, or a name on
    the hub with none.
    """
    path = Path(name).expanduser()
    if not path.exists():
        if name.startswith((".", "/", "~")) or name.endswith(".json"):
            raise UserError(
                f"There is no tokenizer at {path}.", hint="give a tokenizer.json, or a folder that has one"
            )
        return name, ""
    digest = hashlib.sha256()
    for file in _local_files(path):
        digest.update(file.read_bytes() if file.is_file() else b"")
    return str(path.resolve()), digest.hexdigest()


def open_foreign(name: str) -> "tuple[Tokenizer, int]":
    """The tokenizer of that name or path, and its separator.

    The separator is its own end-of-text token, or the beginning-of-text token where it has no other. It is
    written into the tokenizer's template, where :func:`separator_of` and the hub's loaders look for it.
    Truncation and padding are taken out: a document is a document, however long.

    Raises
    ------
    UserError
        Nothing there, no network, a damaged file, or no token that could separate documents.
    """
    path = Path(name)
    file, settings_file = _local_files(path) if path.exists() else _hub_files(name)
    tokenizer = load_tokenizer(file)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    separator = _separator(tokenizer, _settings(settings_file))
    if separator is None:
        raise UserError(
            f"The tokenizer {name} has no token that ends a text.",
            hint=f'name one as "eos_token" in a {SETTINGS} beside it',
        )
    from tokenizers import processors

    index = int(tokenizer.get_vocab()[separator])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{separator} $A", special_tokens=[(separator, index)]
    )
    return tokenizer, index


def separator_of(file: Path) -> tuple[str, int]:
    """The token that stands before documents and its id: the template's, or the one with id 0.

    Raises ``LookupError``, ``TypeError`` or ``ValueError`` for a file of another kind.
    """
    described = json.loads(file.read_text("utf-8"))
    template = (described.get("post_processor") or {}).get("special_tokens")
    if template:
        text, entry = next(iter(template.items()))
        return str(text), int(entry["ids"][0])
    by_id = {token["id"]: token["content"] for token in described["added_tokens"]}
    return str(by_id[0]), 0


def _separator(tokenizer: "Tokenizer", settings: Mapping[str, Any]) -> str | None:
    named = [settings.get(role) for role in ("eos_token", "bos_token")]
    texts = [token.get("content") if isinstance(token, dict) else token for token in named]
    for text in (*texts, *KNOWN_ENDS):
        if isinstance(text, str) and tokenizer.token_to_id(text) is not None:
            return text
    return None


def _settings(file: Path | None) -> Mapping[str, Any]:
    if file is None or not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{file} is not JSON: {error}", hint="take the tokenizer's files anew") from error
    return found if isinstance(found, dict) else {}


def _local_files(path: Path) -> tuple[Path, Path]:
    folder = path if path.is_dir() else path.parent
    file = folder / FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"{path} has no {FILE}.",
            hint="AutoTokenizer.from_pretrained(…).save_pretrained(FOLDER) of transformers makes one",
        )
    return file, folder / SETTINGS


def _hub_files(name: str) -> tuple[Path, Path | None]:
    """The files of a tokenizer on the hub; those fetched before are found without a network."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError

    if isinstance(cached := try_to_load_from_cache(name, FILE), str):
        settings = try_to_load_from_cache(name, SETTINGS)
        return Path(cached), Path(settings) if isinstance(settings, str) else None
    revision = _hub_revision(name)
    try:
        file = Path(hf_hub_download(name, FILE, revision=revision))
    except EntryNotFoundError as error:
        raise UserError(
            f"The tokenizer {name} has no {FILE}.",
            hint="AutoTokenizer.from_pretrained(…).save_pretrained(FOLDER) of transformers makes one",
        ) from error
    try:
        return file, Path(hf_hub_download(name, SETTINGS, revision=revision))
    except EntryNotFoundError:
        return file, None


def _hub_revision(name: str) -> str:
    """The newest commit, by one request without retries."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        info = HfApi().model_info(name, timeout=TIMEOUT)
    except GatedRepoError as error:
        raise UserError(
            f"The tokenizer {name} is gated: its owner has to let you in.",
            hint=f"ask at https://huggingface.co/{name}, then set HF_TOKEN in the environment",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"There is no tokenizer {name} on the hub, or it is private.",
            hint="'bpe' trains one on the recipe's own text; or give a tokenizer.json or its folder",
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        raise UserError(
            f"No network: the tokenizer {name} comes from huggingface.co, which is out of reach ({error}).",
            hint="--tokenizer bpe trains one on the recipe's own text; or give a tokenizer.json",
        ) from error
    return str(info.sha)
