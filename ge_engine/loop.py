"""The loop: breed, validate, evaluate, select; nothing else. Resume is: open the ledger and go on."""

from __future__ import annotations

from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Probe
from ge_engine.errors import ConfigError
from ge_engine.events import Observe
from ge_engine.genome import Seed
from ge_engine.ledger import History
from ge_engine.ledger.foreign import confirmed
from ge_engine.registry import Registry
from ge_engine.search.addresses import Addresses
from ge_engine.search.finalists import Result, finalists, test_finalists
from ge_engine.search.models import opened_models
from ge_engine.search.rescoring import OwnSettings, settled
from ge_engine.search.run_state import RunState
from ge_engine.search.schedule import SCHEDULES
from ge_engine.search.scoring import Scoring
from ge_engine.search.selection import Selection
from ge_engine.search.services import RunServices, checks_of, variations_of
from ge_engine.search.session import Session, opened_session
from ge_engine.search.survey import Surveys

__all__ = ["Result", "rescore", "run"]


def run(
    seed: Seed,
    config: RunConfig,
    registry: Registry,
    folder: Path,
    observe: Observe,
    *,
    allow_changes: bool = False,
) -> Result:
    """Evolve `seed` in `folder`, or go on with the run that is there; one whose seed was refused begins anew.

    Raises:
        LedgerError: the run is locked, damaged or of another seed, or the disk is full.
        ConfigError: a name that no plugin registers, or other settings than the run's; or other versions or
            checks, by which its results could change, without `allow_changes`.
        SeedError: the seed does not build, run or train, or no block may be rewritten.
        ModelError: the language model cannot be opened or reached.
        PluginError: a selector failed.
    """
    with opened_session(seed, config, registry, folder, observe, allow_changes) as session:
        if ended := session.nothing_left():
            session.tell_start()
            return session.finish(*ended)
        with session.opened_scoring() as (evaluation, scoring):
            session.tell_start()
            state, probe = session.begin(evaluation, scoring)
            session.announce(
                "seed_scored", objectives=dict(state.seed.objectives), chance=session.chance(probe)
            )
            stopped = _evolve(session, state, probe, evaluation, scoring)
            if not session.limits.interrupted:
                _test_finalists(session, state, scoring)
        return session.finish(state, stopped)


def rescore(
    folder: Path,
    seeds: int,
    registry: Registry,
    observe: Observe,
    own: OwnSettings | None = None,
    *,
    allow_changes: bool = False,
) -> Result:
    """Train the finalists of a run that has ended with `seeds` further seeds, those left out that it holds.

    Raises:
        ConfigError: the run goes on, or was cut off, or another evaluator than `own` scores it; or other
            versions than made it, without `allow_changes`.
        LedgerError, SeedError, PluginError: as `run`.
    """
    with History(folder) as history:
        seed, stored, ended = confirmed(history.seed), history.config, history.stopped_because
    if not ended:
        raise ConfigError(f"The run {folder} has not ended.", "Go on with it by `ge evolve`.")
    config = settled(folder, stored, own or OwnSettings(), seeds, registry)
    with opened_session(seed, config, registry, folder, observe, allow_changes) as session:
        with session.opened_scoring() as (evaluation, scoring):
            state, _ = session.begin(evaluation, scoring)
            _test_finalists(session, state, scoring)
        return session.finish(state, ended)


def _evolve(session: Session, state: RunState, probe: Probe, evaluation: Evaluation, scoring: Scoring) -> str:
    """Breed generations until something says stop; the reason, told when work in flight has ended."""
    config, registry, ledger, directions = (
        session.config,
        session.registry,
        session.ledger,
        session.directions,
    )
    addresses = Addresses(ledger.seed.genome, config, probe).of
    variations = variations_of(config, registry, ledger, state.seed, directions, addresses)
    checks = checks_of(config, registry, ledger, probe)
    surveys = Surveys(evaluation.sizes if evaluation.measures_sizes else None)
    with session.halted_when_interrupted(scoring):
        if reason := session.reason_to_stop(state):
            return reason
        with opened_models(config, registry) as models:
            services = RunServices(
                ledger,
                variations,
                checks,
                scoring,
                models,
                surveys,
                session.event_loop,
                session.announce,
                session.limits,
            )
            selection = Selection(config, registry, directions)
            reason = SCHEDULES[config.schedule](config, state, selection, services).run()
            session.announce("stopping", reason=reason)
            scoring.close()
            scoring.drain()
    return reason


def _test_finalists(session: Session, state: RunState, scoring: Scoring) -> None:
    session.announce("finalists", ids=[one.id for one in finalists(state)])
    test_finalists(state, scoring, session.config.rescore_seeds)
