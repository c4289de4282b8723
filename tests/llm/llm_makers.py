"""What tests of the client share: an LLM over a scripted server, and a small schema."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from scripted_server import ScriptedServer

from model_discovery.config.agents import Price, SpendingLimits
from model_discovery.llm import LLM, Journal, Ledger, Message, ModelSettings, Patience

KEY = "sk-planted-4f9a1c77e0"
PRICE = Price(input=1.0, output=4.0)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    source: str = ""


class Opinion(BaseModel):
    """Small, and with everything that schemas of roles have."""

    model_config = ConfigDict(extra="forbid")

    rating: Annotated[float, Field(ge=0, le=5, description="overall")]
    why: str = Field(min_length=3)
    concerns: list[str] = []
    part: Part | None = None


GOOD = Opinion(rating=4, why="it is causal", concerns=["slow"], part=Part(name="gate", source="x = 1\n"))


class Naps:
    """Sleeps that take no time, and are remembered; ``then`` happens in each."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.then: Callable[[], object] = lambda: None

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.then()


class Asker:
    """An LLM whose models stand at a scripted server."""

    def __init__(
        self,
        server: ScriptedServer,
        *,
        scopes: Mapping[str, SpendingLimits] | None = None,
        per_call: SpendingLimits | None = None,
        prices: Any = PRICE,
        journal: Path | None = None,
        ledger: Ledger | None = None,
        patience: Patience | None = None,
        env: Mapping[str, str] | None = None,
        mode: Any = "resume",
    ) -> None:
        self.server = server
        self.ledger = ledger or Ledger(None)
        self.journal = Journal(journal, "session-1", mode=mode)
        self.naps = Naps()
        self.told: list[tuple[float, str]] = []
        self.llm = LLM(
            self.ledger, self.journal, per_call=per_call, scopes=scopes, prices=prices,
            env={"OPENAI_API_KEY": KEY} if env is None else env, campaign="tests",
            patience=patience or Patience(tries=3, first=0.01), sleep=self.naps,
            told=lambda seconds, why: self.told.append((seconds, why)),
        )  # fmt: skip

    def ask(self, text: str = "judge this", schema: Any = Opinion, **settings: Any) -> Any:
        """One call with one message."""
        return self.chat([Message(role="user", content=text)], schema, **settings)

    def chat(self, messages: list[Message], schema: Any = Opinion, **settings: Any) -> Any:
        facts = {
            "model": "openai/scripted", "api_base": self.server.base_url, "max_output_tokens": 500,
            "timeout": 5.0, "schema_mode": "native",
        }  # fmt: skip
        return self.llm.chat("reviewer", "review", messages, schema, ModelSettings(**{**facts, **settings}))
