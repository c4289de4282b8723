"""Keys of model providers: found in the environment or ``.env``, and kept out of every text."""

import re
from collections.abc import Mapping
from typing import Any

from model_discovery.config.environment import environment
from model_discovery.llm.loading import load_litellm

# litellm wants an address of these, and asks this machine without one.
_LOCAL = {"ollama", "ollama_chat"}
# Credentials of these may also lie in files of their tools, or come with the machine.
_OWN_WAYS = {"bedrock", "bedrock_converse", "sagemaker", "vertex_ai"}
# Servers of one's own: without an address litellm would ask OpenAI's.
_NEED_ADDRESS = {"hosted_vllm", "lm_studio", "openai_like", "custom_openai", "xinference", "litellm_proxy"}
_SECRET_NAME = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)S?(_ID)?$")
_LOOKS_SECRET = re.compile(r"\bsk-[\w*.-]{6,}")


class Keys:
    """What an environment has for model providers.

    Parameters
    ----------
    env
        Variables by name; those of the process and ``.env`` unless told.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._env = {k: v for k, v in (environment() if env is None else env).items() if v}
        found = {v for k, v in self._env.items() if _SECRET_NAME.search(k.upper()) and len(v) >= 6}
        self._secrets = sorted(found, key=lambda secret: (-len(secret), secret))

    def arguments(self, model: str, provider: str, api_base: str | None) -> dict[str, Any]:
        """Arguments of litellm's call that carry the provider's keys and address; see ``missing``."""
        values = {} if api_base is None else {"api_base": api_base}
        for name in (f"{provider.upper()}_API_KEY", f"{provider.upper()}_API_BASE", *_wanted(model)):
            if value := self._env.get(name):
                values.setdefault(_argument(name), value)
        if api_base is not None or provider in _LOCAL | _NEED_ADDRESS:
            values.setdefault("api_key", "none")  # OpenAI's client wants one, local servers ignore it
        return values

    def missing(self, model: str, provider: str, api_base: str | None) -> list[str]:
        """Names of the variables to set before this model can be asked; any one of them may be enough."""
        if api_base is not None or provider in _LOCAL | _OWN_WAYS:
            return []
        if provider in _NEED_ADDRESS:
            name = f"{provider.upper()}_API_BASE"
            return [] if self._env.get(name) else [name]
        if self._env.get(f"{provider.upper()}_API_KEY") and provider != "azure":
            return []
        names = _wanted(model)
        if provider == "gemini" and any(self._env.get(name) for name in names):
            return []
        return [name for name in names if not self._env.get(name)]

    def scrub(self, text: str) -> str:
        """The text with ``***`` in place of every key."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _LOOKS_SECRET.sub("***", text)


def _wanted(model: str) -> list[str]:
    """The variables that litellm wants for a model and that the process does not have."""
    return sorted(load_litellm().validate_environment(model)["missing_keys"])


def _argument(name: str) -> str:
    for ending in ("_API_KEY", "_API_BASE", "_API_VERSION"):
        if name.endswith(ending):
            return ending[1:].lower()
    return name.lower()
