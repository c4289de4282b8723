"""Stage 1, *source*: what can be said of a unit without running it."""

import ast
from collections.abc import Iterable, Iterator
from itertools import groupby

from model_discovery.blocks.unit_data import Unit
from model_discovery.blocks.unit_source import SourceError, is_test, parse_unit
from model_discovery.checks.names import NameCheck, Problem
from model_discovery.checks.policy import MODULE_API, MODULE_INTERNALS, UNIT_METHODS
from model_discovery.checks.report import Finding
from model_discovery.checks.side_variables import side_variable_problems

MAX_SOURCE = 64 * 1024
"""Longest source read, in characters; the longest unit anyone would want to read is a tenth of it."""


_PLAIN_BASES = frozenset({"Module", "NamedTuple", "object", "Protocol"})
_DOCSTRING = "say the equation, the source (arXiv id) and the cost"


def check_source(source: str) -> list[Finding]:
    """Read one unit source: it parses, keeps the contract, and names nothing but tensors.

    Refused: syntax errors; no unit or several; role, slots, ``Config`` or side variables that are not
    literals; no docstring; no ``forward(self, x, z)``; side variables that are not declared; imports beyond
    torch, math, typing and the block kernels; ``exec``, ``open`` and their like, double-underscore
    attributes, frames, computed attribute names; ``torch.load``, ``torch.os``, ``torch.manual_seed`` and
    whatever else reaches files, processes or global state; changing what belongs to others
    (monkey-patching); replacing methods of ``nn.Module``; pinning a device; code at module level.

    Parameters
    ----------
    source
        Python text. It is never executed.
    """
    if len(source) > MAX_SOURCE:
        return [
            _finding(Problem(0, f"{len(source)} characters", f"{MAX_SOURCE}", "a unit is one idea; split it"))
        ]
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        module = None
    unit, problem = _unit(source)
    problems = [problem] if problem else []
    if module is not None:
        problems += _readable(module)
    if unit is not None and not unit.docstring.strip():
        problems.append(Problem(0, f"{unit.name} has no docstring", "a docstring", _DOCSTRING))
    findings = [_finding(problem) for problem in _sorted(problems)]
    if unit is not None and module is not None and (forward := _forward_of(module, unit.name)):
        findings += [
            _finding(problem, "contract") for problem in _sorted(side_variable_problems(unit, forward))
        ]
    return findings


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    """One a line, in the order of lines; of several, the one that names what of torch is meant."""

    def order(problem: Problem) -> tuple[int, bool, str]:
        return problem.line, not problem.what.startswith("torch"), problem.what

    return [next(group) for _, group in groupby(sorted(set(problems), key=order), key=lambda p: p.line)]


def _finding(problem: Problem, check: str = "source") -> Finding:
    where = f"line {problem.line}" if problem.line else ""
    return Finding(check=check, where=where, measured=problem.what, limit=problem.limit, hint=problem.hint)


def _unit(source: str) -> tuple[Unit | None, Problem | None]:
    try:
        return parse_unit(source), None
    except SourceError as error:
        message = error.message.removeprefix(f"line {error.line}: ")
        return None, Problem(error.line, message, "the unit contract", error.hint or "mend the declaration")
    except RecursionError:
        return None, Problem(
            0, "an expression nested too deeply", "readable code", "split it into statements"
        )


def _readable(module: ast.Module) -> Iterator[Problem]:
    yield from NameCheck(module).problems()
    for statement in module.body:
        yield from _module_level(statement)
    classes = {node: _unit_of(module, node) for node in ast.walk(module) if isinstance(node, ast.ClassDef)}
    for node, inside in classes.items():
        yield from _class(node)
        yield from _bases(node, inside)


def _module_level(statement: ast.stmt) -> Iterator[Problem]:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    if not isinstance(statement, allowed):
        yield Problem(
            statement.lineno,
            f"code at module level: {ast.unparse(statement).splitlines()[0][:60]}",
            "imports, constants, functions, one unit",
            "move it into forward or into a test_ function",
        )
    if is_test(statement) and isinstance(statement, ast.FunctionDef) and _arguments(statement):
        yield Problem(
            statement.lineno, f"{statement.name} takes arguments", "tests take none", "build what it needs"
        )


def _class(node: ast.ClassDef) -> Iterator[Problem]:
    if node.keywords:
        yield Problem(node.lineno, f"keywords of class {node.name}", "plain base classes", "remove them")
    for statement in node.body:
        for name in _names_bound(statement):
            dunder = name.startswith("__") and name.endswith("__") and name != "__init__"
            if dunder or (name in MODULE_API | MODULE_INTERNALS and name not in UNIT_METHODS):
                yield Problem(
                    statement.lineno,
                    f"{node.name} defines '{name}'",
                    "__init__, forward, helpers of own names",
                    "rename it: nn.Module and the checks rely on the original",
                )
    if any(isinstance(base, ast.Name) and base.id == "GAU" for base in node.bases):
        yield from _forward(node)


def _unit_of(module: ast.Module, node: ast.ClassDef) -> str:
    """The top-level class in whose body ``node`` stands, or ``""``."""
    found = (top for top in module.body if isinstance(top, ast.ClassDef) and node in top.body)
    return next((top.name for top in found), "")


def _bases(node: ast.ClassDef, inside: str) -> Iterator[Problem]:
    """pydantic evaluates text in annotations, so only the unit's own ``Config``, read before, may be one."""
    for base in node.bases:
        name = ast.unparse(base)
        config = name == "UnitConfig" and node.name == "Config" and bool(inside)
        layer = name.startswith(("nn.", "torch.nn."))
        if not (config or layer or name == "GAU" or name.split(".")[-1] in _PLAIN_BASES):
            yield Problem(
                node.lineno,
                f"class {node.name}({name})",
                "GAU, UnitConfig for its Config, nn.Module for helpers",
                "derive from one of these; compose instead of inheriting",
            )


def _forward_of(module: ast.Module, unit: str) -> ast.FunctionDef | None:
    classes = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == unit)
    methods = (node for found in classes for node in found.body if isinstance(node, ast.FunctionDef))
    return next((node for node in methods if node.name == "forward"), None)


def _forward(unit: ast.ClassDef) -> Iterator[Problem]:
    forward = next(
        (node for node in unit.body if isinstance(node, ast.FunctionDef) and node.name == "forward"), None
    )
    if forward is None:
        yield Problem(
            unit.lineno,
            f"{unit.name} has no forward",
            "forward(self, x, z)",
            "write it: returns y or (y, {…})",
        )
    elif _arguments(forward) != ["self", "x", "z"]:
        given = ", ".join(_arguments(forward))
        yield Problem(
            forward.lineno, f"forward({given})", "forward(self, x, z)", "x: (B, T, width), z: side variables"
        )


def _arguments(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return names + [f"*{argument.arg}" for argument in (arguments.vararg, arguments.kwarg) if argument]


def _names_bound(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []
