"""A run's folder that somebody else has made or changed starts nothing and breaks nothing on its reader."""

# ruff: noqa: E501

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import doubles
import pytest

from ge_engine import loop
from ge_engine.errors import ConfigError, LedgerError
from ge_engine.genome import Seed
from ge_engine.ledger import Ledger, foreign
from ge_engine.ledger.foreign import confirmed
from ge_engine.ledger.history import History
from ge_engine.search.rescoring import OwnSettings

Ge = Callable[..., tuple[int, str, str]]
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The run database of a finished run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = doubles.config(generations=2, population=6, llm="scripted:good")
    loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)
    setting(folder, evaluator="train", llm=["uniform"])
    db = sqlite3.connect(folder / "ledger.sqlite")
    db.execute("PRAGMA journal_mode = DELETE")
    db.close()
    return (folder / "ledger.sqlite").read_bytes()


@pytest.fixture
def run(tmp_path: Path, made: bytes) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "ledger.sqlite").write_bytes(made)
    return folder


def change(run: Path, *statements: str) -> None:
    db = sqlite3.connect(run / "ledger.sqlite", isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def setting(run: Path, **settings: object) -> None:
    """Change settings that the run database has."""
    db = sqlite3.connect(run / "ledger.sqlite", isolation_level=None)
    held = json.loads(db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()[0])
    db.execute("UPDATE meta SET value = ? WHERE key = 'config'", (json.dumps(held | settings),))
    db.close()


# --- what a run's folder would start ------------------------------------------------------------------

STORED = {
    "program": {"evaluator": "command", "evaluator_argument": "touch {mark} {path}"},
    "function": {"evaluator": "function", "evaluator_argument": "antigravity:geohash"},
    "evaluator of a plugin": {"evaluator": "instant"},
}


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("command", ["rescore", "diff --stat"])
def test_a_program_that_a_folder_starts_on_its_reader(
    kind: str, command: str, run: Path, tmp_path: Path, ge: Ge
) -> None:
    mark = tmp_path / "started"
    setting(run, **{name: value.replace("{mark}", str(mark)) for name, value in STORED[kind].items()})
    words = ["rescore", run] if command == "rescore" else ["diff", f"{run}:{scored(run)}", "--stat"]
    code, _, err = ge(*words)
    assert code == (2 if command == "rescore" else 1)
    assert "cannot start by itself" in err or "is not started for this" in err
    assert not mark.exists()
    assert not (run / "scratch").exists()


def scored(run: Path) -> str:
    with History(run) as history:
        return next(one.id for one in history.individuals() if one.scored and one.slot >= 0)


def test_a_program_that_the_session_names_itself(tmp_path: Path) -> None:
    config = doubles.config(generations=1)
    loop.run(doubles.seed(), config, doubles.registry(), tmp_path, lambda *_: None)
    for other in (OwnSettings(), OwnSettings("instant", "x"), OwnSettings("threaded")):
        with pytest.raises(ConfigError, match="cannot start by itself"):
            loop.rescore(tmp_path, 1, doubles.registry(), lambda *_: None, other)
    own = OwnSettings("instant", sandbox="none")
    loop.rescore(tmp_path, 1, doubles.registry(), lambda *_: None, own)
    with History(tmp_path) as history:
        assert history.config.sandbox == "none"


def test_a_sandbox_that_the_folder_opens(tmp_path: Path) -> None:
    config = doubles.config(generations=1, sandbox="none", trackers=("tensorboard",))
    loop.run(doubles.seed(), config, doubles.registry(), tmp_path, lambda *_: None)
    own = OwnSettings("instant")
    loop.rescore(tmp_path, 1, doubles.registry(), lambda *_: None, own)
    with History(tmp_path) as history:
        assert history.config.sandbox == "auto"
        assert history.config.trackers == ()


def test_a_folder_that_the_ledger_opens_to_its_code(tmp_path: Path) -> None:
    source = EXAMPLE.read_bytes()
    own = tmp_path / "seed.py"
    own.write_bytes(source)
    assert confirmed(Seed.from_bytes(source, own)).path == own
    for other in (source + b"\n", b"", source.replace(b"3", b"4")):
        own.write_bytes(other)
        assert confirmed(Seed.from_bytes(source, own)).path is None
    own.unlink()
    for place in (own, tmp_path, Path("/dev/zero"), Path("/proc/self/mem"), tmp_path / ("x" * 400)):
        assert confirmed(Seed.from_bytes(source, place)).path is None


def test_a_run_that_goes_on_with_the_path_of_another(tmp_path: Path) -> None:
    folder, secret = tmp_path / "run", tmp_path / "secret"
    config = doubles.config(generations=1)
    loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)
    change(folder, f"UPDATE seed SET path = '{secret}/seed.py'")
    seen: list[Path | None] = []

    class Watching(doubles.Instant):
        def probe(self, genome):  # type: ignore[no-untyped-def]
            seen.append(genome.seed.path)
            return super().probe(genome)

    opened = doubles.InstantEvaluator.open
    registry = doubles.registry()
    try:
        doubles.Instant, kept = Watching, doubles.Instant  # type: ignore[misc]
        loop.run(doubles.seed(), doubles.config(generations=2), registry, folder, lambda *_: None)
    finally:
        doubles.Instant = kept  # type: ignore[misc]
    assert opened is doubles.InstantEvaluator.open
    assert seen
    assert set(seen) == {Path("seed.py")}


