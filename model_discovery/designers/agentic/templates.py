"""Prompt templates: Jinja2 in a sandbox where an unknown name is an error with its file and line.

A part of a template between ``{% optional %}`` and ``{% endoptional %}`` becomes a message of its own that
may be dropped when a model's context is full.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    TemplateNotFound,
    TemplateSyntaxError,
    meta,
    nodes,
)
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from model_discovery.designers.agentic.fences import closed
from model_discovery.errors import UserError, nearest

_MARK = "\x1e"
_OPTIONAL, _REQUIRED = f"{_MARK}optional{_MARK}", f"{_MARK}required{_MARK}"


@dataclass(frozen=True)
class Template:
    """Text of a template; its first line is line ``line`` of ``file``."""

    text: str
    file: Path
    line: int = 1


class _OptionalTag(Extension):
    tags = {"optional"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endoptional",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{_OPTIONAL}{caller()}{_REQUIRED}"


class _Partials(BaseLoader):
    def __init__(self, partials: Mapping[str, Template]) -> None:
        self._partials = partials

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        if template not in self._partials:
            raise TemplateNotFound(template)
        held = self._partials[template]
        return held.text, str(held.file), lambda: True


def _plain(value: Any) -> Any:
    return closed(value.replace(_MARK, " ")) if isinstance(value, str) else value


class Templates:
    """Renders templates that may include partials.

    Parameters
    ----------
    partials
        By name, as ``{% include "name" %}`` and ``{% import "name" %}`` find them.
    filters
        Further filters by name.
    """

    def __init__(self, partials: Mapping[str, Template], filters: Mapping[str, Any] | None = None) -> None:
        self._partials = partials
        self._environment = ImmutableSandboxedEnvironment(
            loader=_Partials(partials),
            undefined=StrictUndefined,
            extensions=[_OptionalTag],
            finalize=_plain,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
        )
        self._environment.filters.update(filters or {})

    def check(self, template: Template, known: Mapping[str, Collection[str] | None]) -> set[str]:
        """Refuse what cannot be rendered, partials included.

        Parameters
        ----------
        template
            What is checked.
        known
            Variables by name, with the attributes they have; ``None`` where those are not looked at.

        Returns
        -------
        set of str
            Names of the partials it uses, and of theirs.
        """
        try:
            tree = self._environment.parse(template.text)
            undeclared = meta.find_undeclared_variables(tree)
        except TemplateSyntaxError as error:  # an unknown filter too
            raise UserError(f"{_at(template, error.lineno)}: {error.message}") from None
        # Names set in a branch count as undeclared; should they be so, rendering says it.
        own = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
        _check_names(template, tree, undeclared - known.keys() - own, known)
        used: set[str] = set()
        for name, line in _references(tree):
            if name not in self._partials:
                where = f"{template.file}, line {template.line + line - 1}"
                known_names = ", ".join(sorted(self._partials))
                raise UserError(
                    f"{where}: there is no partial '{name}'.{nearest(name, self._partials)}",
                    hint=f"known: {known_names}",
                )
            used |= {name, *self.check(self._partials[name], known)}
        return used

    def render(self, template: Template, variables: Mapping[str, Any]) -> list[tuple[str, bool]]:
        """The text in pieces, each with whether it may be dropped; empty pieces are left out.

        Raises
        ------
        UserError
            A name that is not there, or an operation that templates may not do; names file and line.
        """
        try:
            text = self._environment.from_string(template.text).render(variables)
        except (UndefinedError, SecurityError, TypeError) as error:
            raise UserError(f"{self._place(error, template)}: {error}.") from None
        return list(_pieces(text))

    def _place(self, error: Exception, template: Template) -> str:
        """File and line of the innermost template in a traceback."""
        files = {str(partial.file) for partial in self._partials.values()}
        trace, found = error.__traceback__, _at(template, 1)
        while trace is not None:
            name = trace.tb_frame.f_code.co_filename
            if name == "<template>":
                found = _at(template, trace.tb_lineno)
            elif name in files:
                found = f"{name}, line {trace.tb_lineno}"
            trace = trace.tb_next
        return found


def _check_names(
    template: Template,
    tree: nodes.Template,
    undeclared: Collection[str],
    known: Mapping[str, Collection[str] | None],
) -> None:
    for name in tree.find_all(nodes.Name):
        if name.name in undeclared:
            raise _unknown(_at(template, name.lineno), f"variable '{name.name}'", name.name, known)
    for attribute in tree.find_all(nodes.Getattr):
        owner = attribute.node.name if isinstance(attribute.node, nodes.Name) else ""
        names = known.get(owner)
        if names is not None and attribute.attr not in names:
            where = _at(template, attribute.lineno)
            raise _unknown(where, f"'{owner}.{attribute.attr}'", attribute.attr, names)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    optional = False
    for piece in re.split(f"({_OPTIONAL}|{_REQUIRED})", text):
        if piece in (_OPTIONAL, _REQUIRED):
            optional = piece == _OPTIONAL
        elif tidy := re.sub(r"\n{3,}", "\n\n", piece).strip():
            yield tidy, optional


def _references(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport)):
        if isinstance(node.template, nodes.Const):  # type: ignore[attr-defined]
            yield str(node.template.value), node.lineno  # type: ignore[attr-defined]


def _at(template: Template, line: int) -> str:
    return f"{template.file}, line {template.line + line - 1}"


def _unknown(where: str, what: str, name: str, known: Collection[str]) -> UserError:
    return UserError(
        f"{where}: unknown {what}.{nearest(name, known)}", hint=f"known there: {', '.join(sorted(known))}"
    )
