"""What happens around a run (its clock, cores, disk, other programs) ends it at most, and changes nothing."""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.errors import LedgerError
from ge_engine.ledger import Ledger, writer
from ge_engine.ledger.history import History
from ge_engine.runs.audit import check
from ge_engine.search import schedule as schedule_module
from tests.patience import PATIENT

REGISTRY = doubles.registry()
SETTINGS: dict[str, Any] = {"generations": 3, "population": 10, "repairs": 1}


def run(folder: Path, observe: Any = lambda *_: None, registry: Any = REGISTRY, **settings: Any) -> Any:
    return loop.run(doubles.seed(), doubles.config(**{**SETTINGS, **settings}), registry, folder, observe)


def content(folder: Path) -> Mapping[str, Any]:
    with History(folder) as history:
        return history.content()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(folder)
    return folder


class Stop(Exception):
    pass


def stopping(event: str, number: int) -> Any:
    """An observer that ends a session at the `number`-th `event`."""
    left = [number]

    def observe(name: str, data: object) -> None:
        left[0] -= name == event
        if not left[0]:
            raise Stop

    return observe


def test_a_clock_that_jumps(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back to 1970, on to 2100, and back in the middle of a generation and between two sessions."""
    jumps = itertools.cycle([0.0, 4.1e9, -5.0, 1e6])
    monkeypatch.setattr(writer.time, "time", lambda: next(jumps))
    with pytest.raises(Stop):
        run(tmp_path / "run", stopping("outcome", 9))
    run(tmp_path / "run")
    assert content(tmp_path / "run") == content(whole)
    assert check(tmp_path / "run") == []


@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_machine_with_other_cores(
    whole: Path, tmp_path: Path, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []

    def session(cores: int, stop: Any) -> None:
        def observe(name: str, data: Mapping[str, Any]) -> None:
            if name == "outcome":
                scored.append(f"{data['individual']}/{data['split']}")
            stop(name, data)

        monkeypatch.setattr(schedule_module, "cores", lambda: cores)
        run(tmp_path / "run", observe, evaluator="threaded", workers=0, schedule=schedule)

    for cores in (1, 64, 3):
        with pytest.raises(Stop):
            session(cores, stopping("outcome", 7))
    session(2, lambda *_: None)
    assert len(scored) == len(set(scored))
    assert check(tmp_path / "run") == []
    if schedule == "generational":
        assert content(tmp_path / "run") == content(whole)


@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_disk_that_fills_up_and_a_run_that_is_lost(
    whole: Path, tmp_path: Path, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Ledger._connect
    database = sqlite3.connect(whole / "ledger.sqlite")
    pages_in_all = database.execute("PRAGMA page_count").fetchone()[0]
    database.close()
    for pages in (int(0.7 * pages_in_all), int(0.8 * pages_in_all)):

        def small(self: Ledger, pages: int = pages) -> sqlite3.Connection:
            database = plain(self)
            database.execute(f"PRAGMA max_page_count = {pages}")
            return database

        with monkeypatch.context() as full:
            full.setattr(Ledger, "_connect", small)
            with pytest.raises(LedgerError, match="disk is full") as caught:
                run(tmp_path / "run", schedule=schedule)
        assert "the run resumes" in caught.value.hint
        assert check(tmp_path / "run") == []
    run(tmp_path / "run", schedule=schedule)
    assert check(tmp_path / "run") == []
    if schedule == "generational":
        assert content(tmp_path / "run") == content(whole)


def test_a_run_that_another_program_locks_in_its_middle(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Ledger._connect
    held: list[sqlite3.Connection] = []

    def impatient(self: Ledger) -> sqlite3.Connection:
        database = plain(self)
        database.execute("PRAGMA busy_timeout = 50")
        return database

    def lock(name: str, data: Mapping[str, Any]) -> None:
        if name == "admitted" and data["individual"].startswith("g1") and not held:
            held.append(sqlite3.connect(tmp_path / "run" / "ledger.sqlite", isolation_level=None))
            held[0].execute("BEGIN IMMEDIATE")

    with monkeypatch.context() as locked:
        locked.setattr(Ledger, "_connect", impatient)
        with pytest.raises(LedgerError, match="locked by another program"):
            run(tmp_path / "run", lock)
    held[0].execute("ROLLBACK")
    held[0].close()
    run(tmp_path / "run")
    assert content(tmp_path / "run") == content(whole)


def test_a_lock_that_is_let_go_in_time_and_ends_the_run(whole: Path, tmp_path: Path) -> None:
    """Another program writes for a moment: the run waits."""
    import threading

    freed: list[threading.Thread] = []

    def lock(name: str, data: Mapping[str, Any]) -> None:
        if name == "generation_started" and data["generation"] == 1:
            taken = threading.Event()

            def hold() -> None:
                other = sqlite3.connect(tmp_path / "run" / "ledger.sqlite", isolation_level=None)
                other.execute("BEGIN IMMEDIATE")
                taken.set()
                time.sleep(0.3)
                other.execute("ROLLBACK")
                other.close()

            freed.append(threading.Thread(target=hold))
            freed[0].start()
            taken.wait(PATIENT)

    run(tmp_path / "run", lock)
    freed[0].join()
    assert content(tmp_path / "run") == content(whole)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_equal_seeds_and_replies_that_make_unequal_ledgers(
    tmp_path: Path, schedule: str, workers: int
) -> None:
    """Both schedules with one and two workers. What had ended when a steady batch was bred is chance: there
    the second run takes the order of completions from the first one's run database, as `--llm replay:RUN`
    does."""
    models = {**REGISTRY.language_models, "replay": doubles.Replay()}
    registry = dataclasses.replace(REGISTRY, language_models=models)
    settings = {"evaluator": "threaded", "schedule": schedule, "generations": 4}
    run(tmp_path / "first", workers=3 - workers, **settings)
    llm = f"replay:{tmp_path / 'first'}"
    run(tmp_path / "second", registry=registry, workers=workers, llm=llm, **settings)
    assert content(tmp_path / "second") == content(tmp_path / "first")
    if schedule == "generational":
        run(tmp_path / "third", workers=workers, **settings)
        assert content(tmp_path / "third") == content(tmp_path / "first")
