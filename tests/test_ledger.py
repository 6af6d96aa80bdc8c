"""The run database: all or nothing, one writer, strict JSON, and errors that say what to do."""

from __future__ import annotations

import math
import multiprocessing
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import doubles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_engine.contracts import ModuleProfile, Probe, Prompt, Reply, Sampling
from ge_engine.errors import LedgerError
from ge_engine.ledger import ChildRecord, Ledger, exists, read_replies, records
from ge_engine.ledger.history import History
from ge_engine.ledger.score_key import VALIDATION, ScoreKey
from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.patch import Patch, apply
from ge_engine.population import ChildWithoutGenome, Individual, Step, with_genome
from ge_engine.search.budget import Budget
from tests.patience import PATIENT

SEED = doubles.seed()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with Ledger.create(folder, SEED, doubles.config()) as made:
        yield made


def child(number: int = 0, generation: int = 0) -> Individual:
    code = SEED.genome.blocks["Net.forward"].code.replace("5", str(6 + number))
    genome = apply(SEED.genome, Patch("Net.forward", code))
    assert not isinstance(genome, Rejected)
    step = Step("mutation", "expert", "reduce", "Net.forward", "edits", "")
    return Individual(f"g{generation}s{number}", generation, number, ("seed",), (step,), genome)


def call(key: str, generation: int = 0, canonical: str = "c", text: str = "x = 1") -> records.Call:
    return records.Call(
        key=key,
        individual=key.split("/")[0],
        generation=generation,
        prompt=Prompt("system", "user {} %s \x00 \u2028", "Net", "edits", "reduce"),
        sampling=Sampling(0.25, 600, 7),
        reply=Reply(text, "stop", 10, 5, 0.5, "scripted"),
        digest="d",
        grammar="edits",
        canonical=canonical,
    )


CALLS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 50)), max_size=12)


def add_calls(ledger: Ledger, calls: list[tuple[int, int, int]]) -> None:
    """Calls with these tokens; after each the sum is that of all."""
    assert ledger.tokens() == History.tokens(ledger)
    for key, into, out in calls:
        one = call(f"g0s0/{key}")
        reply = replace(one.reply, prompt_tokens=into, completion_tokens=out)
        ledger.add_call(replace(one, reply=reply))
        assert ledger.tokens() == History.tokens(ledger)


@settings(max_examples=20)
@given(before=CALLS, after=CALLS)
def test_a_sum_of_tokens_that_drifts_from_that_of_all_calls(
    before: list[tuple[int, int, int]], after: list[tuple[int, int, int]]
) -> None:
    """Some calls are written again; a second session goes on, and forgets all where the run begins anew."""
    with tempfile.TemporaryDirectory() as place:
        with Ledger.create(Path(place) / "run", SEED, doubles.config()) as ledger:
            add_calls(ledger, before)
        with Ledger.open(Path(place) / "run") as ledger:
            add_calls(ledger, after)
            ledger.begin_anew(SEED, doubles.config())
            assert ledger.tokens() == (0, 0)


def test_a_budget_that_reads_all_calls_for_each_child(ledger: Ledger) -> None:
    budget = Budget(doubles.config(token_budget=10**6), ledger)
    assert budget.spent() == ""
    asked: list[str] = []
    ledger._db.set_trace_callback(asked.append)
    for number in range(3):
        ledger.add_call(call(f"g0s0/{number}"))
        assert budget.spent() == ""
        assert ledger.reply(f"g0s0/{number}")
    assert any("key" in statement for statement in asked)
    assert not [statement for statement in asked if "sum(" in statement]


def test_an_individual_that_comes_back_changed(ledger: Ledger) -> None:
    one = child()
    assert one.genome is not None
    ledger.record_children([ChildRecord(one, "f", None)])
    scores = {"accuracy": 0.5, "parameters": 7.0}
    ledger.add_score(one.genome.digest, VALIDATION, Scored(scores, {"curve": [0.1, math.nan]}))
    back = ledger.individual("g0s0")
    assert back is not None
    assert back.genome is not None
    assert back.genome.source == one.genome.source
    assert (back.parents, back.steps) == (one.parents, one.steps)
    assert back.outcome == Scored(scores, {"curve": [0.1, None]})
    assert ledger.individual("g7s7") is None


