"""The duplicate gate: is a proposal an earlier one in other words?

Words are compared by the cosine of their weighted counts over title, abstract, changes and equations. Two
proposals that change the same place of the same parent are the same, whatever the words around them, when
they name the same mechanism or write the same equations.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from model_discovery.designers.agentic.brief import Twin
from model_discovery.designers.agentic.schemas import ProposalDraft
from model_discovery.designers.knowledge import Knowledge

_WORD = re.compile(r"[a-z]+|\d+|[^\sa-z\d]")
_PLAIN_WORDS = """a an and are as at be by can each for from has have in into is it its more of on one or over
so than that the their then there these this to we where which while with , . ( ) : ; - '"""
_PLAIN = frozenset(_PLAIN_WORDS.split())


@dataclass(frozen=True)
class Earlier:
    """A proposal that was there before: its words, where it changes what, and what came of it.

    ``changes`` and ``equations`` are empty, ``places`` None, where they are not known.
    """

    title: str
    abstract: str
    outcome: str
    changes: str = ""
    equations: str = ""
    parents: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None


def earlier_of(knowledge: Knowledge) -> list[Earlier]:
    """Every proposal that a campaign tells of."""
    designs = [
        Earlier(
            one.title or one.name, one.summary, _outcome(one.status, one.verdict), parents=one.parents or None
        )
        for one in knowledge.designs
        if one.title or one.summary
    ]
    ideas = [Earlier("", one.claim, _outcome(one.evidence, one.verdict)) for one in knowledge.ideas]
    failed = [Earlier(one.title, one.abstract, f"failed: {one.reason}") for one in knowledge.failed]
    return [*designs, *ideas, *failed]


def nearest(
    draft: ProposalDraft, parents: tuple[str, ...], earlier: Iterable[Earlier], k: int = 5
) -> list[Twin]:
    """The ``k`` earlier proposals most like ``draft``, the likest first."""
    changes, paths = " ".join(draft.changes), tuple(draft.paths)
    mine = Earlier(draft.title, draft.abstract, "", changes, draft.equations, parents, paths)
    scored = [(similarity(mine, other), other) for other in earlier]
    scored.sort(key=lambda pair: -pair[0])
    return [
        Twin(title=other.title, abstract=other.abstract, similarity=round(score, 3), outcome=other.outcome)
        for score, other in scored[:k]
    ]


def similarity(one: Earlier, other: Earlier) -> float:
    """From 0 (no word in common) to 1 (the same proposal)."""
    if _same_place(one, other) and _same_mechanism(one, other):
        return 1.0
    pairs = [(f"{one.title} {one.abstract}", f"{other.title} {other.abstract}")]
    if not other.title or not one.title:
        pairs.append((one.abstract, other.abstract))
    if one.changes and other.changes:
        pairs = [(_all_words(one), _all_words(other))]
    return max(_cosine(_weights(left), _weights(right)) for left, right in pairs)


def _same_place(one: Earlier, other: Earlier) -> bool:
    """The same parents, and the same paths where both say which."""
    if one.parents is None or other.parents is None or set(one.parents) != set(other.parents):
        return False
    return one.paths is None or other.paths is None or set(one.paths) == set(other.paths)


def _same_mechanism(one: Earlier, other: Earlier) -> bool:
    if _squeezed(one.equations) and _squeezed(one.equations) == _squeezed(other.equations):
        return True
    return bool(_title_words(one)) and _title_words(one) == _title_words(other)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _title_words(one: Earlier) -> frozenset[str]:
    return frozenset(_words(one.title))


def _all_words(one: Earlier) -> str:
    return " ".join((one.title, one.abstract, one.changes, one.equations))


def _words(text: str) -> Sequence[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in _PLAIN]


def _weights(text: str) -> dict[str, float]:
    """Words and pairs of neighbours; a word said often counts little more than one said once."""
    words = _words(text)
    counts = Counter([*words, *map(" ".join, pairwise(words))])
    return {word: 1 + math.log(count) for word, count in counts.items()}


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    dot = sum(weight * other[word] for word, weight in one.items() if word in other)
    norms = math.hypot(*one.values()) * math.hypot(*other.values())
    return dot / norms if norms else 0.0


def _outcome(said: str, verdict: str | None) -> str:
    predicted = f"its prediction turned out {verdict}" if verdict in ("right", "wrong") else ""
    return "; ".join(part for part in (said, predicted) if part) or "not measured yet"
