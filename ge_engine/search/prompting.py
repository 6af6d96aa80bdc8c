"""Prompts to the language model, in rounds: all that children ask at once is sent as one batch.

What the run database has answered is never asked again. `Target.tried` holds the answers of earlier
generations and of earlier rounds, never those of the same round: the constraint of a prompt does not depend
on the order in which replies arrive.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from ge_engine.context import background
from ge_engine.contracts import (
    Constraint,
    Context,
    Grammar,
    Prompt,
    Reply,
    Request,
    Sampling,
    Target,
    inheriting,
)
from ge_engine.errors import GeError, ModelError, PluginError, with_place
from ge_engine.grammar.reasoning_prefix import CHARACTERS
from ge_engine.ledger.records import Call
from ge_engine.outcome import Rejected, storable
from ge_engine.search.event_loop import completion
from ge_engine.search.first_prompts import FirstPrompts
from ge_engine.search.proposing import Question
from ge_engine.search.services import RunServices
from ge_engine.search.targets import target_of

Topic = tuple[str, str, str]
"""Digest, address and form of answer."""
HINT = "Fix it and rerun; the run resumes."


class Prompting:
    """Asks for one generation. `resumed` when an earlier session began it."""

    def __init__(self, services: RunServices, generation: int, resumed: bool) -> None:
        self._services = services
        self._generation = generation
        self._resumed = resumed
        self._asking: list[Question] = []
        self._untaken = 0
        self._calls = Counter[str]()
        self._answers: dict[Topic, set[str]] = defaultdict(set)
        self._fresh: list[tuple[Topic, str]] = []
        self.first = FirstPrompts()

    @property
    def asking(self) -> bool:
        """Whether children wait for the next round."""
        return bool(self._asking)

    async def ask(self, one: Question) -> Reply | Rejected:
        """Ask in the next round; Rejected where the form of answer offers nothing for the block."""
        self._asking.append(one)
        reply = (await completion(one.reply)).result()
        self._untaken -= 1
        if isinstance(reply, Rejected):
            return reply
        call = one.stored or self._recorded(one, reply)
        if call.canonical and (topic := _topic(one)):
            self._fresh.append((topic, call.canonical))
        return call.reply

    def round(self) -> str:
        """Answer all that is asked, each as soon as its reply is there; "" then, else why some prompts were
        not sent: no budget is left for what they may take, or the run has to stop.

        Raises:
            ModelError: the model answered none of several prompts, or broke its contract.
        """
        asking, self._asking = sorted(self._asking, key=lambda one: one.slot), []
        known = [(one, reply) for one in asking if (reply := self._prepared(one)) is not None]
        stored = sum(one.stored is not None for one, _ in known)
        pending = [one for one in asking if one.request and not one.stored]
        if stored or not pending:
            self._tell([], stored)
        for one, reply in known:
            self._answer(one, reply)
        reason = self._converse(pending)
        self._services.event_loop.until(lambda: not self._untaken)
        for topic, canonical in self._fresh:
            self._answers[topic].add(canonical)
        self._fresh.clear()
        return reason

    def _answer(self, one: Question, reply: Reply | Rejected) -> None:
        self._untaken += 1
        one.reply.set_result(reply)

    def _tell(self, sent: Sequence[Request], answered: int) -> None:
        keys = [request.key for request in sent]
        self._services.announce(
            "asked", generation=self._generation, count=len(sent), answered=answered, keys=keys
        )

    def _prepared(self, one: Question) -> Reply | Rejected | None:
        """Make the request ready; what is known of its reply without asking."""
        one.target = self._target(one)
        request = self._request(one)
        if isinstance(request, Rejected):
            return request
        self._calls[one.slot.id] += 1
        one.request = request
        one.stored = self._services.ledger.reply(request.key) if self._resumed else None
        return one.stored.reply if one.stored else None

    def _target(self, one: Question) -> Target | None:
        topic, prompt = _topic(one), one.prompt
        if topic is None:
            return None
        tried = self._services.ledger.tried(*topic, self._generation) | self._answers[topic]
        surveys = self._services.surveys
        survey = partial(surveys.of, one.genome, prompt.address)
        return target_of(
            one.genome,
            prompt,
            tried=tried,
            seed=one.seed,
            material=prompt.material,
            goal=prompt.goal,
            survey=survey,
            sources=surveys.sources,
        )

    def _request(self, one: Question) -> Request | Rejected:
        grammar, target = one.grammar, one.target
        key = f"{one.slot.id}/{self._calls[one.slot.id]}"
        model = self._services.models.chosen(one.slot.island, key, one.sampling.seed, one.odds)
        if grammar is None or target is None:
            return Request(key, _informed(one.prompt, one.context), one.sampling, model=model)
        try:
            constraint = grammar.constraint(target)
            if isinstance(constraint, Rejected):
                return constraint
            constraint = inheriting(Constraint, constraint)
            instructions = grammar.instructions(target)
        except Exception as error:
            owner = self._services.variations[one.slot.island].blame("ge_grammars", grammar.name)
            return Rejected("plugin", f"the grammar {grammar.name!r} of {owner} failed: {with_place(error)}")
        user = one.prompt.user + "\n\n" + instructions if instructions else one.prompt.user
        prompt = _informed(replace(one.prompt, user=user, grammar=grammar.name), one.context)
        return Request(key, prompt, _with_room(one.sampling, constraint), constraint, model)

    def _converse(self, pending: Sequence[Question]) -> str:
        """Send the prompts: all at once, or as many as the budget holds with all that they may take, and the
        next ones when these have shown what they took. Why some were not sent, or ""."""
        termination, models = self._services.termination, self._services.models
        requests = [one.request for one in pending if one.request]
        sent = failed = 0
        while sent < len(pending):
            if sent and (reason := termination.now()):
                return reason
            count, reason = termination.budget.fitting(requests[sent:], models.most_tokens)
            if not count:
                return reason
            batch = slice(sent, sent + count)
            self._tell(requests[batch], 0)
            errors = self._send(pending[batch], requests[batch])
            sent, failed = sent + count, failed + sum(not reply.answered for _, reply in errors)
            if failed == sent:
                told = f"{self._model} answered none of {sent} prompts: {errors[0][1].error}."
                raise ModelError(told, HINT)
            for one, reply in errors:
                self._answer(one, reply)
            self._services.event_loop.until(lambda: not self._untaken)
        return ""

    def _send(self, pending: Sequence[Question], requests: Sequence[Request]) -> list[tuple[Question, Reply]]:
        """The model works in a thread of its own; replies, probes and scores are taken in this one.
        What ended in an error is given back."""
        left, errors, done = dict(enumerate(pending)), list[tuple[Question, Reply]](), Future[None]()

        def generate() -> None:
            try:
                for index, reply in self._replies(requests):
                    if index not in left:
                        raise ModelError(f"{self._model} answered prompt {index} twice or unasked.")
                    if reply.finish == "error":
                        errors.append((left.pop(index), reply))
                    else:
                        left.pop(index).reply.set_result(reply)
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        self._untaken += len(pending)
        threading.Thread(target=generate, name="language-model", daemon=True).start()
        self._services.event_loop.result(done)
        errors += [(one, _silence(self._services.models.name)) for one in left.values()]
        self._untaken -= len(errors)
        return errors

    def _replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        try:
            yield from self._services.models.generate(requests)
        except GeError:
            raise
        except Exception as error:
            raise PluginError(f"{self._model} failed: {error!r}.", HINT) from error

    @property
    def _model(self) -> str:
        return f"The language model {self._services.models.name}"

    def _recorded(self, one: Question, reply: Reply) -> Call:
        assert one.request is not None
        reply = replace(reply, text=storable(reply.text), error=storable(reply.error))
        grammar = one.grammar
        call = Call(
            key=one.request.key,
            individual=one.slot.id,
            generation=self._generation,
            prompt=one.request.prompt,
            sampling=one.request.sampling,
            reply=reply,
            digest=one.genome.digest,
            grammar=grammar.name if grammar else "",
            canonical=_canonical(grammar, reply, one.target),
        )
        self._services.ledger.add_call(call)
        self._services.announce(
            "reply",
            key=call.key,
            individual=call.individual,
            finish=reply.finish,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            seconds=reply.seconds,
            model=reply.model,
        )
        return call


def _informed(prompt: Prompt, context: Context) -> Prompt:
    """The prompt with what it wants told of the run, as far as there is room."""
    told = background(context, prompt)
    return replace(prompt, user=f"{told}\n\n{prompt.user}") if told else prompt


def _topic(one: Question) -> Topic | None:
    return (one.genome.digest, one.prompt.address, one.grammar.name) if one.grammar else None


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
