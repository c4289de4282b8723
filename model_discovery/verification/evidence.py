"""From what was found to the report of a verification: numbers, and what they stand on."""

import hashlib
import math
from dataclasses import dataclass, field

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.verification.contamination import Contamination
from model_discovery.verification.environment import describe_machine, versions
from model_discovery.verification.evaluator import Scored
from model_discovery.verification.manifest import DataManifest
from model_discovery.verification.orders import TrainAnswer
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.report import (
    Cost,
    Evidence,
    Machine,
    Measure,
    VerificationReport,
    VerifyRequest,
)


@dataclass
class Findings:
    """What is known so far; whatever happens next, it is reported."""

    answer: TrainAnswer | None = None
    held_out: Measure | None = None
    scored: Scored = field(default_factory=Scored)
    artefacts: dict[str, str] = field(default_factory=dict)
    contamination: dict[str, Contamination] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """How a verification ran: level of the sandbox, threads, and what the reader should know of it."""

    sandbox: str
    threads: int
    notes: tuple[str, ...] = ()


def make_report(
    asked: VerifyRequest,
    data: DataManifest,
    found: Findings,
    failure: VerificationFailure | None,
    cost: Cost,
    setting: Setting,
) -> VerificationReport:
    """Everything that was found; of a failed verification no scores, and no loss that was not proved."""
    answer = found.answer
    proved = failure is None or failure.status == "untrained"
    held_out = found.held_out if proved else None
    return VerificationReport(
        status="ok" if failure is None else failure.status,
        error="" if failure is None else failure.error,
        design=asked.design,
        scale=asked.scale,
        size=answer.size if answer else None,
        held_out=held_out,
        bits_per_byte=_bits_per_byte(held_out, data),
        unigram=data.unigram_loss,
        curve=answer.curve if answer else (),
        held_out_curve=answer.held_out_curve if answer else (),
        scores=found.scored.scores if failure is None else {},
        cost=cost,
        evidence=_evidence(asked, data, found, setting),
        artefacts=found.artefacts,
    )


def _evidence(asked: VerifyRequest, data: DataManifest, found: Findings, setting: Setting) -> Evidence:
    answer, scored, machine = found.answer, found.scored, describe_machine(setting.threads)
    return Evidence(
        request_hash=asked.hash,
        structure_hash=asked.unit_tree.structure_hash,
        code_hash=code_hash(asked.unit_tree),
        recipe_hash=asked.recipe.hash,
        seed=asked.seed,
        data_checksum=data.checksum,
        weights_hash=answer.weights_hash if answer else "",
        tokens=answer.tokens if answer else 0,
        precision=answer.precision if answer else "",
        device=_device(answer, machine),
        compiled=answer.compiled if answer else False,
        micro_rows=answer.micro_rows if answer else 0,
        sandbox=setting.sandbox,
        versions=versions(),
        machine=machine,
        resumed_at=answer.resumed_at if answer else (),
        suite_checksums=scored.checksums,
        contamination=found.contamination,
        notes=(*data.notes, *(answer.notes if answer else ()), *setting.notes, *scored.notes),
    )


def _device(answer: TrainAnswer | None, machine: Machine) -> str:
    """What it trained on, by name."""
    if answer is not None and answer.device != "cpu":
        return answer.device
    return f"cpu: {machine.cpu}, {machine.threads} thread{'s' * (machine.threads != 1)}"


def code_hash(tree: UnitTree) -> str:
    """Of the units' sources to the letter."""
    text = "\x1f".join(tree.units[name].source for name in sorted(tree.units))
    return hashlib.sha256(text.encode()).hexdigest()


def _bits_per_byte(loss: Measure | None, data: DataManifest) -> Measure | None:
    if loss is None:
        return None
    factor = 1 / (math.log(2) * data.bytes_per_token)
    return Measure(value=loss.value * factor, stderr=None if loss.stderr is None else loss.stderr * factor)