# --- what a run database may be ------------------------------------------------------------------------------

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"
STRUCTURES = {
    "an endless view for a table": (
        "ALTER TABLE calls RENAME TO other",
        f"CREATE VIEW calls AS {ENDLESS} i AS key FROM n",
    ),
    "a view beside": (f"CREATE VIEW beside AS {ENDLESS} i FROM n",),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON scores BEGIN UPDATE meta SET value = 'x'; END",),
    "a virtual table": ("CREATE VIRTUAL TABLE v USING fts5(x)",),
    "a virtual table for a table": (
        "DROP TABLE merged",
        "CREATE VIRTUAL TABLE merged USING fts5(id)",
    ),
    "a computed column": ("ALTER TABLE fronts ADD COLUMN x AS (hex(zeroblob(1000000000)))",),
    "no table of individuals": ("DROP TABLE individuals",),
    "no seed": ("DELETE FROM seed",),
    "a seed of text": ("UPDATE seed SET source = 'class A: pass'",),
    "a seed of numbers": ("UPDATE seed SET source = 17",),
    "a seed that is no Python": ("UPDATE seed SET source = x'00ff00'",),
    "a path of bytes": ("UPDATE seed SET path = x'00'",),
    "a path with a zero": ("UPDATE seed SET path = 'a' || char(0) || 'b'",),
    "a newer version": ("PRAGMA user_version = 99",),
    "no version": ("PRAGMA user_version = 0",),
}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_ledger_that_acts(structure: str, run: Path, ge: Ge) -> None:
    change(run, *STRUCTURES[structure])
    for words in (
        ["log", run],
        ["report", run],
        ["show", f"{run}:g0s1"],
        ["log", run, "--check"],
        ["rescore", run],
    ):
        code, out, err = ge(*words)
        if "--check" in words and code == 1:
            assert "1 faults" in out
            continue
        assert code == 2, (words, out, err)
        told(err)


def told(err: str) -> None:
    """One sentence and a next step, and no traceback."""
    lines = err.strip().splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) <= 2
    assert "Traceback" not in err


@pytest.mark.parametrize("structure", ["a trigger", "an endless view for a table"])
def test_a_ledger_that_acts_on_its_writer(structure: str, run: Path) -> None:
    change(run, *STRUCTURES[structure])
    with pytest.raises(LedgerError, match="which no run has"):
        Ledger.open(run)


