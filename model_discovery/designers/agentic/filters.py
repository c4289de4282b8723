"""How values read in a prompt: numbered sources, findings, results in standard errors."""

import ast
import textwrap
from collections.abc import Callable

from model_discovery.blocks.unit_data import Unit
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.designers.agentic.fences import closed, fenced
from model_discovery.designers.agentic.schemas import ProposalDraft
from model_discovery.designers.knowledge import Idea, KnownDesign, Prediction, ScaleResult, UnitStatistic
from model_discovery.library.types import Hit

_PASSAGE = 1200


def numbered(source: str) -> str:
    """A source with line numbers, as findings name them."""
    lines = source.splitlines()
    width = len(str(len(lines)))
    return "\n".join(f"{number:>{width}} | {line}".rstrip() for number, line in enumerate(lines, 1))


def finding(found: Finding) -> str:
    """A finding as lines: what and where, measured against which limit, what to do."""
    where = f" at {found.where}" if found.where else ""
    lines = [f"- {found.severity}: {found.check}{where}"]
    if found.measured:
        lines.append(f"  measured: {closed(found.measured)}")
    if found.limit:
        lines.append(f"  allowed: {found.limit}")
    if found.hint:
        lines.append(f"  hint: {closed(found.hint)}")
    return "\n".join(lines)


def report(checked: CheckReport) -> str:
    """The whole report: what passed, then every finding, errors first."""
    failed = checked.stages[-1] if checked.stages and not checked.ok else ""
    passed = [stage for stage in checked.stages if stage != failed]
    order = ("error", "warning", "info")
    found = sorted(checked.findings, key=lambda each: order.index(each.severity))
    head = f"passed: {', '.join(passed)}" if passed else "passed: nothing yet"
    return "\n".join([head, *([f"failed: {failed}"] if failed else []), *map(finding, found)])


def interface(unit: Unit, role: bool = True) -> str:
    """A unit in a line: name, role, and in brackets its slots and side variables."""
    slots = ", ".join(
        f"{name}: {spec.role}{' (optional)' if spec.optional else ''}" for name, spec in unit.slots.items()
    )
    names = {
        "slots": slots,
        "reads": ", ".join(name for name in unit.reads if not name.startswith("?")),
        "may read": ", ".join(name[1:] for name in unit.reads if name.startswith("?")),
        "writes": ", ".join(unit.writes),
    }
    within = "; ".join(f"{kind} {given}" for kind, given in names.items() if given)
    return f"{unit.name}{f' [{unit.role}]' if role else ''}{f' ({within})' if within else ''}"


def says(unit: Unit) -> str:
    """What a unit computes: the first line of its docstring."""
    return unit.summary.rstrip(":. ")


def forward(unit: Unit) -> str:
    """The text of a unit's forward method."""
    for node in ast.walk(ast.parse(unit.source)):
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            return textwrap.dedent("\n".join(unit.source.splitlines()[node.lineno - 1 : node.end_lineno]))
    return ""


def rating(given: float) -> str:
    """A rating without needless digits."""
    return f"{given:g}"


def result(measured: ScaleResult) -> str:
    """What a design reached at a scale, differences in standard errors."""
    parts = [
        f"{measured.scale}, {measured.seeds} {'seed' if measured.seeds == 1 else 'seeds'}: "
        f"loss {measured.loss:.4f} ± {measured.stderr:.4f} nats per token"
    ]
    if measured.gain is not None:
        parts.append(_against(measured.gain, "the best human design"))
    if measured.over_parent is not None:
        parts.append(_against(measured.over_parent, "its parent"))
    parts += [f"{name} {value:.3f} ± {error:.3f}" for name, (value, error) in sorted(measured.scores.items())]
    return "; ".join(parts)


def _against(gain: float, whom: str) -> str:
    if abs(gain) < 0.05:
        return f"level with {whom}"
    return f"{abs(gain):.1f} standard errors {'better' if gain > 0 else 'worse'} than {whom}"


