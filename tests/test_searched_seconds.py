"""`bench_search`, over processor seconds: how they are measured, whose figures count, what is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import doubles
import lineages
import pytest
from benchmarks_here import FOLDER
from hypothesis import given
from hypothesis import strategies as st

from tests.pictured import noise

sys.path.insert(0, str(FOLDER.parent))
from benchmarks import bench_search
from benchmarks.bench_search import measured, planned
from benchmarks.course import Course, left_of, meter_of, scratch
from benchmarks.from_scratch import _taken, train_left
from benchmarks.meter import Meter, spent, spent_by
from benchmarks.reaching import ROUNDING, Pace, lines, mean, paces, reached
from benchmarks.searched import Search
from ge_engine import loop
from ge_engine.ledger import History
from ge_engine.outcome import INHERITED, Failed
from ge_engine.population import SEED_ID

BUSY = 0.1
TICKS = 4 / os.sysconf("SC_CLK_TCK")
"""What may be missing of the seconds of a process and of its child, which are told in whole ticks, those of
the user and of the system apart."""
BURN = f"import time\nwhile time.process_time() < {BUSY + TICKS}: pass"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', '''{BURN}'''], check=True)"
SHARES = st.floats(0, 1)
MOMENTS = st.integers(0, 100).map(float)


# --- processor seconds --------------------------------------------------------------------------------


def test_a_process_below_the_command_whose_seconds_are_lost(tmp_path: Path) -> None:
    """And a run that went on after a break."""
    meter = Meter(tmp_path / "made" / "seconds")
    assert meter.total == 0
    for runs in (1, 2):
        assert meter.run([sys.executable, "-S", "-c", CHILD], tmp_path) == 0
        assert meter.total >= runs * BUSY
    assert meter.run([sys.executable, "-S", "-c", "raise SystemExit(3)"], tmp_path) == 3


def test_a_process_that_does_not_count_before_it_has_ended() -> None:
    stays = CHILD.replace("pass", "pass\nprint(flush=True)\ninput()").replace("check=True", "check=False")
    command = [sys.executable, "-S", "-c", stays]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert spent(process.pid) >= BUSY
        process.communicate(b"\n")
    assert spent(process.pid) == 0, "it is gone"
    assert spent(os.getpid()) >= BUSY, "and was waited for"


@given(st.lists(st.tuples(MOMENTS, MOMENTS), min_size=1), st.lists(MOMENTS))
def test_seconds_that_run_backwards(looks: list[tuple[float, float]], at: list[float]) -> None:
    found = spent_by(looks, sorted(at))
    assert found == pytest.approx(sorted(found))
    assert all(-ROUNDING <= one <= max(seconds for _, seconds in looks) + ROUNDING for one in found)


def test_seconds_between_two_looks() -> None:
    looks = [(10.0, 0.0), (20.0, 4.0), (30.0, 4.0)]
    assert spent_by(looks, [0.0, 10.0, 15.0, 20.0, 25.0, 99.0]) == [0.0, 0.0, 2.0, 4.0, 4.0, 4.0]


def test_a_last_look_that_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "seconds").write_text("[10.0, 1.0]\n[20.0, 3.0]\n[30.0, 77")
    assert Meter(tmp_path / "seconds").total == 3.0
    assert Meter(tmp_path / "seconds").began == 10.0


# --- whose figures count --------------------------------------------------------------------------------


def inherited(run: Path, **settings: Any) -> Path:
    """A search whose scores hang on inherited weights, with a processor second for each of the clock."""
    chosen = {"llm": "scripted:good", "evaluator": "lineage", "inherit": True, "workers": 1, **settings}
    loop.run(doubles.seed(), doubles.config(**chosen), registry(), run, lambda *_: None)
    with History(run) as history:
        ((first, last),) = history.query("SELECT min(at), max(at) FROM scores WHERE split = 'validation'")
    looks = [(first - 1, 0.0), (last, last - first + 1), (last + 1, last - first + 8)]
    meter_of(run).file.write_text("".join(f"{json.dumps(look)}\n" for look in looks))
    return run


def registry() -> Any:
    return doubles.registry("lineages")


def test_a_front_that_is_told_by_inherited_scores(tmp_path: Path) -> None:
    """And one that the run itself did not have, or who is trained again for nothing."""
    run = inherited(tmp_path / "less-1")
    left = {one.id: one.genome for one in left_of(run)}
    assert left
    assert not measured(run)
    assert train_left(run, registry())
    assert [job.parent for job in lineages.LINEAGE.opened[-1].scored] == [""] * len(left)
    assert measured(run)
    course = Course.of(run)
    assert course is not None
    with History(run) as history:
        last = history.fronts(history.next_generation() - 1)
        scores = {name: one for name, _, one in history.scored()}
    assert len(course.seconds) == len(course.fronts) == len(scores)
    assert (course.fronts[0], set(course.fronts[-1])) == ((SEED_ID,), set(last))
    assert course.points.keys() == {name for front in course.fronts for name in front}
    assert left.keys() < course.points.keys()
    for name, point in course.points.items():
        known = {INHERITED} & scores[name].figures.keys()
        anew = (
            lineages.accuracy(lineages.learnt(left[name], ""))
            if known
            else scores[name].objectives["accuracy"]
        )
        assert (-point[0], name in left) == (anew, bool(known))


def test_a_second_that_counts_for_the_search_and_the_finalists(tmp_path: Path) -> None:
    course = Course.of(inherited(tmp_path / "less-1"))
    assert course is not None
    assert course.seconds[0] == pytest.approx(1, abs=1e-5)
    assert list(course.seconds) == sorted(course.seconds)
    assert course.finalists == pytest.approx(7, abs=1e-5)
    assert course.besides == 0
    assert Course.from_json(json.loads(json.dumps(asdict(course)))) == course


def test_a_run_that_was_measured_in_part(tmp_path: Path) -> None:
    run = inherited(tmp_path / "less-1")
    meter_of(run).file.write_text(f"[{time.time() + 9}, 1.0]\n")
    assert Course.of(run) is None
    meter_of(run).file.unlink()
    assert Course.of(run) is None
    assert measured(run), "nothing is trained for a run that will not be shown"


def test_a_training_from_scratch_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not made again, and whom it was of does not count."""
    run = inherited(tmp_path / "less-1")
    first = left_of(run)[0].id
    assert _taken(run, first, Failed("train", "diverged", "the loss grew"), {})
    assert f"failed from scratch: {first} of less-1: the loss grew" in capsys.readouterr().out
    assert not _taken(run, left_of(run)[0].id, Failed("train", "error", "lost", "infrastructure"), {})
    assert first not in {one.id for one in left_of(run)}
    course = Course.of(run)
    assert course is not None
    assert any(first in front for front in course.fronts)
    assert first not in course.points
    with_it = course.fronts.index(next(front for front in course.fronts if first in front))
    assert len(course.found()[with_it]) < len(course.fronts[with_it])


