"""A rugged landscape of designs: what a block is worth depends on what fills its slots, and on which stand
together.

A design is a few genes (slots) of a few options each; its quality is a sum of effects of neighbouring genes
(an NK landscape with K = 1, Kauffman 1993). It has what makes search hard in earnest: finitely many
neighbours, most of them worse, local optima, and crossovers that sometimes keep the best of two.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model_discovery.evolution.evidence import Floats
from model_discovery.seeds import derive

Genes = tuple[int, ...]


@dataclass(frozen=True)
class Landscape:
    """Qualities of all designs of one simulated world.

    Parameters
    ----------
    seed
        Of the effects.
    slots, options
        Genes of a design, and what each can be.
    spread
        Standard deviation of quality over random designs, in nats per token.
    human_steps
        How many changes were tried, and kept when better, before a human design was published.
    """

    seed: int = 0
    slots: int = 6
    options: int = 8
    spread: float = 0.03
    human_steps: int = 6

    @cached_property
    def _effects(self) -> Floats:
        rng = np.random.default_rng(derive(self.seed, "landscape"))
        shape = self.slots, self.options, self.options
        effects: Floats = self.spread / np.sqrt(self.slots) * rng.standard_normal(shape)
        return effects

    def quality(self, genes: Genes) -> float:
        """Nats per token below the average design."""
        neighbours = (*genes[1:], genes[0])
        return float(self._effects[np.arange(self.slots), genes, neighbours].sum())

    def human(self, number: int) -> Genes:
        """A human design: somewhat polished."""
        rng = np.random.default_rng(derive(self.seed, "human", number))
        genes = self.scratch(rng)
        for _ in range(self.human_steps):
            genes = max(genes, self.mutate(genes, rng), key=self.quality)
        return genes

    def scratch(self, rng: np.random.Generator) -> Genes:
        """Any design."""
        return tuple(int(gene) for gene in rng.integers(self.options, size=self.slots))

    def mutate(self, genes: Genes, rng: np.random.Generator) -> Genes:
        """One slot filled anew, sometimes two."""
        changed = list(genes)
        for slot in rng.permutation(self.slots)[: 1 + (rng.random() < 0.15)]:
            changed[slot] = (changed[slot] + 1 + int(rng.integers(self.options - 1))) % self.options
        return tuple(changed)

    def cross(self, base: Genes, donor: Genes, rng: np.random.Generator) -> Genes:
        """A stretch of one design in the place it has in another."""
        first, length = int(rng.integers(self.slots)), 1 + int(rng.integers(self.slots // 2))
        taken = {(first + step) % self.slots for step in range(length)}
        return tuple(donor[slot] if slot in taken else base[slot] for slot in range(self.slots))

    def child(self, parents: tuple[Genes, ...], rng: np.random.Generator) -> Genes:
        """A design from no parent, one, or two."""
        if not parents:
            return self.scratch(rng)
        return self.mutate(parents[0], rng) if len(parents) == 1 else self.cross(parents[0], parents[1], rng)
