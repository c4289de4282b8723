"""The model shell: embedding, the block repeated, final norm, head tied to the embedding."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from model_discovery.blocks.build import build_block
from model_discovery.blocks.runtime import (
    GAU,
    INIT_STD,
    STATES,
    ContractError,
    cannot_step,
    init_states,
    left_behind,
    with_positions,
)
from model_discovery.blocks.token_loss import IGNORED, token_loss
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.errors import UserError
from model_discovery.seeds import derive

LARGE_VOCABULARY = 8192  # above it, training does not hold all logits at once
WEIGHTS_FILE = "model.safetensors"
MODEL_FILE = "model.json"
FORMAT = 1


@dataclass(frozen=True)
class ModelOutput:
    """``logits (B, T, V)``; with labels the mean loss in nats per token, auxiliary losses added.

    While a large vocabulary is trained there are no ``held`` logits: they are made when somebody asks.
    """

    states: Tensor
    head: Tensor
    held: Tensor | None = None
    loss: Tensor | None = None

    @property
    def logits(self) -> Tensor:
        """``(B, T, V)``."""
        return F.linear(self.states, self.head) if self.held is None else self.held


class LanguageModel(nn.Module):
    """A design as a language model.

    Parameters
    ----------
    tree
        The block; repeated ``n_blocks`` times, each with its own weights.
    vocab_size, width, n_blocks
        Sizes; see :func:`model_discovery.blocks.sizing.size_block` for the last two.
    seed
        Of the initialisation: the same seed gives the same weights, whatever was drawn before.
    """

    def __init__(self, tree: UnitTree, *, vocab_size: int, width: int, n_blocks: int, seed: int = 0) -> None:
        super().__init__()
        self.tree = tree
        self.vocab_size = vocab_size
        self.width = width
        self.n_blocks = n_blocks
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "embedding"))
            self.embedding = nn.Embedding(vocab_size, width)
            nn.init.normal_(self.embedding.weight, std=INIT_STD)
            self.blocks = nn.ModuleList()
            for layer in range(n_blocks):
                torch.manual_seed(derive(seed, "block", layer))
                self.blocks.append(build_block(tree, width=width, layer=layer, n_layers=n_blocks))
            self.norm = nn.RMSNorm(width)

    def hidden(self, input_ids: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Final normed states ``(B, T, D)`` of ``input_ids (B, T)``, and auxiliary losses."""
        x = self.embedding(input_ids)
        z = with_positions(x, None)
        for block in self.blocks:
            x, z = block(x, z)
        return self.norm(x), tuple(z.get("aux_losses", ()))

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> ModelOutput:
        """Logits and loss.

        Parameters
        ----------
        input_ids
            ``(B, T)``.
        labels
            ``(B, T)``, already shifted: the token after each input; -100 is ignored.
        """
        x, losses = self.hidden(input_ids)
        head = self.embedding.weight
        logits = loss = None
        if labels is not None and self.vocab_size > LARGE_VOCABULARY and torch.is_grad_enabled():
            loss = token_loss(x.flatten(0, 1), head, labels.reshape(-1))
        else:
            logits = F.linear(x, head)
            if labels is not None:
                flat = logits.float().view(-1, self.vocab_size)
                loss = F.cross_entropy(flat, labels.reshape(-1), ignore_index=IGNORED)
        if loss is not None:
            loss = loss + sum(part.float() for part in losses)
        return ModelOutput(x, head, logits, loss)

    @property
    def steps(self) -> bool:
        """Whether every unit decodes step by step, so that a token costs the same at any length."""
        return not cannot_step(self.blocks)

    def init_state(self, batch: int) -> dict[GAU, Any]:
        """The state before the first token of :meth:`step`, for ``batch`` sequences.

        Raises
        ------
        ContractError
            A unit has no ``step``; see :attr:`steps`.
        """
        return init_states(self.blocks, batch)

    def step(self, ids: Tensor, state: dict[GAU, Any], position: int) -> Tensor:
        """Logits ``(B, V)`` after one more token ``ids (B,)`` at ``position``; ``state`` moves on.

        Raises
        ------
        ContractError
            A unit kept its old state: its parent calls it without ``z``, where the states are.
        """
        before = dict(state)
        x = self.embedding(ids[:, None])
        z: dict[str, Any] = {"positions": torch.full_like(ids[:, None], position), STATES: state}
        for block in self.blocks:
            x, z = block(x, z)
        if name := left_behind(before, state):
            raise ContractError(f"unit {name} kept its old state: its parent calls it without z")
        return F.linear(self.norm(x[:, 0]), self.embedding.weight)

    @torch.no_grad()
    def generate(self, ids: Tensor, max_new_tokens: int, temperature: float = 0.0, seed: int = 0) -> Tensor:
        """``ids (B, T)`` continued by ``max_new_tokens`` tokens; the most likely ones at temperature 0.

        Step by step where every unit can; otherwise the prefix is computed anew for every token, so any block
        is decoded rightly.
        """
        generator = torch.Generator(device=ids.device).manual_seed(seed)
        training = self.training
        self.eval()
        state = self.init_state(len(ids)) if self.steps else None
        read = 0
        for _ in range(max_new_tokens):
            if state is None:
                logits = self(ids).logits[:, -1]
            else:
                for position in range(read, ids.shape[1]):
                    logits = self.step(ids[:, position], state, position)
                read = ids.shape[1]
            if temperature > 0:
                odds = torch.softmax(logits.float() / temperature, dim=-1)
                following = torch.multinomial(odds, 1, generator=generator)
            else:
                following = logits.float().argmax(dim=-1, keepdim=True)
            ids = torch.cat([ids, following], dim=1)
        self.train(training)
        return ids

    def count_parameters(self) -> tuple[int, int]:
        """``(total, non_embedding)``; the head is the embedding and counts once."""
        total = sum(parameter.numel() for parameter in self.parameters())
        return total, total - self.embedding.weight.numel()

    # -- storing

    def save(self, folder: Path, extra: Mapping[str, Any] | None = None) -> Path:
        """Write ``model.safetensors`` and ``model.json`` (tree, sizes, ``extra``) into ``folder``.

        Each file is written aside and put in place whole, the JSON last: a folder that has it is complete.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        shared = _aliases(self)
        tensors = {name: tensor for name, tensor in tensors.items() if name not in shared}
        described = {
            "format": FORMAT,
            "tree": self.tree.to_json(),
            "vocab_size": self.vocab_size,
            "width": self.width,
            "n_blocks": self.n_blocks,
            "extra": dict(extra or {}),
        }
        weights, description = folder / f"{WEIGHTS_FILE}.part", folder / f"{MODEL_FILE}.part"
        weights.write_bytes(save(tensors))  # a full disk is then an OSError that says so
        description.write_text(json.dumps(described, indent=1), encoding="utf-8")
        weights.replace(folder / WEIGHTS_FILE)
        description.replace(folder / MODEL_FILE)
        return folder

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model of :meth:`save`. Every tensor has to be there with its shape and dtype, and no other.

        Raises
        ------
        UserError
            A file that is missing, damaged, or of another model.
        """
        folder = Path(folder)
        described = read_description(folder)
        model = cls(
            UnitTree.from_json(described["tree"]),
            vocab_size=described["vocab_size"],
            width=described["width"],
            n_blocks=described["n_blocks"],
        )
        model.load_weights(folder / WEIGHTS_FILE)
        return model

    def load_weights(self, file: Path) -> None:
        """Copy the tensors of a safetensors file into the model, strictly."""
        try:
            stored = load_file(file)
        except (OSError, SafetensorError) as error:
            raise UserError(f"Checkpoint {file} cannot be read: {error}") from None
        own = {name: tensor for name, tensor in self.state_dict().items() if name not in _aliases(self)}
        if problem := _mismatch(own, stored):
            raise UserError(f"Checkpoint {file} is not of this model: {problem}")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(stored[name])