# --- what is printed --------------------------------------------------------------------------------------


@st.composite
def runs(draw: st.DrawFn) -> Pace:
    seconds = draw(st.lists(st.floats(1, 100), min_size=1, max_size=6, unique=True).map(sorted))
    volumes = draw(st.lists(SHARES, min_size=len(seconds), max_size=len(seconds)))
    return Pace(tuple(seconds), tuple(volumes), draw(st.floats(0, 50)))


@given(runs(), SHARES)
def test_a_volume_that_is_reached_and_lost_again(run: Pace, volume: float) -> None:
    since = reached(run, volume)
    lasts = [at for at in run.seconds if all(run.at(s) >= volume - ROUNDING for s in run.seconds if s >= at)]
    assert since == min(lasts, default=None)
    later = reached(run.with_finalists(), volume)
    assert later == (None if since is None else since + run.finalists)


@given(st.lists(runs(), min_size=1, max_size=4), st.floats(0, 120))
def test_a_mean_of_other_moments(several: list[Pace], at: float) -> None:
    assert mean(several).at(at) == pytest.approx(sum(run.at(at) for run in several) / len(several))
    assert mean(several[:1]).at(at) == several[0].at(at)


def course(seconds: list[float], accuracies: list[float], finalists: float = 0.0) -> Course:
    """One after another on the front, each alone, of the same size."""
    names = [f"g0s{number}" for number in range(len(seconds))]
    points = {name: (-one, 100.0) for name, one in zip(names, accuracies, strict=True)}
    fronts = tuple((name,) for name in names)
    return Course(tuple(seconds), fronts, points, seconds[-1] + finalists, 3.0)


WHOLE = course([10, 20, 40], [0.0, 0.5, 1.0], 10.0)
QUICK = course([10, 15, 16], [0.0, 0.5, 1.0], 4.0)
SHORT = course([10, 15], [0.0, 0.9])
"""Never as good as the first."""
FELL = course([10, 12, 14], [0.0, 1.0, 0.1])


def test_a_course_without_one_box_for_all() -> None:
    found = paces({"uniform": [WHOLE], "less": [SHORT]})
    assert found["uniform"][0].volumes == pytest.approx((1 / 11, 6 / 11, 1.0))
    assert found["less"][0].volumes == pytest.approx((1 / 11, 10 / 11))


