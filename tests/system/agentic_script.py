"""What the scripted server says in the campaign of test_agentic_campaign, written by hand.

Three sessions, one after the other:

1. A proposal that its reviewer rejects, and a better one that passes. Three failures of the coder, each of
   another kind (a syntax error, a look into the future, a wrong shape), a unit that passes its checks and
   that the observer refuses, one that it accepts.
2. The proposal of the first session under another title (a duplicate), then one of its own. A container is
   accepted; the slot in it cannot be filled; a step back takes the container away; a unit without slots is
   written in its place.
3. The budget of the campaign is spent after the first draft.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from agentic_makers import BAD_SYNTAX, GATED, GOOD, LEAK_UNSEEN, WRONG_SHAPE, code, judgement, note, review
from scripted_server import Answer, fenced, say

Json = dict[str, Any]
CALLS = {1: 16, 2: 18, 3: 3}
"""Requests of each session."""

BETTER = GOOD.replace("FadingMean", "ClosingMean").replace(
    "return self.out(torch.sigmoid(self.gate(x)) * mean)",
    "return self.out(torch.sigmoid(self.gate(x - mean)) * mean)",
)
"""The mean of session 1 as the observer likes it: a gate that sees what is new."""

PLAIN = GOOD.replace("FadingMean", "HalfMean").replace(
    "return self.out(torch.sigmoid(self.gate(x)) * mean)",
    "return self.out(0.5 * torch.tanh(self.gate(mean)) * x)",
)
"""The unit of session 2 after its step back."""


def draft(title: str, words: str, **changes: Any) -> Json:
    """A proposal for the mixer."""
    return {
        "title": title,
        "abstract": words,
        "motivation": f"The parent has nothing of the kind: {title.lower()}.",
        "changes": [f"The mixer becomes: {title}."],
        "paths": ["mixer"],
        "equations": f"y_t = f(x_1, …, x_t), where f is: {title}",
        "pseudo_code": "y = out(gate(x) * mean(value(x)))",
        "expected_effect": "a lower loss",
        "prediction": {
            "metric": "loss", "direction": "lower", "against": "parent", "amount": 0.0, "scale": "",
            "because": "a mean keeps what a short window forgets",
        },
        "risks": ["the mean changes ever more slowly"],
        "references": [],
        **changes,
    }  # fmt: skip


REJECTED = draft("A running mean", "Every position reads the mean of the values of all positions before it.")
PASSED = draft(
    "Gates that close where nothing new arrives",
    "The output of the mixer passes a sigmoid of the difference between token and history, so repetition "
    "costs no capacity downstream.",
)
AGAIN = {**PASSED, "title": "Gates that close when nothing new arrives"}
CONTAINER = draft(
    "Divide, then recurse: a switch around an inner operator",
    "An outer multiplicative switch chooses channels; an inner operator, found apart, sees the raw stream.",
)
UNPAID = draft(
    "Counting parity with alternating signs",
    "Odd and even offsets enter with opposite signs; their prefix sums expose periodic structure of text.",
)

ANSWERS: dict[str, list[Any]] = {
    "SearchNote": [note(enough=True)] * 20,
    "ProposalDraft": [REJECTED, PASSED, AGAIN, CONTAINER, UNPAID],
    "Review": [review(2.0, "a mean is in every textbook"), review(4.5), review(4.0, "what is inner?")],
    "Plan": [
        plan_
        for path in ("mixer", "mixer", "mixer.inner", "mixer")
        for plan_ in [{"path": path, "purpose": "mixes", "inputs": "x", "slots": "as needed", "reuse": None}]
    ],
    "UnitCode": [
        code(BAD_SYNTAX), code(LEAK_UNSEEN), code(WRONG_SHAPE), code(GOOD), code(BETTER),
        code(GATED), *[code(BAD_SYNTAX)] * 5, code(PLAIN),
    ],
    "Judgement": [judgement(2, "it reads no difference"), judgement(4), judgement(4), judgement(3.5)],
}  # fmt: skip
"""By schema, in the order of the campaign."""

_FIELDS = {
    "enough": "SearchNote",
    "pseudo_code": "ProposalDraft",
    "scalability": "Review",
    "purpose": "Plan",
    "children": "UnitCode",
    "follows": "Judgement",
}


class CampaignScript:
    """Answers by the schema that is asked for, in order; the same question gets the same answer again.

    Attributes
    ----------
    asked
        How often each question came, by its digest.
    before
        Called with the number of each new question, from 1, before it is answered.
    """

    def __init__(self, before: Callable[[int], None] = lambda number: None) -> None:
        self.asked: Counter[str] = Counter()
        self.before = before
        self._told: dict[str, Answer] = {}
        self._next: Counter[str] = Counter()

    def __call__(self, request: Json) -> Answer:
        digest = hashlib.sha256(json.dumps(request["messages"]).encode()).hexdigest()
        self.asked[digest] += 1
        if digest not in self._told:
            schema = schema_of(request)
            number = self._next[schema]
            assert number < len(ANSWERS[schema]), f"{schema} is asked for {number + 1} times"
            self._next[schema] += 1
            answer = ANSWERS[schema][number]
            self._told[digest] = say(answer) if "response_format" in request else fenced(answer)
            self.before(len(self._told))
        return self._told[digest]

    @property
    def again(self) -> int:
        """Questions that came more than once, each further time."""
        return sum(self.asked.values()) - len(self.asked)


def schema_of(request: Json) -> str:
    """The schema of the answer that a request asks for."""
    if "response_format" in request:
        return str(request["response_format"]["json_schema"]["name"])
    form = request["messages"][-1]["content"].rpartition("as one JSON object of this form")[2]
    assert form, "no form is asked for"
    return next(name for field, name in _FIELDS.items() if f'"{field}"' in form or f"{field}:" in form)
