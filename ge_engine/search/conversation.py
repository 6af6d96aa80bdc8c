"""One round of prompts to the language model: what the ledger has answered is never asked again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ge_engine.contracts import Constraint, Grammar, Reply, Request, Sampling, Target, inheriting
from ge_engine.errors import GeError, ModelError, PluginError
from ge_engine.events import Announcer
from ge_engine.grammar.reasoning_prefix import CHARACTERS
from ge_engine.ledger import Ledger
from ge_engine.outcome import Rejected, storable
from ge_engine.search.models import Models
from ge_engine.search.scoring import Inbox
from ge_engine.search.slots import Answer, Ask, Slot
from ge_engine.search.stopping import Limits
from ge_engine.search.survey import Surveys
from ge_engine.store.records import Call

Question = tuple[str, str, str]
Deliver = Callable[[Slot, Answer | Rejected], None]


@dataclass(frozen=True, slots=True)
class Pending:
    """A request on its way, with what is needed to read its reply."""

    slot: Slot
    ask: Ask
    target: Target | None
    request: Request


class Conversation:
    """Asks for one generation, round by round.

    `Target.tried` holds the answers of earlier generations and of earlier rounds, never those of the
    same round: the constraint of a prompt does not depend on the order in which replies arrive.
    """

    def __init__(
        self,
        ledger: Ledger,
        models: Models,
        surveys: Surveys,
        inbox: Inbox,
        announce: Announcer,
        blame: Callable[[str, str], str],
        limits: Limits,
        generation: int,
        resumed: bool,
    ) -> None:
        self._ledger = ledger
        self._models = models
        self._surveys = surveys
        self._inbox = inbox
        self._announce = announce
        self._blame = blame
        self._limits = limits
        self._generation = generation
        self._resumed = resumed
        self._answers: dict[Question, set[str]] = {}

    def round(self, asking: list[Slot], deliver: Deliver) -> str:
        """Answer the `ask` of every slot, each through `deliver` as soon as it is there; "" then, else why
        some prompts were not sent: no budget is left for what they may take, or the run shall stop.

        Raises:
            ModelError: the model answered none of several prompts, or broke its contract.
        """
        fresh: list[tuple[Question, str]] = []
        ready: list[tuple[Slot, Answer | Rejected]] = []
        pending: list[Pending] = []
        for slot in asking:
            assert slot.ask is not None
            target = self._target(slot.ask)
            request = self._request(slot, slot.ask, target)
            if isinstance(request, Rejected):
                ready.append((slot, request))
                continue
            slot.calls += 1
            stored = self._ledger.reply(request.key) if self._resumed else None
            if stored is None:
                pending.append(Pending(slot, slot.ask, target, request))
                continue
            ready.append((slot, Answer(stored.reply, target)))
            fresh.append(_question(stored))
        stored_answers = sum(isinstance(sent, Answer) for _, sent in ready)
        if stored_answers or not pending:
            self._tell([], stored_answers)
        for slot, sent in ready:
            deliver(slot, sent)
        reason = self._converse(pending, fresh, deliver)
        for question, canonical in fresh:
            if canonical:
                self._answers.setdefault(question, set()).add(canonical)
        return reason

    def _tell(self, sent: list[Pending], answered: int) -> None:
        keys = [one.request.key for one in sent]
        self._announce("asked", generation=self._generation, count=len(sent), answered=answered, keys=keys)

    def _target(self, ask: Ask) -> Target | None:
        if ask.grammar is None:
            return None
        question = (ask.genome.digest, ask.prompt.address, ask.grammar.name)
        before = self._ledger.tried(*question, self._generation)
        tried = before | self._answers.get(question, set())
        genome, prompt = ask.genome, ask.prompt
        return Target(
            genome,
            prompt.address,
            tried,
            ask.seed,
            prompt.material,
            prompt.goal,
            partial(self._surveys.of, genome, prompt.address),
        )

    def _request(self, slot: Slot, ask: Ask, target: Target | None) -> Request | Rejected:
        key = f"{slot.id}/{slot.calls}"
        model = self._models.chosen(slot.island, key, ask.sampling.seed, slot.odds)
        if ask.grammar is None or target is None:
            return Request(key, ask.prompt, ask.sampling, model=model)
        try:
            constraint = ask.grammar.constraint(target)
            if isinstance(constraint, Rejected):
                return constraint
            constraint = inheriting(Constraint, constraint)
            instructions = ask.grammar.instructions(target)
        except Exception as error:
            owner = self._blame("ge_grammars", ask.grammar.name)
            return Rejected("plugin", f"the grammar {ask.grammar.name!r} of {owner} failed: {error!r}")
        user = ask.prompt.user + "\n\n" + instructions if instructions else ask.prompt.user
        prompt = replace(ask.prompt, user=user, grammar=ask.grammar.name)
        return Request(key, prompt, _with_room(ask.sampling, constraint), constraint, model)

    def _converse(self, pending: list[Pending], fresh: list[tuple[Question, str]], deliver: Deliver) -> str:
        """Send the prompts: all at once, or as many as the budget holds with all that they may take, and the
        next ones when these have shown what they took. Why some were not sent, or ""."""
        sent = failed = 0
        while sent < len(pending):
            if sent and (reason := self._limits.now()):
                return reason
            requests = [one.request for one in pending[sent:]]
            count, reason = self._limits.budget.fitting(requests, self._models.most_tokens)
            if not count:
                return reason
            batch = pending[sent : sent + count]
            self._tell(batch, 0)
            errors = self._batch(batch, fresh, deliver)
            sent, failed = sent + count, failed + len(errors)
            if failed == sent:
                raise ModelError(
                    f"The language model {self._models.name} answered none of {sent} prompts: "
                    f"{errors[0][1].error}.",
                    "Mend it and run the same command again: it goes on where it stopped.",
                )
            for one, reply in errors:
                self._take(one, reply, fresh, deliver)
        return ""

    def _batch(
        self, pending: list[Pending], fresh: list[tuple[Question, str]], deliver: Deliver
    ) -> list[tuple[Pending, Reply]]:
        """The model works in a thread of its own; replies, probes and scores are taken in this one.
        What ended in an error is given back."""
        left = dict(enumerate(pending))
        errors: list[tuple[Pending, Reply]] = []

        def take(index: int, reply: Reply) -> None:
            if index not in left:
                raise ModelError(
                    f"The language model {self._models.name} answered prompt {index} twice or unasked."
                )
            one = left.pop(index)
            if reply.finish == "error":
                errors.append((one, reply))
            else:
                self._take(one, reply, fresh, deliver)

        done = self._listen([one.request for one in pending], take)
        while not done:
            self._inbox.get()()
        return errors + [(one, _silence(self._models.name)) for one in left.values()]

    def _listen(self, requests: list[Request], take: Callable[[int, Reply], None]) -> list[bool]:
        """Starts the thread; the list is filled when the model has answered everything."""
        done: list[bool] = []

        def fail(error: BaseException) -> None:
            if isinstance(error, GeError) or not isinstance(error, Exception):
                raise error
            raise PluginError(
                f"The language model {self._models.name} failed: {error!r}.",
                "Mend it and run the same command again: it goes on where it stopped.",
            ) from error

        def ask() -> None:
            try:
                for index, reply in self._models.generate(requests):
                    self._inbox.put(partial(take, index, reply))
            except BaseException as error:
                self._inbox.put(partial(fail, error))
            else:
                self._inbox.put(partial(done.append, True))

        threading.Thread(target=ask, name="language-model", daemon=True).start()
        return done

    def _take(self, one: Pending, reply: Reply, fresh: list[tuple[Question, str]], deliver: Deliver) -> None:
        reply = replace(reply, text=storable(reply.text), error=storable(reply.error))
        grammar = one.ask.grammar
        call = Call(
            key=one.request.key,
            individual=one.slot.id,
            generation=self._generation,
            prompt=one.request.prompt,
            sampling=one.request.sampling,
            reply=reply,
            digest=one.ask.genome.digest,
            grammar=grammar.name if grammar else "",
            canonical=_canonical(grammar, reply, one.target),
        )
        self._ledger.add_call(call)
        fresh.append(_question(call))
        self._announce(
            "reply",
            key=call.key,
            individual=call.individual,
            finish=reply.finish,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            seconds=reply.seconds,
            model=reply.model,
        )
        deliver(one.slot, Answer(reply, one.target))


def _question(call: Call) -> tuple[Question, str]:
    return (call.digest, call.prompt.address, call.grammar), call.canonical if call.grammar else ""


def _canonical(grammar: Grammar | None, reply: Reply, target: Target | None) -> str:
    """What a grammar cannot put into its canonical form is not excluded from being asked again."""
    if grammar is None or target is None or reply.finish == "error":
        return ""
    try:
        return grammar.canonical(reply, target)
    except Exception:
        return ""


def _with_room(sampling: Sampling, constraint: Constraint) -> Sampling:
    """A limit of tokens at which the constraint's longest answer is not cut off."""
    needed = -(-constraint.longest // CHARACTERS)
    return replace(sampling, max_tokens=max(sampling.max_tokens, needed))


def _silence(model: str) -> Reply:
    return Reply("", "error", 0, 0, 0.0, model, "no answer came")
