"""Agent specs: a file for each role with its model, how it is asked, and its prompts."""

import hashlib
import random
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, PrivateAttr, ValidationError

from model_discovery.config import AgentsConfig, SpendingLimits
from model_discovery.config.environment import environment
from model_discovery.designers.agentic.brief import Brief
from model_discovery.designers.agentic.steps import ROLES, attributes
from model_discovery.designers.agentic.yaml_lines import Lines, Place, load_yaml
from model_discovery.designers.requests import Operator
from model_discovery.errors import EXIT_FAILED, UserError, nearest, unknown
from model_discovery.llm.types import ModelSettings, SchemaMode
from model_discovery.shipped import shipped_folder

if TYPE_CHECKING:
    from model_discovery.designers.agentic.templates import Template, Templates

DEFAULT_MODELS = {
    "ANTHROPIC_API_KEY": "anthropic/claude-sonnet-5-5",
    "OPENAI_API_KEY": "openai/gpt-5.6-terra",
}
"""The model of every role when nothing names one, by the first key that is there."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AgentSpec(_Data):
    """One role, as ``etc/agent_spec/ROLE.yaml`` says it.

    Attributes
    ----------
    model
        A litellm name, or names with weights of which one is drawn for each session; what the campaign says
        unless told.
    fallbacks
        Models to ask, in order, where ``model`` is not there.
    api_base
        Of an OpenAI-compatible server that has ``model``.
    system
        Template of the system message.
    prompts
        Template of the user message by step; or by step and operator.
    output
        Name of the schema that each step answers.
    limits
        What the role may spend in a session.
    requests_per_minute, tokens_per_minute
        How fast the model may be asked, over all processes of a campaign.
    timeout
        Seconds that one answer is waited for.
    """

    name: str
    side: Literal["designer", "reviewer"]
    model: str | dict[str, PositiveFloat] | None = None
    fallbacks: tuple[str, ...] = ()
    api_base: str | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    max_output_tokens: PositiveInt = 8192
    reasoning_effort: str | None = None
    schema_mode: SchemaMode | None = None
    system: str
    prompts: dict[str, str | dict[Operator, str]]
    output: dict[str, str]
    limits: SpendingLimits = SpendingLimits()
    requests_per_minute: PositiveInt | None = None
    tokens_per_minute: PositiveInt | None = None
    timeout: PositiveFloat = 300.0
    _file: Path = PrivateAttr()
    _lines: Lines = PrivateAttr()
    _partials: dict[str, Path] = PrivateAttr()

    @property
    def file(self) -> Path:
        """Where it was read."""
        return self._file

    def settings(
        self, config: AgentsConfig, rng: random.Random, env: Mapping[str, str] | None = None
    ) -> ModelSettings:
        """The model to ask and how.

        ``config.model`` counts for every role; else what the spec names (of a mixture one is drawn), else
        ``config.default_model``, else the model that goes with a key in the environment.

        Parameters
        ----------
        rng
            Draws from a mixture; a session gives each role its own.
        env
            Where keys are looked for; the process's variables and ``.env`` unless told.

        Raises
        ------
        UserError
            No model is named anywhere and there is no key.
        """
        own = None if config.model else self._drawn(rng)
        model = config.model or own or config.default_model or default_model(env)
        if model is None:
            raise UserError(
                "No language model is configured.",
                hint=f"set {' or '.join(DEFAULT_MODELS)}, or name one: --model PROVIDER/NAME",
                exit_code=EXIT_FAILED,
            )
        return ModelSettings(
            model=model,
            fallbacks=self.fallbacks if own else (),
            api_base=(self.api_base or config.api_base) if own else config.api_base,
            temperature=self.temperature,
            max_output_tokens=self.max_output_tokens,
            reasoning_effort=self.reasoning_effort,
            schema_mode=self.schema_mode,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            timeout=self.timeout,
            limits=self.limits,
        )

    def _drawn(self, rng: random.Random) -> str | None:
        if not isinstance(self.model, dict):
            return self.model
        names = sorted(self.model)
        return rng.choices(names, [self.model[name] for name in names])[0]

    def template(self, step: str, operator: Operator) -> "Template":
        """The template of a step's user message."""
        given = self.prompts[step]
        if isinstance(given, str):
            return self._template(given, "prompts", step)
        if operator not in given:
            raise UserError(f"{self._at('prompts', step)}: '{step}' has no prompt for {operator}.")
        return self._template(given[operator], "prompts", step, operator)

    @property
    def digest(self) -> str:
        """12 hex digits of the file and of the partials that it uses: the same prompts have the same."""
        texts = [
            self._file.read_text("utf-8"),
            *(self._partials[name].read_text("utf-8") for name in sorted(self.check())),
        ]
        return hashlib.sha256("\x1e".join(texts).encode()).hexdigest()[:12]

    @property
    def system_template(self) -> "Template":
        """The template of the system message."""
        return self._template(self.system, "system")

    @cached_property
    def templates(self) -> "Templates":
        """What renders them, partials included."""
        from model_discovery.designers.agentic.filters import FILTERS
        from model_discovery.designers.agentic.templates import Template, Templates

        partials = {
            name: Template(path.read_text("utf-8"), path) for name, path in sorted(self._partials.items())
        }
        return Templates(partials, FILTERS)

    def _template(self, text: str, *place: str) -> "Template":
        from model_discovery.designers.agentic.templates import Template

        return Template(text, self._file, self._lines.of_text(place))

    def _at(self, *place: str) -> str:
        return f"{self._file}, line {self._lines.of(place)}"

    def check(self) -> set[str]:
        """Refuse steps, answers and templates that do not fit the role; names of the partials used."""
        steps = ROLES[self.name]
        for kind, given in (("prompts", self.prompts), ("output", self.output)):
            for step in given:
                if step not in steps:
                    problem = unknown(f"step of the {self.name}", step, steps)
                    raise UserError(f"{self._at(kind, step)}: {problem.message}", hint=problem.hint)
            if missing := [step for step in steps if step not in given]:
                raise UserError(f"{self._at(kind)}: '{kind}' lacks the step '{missing[0]}'.")
        for step, name in self.output.items():
            if name != (wanted := steps[step].answer.__name__):
                raise UserError(f"{self._at('output', step)}: {step} answers {wanted}, not '{name}'.")
        used = self.templates.check(self.system_template, attributes({"brief": Brief}))
        for step, given_prompt in self.prompts.items():
            known = attributes(steps[step].variables)
            for operator in given_prompt if isinstance(given_prompt, dict) else ("scratch",):
                used |= self.templates.check(self.template(step, operator), known)  # type: ignore[arg-type]
        return used


