"""What every prompt of a session may use: the request, and what our own code says of units and checks."""

from dataclasses import dataclass
from functools import cached_property

from model_discovery.blocks.scales import Scale, get_scale
from model_discovery.blocks.seed_designs import seed_units
from model_discovery.blocks.tree_rules import join
from model_discovery.blocks.unit_data import RESERVED_VARIABLES, SlotSpec, Unit
from model_discovery.blocks.unit_tree import UnitTree, split_address
from model_discovery.checks.check import LIMITS
from model_discovery.designers.agentic import sources
from model_discovery.designers.agentic.schemas import ProposalDraft
from model_discovery.designers.knowledge import Knowledge, KnownDesign, Relation
from model_discovery.designers.requests import DesignRequest, Operator, ParentDesign


@dataclass(frozen=True)
class Twin:
    """An earlier proposal that another one resembles, from 0 to 1, and what came of it."""

    title: str
    abstract: str
    similarity: float
    outcome: str


@dataclass(frozen=True)
class UnitUse:
    """A unit of a parent, and where it stands: ``mamba2 at mixer``."""

    unit: Unit
    places: tuple[str, ...]


@dataclass(frozen=True)
class Neighbour:
    """Another slot of the unit above a slot; ``unit`` is None where it is still open."""

    path: str
    role: str
    unit: Unit | None


@dataclass(frozen=True)
class SlotPlace:
    """A slot that is to be filled, and what is around it.

    ``above`` is the unit that declares it (None at the root); ``variables`` are the side variables that can
    be read there, each with who writes it.
    """

    path: str
    role: str
    wants: tuple[str, ...]
    above: Unit | None
    above_path: str
    neighbours: tuple[Neighbour, ...]
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Brief:
    """A request as prompts see it.

    Attributes
    ----------
    instruction
        What the campaign was asked for.
    operator
        ``scratch``, ``mutation`` or ``crossover``.
    parents
        Designs to start from, first the one that is changed.
    knowledge
        What the campaign has measured.
    references
        Ids of papers that were named for this design.
    sizes
        Scales at which the design has to be possible.
    """

    instruction: str
    operator: Operator
    parents: tuple[ParentDesign, ...]
    knowledge: Knowledge
    references: tuple[str, ...]
    sizes: tuple[Scale, ...]

    @cached_property
    def units(self) -> tuple[UnitUse, ...]:
        """The units of the parents, each once."""
        found: dict[str, tuple[Unit, list[str]]] = {}
        for parent in self.parents:
            for path, _, unit in parent.unit_tree.walk():
                place = f"{parent.name} at {path or 'the root'}"
                found.setdefault(unit.id, (unit, []))[1].append(place)
        return tuple(UnitUse(unit, tuple(places)) for unit, places in found.values())

    @cached_property
    def registry(self) -> tuple[tuple[str, tuple[Unit, ...]], ...]:
        """The human units by role."""
        return sources.registry()

    @cached_property
    def kernels(self) -> tuple[sources.Kernel, ...]:
        """Functions that units may import from ``model_discovery.blocks.kernels``."""
        return sources.kernels()

    @cached_property
    def checks(self) -> tuple[tuple[str, str], ...]:
        """What every design has to pass, by stage."""
        return sources.stated_checks()

    @property
    def check_seconds(self) -> float:
        """Processor time that all checks of a design may take."""
        return LIMITS.cpu_seconds or LIMITS.wall_seconds

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what was scored beside the loss."""
        results = (result for design in self.knowledge.designs for result in design.results)
        return tuple(sorted({name for result in results for name in result.scores}))

    def known(self, *relations: Relation) -> tuple[KnownDesign, ...]:
        """Measured designs of these relations, in the order of the relations."""
        return tuple(
            design
            for relation in relations
            for design in self.knowledge.designs
            if design.relation == relation
        )

    @property
    def measured(self) -> tuple[KnownDesign, ...]:
        """Designs to compare with: the parents, the best ones, and every human one that is known."""
        return (
            *self.known("parent", "best", "baseline"),
            *(design for design in self.known("ancestor", "sibling") if design.origin == "seed"),
        )

    @property
    def family(self) -> tuple[KnownDesign, ...]:
        """Ancestors and children of the parents, human designs apart."""
        return tuple(design for design in self.known("ancestor", "sibling") if design.origin != "seed")

    def similar(self, role: str, proposal: ProposalDraft, count: int = 2) -> tuple[Unit, ...]:
        """The human units of ``role`` that resemble the proposal most.

        Those of the parents are left out: they are shown anyway.
        """
        words = (
            proposal.title,
            proposal.abstract,
            *proposal.changes,
            proposal.equations,
            proposal.pseudo_code,
        )
        text = "\n".join(words)
        shown = {use.unit.id for use in self.units}
        found = sources.similar_units(role, text, seed_units().values(), count + len(shown))
        return tuple(unit for unit in found if unit.id not in shown)[:count]

    def like(self, role: str, proposal: ProposalDraft) -> tuple[Unit, ...]:
        """Whole units to learn from: the two most similar ones and one that shows the contract."""
        shown = {use.unit.id for use in self.units}
        found = [*self.similar(role, proposal), sources.example_unit(role)]
        return tuple({unit.id: unit for unit in found if unit.id not in shown}.values())

    def place(self, tree: UnitTree | None, path: str) -> SlotPlace:
        """A slot and what is around it; without a tree, the root of a new block."""
        if tree is None or not path:
            role = "block" if tree is None else tree.slot_role("")
            return SlotPlace(path, role, (), None, "", (), _variables(tree, path))
        tree.slot_role(path)  # says what is wrong with a path that is none
        above_path, slot = split_address(path)
        above = tree.unit(above_path)
        spec = above.slots[slot]
        neighbours = tuple(
            _neighbour(tree, join(above_path, name), other)
            for name, other in above.slots.items()
            if name != slot
        )
        variables = _variables(tree, path)
        return SlotPlace(path, spec.role, spec.wants, above, above_path, neighbours, variables)


def _neighbour(tree: UnitTree, path: str, spec: SlotSpec) -> Neighbour:
    filled = path in tree.paths()
    return Neighbour(path, spec.role, tree.unit(path) if filled else None)


def _variables(tree: UnitTree | None, path: str) -> tuple[tuple[str, str], ...]:
    found = {RESERVED_VARIABLES[0]: "the model, (B, T)"}
    for place, _, unit in tree.walk() if tree is not None else ():
        if place != path and not place.startswith(f"{path}."):
            for name in unit.writes:
                found.setdefault(name, f"{unit.name} at {place or 'the root'}")
    return tuple(found.items())


def brief_of(request: DesignRequest) -> Brief:
    """What prompts may use of a request."""
    return Brief(
        instruction=request.instruction,
        operator=request.operator,
        parents=request.parents,
        knowledge=request.knowledge,
        references=request.references,
        sizes=tuple(get_scale(name) for name in request.limits.scales),
    )
