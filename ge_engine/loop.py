"""The loop: generate, validate, evaluate, select; nothing else. To resume is to open the run database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Probe
from ge_engine.errors import ConfigError
from ge_engine.events import Observe
from ge_engine.genome import Seed
from ge_engine.ledger import History
from ge_engine.ledger.foreign import to_run
from ge_engine.ledger.hand_made import HandMade
from ge_engine.registry import Registry
from ge_engine.search.addresses import Addresses
from ge_engine.search.finalists import Result, finalists, score_finalists, train_longer
from ge_engine.search.models import NO_MODELS, opened_models, prompt_room
from ge_engine.search.rescoring import OwnSettings, settings_for, settings_with_own
from ge_engine.search.run_state import RunState
from ge_engine.search.schedule import SCHEDULES, Schedule
from ge_engine.search.scoring import Scoring
from ge_engine.search.selection import Selection
from ge_engine.search.services import RunServices, checks_of, machines_of, variations_of
from ge_engine.search.session import Session, opened_session
from ge_engine.search.starting import starting_models
from ge_engine.search.survey import Surveys, surveyed_meanwhile, surveys_of
from ge_engine.search.trial import try_parts

__all__ = ["Result", "add", "rescore", "run"]


def run(
    seed: Seed,
    config: RunConfig,
    registry: Registry,
    folder: Path,
    observe: Observe,
    *,
    allow_changes: bool = False,
) -> Result:
    """Evolve `seed` in `folder`, or go on with the run there. One whose seed model was refused starts over.

    Raises:
        LedgerError: the run is locked, damaged or of another seed model, or the disk is full.
        ConfigError: a name that no plugin registers, or other settings than the run's; or other versions or
            checks, by which its results could change, without `allow_changes`.
        SeedError: the seed model does not build, run or train, or no block may be rewritten; or another model
            to begin with is no variant of it.
        ModelError: the language model cannot be opened or reached.
        PluginError: a plugin's part failed on the seed model, or on all children of a generation.
        EvaluationError: as many children in a row as a population has were not scored, by no fault of theirs.
    """
    with opened_session(seed, config, registry, folder, observe, allow_changes) as session:
        if ended := session.nothing_left():
            session.tell_start()
            return session.finish(*ended)
        starts = () if session.ledger.begun(0) else starting_models(seed, config.start)
        with ExitStack() as last, session.opened_scoring() as (evaluation, scoring):
            session.tell_start(evaluation.data, evaluation.remarks)
            surveys = surveys_of(config, registry, evaluation)
            last.callback(surveys.end)
            meanwhile = partial(surveyed_meanwhile, surveys, config, registry, session.ledger)
            state, probe = session.begin(evaluation, scoring, meanwhile)
            chance = session.chance(probe)
            session.ledger.set_chance(chance)
            session.announce(
                "seed_scored",
                objectives=dict(state.seed.objectives),
                errors=dict(state.seed.errors),
                chance=chance,
            )
            with session.halted_when_interrupted(scoring):
                services = _services(session, state, probe, evaluation, scoring, surveys)
                stopped = _evolve(session, state, probe, replace(services, starts=starts))
                _score_finalists(session, state, scoring)
        return session.finish(state, session.termination.interruption or stopped)


def rescore(
    folder: Path,
    seeds: int,
    registry: Registry,
    observe: Observe,
    own: OwnSettings | None = None,
    *,
    epochs: int = 0,
    allow_changes: bool = False,
) -> Result:
    """Train the finalists of a run that has ended with `seeds` further random seeds, without those it holds;
    for more `epochs` than the run did, or for as many (0).

    Raises:
        ConfigError: the run goes on, or was cut off, or another evaluator than `own` scores it, or what
            trains it is told no epochs; or other versions than made it, without `allow_changes`.
        LedgerError, SeedError, PluginError: as `run`.
        KeyboardInterrupt: a signal asked for an end; what was trained by then is in the run database.
    """
    with History(folder) as history:
        seed, stored, ended = to_run(history.seed), history.config, history.stopped_because
    if not ended:
        raise ConfigError(f"The run {folder} has not ended.", "Resume it with `ge resume`.")
    settings = settings_with_own(folder, stored, own or OwnSettings(), registry)
    config = settings if epochs else replace(settings, rescore_seeds=seeds)
    longer = settings_for(settings, epochs, registry) if epochs else None
    with opened_session(seed, config, registry, folder, observe, allow_changes) as session:
        with session.opened_scoring(longer) as (evaluation, scoring):
            state, _ = session.begin(evaluation, scoring)
            with session.halted_when_interrupted(scoring):
                if epochs:
                    session.announce("finalists", ids=[one.id for one in finalists(state)])
                    train_longer(state, scoring, seeds, epochs)
                else:
                    _score_finalists(session, state, scoring)
        result = session.finish(state, ended)
    if session.termination.interrupted:
        raise KeyboardInterrupt
    return result


def add(
    folder: Path,
    made: Sequence[HandMade],
    registry: Registry,
    observe: Observe,
    own: OwnSettings,
    *,
    allow_changes: bool = False,
) -> list[int]:
    """Check and train children that were made by hand, and all that wait, in a run on which nobody works; the
    numbers under which the run database has those of `made`. Of a run whose finalists were scored, new ones
    are, too.

    Raises:
        RunBusy: somebody works on the run.
        ConfigError: another evaluator than `own` scores it; or other versions than made it, without
            `allow_changes`.
        LedgerError, SeedError, PluginError: as `run`.
        KeyboardInterrupt: a signal asked for an end; what was added is in the run database.
    """
    with History(folder) as history:
        seed, stored, tested = to_run(history.seed), history.config, bool(history.test_outcomes())
    config = settings_with_own(folder, stored, own, registry)
    with opened_session(seed, config, registry, folder, observe, allow_changes) as session:
        numbers = session.ledger.leave(made)
        with session.opened_scoring() as (evaluation, scoring):
            session.tell_start(evaluation.data, evaluation.remarks)
            state, probe = session.begin(evaluation, scoring)
            surveys = surveys_of(config, registry, evaluation)
            with session.halted_when_interrupted(scoring):
                services = _services(session, state, probe, evaluation, scoring, surveys)
                _schedule(session, state, services).add()
                if tested:
                    _score_finalists(session, state, scoring)
    if session.termination.interrupted:
        raise KeyboardInterrupt
    return numbers


def _evolve(session: Session, state: RunState, probe: Probe, services: RunServices) -> str:
    """Generate children until something says stop; the reason, told when work in flight has ended."""
    if reason := session.reason_to_stop(state):
        if not session.termination.interrupted:
            _schedule(session, state, services).add()
        return reason
    try_parts(services.variations, session.registry, probe)
    with ExitStack() as stack:
        machines = machines_of(
            session.config, session.registry, session.ledger, lambda: session.termination.interrupted
        )
        with session.ended_when_interrupted() if machines else nullcontext():
            opened = opened_models(session.config, session.registry, session.hear, machines)
            models = stack.enter_context(opened)
        room = prompt_room(session.config, models)
        session.ledger.set_prompt_tokens(room)
        session.tell_instructions_left_out(models.name, room)
        reason = _schedule(session, state, replace(services, models=models, prompt_tokens=room)).run()
        session.announce("stopping", reason=reason)
        services.scoring.close()
        services.scoring.drain()
    return reason


def _services(
    session: Session,
    state: RunState,
    probe: Probe,
    evaluation: Evaluation,
    scoring: Scoring,
    surveys: Surveys,
) -> RunServices:
    """What generations work with, without language models."""
    config, registry, ledger = session.config, session.registry, session.ledger
    addresses = Addresses(ledger.seed.genome, config, probe, ledger.probe).of
    task = evaluation.description
    return RunServices(
        ledger,
        variations_of(config, registry, ledger, state.seed, session.directions, addresses, task),
        checks_of(config, registry, ledger, probe),
        scoring,
        NO_MODELS,
        (),
        surveys,
        session.event_loop,
        session.announce,
        session.termination,
    )


def _schedule(session: Session, state: RunState, services: RunServices) -> Schedule:
    selection = Selection(session.config, session.registry, session.directions, state.ties)
    return SCHEDULES[session.config.schedule](session.config, state, selection, services)


def _score_finalists(session: Session, state: RunState, scoring: Scoring) -> None:
    scoring.reopen()
    if session.termination.interrupted:
        return
    ids = [one.id for one in finalists(state)]
    session.announce("finalists", ids=ids, has_test_split=scoring.has_test_split)
    score_finalists(state, session.ledger, scoring, session.config)