def test_a_prompt_or_reply_that_comes_back_changed(ledger: Ledger, folder: Path) -> None:
    for number in (0, 1, 10, 2):
        ledger.add_call(call(f"g0s0/{number}"))
    back = ledger.calls("g0s0")
    assert [one.key for one in back] == ["g0s0/0", "g0s0/1", "g0s0/2", "g0s0/10"]
    assert (back[0].prompt, back[0].sampling, back[0].reply) == (
        call("").prompt,
        call("").sampling,
        call("").reply,
    )
    assert read_replies(folder)["g0s0/10"].text == "x = 1"
    assert ledger.tokens() == (40, 20)


def test_the_seed_that_needs_its_file(folder: Path, ledger: Ledger) -> None:
    with History(folder) as history:
        assert history.seed.source == doubles.SEED
        assert history.config == doubles.config()


def test_a_rejected_individual_that_has_a_score(ledger: Ledger) -> None:
    ledger.record_children(
        [ChildRecord(child(0), "", Rejected("names", "undefined y")), ChildRecord(child(1), "", None)]
    )
    back = ledger.individual("g0s0")
    assert back is not None
    assert back.outcome == Rejected("names", "undefined y")
    assert ledger.rejections() == {"names": 1}
    ledger.add_score(child(0).genome.digest, VALIDATION, Scored({"accuracy": 1.0}))  # type: ignore[union-attr]
    again = ledger.individual("g0s0")
    assert again is not None
    assert again.outcome == Rejected("names", "undefined y")
    assert list(ledger.scored_points()) == []


def test_a_slot_without_a_genome_that_becomes_an_individual(ledger: Ledger) -> None:
    reason = Rejected("extract", "the reply holds no code")
    lost = ChildWithoutGenome("g0s2", 0, 2, ("seed",), child().steps, reason, 1)
    ledger.record_children([ChildRecord(child(0), "", None), ChildRecord(lost, "", reason)])
    assert ledger.individual("g0s2") == lost
    assert [one.id for one in with_genome(ledger.individuals())] == ["g0s0"]
    assert (lost.genome, lost.scored, lost.objectives) == (None, False, {})


@pytest.mark.parametrize(
    "damage", ["stage = NULL, delta = NULL", "id = 'seed', delta = NULL", "stage = 'x', reason = x'00'"]
)
def test_a_row_that_is_neither_an_individual_nor_a_rejected_child(
    folder: Path, ledger: Ledger, damage: str
) -> None:
    ledger.record_children([ChildRecord(child(0), "", Rejected("names", "undefined y"))])
    ledger.close()
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        database.execute(f"UPDATE individuals SET {damage}")
    with History(folder) as history, pytest.raises(LedgerError, match="damaged"):
        list(history.individuals())


def test_scores_of_nobody_that_stay(ledger: Ledger) -> None:
    """A child was trained before another turned out to do the same: what it scored goes, on every split."""
    kept, gone = child(0), child(1)
    assert kept.genome is not None
    assert gone.genome is not None
    for one in (kept.genome, gone.genome):
        for key in (VALIDATION, ScoreKey(epochs=1)):
            ledger.add_score(one.digest, key, Scored({"accuracy": 0.5}))
    twin = Rejected("seen-function", "it computes the same as g0s0")
    ledger.record_children(
        [ChildRecord(kept, "f", None), ChildRecord(gone, "", twin)], void=[gone.genome.digest]
    )
    found = {digest for key in (VALIDATION, ScoreKey(epochs=1)) for digest in ledger.scores(key)}
    assert found == {kept.genome.digest}
    assert ledger.evaluations() == 1


