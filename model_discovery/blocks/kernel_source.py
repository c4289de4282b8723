"""The part of the kernels that some units need, as text: chosen definitions and their transitive helpers."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType

from model_discovery.blocks.source_text import indent, pick_statements
from model_discovery.errors import UserError, unknown

PACKAGE = "model_discovery.blocks.kernels"


@dataclass(frozen=True)
class _Module:
    """A kernel module: its text, the statement that binds each name, names that come from other kernels."""

    source: str
    bindings: Mapping[str, ast.stmt]
    order: tuple[ast.stmt, ...]
    foreign: Mapping[str, tuple[str, str]]


@dataclass
class KernelText:
    """Collects what is needed and writes it: one function a kernel module, so their names never meet."""

    needed: dict[str, set[str]] = field(default_factory=dict)

    def require(self, name: str) -> str:
        """An expression for the kernel ``name`` of the package, which is included from now on."""
        return self._require(find_kernel(name), name)

    def _require(self, module_name: str, name: str) -> str:
        self._include(module_name, name)
        return f"{_function(module_name)}.{name}"

    def _include(self, module_name: str, name: str) -> None:
        module = kernel_modules()[module_name]
        names = self.needed.setdefault(module_name, set())
        if name in names:
            return
        names.add(name)
        if name in module.foreign:
            self._include(*module.foreign[name])
            return
        if name not in module.bindings:
            raise unknown(f"name in {PACKAGE}.{module_name}", name, module.bindings)
        known = module.bindings.keys() | module.foreign.keys()
        for used in sorted(_names_used(module.bindings[name]) & known):
            self._include(module_name, used)

    def text(self) -> str:
        """The definitions, those of used modules before their users."""
        return "\n\n\n".join(self._module_text(name) for name in self._ordered())

    def _ordered(self) -> list[str]:
        ordered: list[str] = []

        def visit(module_name: str, above: tuple[str, ...]) -> None:
            if module_name in above:
                raise UserError(f"Kernel modules import each other in a circle: {' -> '.join(above)}")
            foreign = kernel_modules()[module_name].foreign
            for name in sorted(self.needed[module_name] & foreign.keys()):
                visit(foreign[name][0], (*above, module_name))
            if module_name not in ordered:
                ordered.append(module_name)

        for module_name in sorted(self.needed):
            visit(module_name, ())
        return ordered

    def _module_text(self, module_name: str) -> str:
        module, names = kernel_modules()[module_name], self.needed[module_name]
        links = [
            f"{name} = {_function(other)}.{original}"
            for name, (other, original) in sorted(module.foreign.items())
            if name in names
        ]
        wanted = {id(module.bindings[name]) for name in names if name in module.bindings}
        chosen = [statement for statement in module.order if id(statement) in wanted]
        imports = [statement for statement in chosen if isinstance(statement, ast.Import | ast.ImportFrom)]
        others = [statement for statement in chosen if not isinstance(statement, ast.Import | ast.ImportFrom)]
        head = "\n".join([*(ast.unparse(statement) for statement in imports), *links])
        body = "\n\n".join(part for part in (head, pick_statements(module.source, others)) if part)
        public = ", ".join(f"{name}={name}" for name in sorted(_exported(module, names)))
        function = _function(module_name)
        return (
            f"def _make{function}() -> SimpleNamespace:\n{indent(body)}\n\n"
            f"    return SimpleNamespace({public})\n\n\n{function} = _make{function}()"
        )


def _exported(module: _Module, names: Iterable[str]) -> list[str]:
    imports = (ast.Import, ast.ImportFrom)
    return [
        name for name in names if name in module.bindings and not isinstance(module.bindings[name], imports)
    ]


def _function(module_name: str) -> str:
    return f"_kernels_{module_name}"


@cache
def kernel_modules() -> Mapping[str, _Module]:
    """Every module of the kernels, parsed."""
    files = (file for file in resources.files("model_discovery.blocks").joinpath("kernels").iterdir())
    named = {file.name.removesuffix(".py"): file for file in files if file.name.endswith(".py")}
    return MappingProxyType(
        {
            name: _parse(file.read_text(encoding="utf-8"))
            for name, file in sorted(named.items())
            if name != "__init__"
        }
    )


def find_kernel(name: str) -> str:
    """The module that defines the public kernel ``name``."""
    homes = [home for home, module in kernel_modules().items() if name in _exported(module, module.bindings)]
    if not homes:
        public = {name for module in kernel_modules().values() for name in _exported(module, module.bindings)}
        raise unknown("kernel", name, (name for name in public if not name.startswith("_")))
    if len(homes) > 1:
        raise UserError(f"Kernel '{name}' is defined in several modules: {', '.join(homes)}")
    return homes[0]


def kernel_imports(statement: ast.stmt) -> dict[str, str] | None:
    """Local name to kernel name for an import from the kernels; ``None`` for any other statement."""
    if isinstance(statement, ast.ImportFrom) and f"{statement.module}.".startswith(f"{PACKAGE}."):
        return {alias.asname or alias.name: alias.name for alias in statement.names}
    return None


def _parse(source: str) -> _Module:
    module = ast.parse(source)
    bindings: dict[str, ast.stmt] = {}
    foreign: dict[str, tuple[str, str]] = {}
    for statement in module.body:
        if isinstance(statement, ast.ImportFrom) and (home := _kernel_module(statement)):
            foreign |= {alias.asname or alias.name: (home, alias.name) for alias in statement.names}
        else:
            bindings |= dict.fromkeys(_names_bound(statement), statement)
    return _Module(source, bindings, tuple(module.body), foreign)


def _kernel_module(statement: ast.ImportFrom) -> str:
    if statement.level == 1 and statement.module:
        return statement.module
    prefix = f"{PACKAGE}."
    return statement.module.removeprefix(prefix) if (statement.module or "").startswith(prefix) else ""  # type: ignore[union-attr]


def _names_bound(statement: ast.stmt) -> set[str]:
    """Names that a top-level statement gives a value, definitions inside ``if`` and ``try`` included."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import):
        return {alias.asname or alias.name.split(".")[0] for alias in statement.names}
    if isinstance(statement, ast.ImportFrom):
        return (
            set()
            if statement.module == "__future__"
            else {alias.asname or alias.name for alias in statement.names}
        )
    if isinstance(statement, ast.If | ast.Try):
        inner = [node for node in ast.walk(statement) if isinstance(node, ast.stmt) and node is not statement]
        return set().union(*map(_names_bound, inner))
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _names_used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