CHILD = "WHERE slot >= 0 AND stage IS NULL"
ANY = "WHERE digest IN (SELECT digest FROM individuals WHERE slot >= 0 AND stage IS NULL)"
VALUES = {
    "settings that are no JSON": "UPDATE meta SET value = '{' WHERE key = 'config'",
    "settings of bytes": "UPDATE meta SET value = x'00ff' WHERE key = 'config'",
    "settings that are a list": "UPDATE meta SET value = '[]' WHERE key = 'config'",
    "settings of a wrong type": "UPDATE meta SET value = '{\"population\": \"many\"}' WHERE key = 'config'",
    "no settings": "DELETE FROM meta WHERE key = 'config'",
    "no directions": "DELETE FROM meta WHERE key = 'directions'",
    "a direction of nowhere": "UPDATE meta SET value = replace(value, 'max', 'up') WHERE key = 'directions'",
    "directions of others": "UPDATE meta SET value = '{\"x\":\"min\"}' WHERE key = 'directions'",
    "a score that is text": f"UPDATE scores SET outcome = '{{\"scored\":{{\"accuracy\":\"1\",\"parameters\":2}},\"details\":{{}}}}' {ANY}",
    "a score without an objective": f"UPDATE scores SET outcome = '{{\"scored\":{{\"accuracy\":1}},\"details\":{{}}}}' {ANY}",
    "a score that is huge": f"UPDATE scores SET outcome = '{{\"scored\":{{\"accuracy\":1,\"parameters\":1' || printf('%.400d', 0) || '}},\"details\":{{}}}}' {ANY}",
    "a score that is infinite": f"UPDATE scores SET outcome = '{{\"scored\":{{\"accuracy\":1e999,\"parameters\":2}},\"details\":{{}}}}' {ANY}",
    "a score that is nothing": f"UPDATE scores SET outcome = 'null' {ANY}",
    "a score of bytes": f"UPDATE scores SET outcome = x'ff00' {ANY}",
    "a failure with other fields": f"UPDATE scores SET outcome = '{{\"failed\":{{\"x\":1}}}}' {ANY}",
    "a failure of a wrong type": f"UPDATE scores SET outcome = '{{\"failed\":{{\"stage\":1,\"kind\":2,\"reason\":3}}}}' {ANY}",
    "an outcome that nests": f"UPDATE scores SET outcome = '{{\"scored\":' || printf('%.20000c', '[') {ANY}",
    "parents that are a number": f"UPDATE individuals SET parents = '7' {CHILD}",
    "parents that are numbers": f"UPDATE individuals SET parents = '[7]' {CHILD}",
    "parents that are bytes": f"UPDATE individuals SET parents = x'ff' {CHILD}",
    "a child of itself": f"UPDATE individuals SET parents = '[\"' || id || '\"]' {CHILD}",
    "parents in a ring": f"UPDATE individuals SET parents = '[\"g1s' || ((slot + 1) % 6) || '\"]', generation = 1 {CHILD}",
    "parents that are not there": f"UPDATE individuals SET parents = '[\"g77s1\"]' {CHILD}",
    "steps that are text": f"UPDATE individuals SET steps = '\"x\"' {CHILD}",
    "a step with other fields": f"UPDATE individuals SET steps = '[{{\"x\":1}}]' {CHILD}",
    "a step of numbers": f"UPDATE individuals SET steps = replace(steps, '\"mutation\"', '7') {CHILD}",
    "code that does not fit": f"UPDATE individuals SET delta = '{{\"replaced\":{{\"999\":\"x\"}},\"helpers\":{{}},\"imports\":[]}}' {CHILD}",
    "code that is a list": f"UPDATE individuals SET delta = '[]' {CHILD}",
    "code that is no Python": f"UPDATE individuals SET delta = '{{\"replaced\":{{\"3\":\"((\"}},\"helpers\":{{}},\"imports\":[]}}' {CHILD}",
    "a generation of text": f"UPDATE individuals SET generation = 'one' {CHILD}",
    "a generation far away": f"UPDATE individuals SET generation = 9223372036854775807 {CHILD}",
    "a slot of bytes": f"UPDATE individuals SET slot = x'00' {CHILD}",
    "an island far away": "UPDATE survivors SET island = 4611686018427387904",
    "an island of text": "UPDATE individuals SET island = 'x'",
    "a reason of bytes": "UPDATE individuals SET reason = x'ff' WHERE stage IS NOT NULL",
    "a stage of a number": "UPDATE individuals SET stage = 5.5 WHERE stage IS NOT NULL",
    "a reply of bytes": "UPDATE calls SET text = x'ff00ff'",
    "a reply that is no UTF-8": "UPDATE calls SET text = CAST(x'ff00ff' AS TEXT)",
    "tokens of text": "UPDATE calls SET prompt_tokens = 'many'",
    "seconds of text": "UPDATE calls SET seconds = 'long'",
    "a call of numbers": "UPDATE calls SET user = 1.5, system = 2",
    "a huge reply": "UPDATE calls SET text = hex(zeroblob(40000000)) WHERE key = (SELECT min(key) FROM calls)",
    "individuals without an id": "UPDATE individuals SET id = x'00' WHERE id = 'g0s1'",
    "generations of text": "UPDATE generations SET size = 'x'",
    "a reason that ended it of bytes": "UPDATE meta SET value = x'00' WHERE key = 'stopped_because'",
    "no seed among the individuals": "DELETE FROM individuals WHERE id = 'seed'",
    "a seed without a score": "DELETE FROM scores WHERE digest = (SELECT digest FROM individuals WHERE id = 'seed')",
    "a test score without an objective": "UPDATE scores SET outcome = '{\"scored\":{},\"details\":{}}' WHERE split = 'test'",
    "a format without end": "UPDATE meta SET value = replace(value, '.2%', '.999999999f') WHERE key = 'notations'",
    "a format that is a number": "UPDATE meta SET value = replace(value, '\".2%\"', '1') WHERE key = 'notations'",
    "an objective without a notation": "UPDATE meta SET value = '{}' WHERE key = 'notations'",
    "no individuals": "DELETE FROM individuals",
    "a tolerance of what is no objective": "UPDATE meta SET value = json_set(value, '$.tolerance', json('[\"speed=1%\"]')) WHERE key = 'config'",
    "curves that are odd": f"UPDATE scores SET outcome = json_set(outcome, '$.details.curve', json('[1,\"x\",null,{{\"a\":[1]}},{{\"b\":1e400}}]')) {ANY}",
}  # fmt: skip
READERS = (
    ["log", "{run}"],
    ["log", "{run}", "--json"],
    ["log", "{run}", "--stats"],
    ["log", "{run}", "--check"],
    ["show", "{run}:{one}", "--code"],
    ["diff", "{run}:{one}"],
    ["blame", "{run}:{one}"],
    ["export", "{run}:{one}", "-o", "{run}/out.py", "--force"],
    ["export", "{run}:{one}", "--commit"],
    ["export", "{run}:{one}", "--into", "{run}", "--force"],
    ["report", "{run}"],
)


@pytest.mark.parametrize("value", VALUES)
def test_a_changed_value_that_breaks_a_reader(value: str, run: Path, ge: Ge) -> None:
    change(run, VALUES[value])
    for words in READERS:
        code, _, err = ge(*(word.format(run=run, one="g1s1") for word in words))
        assert code in (0, 1, 2), (words, err)
        if code == 2:
            told(err)
        else:
            assert not err, (words, err)


def test_a_question_that_never_ends(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "MOST_ROUNDS", 20)
    with History(run) as history:
        with pytest.raises(LedgerError, match="asks for more than any run needs"):
            history.query(f"{ENDLESS} max(i) FROM n")
        assert list(history.individuals())


def test_a_cell_without_end(run: Path) -> None:
    with History(run) as history, pytest.raises(LedgerError, match="asks for more than any run needs"):
        history.query(f"SELECT zeroblob({foreign.LONGEST_CELL + 1})")