def known(design: KnownDesign) -> str:
    """A design and how it did, in a few lines."""
    made = f"{design.operator} of {', '.join(design.parents)}" if design.operator and design.parents else ""
    origin = "human design" if design.origin == "seed" else design.origin
    about = "; ".join(part for part in (design.relation, made or design.operator or origin) if part)
    lines = [f"- {design.name} ({about})"]
    if design.title and design.title != design.name:
        lines.append(f"  {design.title}{': ' + design.summary if design.summary else ''}")
    best = "; the best human design at this scale" if design.origin == "seed" else ""
    lines += [f"  {result(each)}{best if each.gain is None else ''}" for each in design.results]
    if not design.results:
        lines.append(f"  not measured: {design.status or 'waiting'}")
    elif failures := design.status.partition("; ")[2]:
        lines.append(f"  also: {failures}")
    if design.verdict is not None:
        lines.append(f"  what it predicted {_came(design.verdict)}")
    return "\n".join(lines)


def statistic(measured: UnitStatistic) -> str:
    """What a unit did, as a line."""
    designs = f"{measured.designs} {'design' if measured.designs == 1 else 'designs'}"
    return (
        f"- {measured.unit} in {measured.role} slots: {measured.effect:+.3f} ± {measured.stderr:.3f} nats "
        f"over {designs}{f' at {measured.scale}' if measured.scale else ''}"
    )


def idea(line: Idea) -> str:
    """A line of the idea ledger."""
    about = f" ({line.title})" if line.title else ""
    evidence = f" ({line.evidence})" if line.evidence else ""
    claim, predicted = (text.strip().rstrip(".") for text in (line.claim, line.prediction))
    return f"- {line.design}{about}: {claim}. Predicted: {predicted}. That {_came(line.verdict)}{evidence}."


def _came(verdict: str) -> str:
    return "is open" if verdict == "open" else f"turned out {verdict}"


def prediction(given: Prediction) -> str:
    """A prediction as a sentence, with its reason."""
    return given.in_words() + (f", because {given.because}" if given.because else "")


def proposal(given: ProposalDraft) -> str:
    """A proposal with all its parts."""
    paths = ", ".join(f"`{path}`" if path else "the root" for path in given.paths)
    parts = [f"Title: {given.title}", given.abstract]
    titled = {
        "Motivation": given.motivation,
        f"Changes (at {paths})" if paths else "Changes": "\n".join(f"- {change}" for change in given.changes),
        "Equations": given.equations,
        "Pseudo-code": given.pseudo_code,
        "Expected effect": given.expected_effect,
        "Prediction": prediction(given.prediction),
        "Risks": "\n".join(f"- {risk}" for risk in given.risks),
        "References": ", ".join(given.references),
    }
    parts += [f"{title}:\n{text}" for title, text in titled.items() if text]
    return "\n\n".join(map(closed, parts))


def hit(found: Hit) -> str:
    """A passage with where it stands; long ones are cut."""
    paper = found.paper
    authors = (
        f"{paper.authors[0]}{' and others' if len(paper.authors) > 1 else ''}, " if paper.authors else ""
    )
    ids = ", ".join(dict.fromkeys(part for part in (paper.id, paper.arxiv) if part))
    page = f", page {found.page}" if found.page else ""
    text = found.passage if len(found.passage) <= _PASSAGE else f"{found.passage[:_PASSAGE]} …"
    units = f"\n  implemented by {', '.join(paper.implemented_by)}" if paper.implemented_by else ""
    where = f"({authors}{paper.year or 'no year'}), {found.section}{page}"
    head = " ".join(f"- [{ids}] {paper.title} {where}".split())  # a title of two lines would leave the quote
    return f"{head}{units}\n{textwrap.indent(text.strip(), '  > ', lambda line: True)}"


_FILTERS = (
    fenced, numbered, finding, report, interface, says, forward, rating, result, known, statistic, idea,
    prediction, proposal, hit,
)  # fmt: skip
FILTERS: dict[str, Callable[..., str]] = {each.__name__: each for each in _FILTERS}
"""Filters of templates by name."""