def default_model(env: Mapping[str, str] | None = None) -> str | None:
    """The model that goes with the first key found.

    Parameters
    ----------
    env
        Where keys are looked for; the process's variables and ``.env`` unless told.
    """
    keys = environment() if env is None else env
    return next((model for key, model in DEFAULT_MODELS.items() if keys.get(key)), None)


def load_specs(folder: Path | None = None) -> dict[str, AgentSpec]:
    """The specs by role: those of ``folder`` where it has them, the shipped ones elsewhere.

    Parameters
    ----------
    folder
        Files ``ROLE.yaml``, and ``partials/`` that replace shipped partials of the same name or add to them.

    Raises
    ------
    UserError
        No such folder, or a mistake in a file; names the file, the line and the nearest valid name.
    """
    shipped = shipped_folder("etc/agent_spec")
    folders = [shipped] if folder is None else [shipped, _own_folder(Path(folder))]
    files = {file.stem: file for place in folders for file in sorted(place.glob("*.yaml"))}
    partials = {file.name: file for place in folders for file in sorted((place / "partials").glob("*.md"))}
    specs = {role: read_spec(files[role], partials) for role in ROLES}
    for spec in specs.values():
        spec.check()
    return specs


def _own_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder} of agent specs.")
    names = [file.stem for file in sorted(folder.glob("*.yaml"))]
    if not names and not list((folder / "partials").glob("*.md")):
        raise UserError(
            f"{folder} holds no agent specs.",
            hint=f"ROLE.yaml, or partials/NAME.md; roles: {', '.join(ROLES)}",
        )
    for name in names:
        if name not in ROLES:
            problem = unknown("role", name, ROLES)
            raise UserError(f"{folder / name}.yaml: {problem.message}", hint=problem.hint)
    return folder


def read_spec(file: Path, partials: Mapping[str, Path]) -> AgentSpec:
    """One spec; its templates find ``partials`` by name."""
    data, lines = load_yaml(file)
    try:
        spec = AgentSpec.model_validate(data)
    except ValidationError as error:
        raise _explain(file, lines, error) from None
    if spec.name != file.stem:
        raise UserError(
            f"{file}, line {lines.of(('name',))}: the name is '{spec.name}', the file {file.name}."
        )
    spec._file, spec._lines, spec._partials = file, lines, dict(partials)
    return spec


def _explain(file: Path, lines: Lines, error: ValidationError) -> UserError:
    """The first problem; where a value may be of several kinds, that of the kind it tries to be."""
    problem = max(error.errors(), key=lambda each: len(lines.known(tuple(each["loc"]))))
    place: Place = tuple(problem["loc"])
    written = lines.known(place) or place
    name = ".".join(str(part) for part in written) or "the file"
    where = f"{file}, line {lines.of(place)}"
    if problem["type"] == "extra_forbidden":
        known = _fields_at(place[:-1])
        return UserError(
            f"{where}: unknown key '{name}'.{nearest(str(place[-1]), known)}",
            hint=f"known there: {', '.join(known)}",
        )
    if problem["type"] == "missing":
        return UserError(f"{where}: '{'.'.join(str(part) for part in place)}' is missing.")
    return UserError(f"{where}: '{name}': {problem['msg'][:1].lower()}{problem['msg'][1:]}.")


def _fields_at(place: Place) -> list[str]:
    models: dict[Any, type[BaseModel]] = {(): AgentSpec, ("limits",): SpendingLimits}
    return list(models.get(place, AgentSpec).model_fields)
