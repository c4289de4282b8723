"""A trained design as a folder that transformers loads where this package is not installed."""

import json
import re
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from model_discovery.errors import UserError
from model_discovery.export.card import write_card
from model_discovery.export.checkpoint import TOKENIZER, WEIGHTS, Checkpoint
from model_discovery.export.story import Story
from model_discovery.verification.foreign_tokenizers import separator_of

CODE = "modeling_discovered.py"
CONFIG = "config.json"
MODEL_TYPE = "discovered_lm"
_BLOCK_WEIGHT = re.compile(r"blocks\.(\d+)\.")


def export_folder(path: Path, *, name: str, checkpoint: Checkpoint, context: int, story: Story) -> Path:
    """Write weights, configuration, tokenizer, code and model card; no code of the design is run.

    Parameters
    ----------
    path
        A new or empty folder, or an earlier export, whose files are replaced.
    name
        Of the design.
    context
        Tokens that the model saw at once in training.
    story
        Where the design comes from and what is known of it, for the card.

    Raises
    ------
    UserError
        The place cannot be used, or the checkpoint cannot be read.
    """
    from model_discovery.blocks.standalone import standalone_source

    path = Path(path)
    _check_place(path)
    block = standalone_source(checkpoint.tree, name=name)
    card = write_card(name, checkpoint, context=context, story=story)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as draft:
            _write_weights(checkpoint.folder / WEIGHTS, Path(draft) / WEIGHTS)
            _write_texts(Path(draft), _jsons(name, checkpoint, context), block, card)
            _write_tokenizer(checkpoint.folder / TOKENIZER, Path(draft) / TOKENIZER)
            path.mkdir(exist_ok=True)
            for file in sorted(Path(draft).iterdir()):
                file.replace(path / file.name)
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.", hint="choose another path") from None
    return path


def _check_place(path: Path) -> None:
    if path.is_file():
        raise UserError(f"{path} is a file; --format hf writes a folder.", hint="choose another path")
    if not path.is_dir() or not any(path.iterdir()):
        return
    try:
        earlier = json.loads((path / CONFIG).read_text("utf-8")).get("model_type") == MODEL_TYPE
    except (OSError, ValueError, AttributeError):
        earlier = False
    if not earlier:
        raise UserError(f"{path} is not empty and no earlier export.", hint="choose another folder")


def _write_weights(stored: Path, target: Path) -> None:
    """The tensors under the names that the exported model has for them."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    try:
        tensors = load_file(stored)
    except SafetensorError as error:
        raise UserError(f"Checkpoint {stored} cannot be read: {error}") from None
    renamed = {_BLOCK_WEIGHT.sub(r"blocks.\1.block.", name, count=1): part for name, part in tensors.items()}
    save_file(renamed, target, metadata={"format": "pt"})
    target.chmod(0o644)  # the library makes it private


def _write_tokenizer(stored: Path, target: Path) -> None:
    """The tokenizer; words get their space in front, so that a continuation can follow its prompt."""
    described = json.loads(stored.read_text("utf-8"))
    if described["model"]["type"] == "WordLevel" and described["decoder"] is None:
        space = {"type": "Replace", "pattern": {"Regex": "^"}, "content": " "}
        described["decoder"] = {"type": "Sequence", "decoders": [space, {"type": "Fuse"}]}
    target.write_text(json.dumps(described, ensure_ascii=False), "utf-8")


def _write_texts(folder: Path, jsons: Mapping[str, Any], block: str, card: str) -> None:
    code = resources.files("model_discovery.export").joinpath("folder")
    (folder / CODE).write_text(code.joinpath(CODE).read_text("utf-8"), "utf-8")
    (folder / "block.py").write_text(block, "utf-8")
    (folder / "README.md").write_text(card, "utf-8")
    for name, content in jsons.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _jsons(name: str, checkpoint: Checkpoint, context: int) -> dict[str, Any]:
    (separator, index), unknown = _special_tokens(checkpoint.folder / TOKENIZER)
    ends = {"bos_token": separator, "eos_token": separator, "pad_token": separator}
    return {
        CONFIG: {
            "architectures": ["DiscoveredLM"],
            "auto_map": {
                "AutoConfig": "modeling_discovered.DiscoveredConfig",
                "AutoModelForCausalLM": "modeling_discovered.DiscoveredLM",
            },
            "model_type": MODEL_TYPE,
            "design": name,
            "structure_hash": checkpoint.tree.structure_hash,
            "vocab_size": checkpoint.vocab_size,
            "hidden_size": checkpoint.width,
            "num_hidden_layers": checkpoint.n_blocks,
            "max_position_embeddings": context,
            "tie_word_embeddings": True,
            "dtype": "float32",
        },
        "generation_config.json": {f"{role}_token_id": index for role in ("bos", "eos", "pad")},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **ends,
            **({"unk_token": unknown} if unknown else {}),
            "padding_side": "left",
            "model_max_length": context,
            "clean_up_tokenization_spaces": False,
        },
        "design.json": checkpoint.tree.to_json(),
    }


def _special_tokens(file: Path) -> tuple[tuple[str, int], str | None]:
    """The token that stands in front of every document, with its id, and the one for unknown words."""
    try:
        return separator_of(file), json.loads(file.read_text("utf-8"))["model"].get("unk_token")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is no tokenizer of this package: {error!r}.") from None
