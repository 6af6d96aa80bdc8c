"""The chain of one slot: draw operators, ask, read, repair, put on trial. A generator without I/O.

It yields `Ask` (and is sent an `Answer` or a `Rejected`) and `Trial` (and is sent a `Rejected` or None),
and returns a `Bred`. All its random numbers come from (run seed, generation, slot, attempt).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ge_engine.config import RunConfig
from ge_engine.contracts import (
    Context,
    Grammar,
    ModuleProfile,
    Operator,
    Persona,
    Probe,
    Prompt,
    Reply,
    Sampling,
    Target,
)
from ge_engine.errors import ConfigError
from ge_engine.genome import Genome
from ge_engine.grammar.thinking import room
from ge_engine.outcome import Rejected, Skipped
from ge_engine.patch import Patch, apply
from ge_engine.population import Direction, Individual, Step
from ge_engine.search.experience import Experience
from ge_engine.validate import Trial, Verdict

ATTEMPTS = 8
Named = TypeVar("Named", Operator, Persona)
PROMPTS = 16


@dataclass(frozen=True, slots=True)
class Ask:
    """A framed prompt about `genome`; `grammar` is None for prose; `seed` varies the constraint."""

    prompt: Prompt
    genome: Genome
    grammar: Grammar | None
    sampling: Sampling
    seed: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and, where a grammar was asked for, the target it was asked about."""

    reply: Reply
    target: Target | None


@dataclass(frozen=True, slots=True)
class Bred:
    """What became of a slot: `rejected` is None for an admitted child. `genome` may be there anyway."""

    parents: tuple[str, ...]
    steps: tuple[Step, ...]
    genome: Genome | None
    rejected: Rejected | None


@dataclass(frozen=True, slots=True)
class Pool:
    """What a generation is bred from. `helpful` are elites that gained on the seed somewhere.

    `experience` is what the run knew when the generation began.
    """

    generation: int
    parents: tuple[Individual, ...]
    helpful: tuple[Individual, ...]
    experience: Experience = field(default_factory=Experience)

    def pick(self, rng: random.Random, dimension: str, among: Sequence[Named]) -> Named:
        named = {one.name: one for one in among}
        return named[self.experience.draw(rng, dimension, list(named))]


Want = Ask | Trial
Sent = Answer | Rejected | Verdict | None
Chain = Generator[Want, Any, Bred]


@dataclass(slots=True)
class Slot:
    """A chain and what it waits for: an answer (`ask`), a verdict (`trial`), or nothing (`bred`).

    `island` is the population that it breeds for, `odds` how well language models did there. `calls` counts
    its prompts; `probe` and `verdict` are what is known of the trial so far; `twin`: another child of its
    function was found.
    """

    id: str
    number: int
    island: int
    chain: Chain
    odds: Callable[[str, str], float]
    calls: int = 0
    ask: Ask | None = None
    trial: Trial | None = None
    probe: Probe | None = None
    verdict: Rejected | None = None
    twin: bool = False
    bred: Bred | None = None
    settled: bool = False


