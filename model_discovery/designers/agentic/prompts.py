"""What a model is sent: the messages of a step, from the templates of a spec."""

from collections.abc import Mapping
from typing import Any

from model_discovery.designers.agentic.specs import AgentSpec
from model_discovery.designers.agentic.steps import ROLES
from model_discovery.designers.requests import Operator
from model_discovery.llm.types import Message


def render(spec: AgentSpec, step: str, operator: Operator, variables: Mapping[str, Any]) -> list[Message]:
    """The messages of one call: the system's, then the user's, of which some may be dropped.

    Parameters
    ----------
    variables
        ``brief`` and what `steps` lists for the step, all of them; one that is not there is ``None``.

    Raises
    ------
    UserError
        A template asks for what is not there; names its file and line.
    """
    wanted = ROLES[spec.name][step].variables.keys()
    if wanted != variables.keys():
        raise ValueError(f"{spec.name}.{step} wants {sorted(wanted)}, not {sorted(variables)}")
    system = spec.templates.render(spec.system_template, {"brief": variables["brief"]})
    pieces = spec.templates.render(spec.template(step, operator), variables)
    return [
        Message(role="system", content="\n\n".join(text for text, _ in system)),
        *(Message(role="user", content=text, optional=optional) for text, optional in pieces),
    ]