def test_what_was_tried_that_leaks_from_this_generation(ledger: Ledger) -> None:
    for generation, canonical in ((0, "a"), (1, "b"), (2, "c")):
        ledger.add_call(call(f"g{generation}s0/0", generation, canonical))
    assert ledger.tried("d", "Net", "edits", 2) == {"a", "b"}
    assert ledger.tried("d", "Net", "block", 2) == frozenset()
    assert ledger.tried("other", "Net", "edits", 2) == frozenset()


def test_a_digest_seen_in_a_later_generation(ledger: Ledger) -> None:
    seed = Individual("seed", 0, -1, (), (), SEED.genome)
    one = child(0, generation=2)
    assert one.genome is not None
    ledger.record_children([ChildRecord(seed, "fs", None), ChildRecord(one, "fo", None)])
    assert ledger.seen(SEED.genome.digest, 0) == "seed"
    assert ledger.seen(one.genome.digest, 2) is None
    assert ledger.seen(one.genome.digest, 3) == "g2s0"
    assert ledger.seen_function("fo", 3) == "g2s0"
    assert ledger.seen_function("", 3) is None


def test_generation_9_taken_for_the_last_beside_29(ledger: Ledger) -> None:
    for number in (0, 9, 29):
        ledger.start_generation(number, 4)
        ledger.finish_generation(number, [["seed"]], ["seed"], [])
    ledger.start_generation(30, 4)
    assert ledger.next_generation() == 30
    assert [one.generation for one in ledger.generations()] == [0, 9, 29, 30]
    assert ledger.survivors(29) == ("seed",)


def test_a_planned_generation_that_changes_its_size(ledger: Ledger) -> None:
    assert ledger.start_generation(0, 6) == 6
    assert ledger.start_generation(0, 9) == 6


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_in_the_ledger(ledger: Ledger, value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        ledger.add_score("d", VALIDATION, Scored({"accuracy": value}))
    assert ledger.score("d") is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_details_that_are_no_strict_json(details: object) -> None:
    kept = records.finite(details)
    assert records.from_json(records.to_json(kept)) == kept


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_score_that_is_rounded(value: float) -> None:
    outcome = records.outcome_from_json(records.outcome_to_json(Scored({"a": value})))
    assert isinstance(outcome, Scored)
    assert outcome.objectives["a"] == value


@pytest.mark.parametrize(
    "outcome",
    [
        Rejected("names", "y is not defined"),
        Failed("train", "crash", "exit 9", "infrastructure"),
        Scored({"a": 1.0}),
        Scored({"a": 1.0}, {"steps": 7}, {"a": 0.25}),
    ],
)
def test_an_outcome_that_changes_its_kind(outcome: Outcome) -> None:
    assert records.outcome_from_json(records.outcome_to_json(outcome)) == outcome


def test_a_probe_that_loses_a_field() -> None:
    probe = Probe(
        stage="forward",
        error="boom",
        output_shape=(2, 10),
        finite=False,
        without_gradient=frozenset({"a"}),
        unregistered=("l",),
        executed=frozenset({"Net"}),
        facts={"p": 1.0},
        class_parameters={"Net": 7},
        fingerprint="f",
        graph="g",
        modules=(ModuleProfile("body", "Body"),),
    )
    plain, back = Probe(), records.probe_from_json(records.probe_to_json(probe))
    for one in fields(Probe):
        given = getattr(probe, one.name)
        assert given != getattr(plain, one.name), f"{one.name} is not given"
        assert getattr(back, one.name) == given
        assert type(getattr(back, one.name)) is type(given), one.name
    assert records.probe_from_json(records.probe_to_json(plain)) == plain


@pytest.mark.parametrize(
    "large",
    [10**400, -(10**400), 10**5000, [10**400], {"a": {"b": 10**5000}}],
    ids=["400 digits", "below zero", "5000 digits", "in a list", "nested"],
)
def test_a_number_in_the_details_that_cannot_be_written(large: object) -> None:
    outcome = records.outcome_from_json(records.outcome_to_json(Scored({"a": 1.0}, {"steps": 7, "x": large})))
    assert isinstance(outcome, Scored)
    assert outcome.details["steps"] == 7
    assert "0000" not in str(outcome.details)


def test_nan_in_the_file_that_is_read() -> None:
    with pytest.raises(LedgerError, match="NaN is not a number"):
        records.from_json('{"a": NaN}')


def test_half_a_survivor_point(ledger: Ledger) -> None:
    """The survivors are written, the front cannot be: neither is there."""
    ledger.start_generation(0, 1)
    with pytest.raises(LedgerError):
        ledger.finish_generation(0, [["seed"]], [["no", "name"]], [])  # type: ignore[list-item]
    assert ledger.survivors(0) == ()
    assert not ledger.generations()[0].finished
    ledger.finish_generation(0, [["seed"]], ["seed"], [])
    assert (ledger.survivors(0), ledger.fronts(0)) == (("seed",), ("seed",))


def test_a_survivor_point_that_the_loss_of_power_takes(ledger: Ledger) -> None:
    """What SQLite is asked to wait for: each survivor point and each end is on the disk when it is left."""
    said: list[str] = []
    ledger._db.set_trace_callback(said.append)
    for write in (
        lambda: ledger.finish_generation(0, [["seed"]], ["seed"], []),
        lambda: ledger.set_stopped("finished: all generations"),
    ):
        said.clear()
        write()
        modes = [line.rpartition(" ")[2] for line in said if line.startswith("PRAGMA synchronous")]
        kinds = [line.split()[0] for line in said]
        assert modes == ["FULL", "NORMAL"]
        assert kinds[:2] == ["PRAGMA", "BEGIN"]
        assert kinds[-2:] == ["COMMIT", "PRAGMA"]


# --- who may write ------------------------------------------------------------------------------


def test_a_second_writer_in_this_process(ledger: Ledger, folder: Path) -> None:
    with pytest.raises(LedgerError, match="being worked on by this process"):
        Ledger.open(folder)


def test_a_second_writer_in_another_process(ledger: Ledger, folder: Path) -> None:
    code = "import sys, pathlib; from ge_engine.ledger import Ledger; Ledger.open(pathlib.Path(sys.argv[1]))"
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, check=False)
    assert b"is being worked on by process" in ran.stderr