@dataclass(frozen=True)
class Breeder:
    """What all slots of a run share. `addresses` says which blocks of a genome may be rewritten.

    Raises:
        ConfigError: no operator of kind "mutation": the first generation is bred by mutation.
    """

    config: RunConfig
    seed: Individual
    operators: Sequence[Operator]
    personas: Sequence[Persona]
    grammars: Mapping[str, Grammar]
    directions: Mapping[str, Direction]
    addresses: Callable[[Genome], tuple[str, ...]]
    blame: Callable[[str, str], str]
    profile: Callable[[Genome], tuple[ModuleProfile, ...]] = lambda _: ()
    _kinds: Mapping[str, tuple[Operator, ...]] = field(init=False)

    def __post_init__(self) -> None:
        kinds = {
            kind: tuple(sorted((o for o in self.operators if o.kind == kind), key=lambda o: o.name))
            for kind in ("mutation", "mating", "eot")
        }
        if not kinds["mutation"]:
            raise ConfigError(
                "No operator of kind 'mutation' is chosen; the first generation is bred by mutation.",
                "Add one to operators, e.g. 'mutation'.",
            )
        object.__setattr__(self, "_kinds", kinds)

    def chain(self, pool: Pool, slot: int) -> Chain:
        """Breed one child, drawing anew while operators find nothing to do, at most `ATTEMPTS` times."""
        reason = ""
        for attempt in range(ATTEMPTS):
            rng = random.Random(f"{self.config.random_seed}/{pool.generation}/{slot}/{attempt}")
            result = yield from self._attempt(pool, rng)
            if isinstance(result, Bred):
                return result
            reason = result.reason
        return Bred(
            (), (), None, Rejected("skipped", f"{ATTEMPTS} draws found nothing to do; the last: {reason}")
        )

    def _attempt(self, pool: Pool, rng: random.Random) -> Generator[Want, Any, Bred | Skipped]:
        operators, parents = self._draw(pool, rng)
        names = tuple(parent.id for parent in parents)
        genome = parents[0].genome
        assert genome is not None
        steps: list[Step] = []
        for number, operator in enumerate(operators, 1):
            context = self._context(pool, rng, genome, parents)
            persona = pool.pick(rng, "persona", self.personas)
            result = yield from _OneStep(self, operator, persona, context).run(final=number == len(operators))
            if isinstance(result, Skipped):
                return result
            if isinstance(result, _Refused):
                return Bred(names, (*steps, result.step), result.genome, result.rejected)
            genome, step = result
            steps.append(step)
        return Bred(names, tuple(steps), genome, None)

    def _draw(self, pool: Pool, rng: random.Random) -> tuple[list[Operator], tuple[Individual, ...]]:
        if pool.generation == 0:
            return [rng.choice(self._kinds["mutation"])], (self.seed,)
        first = rng.choice(pool.parents)
        mates = [one for one in pool.parents if one.id != first.id] if self._kinds["mating"] else []
        p_mating = self.config.p_mating if mates else 0.0
        p_mutation = self.config.p_mutation if p_mating or self.config.p_mutation else 1.0
        chosen: list[Operator] = []
        while not chosen:
            if rng.random() < p_mating:
                chosen.append(pool.pick(rng, "operator", self._kinds["mating"]))
            if rng.random() < p_mutation:
                chosen.append(self._mutator(pool, rng))
        parents = (first, rng.choice(mates)) if chosen[0].kind == "mating" else (first,)
        return chosen, parents

    def _mutator(self, pool: Pool, rng: random.Random) -> Operator:
        thinks = bool(self._kinds["eot"] and pool.helpful) and rng.random() < self._p_eot(pool)
        return pool.pick(rng, "operator", self._kinds["eot" if thinks else "mutation"])

    def _p_eot(self, pool: Pool) -> float:
        """The rate of Evolution of Thought, its odds scaled by how well it did against mutation."""
        best = {
            kind: max(pool.experience.odds("operator", operator.name) for operator in self._kinds[kind])
            for kind in ("eot", "mutation")
        }
        odds = self.config.p_eot * best["eot"], (1 - self.config.p_eot) * best["mutation"]
        return odds[0] / sum(odds)

    def _context(
        self, pool: Pool, rng: random.Random, genome: Genome, parents: tuple[Individual, ...]
    ) -> Context:
        return Context(
            generation=pool.generation,
            rng=rng,
            genome=genome,
            parents=parents,
            seed=self.seed,
            elites=pool.helpful,
            directions=self.directions,
            addresses=self.addresses(genome),
            read=_unread,
            profile=self.profile(parents[0].genome or genome),
            draw=pool.experience.draw,
            trials=pool.experience.trials,
            prose=pool.experience.prose,
        )


@dataclass(frozen=True, slots=True)
class _Refused:
    step: Step
    genome: Genome | None
    rejected: Rejected


