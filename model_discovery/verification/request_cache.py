"""Plans of earlier models: designs with the same tokenizer, context and items are asked the same rows."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from model_discovery.verification.encoding import Encoder, Plan, Texts
from model_discovery.verification.manifest import hash_file

Planner = Callable[[Texts], Plan]

MOST_TOKENS = 8_000_000
"""Of all plans kept, about a quarter of a gigabyte; the one used longest ago goes first."""


@dataclass
class RequestCache:
    """What a worker keeps from one verification to the next, in memory.

    Attributes
    ----------
    most_tokens
        Of all plans together; a plan that is larger is not kept at all.
    """

    most_tokens: int = MOST_TOKENS
    _plans: OrderedDict[str, Plan] = field(default_factory=OrderedDict)

    def planner(self, encoder: Encoder, tokenizer: Path) -> Planner:
        """``encoder.plan`` that remembers texts it planned before, for the same tokenizer file and sizes."""
        identity = f"{hash_file(tokenizer)} {encoder.separator} {encoder.max_length}"

        def plan(texts: Texts) -> Plan:
            key = _key(identity, texts)
            if (known := self._plans.get(key)) is not None:
                self._plans.move_to_end(key)
                return known
            made = encoder.plan(texts)
            self._keep(key, made)
            return made

        return plan

    @property
    def tokens(self) -> int:
        """Of all plans kept."""
        return sum(_size(plan) for plan in self._plans.values())

    def _keep(self, key: str, plan: Plan) -> None:
        if _size(plan) > self.most_tokens:
            return
        self._plans[key] = plan
        while self.tokens > self.most_tokens:
            self._plans.popitem(last=False)


def _key(identity: str, texts: Texts) -> str:
    """Lengths stand before the texts, so that no two lists of texts are written alike."""
    digest = hashlib.sha256(identity.encode())
    for context, continuation in texts:
        one, other = context.encode(), continuation.encode()
        digest.update(b"%d %d " % (len(one), len(other)))
        digest.update(one + other)
    return digest.hexdigest()


def _size(plan: Plan) -> int:
    return sum(len(row) for batch in plan.batches for row in batch.rows) + len(plan.places)
