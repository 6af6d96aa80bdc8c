"""One operator's work on one genome: its prompts, what it makes of the replies, and the repair of a patch."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from ge_engine.contracts import (
    Context,
    Goal,
    Grammar,
    Operator,
    Persona,
    Prompt,
    Reply,
    Request,
    Sampling,
    Target,
)
from ge_engine.errors import with_place
from ge_engine.genome import Genome
from ge_engine.grammar.reasoning_prefix import room
from ge_engine.ledger.records import Call
from ge_engine.outcome import SCREEN, Rejected, Skipped, storable
from ge_engine.patch import AnyPatch, JointPatch, Patch
from ge_engine.population import Individual, Step
from ge_engine.search.calling import asked, framed
from ge_engine.search.check_pipeline import Verdict
from ge_engine.search.first_prompts import FirstPrompts
from ge_engine.search.slots import Slot
from ge_engine.search.targets import of_target, target_of
from ge_engine.search.variation import MatingPool, Variation

PROMPTS = 16
REASON_CHARACTERS = 200
Proposed = AnyPatch | Rejected | Skipped


@dataclass(slots=True)
class Question:
    """A framed prompt of an operator that sees `context`; `grammar` is None for prose; `seed` varies the
    constraint, `odds` scale the weights of the language models.

    The rest is known when it is sent: the `target` of a grammar, the `request`, and the call `stored` by an
    earlier session that has asked it.
    """

    slot: Slot
    prompt: Prompt
    context: Context
    grammar: Grammar | None
    sampling: Sampling
    seed: int
    odds: Callable[[str, str], float]
    target: Target | None = None
    request: Request | None = None
    stored: Call | None = None
    reply: Future[Reply | Rejected] = field(default_factory=Future)

    @property
    def genome(self) -> Genome:
        """What the prompt is about."""
        return self.context.genome


Ask = Callable[[Question], Awaitable[Reply | Rejected]]


class Proposing:
    """Runs an operator, which does no I/O itself: `ask` sends its prompts to a language model."""

    def __init__(
        self,
        variation: Variation,
        operator: Operator,
        pool: MatingPool,
        slot: Slot,
        rng: random.Random,
        genome: Genome,
        parents: tuple[Individual, ...],
        ask: Ask,
        first: FirstPrompts,
    ) -> None:
        self.context: Context = variation.context(pool, rng, genome, parents, self._read)
        self._variation = variation
        self._operator = operator
        self._persona: Persona = pool.pick(rng, "persona", variation.personas)
        self._slot = slot
        self._odds = pool.credit.odds
        self._rng = rng
        self._send = ask
        self._first = first
        self._targets: dict[Prompt, Target | None] = {}
        self._asked: tuple[Prompt, Reply] | None = None
        self._spoke = False
        self._notes: list[str] = []

    @property
    def goal(self) -> Goal | None:
        """What the last prompt for code asked of the child's figures."""
        return self._asked[0].goal if self._asked else None

    async def propose(self) -> Proposed:
        """Ask as often as the operator wants, at most `PROMPTS` times; the patch that it returns."""
        try:
            proposal = self._operator.propose(self.context)
            prompt = next(proposal)
            if isinstance(prompt, Prompt) and not self._takes(prompt):
                proposal.close()
                return Skipped("another child of this generation asks the same")
        except StopIteration as end:
            return self._allowed(end.value)
        except Exception as error:
            return self._failed(error)
        for _ in range(PROMPTS):
            answer = await self._ask(prompt)
            try:
                if not isinstance(answer, Reply):
                    proposal.close()
                    return answer
                prompt = proposal.send(answer)
            except StopIteration as end:
                return self._allowed(end.value)
            except Exception as error:
                return self._failed(error)
        return self._failed(RuntimeError(f"it asks more than {PROMPTS} times"))

    def _takes(self, prompt: Prompt) -> bool:
        digest, operator = self.context.genome.digest, self._operator.name
        return self._first.takes(self._slot.id, digest, operator, prompt)

    def repairable(self, rejected: Rejected) -> bool:
        """Whether another answer may help."""
        return self._asked is not None and rejected.stage not in ("model", "plugin", SCREEN)

    async def repair(self, verdict: Verdict) -> AnyPatch | Rejected:
        """Send the reason back, without a candidate's own words unless the user has said so. The answer is
        read as the rejected one was."""
        assert self._asked is not None
        rejected = verdict.rejected
        reason = rejected.reason if self._variation.config.repair_texts else verdict.told()
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
        answer = await self._ask(again)
        if isinstance(answer, Skipped):
            return rejected
        self._notes.append(_repaired(rejected))
        if isinstance(answer, Rejected):
            return answer
        patch = self._read(again, answer)
        return patch if isinstance(patch, Rejected) else self._within(patch)

    def step(self, proposed: AnyPatch | Rejected) -> Step:
        """The operator's part in the child, as it is recorded. One that asked nobody had no persona, and is
        its own mutation type."""
        prompt = self._asked[0] if self._asked else None
        unasked = "" if self._spoke else self._operator.name
        patch = None if isinstance(proposed, Rejected) else proposed
        address = patch.address if patch else prompt.address if prompt else ""
        return Step(
            operator=self._operator.name,
            persona=self._persona.name if self._spoke else "",
            intent=prompt.intent if prompt else unasked,
            address=address,
            grammar=(prompt.grammar or "") if prompt else "",
            note="; ".join([*self._notes, *(patch.notes if patch else ())]),
        )

    async def _ask(self, prompt: Prompt) -> Reply | Rejected | Skipped:
        self._spoke = True
        try:
            asked(prompt)
        except (TypeError, ValueError) as error:
            return self._failed(error)
        grammar: Grammar | None = None
        if (name := self._variation.form_of(prompt)) is not None:
            if name not in self._variation.grammars:
                reason = f"the operator {self._operator.name!r} asks for a grammar {name!r} that is not there"
                return Rejected("plugin", reason)
            grammar = self._variation.grammars[name]
        sampling = self._sampling(grammar)
        worded = self._framed(prompt)
        if isinstance(worded, Rejected):
            return worded
        seed = self._rng.getrandbits(31)
        question = Question(self._slot, worded, self.context, grammar, sampling, seed, self._odds)
        reply = await self._send(question)
        if isinstance(reply, Rejected):
            return reply if reply.stage == "plugin" else Skipped(reply.reason)
        if reply.finish == "error":
            return Rejected("model", reply.error or "the language model gave no answer")
        self._targets[prompt] = question.target
        if grammar is not None:
            self._asked = (replace(prompt, grammar=grammar.name), reply)
        return reply

    def _sampling(self, grammar: Grammar | None) -> Sampling:
        config = self._variation.config
        temperature, limit = self._rng.uniform(*config.temperature), self._rng.randint(*config.reply_tokens)
        limit = limit + room(config.think) if grammar is not None else min(limit, config.thought_tokens)
        return Sampling(temperature, limit, self._rng.getrandbits(31))

    def _framed(self, prompt: Prompt) -> Prompt | Rejected:
        try:
            return framed(self._persona, prompt)
        except Exception as error:
            return self._fault("persona", self._persona.name, error)

    def _read(self, prompt: Prompt, reply: Reply) -> AnyPatch | Rejected:
        name, target = self._variation.form_of(prompt), self._targets.get(prompt)
        if name is None or name not in self._variation.grammars:
            return Rejected("extract", "the prompt asked for prose: there is no code to read")
        target = target or target_of(self.context.genome, prompt)
        try:
            return of_target(prompt, self._variation.grammars[name].decode(reply, target))
        except Exception as error:
            return self._fault("grammar", name, error)

    def _allowed(self, value: object) -> Proposed:
        if isinstance(value, Patch | JointPatch):
            return self._within(value)
        if isinstance(value, (Rejected, Skipped)):
            return value
        return self._failed(TypeError(f"it returned {value!r}, no Patch, Rejected or Skipped"))

    def _within(self, patch: AnyPatch) -> AnyPatch | Rejected:
        outside = [address for address in patch.addresses if address not in self.context.addresses]
        if not outside:
            return patch
        return self._failed(ValueError(f"it patches {outside[0]!r}, which this run does not rewrite"))

    def _failed(self, error: Exception) -> Rejected:
        return self._fault("operator", self._operator.name, error)

    def _fault(self, kind: str, name: str, error: Exception) -> Rejected:
        owner = self._variation.blame(f"ge_{kind}s", name)
        return Rejected("plugin", f"the {kind} {name!r} of {owner} failed: {with_place(error)}")


def _repaired(rejected: Rejected) -> str:
    """A rejection that another answer followed, on one line, as a step's note keeps it."""
    words = " ".join(storable(rejected.reason).replace(";", ",").split())
    if len(words) > REASON_CHARACTERS:
        words = words[:REASON_CHARACTERS].rstrip() + " ..."
    return f"repaired {rejected.stage}: {words}"
