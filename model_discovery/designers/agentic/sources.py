"""What prompts say of our own code, read from the code itself so that it is never out of date."""

import ast
import copy
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import model_discovery.checks
from model_discovery.blocks.kernel_source import find_kernel, kernel_modules
from model_discovery.blocks.seed_designs import seed_units
from model_discovery.blocks.unit_data import ROLES, Unit
from model_discovery.checks.policy import kernel_names
from model_discovery.checks.report import QUICK_STAGES

_EXAMPLES = {
    "block": "PreNormBlock",
    "sequence_mixer": "GatedLinearAttention",
    "local_mixer": "ShortConvolution",
    "channel_mixer": "GatedMLP",
    "norm": "RMSNorm",
}


@dataclass(frozen=True)
class Kernel:
    """A function that units may import: ``name(arguments)`` and what it computes, in a line.

    ``steps``: it computes one step of decoding.
    """

    name: str
    signature: str
    summary: str
    steps: bool


def example_unit(role: str) -> Unit:
    """A human unit that shows the contract for a role."""
    return seed_units()[_EXAMPLES[role]]


def registry() -> tuple[tuple[str, tuple[Unit, ...]], ...]:
    """The human units by role."""
    units = seed_units().values()
    return tuple((role, tuple(unit for unit in units if unit.role == role)) for role in ROLES)


@cache
def kernels() -> tuple[Kernel, ...]:
    """The kernels in the order of their names."""
    return tuple(_kernel(name) for name in sorted(kernel_names()))


def _kernel(name: str) -> Kernel:
    function = kernel_modules()[find_kernel(name)].bindings[name]
    if not isinstance(function, ast.FunctionDef):
        raise TypeError(f"kernel {name} is not a function")
    summary = " ".join((ast.get_docstring(function) or "").split("\n\n", 1)[0].replace("``", "`").split())
    return Kernel(name, _signature(function.args), summary, steps=name.endswith(("_step", "_state")))


def _signature(arguments: ast.arguments) -> str:
    """The arguments without types: ``q, k, v, log_decay=None, *, chunk=64``."""
    bare = copy.deepcopy(arguments)
    for node in ast.walk(bare):
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(bare)


@cache
def stated_checks() -> tuple[tuple[str, str], ...]:
    """What every design has to pass: stages with what the checks say of themselves."""
    folder = Path(model_discovery.checks.__file__).parent
    functions = {
        node.name: node
        for file in sorted(folder.glob("*.py"))
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
    }
    stages = [stage for stage in QUICK_STAGES if f"check_{stage}" in functions]
    return tuple((stage, _statement(functions[f"check_{stage}"])) for stage in stages)


def _statement(function: ast.FunctionDef) -> str:
    text = re.split(r"\n(?:Parameters|Returns|Raises)\n-+", ast.get_docstring(function) or "")[0]
    return " ".join(text.replace("``", "`").split())


def similar_units(role: str, text: str, units: Iterable[Unit], count: int) -> tuple[Unit, ...]:
    """The units of ``role`` whose words and names are nearest to ``text``.

    Words count by how few of the units use them (TF-IDF, cosine).
    """
    fitting = list({unit.id: unit for unit in units if unit.role == role}.values())
    bags = [_words(unit.source) for unit in fitting]
    spread = Counter(word for bag in bags for word in bag)
    wanted = _words(text)

    def weight(bag: Counter[str]) -> dict[str, float]:
        return {
            word: (1 + math.log(count)) * math.log((1 + len(bags)) / spread[word])
            for word, count in bag.items()
            if word in spread
        }

    asked = weight(wanted)
    scores = [
        (-_cosine(asked, weight(bag)), unit.name, unit) for bag, unit in zip(bags, fitting, strict=True)
    ]
    return tuple(unit for _, _, unit in sorted(scores, key=lambda score: score[:2])[:count])


def _words(text: str) -> Counter[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    return Counter(word for word in re.findall(r"[a-z]{3,}", spaced))


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    size = math.sqrt(sum(x * x for x in one.values()) * sum(x * x for x in other.values()))
    return sum(x * other.get(word, 0.0) for word, x in sorted(one.items())) / size if size else 0.0
