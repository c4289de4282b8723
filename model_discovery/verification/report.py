"""What a verification is asked and what it answers; nothing here needs torch."""

import hashlib
import json
from functools import cached_property
from typing import Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.config import SandboxLevel
from model_discovery.verification.contamination import Contamination
from model_discovery.verification.recipe import Recipe

VerificationStatus = Literal[
    "ok",
    "stopped",
    "diverged",
    "non_finite",
    "corrupt_checkpoint",
    "untrained",
    "timeout",
    "memory",
    "failed",
]
STATUSES: tuple[str, ...] = get_args(VerificationStatus)
CURVE_POINTS = 500


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rung(_Frozen):
    """A run whose held-out loss after ``tokens`` is above ``limit``, in nats per token, is not finished."""

    tokens: PositiveInt
    limit: FiniteFloat


class VerifyRequest(_Frozen):
    """Train one design once and score it.

    Attributes
    ----------
    design
        Its name, for people.
    suites
        What is scored after training; empty for the held-out loss alone.
    data_dir
        Where prepared data lies or is made.
    suite_dirs
        Folders of suites whose data the user named, by suite. What lies in them stands in the report.
    sandbox
        Level of isolation.
    rungs
        Where a hopeless run is stopped early; nowhere unless told.
    cpu_seconds, memory_mb
        What the training may use; by the scale and its tokens when ``None``.
    """

    design: str
    unit_tree: UnitTree
    scale: str
    recipe: Recipe
    seed: NonNegativeInt
    suites: tuple[str, ...]
    data_dir: str
    suite_dirs: dict[str, str] = {}
    sandbox: SandboxLevel = "auto"
    rungs: tuple[Rung, ...] = ()
    cpu_seconds: PositiveFloat | None = None
    memory_mb: PositiveInt | None = None

    @model_validator(mode="before")
    @classmethod
    def _older_form(cls, values: object) -> object:
        """Requests stored by earlier versions name BLiMP's folder alone."""
        if isinstance(values, dict) and "blimp_dir" in values:
            values = dict(values)
            if (folder := values.pop("blimp_dir")) is not None:
                values["suite_dirs"] = {"blimp": folder}
        return values

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits over what decides the numbers: structure, scale, recipe, seed, suites, rungs."""
        parts = [self.unit_tree.structure_hash, self.scale, self.recipe.hash, self.seed, list(self.suites)]
        parts += [[rung.tokens, rung.limit] for rung in self.rungs]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


class Size(_Frozen):
    """Parameters and shape of the model that was trained."""

    total: int
    non_embedding: int
    width: int
    n_blocks: int


class Measure(_Frozen):
    """A loss with its standard error over evaluation windows, ``None`` over a single one."""

    value: FiniteFloat
    stderr: FiniteFloat | None


class Score(_Frozen):
    """What a suite, or a part of one, measured.

    Attributes
    ----------
    stderr
        ``None`` where there is none, as over a single item.
    n
        Items.
    chance
        What guessing reaches; ``None`` where that is not known or means nothing.
    metric
        As lm-eval calls it; ``mean`` over parts of different metrics.
    version
        Of the task.
    parts
        Sets or tasks that this is the mean of.
    """

    value: FiniteFloat
    stderr: FiniteFloat | None
    n: int
    chance: FiniteFloat | None
    metric: str = "acc"
    version: str = ""
    parts: PositiveInt = 1


class Cost(_Frozen):
    """What it took. A number that was not measured is ``None``.

    Attributes
    ----------
    train_seconds, tokens_per_second
        Wall time of the training steps alone, over all sittings; and the speed it means.
    cpu_seconds
        Processor time of this sitting: training, reloading and scoring, in the sandbox and around it.
    wall_seconds
        From the request to the report, in this sitting.
    peak_memory_mb
        Largest resident size of the training process.
    flops
        Of the training's matrix products and convolutions, forward and backward; elementwise work, and
        recurrences written with it, do not count.
    card_memory_mb
        Largest amount of a GPU's memory that the training took.
    package_joules
        Energy of all processor packages of the machine in this sitting, whoever used them.
    """

    train_seconds: FiniteFloat | None = None
    tokens_per_second: FiniteFloat | None = None
    cpu_seconds: FiniteFloat | None = None
    wall_seconds: FiniteFloat | None = None
    peak_memory_mb: FiniteFloat | None = None
    flops: FiniteFloat | None = None
    card_memory_mb: FiniteFloat | None = None
    package_joules: FiniteFloat | None = None


class Machine(_Frozen):
    """Where a verification ran; what could not be told is empty.

    Attributes
    ----------
    os
        With kernel and C library.
    cores
        Those this process may use.
    threads
        Those the training had.
    gpus
        Name and driver of each that is there, used or not.
    package
        Hash of the package's own source files.
    commit
        Of the checkout that it ran from, ``-dirty`` where files differ from it.
    """

    os: str = ""
    cpu: str = ""
    cores: int | None = None
    threads: int | None = None
    gpus: tuple[str, ...] = ()
    package: str = ""
    commit: str = ""


class Evidence(_Frozen):
    """What the numbers stand on.

    Attributes
    ----------
    structure_hash, code_hash
        Of the design, and of the sources of its units to the letter.
    weights_hash
        Of every tensor that was scored, as the trainer had it in memory and as the file holds it.
    tokens
        Training tokens seen.
    compiled, micro_rows
        Whether the block was compiled, and the rows of one forward pass: both decide the last bits.
    suite_checksums
        Of the items of each suite.
    contamination
        By suite: how many of its items stand in the training text.
    resumed_at
        Steps from which an interrupted training went on.
    notes
        What the reader should know: a damaged checkpoint that was set aside, a sandbox weaker than asked.
    """

    request_hash: str
    structure_hash: str
    code_hash: str
    recipe_hash: str
    seed: int
    data_checksum: str = ""
    weights_hash: str = ""
    tokens: int = 0
    precision: str = ""
    device: str = ""
    compiled: bool = False
    micro_rows: int = 0
    sandbox: str = ""
    versions: dict[str, str] = {}
    machine: Machine = Machine()
    suite_checksums: dict[str, str] = {}
    contamination: dict[str, Contamination] = {}
    resumed_at: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


class VerificationReport(_Frozen):
    """The result of one verification: numbers where ``status`` is ``ok``, a named failure otherwise.

    Attributes
    ----------
    status, error
        ``ok``; or how it failed, and that in one line.
    held_out, bits_per_byte
        Of the weights that were loaded back from disk in a new process.
    unigram
        Held-out loss, nats per token, of the token frequencies: what has to be beaten.
    curve, held_out_curve
        ``(training tokens, nats per token)``: training loss over the stretch before (at most 500 points),
        and loss on the first held-out windows at fixed token counts.
    scores
        By suite (``blimp``), by part of it (``blimp/island_effects``, ``blimp/adjunct_island``), and what
        else a task measures (``hellaswag/acc``).
    artefacts
        ``folder``, ``model``: what is left on disk.
    """

    status: VerificationStatus
    error: str = ""
    design: str
    scale: str
    size: Size | None = None
    held_out: Measure | None = None
    bits_per_byte: Measure | None = None
    unigram: FiniteFloat | None = None
    curve: tuple[tuple[int, FiniteFloat], ...] = Field((), max_length=CURVE_POINTS)
    held_out_curve: tuple[tuple[int, FiniteFloat], ...] = ()
    scores: dict[str, Score] = {}
    cost: Cost = Cost()
    evidence: Evidence
    artefacts: dict[str, str] = {}

    @property
    def ok(self) -> bool:
        """Whether its numbers may be used."""
        return self.status == "ok"
