"""What a child is generated from: its parents and operators, drawn by the rates of the settings."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ge_engine.config import RunConfig
from ge_engine.contracts import (
    Context,
    Grammar,
    Memory,
    ModuleProfile,
    Operator,
    Persona,
    Prompt,
    Reply,
    RunFacts,
)
from ge_engine.errors import ConfigError
from ge_engine.genome import Genome
from ge_engine.noise import Ties
from ge_engine.notation import Notations
from ge_engine.outcome import Rejected
from ge_engine.patch import AnyPatch
from ge_engine.population import Direction, Individual
from ge_engine.search.addresses import drawable
from ge_engine.search.credit import Credit

Named = TypeVar("Named", Operator, Persona)


@dataclass(frozen=True, slots=True)
class MatingPool:
    """What the children of a generation are made from. `helpful` are elites that improved on the baseline
    somewhere.

    `credit` is what the run knew when the generation began, `front` its Pareto front then; `prompt_tokens` is
    the room of a prompt.
    """

    generation: int
    parents: tuple[Individual, ...]
    helpful: tuple[Individual, ...]
    credit: Credit = field(default_factory=Credit)
    front: tuple[Individual, ...] = ()
    prompt_tokens: int = 0

    def pick(self, rng: random.Random, dimension: str, among: Sequence[Named]) -> Named:
        named = {one.name: one for one in among}
        return named[self.credit.draw(rng, dimension, list(named))]


@dataclass(frozen=True)
class Variation:
    """The operators and personas of an island, and what their contexts hold. `addresses` says which blocks of
    a genome made from these parents may be rewritten, `blame(hook, name)` which plugin brought a part, `task`
    what is trained on.

    Raises:
        ConfigError: no operator of kind "mutation": the first generation is made by mutation.
    """

    config: RunConfig
    seed: Individual
    operators: Sequence[Operator]
    personas: Sequence[Persona]
    grammars: Mapping[str, Grammar]
    directions: Mapping[str, Direction]
    addresses: Callable[[Genome, Sequence[Genome]], tuple[str, ...]]
    blame: Callable[[str, str], str]
    profile: Callable[[Genome], tuple[ModuleProfile, ...]] = lambda _: ()
    notations: Notations = field(default_factory=dict)
    task: str = ""
    _kinds: Mapping[str, tuple[Operator, ...]] = field(init=False)

    def __post_init__(self) -> None:
        kinds = {
            kind: tuple(sorted((o for o in self.operators if o.kind == kind), key=lambda o: o.name))
            for kind in ("mutation", "mating", "eot")
        }
        if not kinds["mutation"]:
            raise ConfigError(
                "No operator of kind 'mutation' is chosen; the first generation is made by mutation.",
                "Add one to operators, e.g. 'mutation'.",
            )
        object.__setattr__(self, "_kinds", kinds)

    def draw(self, pool: MatingPool, rng: random.Random) -> tuple[list[Operator], tuple[Individual, ...]]:
        """One operator, or a mating and a mutation after it; and one parent, or two for a mating."""
        if pool.generation == 0:
            return [rng.choice(self._kinds["mutation"])], (self.seed,)
        first = rng.choice(pool.parents)
        mates = [one for one in pool.parents if one.id != first.id] if self._kinds["mating"] else []
        p_mating = self.config.p_mating if mates else 0.0
        p_mutation = self.config.p_mutation if p_mating or self.config.p_mutation else 1.0
        drawn: list[Operator] = []
        while not drawn:
            if rng.random() < p_mating:
                drawn.append(pool.pick(rng, "operator", self._kinds["mating"]))
            if rng.random() < p_mutation:
                drawn.append(self._mutator(pool, rng))
        parents = (first, rng.choice(mates)) if drawn[0].kind == "mating" else (first,)
        return drawn, parents

    def form_of(self, prompt: Prompt) -> str | None:
        """The form of the answer; the one that the run sets is for prompts about one block."""
        chosen = "" if prompt.grammar is None or prompt.addresses else self.config.grammar
        return chosen or prompt.grammar

    def _mutator(self, pool: MatingPool, rng: random.Random) -> Operator:
        thinks = bool(self._kinds["eot"] and pool.helpful) and rng.random() < self._p_eot(pool)
        return pool.pick(rng, "operator", self._kinds["eot" if thinks else "mutation"])

    def _p_eot(self, pool: MatingPool) -> float:
        """The rate of Evolution of Thought, its odds scaled by how well it did against mutation."""
        best = {
            kind: max(pool.credit.odds("operator", operator.name) for operator in self._kinds[kind])
            for kind in ("eot", "mutation")
        }
        odds = self.config.p_eot * best["eot"], (1 - self.config.p_eot) * best["mutation"]
        return odds[0] / sum(odds)

    def context(
        self,
        pool: MatingPool,
        rng: random.Random,
        genome: Genome,
        parents: tuple[Individual, ...],
        read: Callable[[Prompt, Reply], AnyPatch | Rejected],
    ) -> Context:
        """What an operator may look at when it rewrites blocks of `genome`."""

        def draw(rng: random.Random, dimension: str, names: Sequence[str]) -> str:
            if dimension == "block":
                names = drawable(genome, names, self.config.long_class)
            return pool.credit.draw(rng, dimension, names)

        return Context(
            genome=genome,
            addresses=self.addresses(genome, [parent.genome for parent in parents]),
            rng=rng,
            read=read,
            parents=parents,
            run=RunFacts(
                pool.generation,
                self.seed,
                pool.helpful,
                self.directions,
                Ties.around(self.seed, self.config.ties),
                pool.front,
                self.notations,
                self.config.constraints,
                self.task,
                self.config.instructions,
            ),
            memory=Memory(
                draw,
                pool.credit.trials,
                pool.credit.prose,
                pool.credit.attempts,
                pool.credit.settled,
            ),
            profile=self.profile(parents[0].genome),
            prompt_tokens=pool.prompt_tokens,
            mate_addresses=self._of_mate(genome, parents),
        )

    def _of_mate(self, genome: Genome, parents: Sequence[Individual]) -> tuple[str, ...] | None:
        """What may be rewritten in the second parent; None where there is none, and after the mating."""
        if len(parents) < 2 or genome.digest != parents[0].genome.digest:
            return None
        mate = parents[1].genome
        return self.addresses(mate, [mate])