def sleep(ready: multiprocessing.synchronize.Event, done: multiprocessing.synchronize.Event) -> None:
    ready.set()
    done.wait(PATIENT)


def test_a_lock_that_a_forked_child_keeps(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    ledger = Ledger.create(folder, SEED, doubles.config())
    process = context.Process(target=sleep, args=(ready, done))
    process.start()
    try:
        assert ready.wait(PATIENT)
        ledger.close()
        Ledger.open(folder).close()
    finally:
        done.set()
        process.join()


def test_a_lock_that_outlives_an_error(folder: Path, ledger: Ledger) -> None:
    ledger.close()
    (folder / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    for _ in range(2):
        with pytest.raises(LedgerError, match="damaged"):
            Ledger.open(folder)


def test_a_reader_that_is_refused_while_a_run_goes_on(folder: Path, ledger: Ledger) -> None:
    with History(folder) as history:
        ledger.add_call(call("g0s0/0"))
        assert len(history.calls("g0s0")) == 1


# --- what can be wrong with a folder ------------------------------------------------------------


def test_no_run_there(tmp_path: Path) -> None:
    assert not exists(tmp_path)
    for opener in (Ledger.open, History):
        with pytest.raises(LedgerError, match="There is no run"):
            opener(tmp_path / "nothing")


def test_a_run_created_over_another(folder: Path, ledger: Ledger) -> None:
    ledger.add_call(call("g0s0/0"))
    ledger.close()
    with pytest.raises(LedgerError, match="already"):
        Ledger.create(folder, SEED, doubles.config())
    with Ledger.open(folder) as again:
        assert len(again.calls("g0s0")) == 1


def test_a_start_that_was_killed_half_way(folder: Path) -> None:
    folder.mkdir(parents=True)
    sqlite3.connect(folder / "ledger.sqlite").execute("PRAGMA journal_mode = WAL").close()
    assert not exists(folder)
    with Ledger.create(folder, SEED, doubles.config()) as ledger:
        assert ledger.seed.source == doubles.SEED


KILLED = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("CREATE TABLE filler (text)")
database.execute("BEGIN IMMEDIATE")
for _ in range(500):
    database.execute("INSERT INTO filler VALUES (?)", ("x" * 3000,))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_start_that_was_killed_in_the_middle_of_a_write(folder: Path) -> None:
    """A rollback journal is left behind, which only a connection that may write can roll back."""
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", KILLED, str(folder / "ledger.sqlite")], check=False)
    assert list(folder.glob("*-journal"))
    assert not exists(folder)
    Ledger.create(folder, SEED, doubles.config()).close()


def test_a_reader_that_changes_a_row(folder: Path, ledger: Ledger) -> None:
    with History(folder) as history, pytest.raises(LedgerError):
        history.query("DELETE FROM seed")


def test_a_ledger_of_a_newer_version(folder: Path, ledger: Ledger) -> None:
    ledger.close()
    database = sqlite3.connect(folder / "ledger.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(LedgerError, match="schema 99") as caught:
        History(folder)
    assert "Upgrade" in caught.value.hint


def test_a_damaged_page(folder: Path, ledger: Ledger) -> None:
    for number in range(200):
        ledger.add_call(call(f"g0s{number}/0", text="y" * 500))
    ledger.close()
    path = folder / "ledger.sqlite"
    data = bytearray(path.read_bytes())
    for page in range(4096 * 2, len(data), 4096):
        data[page : page + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(LedgerError, match="damaged") as caught:
        Ledger.open(folder)
    assert ".recover" in caught.value.hint


def fill(ledger: Ledger) -> None:
    for number in range(100):
        ledger.add_call(call(f"g0s{number}/0", text="y" * 3000))


def test_a_full_disk(ledger: Ledger) -> None:
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="disk is full") as caught:
        fill(ledger)
    assert "the run resumes" in caught.value.hint
    ledger._db.execute("PRAGMA max_page_count = 1000000")
    ledger.add_call(call("g1s0/0"))
    assert ledger._one("PRAGMA integrity_check")[0] == "ok"


def test_a_database_that_another_program_has_locked(folder: Path, ledger: Ledger) -> None:
    ledger._db.execute("PRAGMA busy_timeout = 100")
    other = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked by another program"):
        ledger.add_call(call("g0s0/0"))
    other.execute("ROLLBACK")
    ledger.add_call(call("g0s0/0"))


def test_a_transaction_that_is_half_written(ledger: Ledger) -> None:
    ledger.start_generation(0, 2)
    ledger.finish_generation(0, [["seed"]], ["seed"], [])
    with pytest.raises(LedgerError):
        ledger.finish_generation(0, [["seed", None]], [], [])  # type: ignore[list-item]
    assert ledger.survivors(0) == ("seed",)


def test_a_survivor_point_that_is_not_synchronous(ledger: Ledger) -> None:
    statements: list[str] = []
    ledger.start_generation(0, 1)
    ledger._db.set_trace_callback(statements.append)
    ledger.finish_generation(0, [["seed"]], ["seed"], [])
    ledger._db.set_trace_callback(None)
    full = statements.index("PRAGMA synchronous = FULL")
    assert full < statements.index("COMMIT") < statements.index("PRAGMA synchronous = NORMAL")
    assert ledger._one("PRAGMA journal_mode")[0] == "wal"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerError, match="cannot be made"):
        Ledger.create(tmp_path / "file" / "run", SEED, doubles.config())


def test_times_that_make_two_runs_differ(tmp_path: Path) -> None:
    contents = []
    for number, (score, seconds) in enumerate(((0.5, 1.0), (0.5, 2.0), (0.6, 1.0))):
        with Ledger.create(tmp_path / str(number), SEED, doubles.config()) as ledger:
            ledger.add_score("d", VALIDATION, Scored({"accuracy": score}, {"train_seconds": seconds}))
            contents.append(ledger.content())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]
