"""A proposal chain: read, propose, pass the gates and the review, or refine and try again."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from model_discovery.designers.agentic.asking import Desk
from model_discovery.designers.agentic.brief import Twin
from model_discovery.designers.agentic.duplicates import Earlier, earlier_of, nearest
from model_discovery.designers.agentic.grafting import paths_problem
from model_discovery.designers.agentic.schemas import ProposalDraft, Review
from model_discovery.designers.agentic.searching import Reading, kept_as, known_papers, read_up
from model_discovery.designers.knowledge import FailedIdea, Idea, Prediction
from model_discovery.designers.requests import DesignRequest, Proposal
from model_discovery.llm.types import BadReply

_FIRST_ROUNDS = 2  # of search, before the first draft
_LATER_ROUNDS = 1  # before the review of a refined draft
_RELATED = 0.1  # below, two proposals share a few everyday words


@dataclass(frozen=True)
class Accepted:
    """A draft that passed its review."""

    draft: ProposalDraft
    review: Review | None
    papers: tuple[str, ...] = ()


@dataclass
class _Chain:
    """A chain so far: the last draft, what is held against it, and what was tried before it.

    ``reviewed`` are drafts that failed their review, each with why: a refined draft is like them, and may be,
    as long as it is not the same.
    """

    draft: ProposalDraft | None = None
    review: Review | None = None
    twin: Twin | None = None
    problem: str = ""
    tried: list[str] = field(default_factory=list)
    reviewed: list[tuple[ProposalDraft, str]] = field(default_factory=list)

    def objection(self) -> str:
        """What is held against the last draft, in one line."""
        if self.twin is not None:
            return f"too much like '{self.twin.title}' ({self.twin.outcome})"
        if self.review is not None:
            concern = f": {self.review.concerns[0]}" if self.review.concerns else ""
            return f"rated {self.review.rating:g} of 5 by its reviewer{concern}"
        return self.problem


def run_chain(desk: Desk) -> Accepted | FailedIdea:
    """One chain: a proposal that passed, or the last draft and why it did not."""
    config = desk.config
    proposer, reviewer = Reading(shown=known_papers(desk.request)), Reading()
    read_up(desk, "proposer", proposer, config.search_rounds, least=min(_FIRST_ROUNDS, config.search_rounds))
    earlier = earlier_of(desk.brief.knowledge)
    chain = _Chain()
    for number in range(1, config.proposal_attempts + 1):
        with desk.journal.step(f"attempt {number}"):
            desk.report("propose", attempt=number, of=config.proposal_attempts)
            if not _draft(desk, chain, proposer) or _sent_back(desk, chain, proposer, reviewer, earlier):
                continue
            assert chain.draft is not None
            if _review(desk, chain, reviewer, earlier):
                shown = {**proposer.shown, **reviewer.shown}
                papers = dict.fromkeys(kept_as(name, shown) or name for name in chain.draft.references)
                return Accepted(chain.draft, chain.review, tuple(papers))
            chain.reviewed.append((chain.draft, chain.objection()))
    draft = chain.draft
    return FailedIdea(
        title=draft.title if draft else "no proposal",
        abstract=draft.abstract if draft else "",
        reason=chain.objection(),
    )


def _draft(desk: Desk, chain: _Chain, reading: Reading) -> bool:
    """Have the next draft made; false when the answer was of no use."""
    before = chain.draft
    shown = {"notes": list(reading.notes), "hits": list(reading.hits)}
    try:
        if before is None:
            chain.draft = desk.ask("proposer", "propose", ProposalDraft, **shown)
        else:
            chain.draft = desk.ask(
                "proposer", "refine", ProposalDraft, **shown, proposal=before, review=chain.review,
                twin=chain.twin, problem=chain.problem, tried=list(chain.tried),
            )  # fmt: skip
    except BadReply as error:
        chain.problem = f"the last answer could not be used ({error.kind}: {error})"
        desk.journal.note("reject", what="draft", reason=chain.problem)
        return False
    if before is not None:
        chain.tried.append(f"{before.title}: {chain.objection()}")
    chain.review, chain.twin, chain.problem = None, None, ""
    return True


def _sent_back(
    desk: Desk, chain: _Chain, proposer: Reading, reviewer: Reading, earlier: Sequence[Earlier]
) -> bool:
    """Whether the draft goes back before any reviewer sees it: a mistake of form, or a duplicate."""
    assert chain.draft is not None
    chain.problem = draft_problem(chain.draft, desk.request, {**proposer.shown, **reviewer.shown})
    if chain.problem:
        desk.journal.note("reject", what="draft", title=chain.draft.title, reason=chain.problem)
        return True
    chain.twin = _twin(desk, chain, earlier)
    if chain.twin is None:
        return False
    desk.journal.note(
        "duplicate", title=chain.draft.title, twin=chain.twin.title, similarity=chain.twin.similarity
    )
    return True


def _twin(desk: Desk, chain: _Chain, earlier: Sequence[Earlier]) -> Twin | None:
    """The earlier proposal that the draft repeats, if it does."""
    draft = chain.draft
    assert draft is not None
    for other, objection in chain.reviewed:
        if other == draft:
            return Twin(draft.title, draft.abstract, 1.0, f"your own draft, unchanged: {objection}")
    twins = nearest(draft, _parents(desk.request), earlier, k=1)
    return twins[0] if twins and twins[0].similarity > desk.config.duplicate else None


def draft_problem(draft: ProposalDraft, request: DesignRequest, shown: dict[str, str]) -> str:
    """What is wrong with the form of a draft, or ``""``: its paths, or papers that nobody showed."""
    if problem := paths_problem(request, draft.paths):
        return problem
    invented = [name for name in draft.references if kept_as(name, shown) is None]
    if invented:
        return f"these references are not among the papers shown: {', '.join(invented)}"
    return ""


def _review(desk: Desk, chain: _Chain, reading: Reading, earlier: Sequence[Earlier]) -> bool:
    """Whether the draft passes its reviewer, who may read up before."""
    draft, config = chain.draft, desk.config
    assert draft is not None
    rounds = config.search_rounds if not chain.tried else min(_LATER_ROUNDS, config.search_rounds)
    with desk.journal.step("review"):
        read_up(desk, "reviewer", reading, rounds, proposal=draft)
        desk.report("review", title=draft.title)
        twins = nearest(draft, _parents(desk.request), earlier)
        related = [twin for twin in twins if twin.similarity >= _RELATED]
        chain.review = desk.ask_again(
            "reviewer", "review", Review, proposal=draft, notes=list(reading.notes), hits=list(reading.hits),
            nearest=related,
        )  # fmt: skip
        if chain.review is None:
            chain.problem = "the reviewer gave no usable answer; propose again"
            desk.journal.note("reject", what="draft", title=draft.title, reason=chain.problem)
            return False
        passed = chain.review.rating >= config.pass_mark
        desk.journal.note(
            "accept" if passed else "reject", what="draft", title=draft.title, rating=chain.review.rating
        )
    return passed


def _parents(request: DesignRequest) -> tuple[str, ...]:
    return tuple(parent.name for parent in request.parents)


# -- a draft and the proposal that is kept of it


def proposal_of(accepted: Accepted, request: DesignRequest) -> Proposal:
    """The proposal that stays with a design."""
    draft, review = accepted.draft, accepted.review
    paths = tuple(dict.fromkeys(draft.paths)) if request.operator != "scratch" else ("",)
    return Proposal(
        title=draft.title,
        summary=draft.abstract,
        changes=tuple(draft.changes),
        operator=request.operator,
        path=paths[0] if paths else "",
        paths=paths or ("",),
        papers=accepted.papers,
        motivation=draft.motivation,
        equations=draft.equations,
        pseudo_code=draft.pseudo_code,
        expected_effect=draft.expected_effect,
        prediction=draft.prediction,
        risks=tuple(draft.risks),
        review=review.model_dump(mode="json") if review else {},
    )


def draft_of(proposal: Proposal) -> ProposalDraft:
    """The draft behind a proposal of an earlier session."""
    return ProposalDraft(
        title=proposal.title,
        abstract=proposal.summary,
        motivation=proposal.motivation,
        changes=list(proposal.changes),
        paths=list(proposal.paths or (proposal.path,)),
        equations=proposal.equations,
        pseudo_code=proposal.pseudo_code,
        expected_effect=proposal.expected_effect,
        prediction=proposal.prediction or Prediction(),
        risks=list(proposal.risks),
        references=list(proposal.papers),
    )


def idea_of(accepted: Accepted, number: int) -> Idea:
    """An accepted proposal as later chains of the same session are told it."""
    draft = accepted.draft
    return Idea(
        design=f"proposal {number} of this session",
        claim=f"{draft.title}: {draft.abstract}",
        prediction=draft.expected_effect,
        verdict="open",
        evidence="accepted, not measured yet: propose something else",
    )