def read_description(folder: Path) -> dict[str, Any]:
    """The content of ``model.json``: tree, sizes, and what was saved beside them."""
    file = Path(folder) / MODEL_FILE
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"Checkpoint {file} cannot be read: {error}") from None
    keys = {"format", "tree", "vocab_size", "width", "n_blocks", "extra"}
    if not isinstance(described, dict) or described.keys() != keys or described["format"] != FORMAT:
        raise UserError(f"Checkpoint {file} is not of format {FORMAT}.")
    return described


def _aliases(model: nn.Module) -> set[str]:
    """Names of the state that are another name's tensor: a unit that ties weights stores them once."""
    seen: set[tuple[int, int, torch.Size, tuple[int, ...]]] = set()
    names: set[str] = set()
    for name, tensor in model.state_dict().items():
        key = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride())
        if tensor.numel() and key in seen:
            names.add(name)
        seen.add(key)
    return names


def _mismatch(own: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> str:
    if missing := sorted(own.keys() - stored.keys()):
        return f"'{missing[0]}' is missing"
    if unexpected := sorted(stored.keys() - own.keys()):
        return f"'{unexpected[0]}' is unexpected"
    for name, tensor in own.items():
        if (tensor.shape, tensor.dtype) != (stored[name].shape, stored[name].dtype):
            found = f"{tuple(stored[name].shape)} {stored[name].dtype}"
            return f"'{name}' is {found}, not {tuple(tensor.shape)} {tensor.dtype}"
    return ""