def test_a_comparison_that_flatters() -> None:
    told = lines({"uniform": [WHOLE, WHOLE], "less": [QUICK, QUICK]}, "less", "uniform")
    assert told[0].split()[-8:] == ["7", "13", "20", "27", "33", "40", "processor", "seconds"]
    assert told[1].split()[1::3] == ["0.0000", "0.0909", "0.5455", "0.5455", "0.5455", "1.0000"]
    assert told[2].split()[1::3] == ["0.0000", "0.0909", *["1.0000"] * 4]
    text = "\n".join(told)
    assert (
        "uniform: processor seconds of a run: 40 until its last score, 10 for finalists after it; 3" in text
    )
    assert "100%  less 16 s               uniform 40 s            2.50 times" in text
    assert (
        "with the finalists' seconds in both:  less 20 s               uniform 50 s            2.50 times"
        in text
    )
    assert "runs of less that reach 1.0000: 2 of 2, 2 of them in at most 50% of the seconds" in text


def test_a_volume_that_was_not_reached_or_not_kept() -> None:
    told = lines({"uniform": [WHOLE], "less": [SHORT, FELL]}, "less", "uniform")
    text = "\n".join(told)
    assert "100%  less never              uniform 40 s\n" in text
    assert "runs of less that reach 1.0000: 0 of 2, 0 of them" in text
    alone = "\n".join(lines({"less": [SHORT]}, "less", "uniform"))
    assert "never" not in alone


# --- what is run --------------------------------------------------------------------------------------------


def plan(folder: Path, *more: str) -> Any:
    (folder / "data").mkdir(exist_ok=True)
    return planned(["--data", str(folder / "data"), "--out", str(folder / "out"), "--seeds", "1", *more])


def test_an_arm_that_differs_in_more_than_inheritance_and_screening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_search, "random_seed_flag", lambda *_: "--random-seed")
    asked = plan(tmp_path, "--arms", "less", "uniform", "--less-generations", "9")
    assert asked.arms == ("uniform", "less")
    whole, less = (asked.command(arm, 1) for arm in asked.arms)
    run = str(asked.folder("less", 1))
    assert [word for word in less if word not in whole] == ["--inherit", "--screen", "2", "9", run]
    assert "less" not in plan(tmp_path).arms


def test_a_record_of_other_generations_or_without_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records of this shape were made before seconds were measured."""
    kept = tmp_path / "kept.jsonl"
    asked = plan(tmp_path, "--arms", "uniform", "less", "--records", str(kept))
    old = {
        "points": [[-0.5, 9.0]],
        "validation": {"seed": [0.5, 0.0, 9.0]},
        "test": {"seed": [0.5, 0.0, 9.0]},
    }
    rows = [{"settings": asked.settings(arm), "search": {"name": f"{arm}-1", **old}} for arm in asked.arms]
    kept.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert asked.left() == []
    bench_search.tell_by_seconds(asked.done())
    said = capsys.readouterr().out
    assert said.startswith("processor seconds are unknown of uniform-1, less-1:\n")
    assert "hypervolume" not in said
    longer = plan(tmp_path, "--arms", "uniform", "less", "--records", str(kept), "--less-generations", "9")
    assert longer.left() == [("less", 1)]


def test_a_course_that_a_record_loses(tmp_path: Path) -> None:
    asked = plan(tmp_path, "--arms", "less", "--records", str(tmp_path / "kept.jsonl"))
    run = inherited(asked.folder("less", 1))
    assert asked.left() == [("less", 1)], "members of its fronts are not trained from scratch"
    train_left(run, registry())
    asked.record()
    elsewhere = plan(
        tmp_path, "--arms", "less", "--records", str(tmp_path / "kept.jsonl"), "--out", "nowhere"
    )
    assert elsewhere.done() == {"less": [Search.of(run)]}
    assert elsewhere.done()["less"][0].course == Course.of(run) is not None


@pytest.mark.long
def test_a_benchmark_that_does_not_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a smaller network, so that it takes seconds."""
    monkeypatch.setattr(bench_search, "SEED", bench_search.SEED.with_name("plain_cnn.py"))
    pictures = noise(tmp_path / "data", 12, "red", "green")
    words = [
        "--data",
        pictures,
        "--out",
        tmp_path / "out",
        "--seeds",
        1,
        "--arms",
        "uniform",
        "less",
    ]
    words += ["--images", 12, "--epochs", 2, "--generations", 1, "--population", 2]
    asked = [str(word) for word in [*words, "--records", tmp_path / "kept.jsonl"]]
    assert bench_search.main(asked) == 0
    first = capfd.readouterr().out
    assert "runs of less that reach" in first
    whole, less = (several[0].course for several in planned(asked).done().values())
    assert min(whole.seconds[0], whole.finalists, less.seconds[0], less.finalists) > 0
    assert (whole.besides, less.besides > 0) == (0.0, bool(scratch(planned(asked).folder("less", 1)).read()))
    assert bench_search.main(asked) == 0
    again = capfd.readouterr().out
    assert "---" not in again
    assert first.endswith(again)
