"""The static check of side variables: what ``forward`` takes from ``z`` and returns must be declared."""

import ast
from collections.abc import Iterator

from model_discovery.blocks.unit_data import Unit
from model_discovery.checks.names import Problem


def side_variable_problems(unit: Unit, forward: ast.FunctionDef) -> Iterator[Problem]:
    """Names that a unit without slots takes from ``z``, or returns, without having declared them.

    A unit with slots also hands on what its children read and write, so only running it can tell.
    """
    if unit.slots:
        return
    readable = {name.removeprefix("?") for name in unit.reads}
    # Reserved: a unit that adds an auxiliary loss sees those added before it.
    readable |= {"aux_losses"} & set(unit.writes)
    for node in ast.walk(forward):
        match node:
            case ast.Subscript(
                value=ast.Name(id="z"), slice=ast.Constant(value=str() as name), ctx=ast.Load()
            ):
                yield from _undeclared("reads", name, readable, node.lineno)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="z"), attr="get"), args=[ast.Constant(value=name), *_]
            ):
                yield from _undeclared("reads", str(name), readable, node.lineno)
            case ast.Return(value=ast.Tuple(elts=[_, ast.Dict(keys=keys)])):
                for key in keys:
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield from _undeclared("writes", key.value, set(unit.writes), key.lineno)


def _undeclared(kind: str, name: str, declared: set[str], line: int) -> Iterator[Problem]:
    if name not in declared:
        limit = (
            f"{kind} = ({', '.join(map(repr, sorted(declared)))})" if declared else f"{kind} declares nothing"
        )
        yield Problem(line, f"'{name}' in {kind} of forward", limit, f"declare it: {kind} = ('{name}',)")