class _OneStep:
    """One operator's work on one genome: its prompts, its patch, and the repair of a rejected one."""

    def __init__(self, breeder: Breeder, operator: Operator, persona: Persona, context: Context) -> None:
        self._breeder = breeder
        self._operator = operator
        self._rng = context.rng
        self._context = replace(context, read=self._read)
        self._persona = persona
        self._targets: dict[Prompt, Target | None] = {}
        self._asked: tuple[Prompt, Reply] | None = None
        self._notes: list[str] = []

    def run(self, final: bool) -> Generator[Want, Any, tuple[Genome, Step] | _Refused | Skipped]:
        proposed = yield from self._propose()
        repairs = self._breeder.config.repairs
        while True:
            if isinstance(proposed, Skipped):
                return proposed
            proposed = self._within(proposed)
            genome, verdict = yield from self._judge(proposed, final)
            step = self._step(proposed)
            if verdict is None and genome is not None:
                return genome, step
            assert verdict is not None
            rejected = verdict.rejected
            if not repairs or self._asked is None or rejected.stage in ("model", "plugin"):
                return _Refused(step, genome, rejected)
            repairs -= 1
            proposed = yield from self._repair(verdict)

    def _propose(self) -> Generator[Want, Any, Patch | Rejected | Skipped]:
        try:
            proposal = self._operator.propose(self._context)
            prompt = next(proposal)
        except StopIteration as end:
            return self._checked(end.value)
        except Exception as error:
            return self._failed(error)
        for _ in range(PROMPTS):
            answer = yield from self._ask(prompt)
            try:
                if not isinstance(answer, Answer):
                    proposal.close()
                    return answer
                prompt = proposal.send(answer.reply)
            except StopIteration as end:
                return self._checked(end.value)
            except Exception as error:
                return self._failed(error)
        return self._failed(RuntimeError(f"it asks more than {PROMPTS} times"))

    def _ask(self, prompt: Prompt) -> Generator[Want, Any, Answer | Rejected | Skipped]:
        if not isinstance(prompt, Prompt):
            return self._failed(TypeError(f"it asked with {prompt!r}, no Prompt"))
        config = self._breeder.config
        grammar: Grammar | None = None
        if prompt.grammar is not None:
            name = config.grammar or prompt.grammar
            if name not in self._breeder.grammars:
                return Rejected(
                    "plugin",
                    f"the operator {self._operator.name!r} asks for a grammar {name!r} that is not there",
                )
            grammar = self._breeder.grammars[name]
        temperature, limit = self._rng.uniform(*config.temperature), self._rng.randint(*config.reply_tokens)
        limit = limit + room(config.think) if grammar is not None else min(limit, config.thought_tokens)
        sampling = Sampling(temperature, limit, self._rng.getrandbits(31))
        framed = self._framed(prompt)
        if isinstance(framed, Rejected):
            return framed
        answer = yield Ask(framed, self._context.genome, grammar, sampling, self._rng.getrandbits(31))
        if isinstance(answer, Rejected):
            return answer if answer.stage == "plugin" else Skipped(answer.reason)
        if answer.reply.finish == "error":
            return Rejected("model", answer.reply.error or "the language model gave no answer")
        self._targets[prompt] = answer.target
        if grammar is not None:
            self._asked = (replace(prompt, grammar=grammar.name), answer.reply)
        return answer  # type: ignore[no-any-return]

    def _framed(self, prompt: Prompt) -> Prompt | Rejected:
        try:
            framed = self._persona.frame(prompt)
            if not isinstance(framed, Prompt):
                raise TypeError(f"it returned {framed!r}, no Prompt")
        except Exception as error:
            owner = self._breeder.blame("ge_personas", self._persona.name)
            return Rejected("plugin", f"the persona {self._persona.name!r} of {owner} failed: {error!r}")
        return framed

    def _read(self, prompt: Prompt, reply: Reply) -> Patch | Rejected:
        name = self._breeder.config.grammar or prompt.grammar
        target = self._targets.get(prompt)
        if name is None or name not in self._breeder.grammars:
            return Rejected("extract", "the prompt asked for prose: there is no code to read")
        target = target or Target(self._context.genome, prompt.address)
        try:
            return self._breeder.grammars[name].decode(reply, target)
        except Exception as error:
            return Rejected(
                "plugin",
                f"the grammar {name!r} of {self._breeder.blame('ge_grammars', name)} failed: {error!r}",
            )

    def _within(self, proposed: Patch | Rejected) -> Patch | Rejected:
        if isinstance(proposed, Rejected) or proposed.address in self._context.addresses:
            return proposed
        return self._failed(ValueError(f"it patches {proposed.address!r}, which this run does not rewrite"))

    def _judge(
        self, proposed: Patch | Rejected, final: bool
    ) -> Generator[Want, Any, tuple[Genome | None, Verdict | None]]:
        if isinstance(proposed, Rejected):
            return None, Verdict.plain(proposed)
        genome = apply(self._context.genome, proposed)
        if isinstance(genome, Rejected):
            return None, Verdict.plain(genome)
        goal = self._asked[0].goal if self._asked else None
        verdict = yield Trial(genome, self._context.genome, proposed, final, goal)
        return genome, Verdict.plain(verdict) if isinstance(verdict, Rejected) else verdict

    def _repair(self, verdict: Verdict) -> Generator[Want, Any, Patch | Rejected | Skipped]:
        """Send the reason back, without a candidate's own words unless the user has said so. The answer is
        read as the rejected one was."""
        assert self._asked is not None
        rejected = verdict.rejected
        reason = rejected.reason if self._breeder.config.repair_texts else verdict.told()
        prompt, reply = self._asked
        user = "\n\n".join(
            (
                prompt.user,
                "Your answer was:",
                reply.text.strip(),
                "It was rejected (" + rejected.stage + "): " + reason,
                "Answer again in the same form, with this mended.",
            )
        )
        again = replace(prompt, user=user)
        answer = yield from self._ask(again)
        if isinstance(answer, Skipped):
            return rejected
        self._notes.append("repaired " + rejected.stage)
        return self._read(again, answer.reply) if isinstance(answer, Answer) else answer

    def _step(self, proposed: Patch | Rejected) -> Step:
        prompt = self._asked[0] if self._asked else None
        address = proposed.address if isinstance(proposed, Patch) else prompt.address if prompt else ""
        return Step(
            operator=self._operator.name,
            persona=self._persona.name,
            intent=prompt.intent if prompt else "",
            address=address,
            grammar=(prompt.grammar or "") if prompt else "",
            note="; ".join([*self._notes, *(proposed.notes if isinstance(proposed, Patch) else ())]),
        )

    def _checked(self, value: object) -> Patch | Rejected | Skipped:
        if isinstance(value, (Patch, Rejected, Skipped)):
            return value
        return self._failed(TypeError(f"it returned {value!r}, no Patch, Rejected or Skipped"))

    def _failed(self, error: Exception) -> Rejected:
        name = self._operator.name
        return Rejected(
            "plugin",
            f"the operator {name!r} of {self._breeder.blame('ge_operators', name)} failed: {error!r}",
        )


def _unread(*_: object) -> Rejected:
    raise RuntimeError("a context outside a step cannot read replies")
