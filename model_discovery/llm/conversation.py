"""One call to one model: the first turn, a shorter one where it does not fit, and one repair turn."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from model_discovery.llm.answers import Checked, NotJson, ask_again, ask_whole, check, find_json, merged
from model_discovery.llm.models import context_of, native_schema
from model_discovery.llm.provider import CallFailed, Completion
from model_discovery.llm.schema import in_words, instructions, json_schema, part, strict
from model_discovery.llm.sending import Sender
from model_discovery.llm.types import BadKind, BadReply, Message, ModelSettings, Parsed, SchemaMode

Json = dict[str, Any]
_BYTES_A_TOKEN = 5  # more than text has, so that enough is dropped


@dataclass
class Conversation(Generic[Parsed]):
    """Asks one model, until it has answered or there is no use.

    Attributes
    ----------
    sent
        The messages of the last request, exactly.
    completion
        Its answer.
    """

    sender: Sender
    settings: ModelSettings
    messages: Sequence[Message]
    schema: type[Parsed] | None
    sent: list[Message] = field(default_factory=list)
    completion: Completion | None = None
    native: bool = False

    def __post_init__(self) -> None:
        self.sent = list(self.messages)
        self._form = json_schema(self.schema) if self.schema else None
        if self._form is not None:
            known = self.settings.model not in self.sender.purse.unbound
            self.native = known and strict(self._form) is not None and native_schema(self.settings)

    @property
    def mode(self) -> SchemaMode | None:
        """How the answer is bound to its schema."""
        if self.schema is None:
            return None
        return "native" if self.native else "fenced"

    def answer(self) -> Parsed | None:
        """The parsed answer; None where no schema is asked for.

        Raises
        ------
        BadReply
            The answer is of no use, also after the repair turn.
        CallFailed
            The model is not there.
        LimitReached
            A request would break a limit.
        """
        completion = self._first_turn()
        if self.schema is None:
            self._refuse_unless_usable(completion)
            return None
        try:
            checked = check(self.schema, find_json(completion.text))
        except NotJson as error:
            self._refuse_unless_usable(completion)
            return self._repaired(completion, None, ask_whole(str(error)))
        if checked.parsed is not None:
            return checked.parsed
        self._refuse_unless_usable(completion)
        return self._repaired(completion, checked, ask_again(checked))

    def _first_turn(self) -> Completion:
        messages, native = list(self.messages), self.native
        for _ in range(3):  # as it is; without schema; without optional messages
            told = instructions(self._form) if self._form is not None and not self.native else ""
            try:
                completion = self._turn(_with(messages, told), self._form)
            except CallFailed as failure:
                if failure.kind == "request" and self.native:
                    self.native = False
                elif failure.kind == "overflow" and len(messages) == len(self.messages):
                    messages = fitting(messages, str(failure), self.settings)
                    if len(messages) == len(self.messages):
                        raise self._too_long(failure) from None
                elif failure.kind == "overflow":
                    raise self._too_long(failure) from None
                else:
                    raise
            else:
                if native and not self.native:
                    self.sender.purse.unbound.add(self.settings.model)
                return completion
        raise AssertionError("each change is made once")

    def _repaired(self, first: Completion, checked: Checked[Parsed] | None, ask: str) -> Parsed:
        assert self.schema is not None and self._form is not None
        whole = checked is None or checked.fields == [""]
        form = self._form if checked is None or whole else part(self._form, checked.fields)
        told = f"\n\nIts form:\n\n{in_words(form)}" if self.native else instructions(form)
        turn = [
            *self.sent,
            Message(role="assistant", content=first.text),
            Message(role="user", content=ask + told),
        ]
        try:
            completion = self._turn(turn, form)
        except CallFailed as failure:
            if failure.kind == "overflow":
                raise self._too_long(failure) from None
            raise
        try:
            again = find_json(completion.text)
        except NotJson as error:
            self._refuse_unless_usable(completion)
            raise self._bad("malformed", f"answers without JSON, also when asked again: {error}") from None
        done = check(self.schema, again if checked is None else merged(checked, again))
        if done.parsed is None:
            wrong = "; ".join(map(str, done.mistakes[:3]))
            raise self._bad("schema", f"answers in another form, also when asked again: {wrong}")
        return done.parsed

    def _turn(self, messages: list[Message], form: Json | None) -> Completion:
        self.sent = messages = _joined(messages)
        self.completion = None
        response_format = _response_format(self.schema, form) if self.native else None
        try:
            self.completion = self.sender.send(self.settings, messages, response_format)
        except CallFailed as failure:
            if failure.kind == "refusal" or failure.kind == "endless":
                raise self._bad(failure.kind, f"{failure.kind}: {failure}") from None
            raise
        if self.completion.problem in ("refusal", "empty"):
            self._refuse_unless_usable(self.completion)
        return self.completion

    def _refuse_unless_usable(self, completion: Completion) -> None:
        if (problem := completion.problem) is None:
            return
        limit = f"{self.settings.max_output_tokens:,} tokens"
        why = {
            "refusal": f"refuses to answer: {completion.refusal or completion.text or completion.finish}",
            "empty": "answers nothing",
            "endless": f"was cut off at {limit}"
            if completion.text.strip()
            else f"spent {limit} before it answered; max_output_tokens of its agent spec may be too low",
        }
        raise self._bad(problem, why[problem][:600])

    def _too_long(self, failure: CallFailed) -> BadReply:
        return self._bad("overflow", f"cannot read that much: {failure}")

    def _bad(self, kind: BadKind, message: str) -> BadReply:
        return BadReply(kind, f"{self.settings.model} {message}")


def fitting(messages: Sequence[Message], refusal: str, settings: ModelSettings) -> list[Message]:
    """The messages without as many optional ones, oldest first, as make them too long.

    How much that is the refusal says (``maximum context length is 8192 tokens … resulted in 10000``); where
    it does not, all optional ones go.
    """
    numbers = sorted({int(n.replace(",", "")) for n in re.findall(r"\d[\d,]{2,}", refusal)})
    limit = context_of(settings.model) if len(numbers) < 2 else numbers[-2]
    excess = numbers[-1] - limit if numbers and limit and numbers[-1] > limit else None
    too_much = float("inf") if excess is None else _BYTES_A_TOKEN * excess
    kept: list[Message] = []
    for message in messages:
        if message.optional and too_much > 0:
            too_much -= len(message.content.encode())
        else:
            kept.append(message)
    return kept


def _with(messages: Sequence[Message], told: str) -> list[Message]:
    """The messages with something added to the last of them, or after it when a model wrote that."""
    if not told:
        return list(messages)
    if messages[-1].role == "assistant":
        return [*messages, Message(role="user", content=told.strip())]
    return [*messages[:-1], _longer(messages[-1], told)]


def _joined(messages: Sequence[Message]) -> list[Message]:
    """Neighbours of one role as one message: some models want roles that alternate."""
    joined: list[Message] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            joined[-1] = _longer(joined[-1], f"\n\n{message.content}")
        else:
            joined.append(message)
    return joined


def _longer(message: Message, told: str) -> Message:
    return message.model_copy(update={"content": message.content + told})


def _response_format(schema: type[Any] | None, form: Json | None) -> Json | None:
    if schema is None or form is None:
        return None
    bound = {"name": schema.__name__, "strict": True, "schema": strict(form)}
    return {"type": "json_schema", "json_schema": bound}
