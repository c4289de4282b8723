"""litellm, imported once it is needed, and made silent."""

import logging
import os
import warnings
from functools import cache
from typing import Any

_NOISY = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", "openai", "httpx", "httpcore")


@cache
def load_litellm() -> Any:
    """litellm, silent: no price table from the network, no ``.env`` in the environment, no logs."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ["LITELLM_MODE"] = "PRODUCTION"  # else it puts .env into this process's environment
    import httpx
    import litellm
    from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

    from model_discovery.llm.wire import Wire

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.disable_hf_tokenizer_download = True
    wire = Wire(verify=get_ssl_configuration())
    litellm.client_session = httpx.Client(transport=wire, follow_redirects=True)
    litellm.sync_transport = wire
    warnings.filterwarnings("ignore", message="Pydantic serializer warnings")  # they print parts of answers
    for name in _NOISY:  # they print addresses with keys, and whole prompts
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return litellm
