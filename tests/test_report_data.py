"""Faults of what a report counts and reads: wrong checks, wrong groups, lost individuals, wrong growth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.config import RunConfig
from ge_engine.curves import LONGEST_NAME, MOST_NAMES, MOST_POINTS, read_curve, spaced
from ge_engine.genome import Seed
from ge_engine.ledger import Ledger
from ge_engine.ledger.history import History
from ge_engine.ledger.statistics import operator_stats, statistics
from ge_engine.notation import BEFORE, PLAIN
from ge_engine.outcome import shown_stage
from ge_engine.pareto import pareto_front
from ge_engine.report import RunData, read_run
from ge_engine.report.counts import (
    GROUPS,
    ancestors,
    best_values,
    check_order,
    check_pipeline,
    depth_first,
    progress,
    reasons,
    success,
)
from ge_engine.report.data import Row
from ge_engine.report.figures import success as success_figure
from ge_engine.report.pareto import outside, pareto, scale_of, view_of

CHECKS = ("extract", "compile", "contract", "names", "unchanged", "seen", "build", "shape", "gradient")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "run"
    synthetic.write_run(path, 150, size=30)
    return path


@pytest.fixture(scope="module")
def history(folder: Path) -> Iterator[History]:
    with History(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def run(history: History) -> RunData:
    return read_run(history, CHECKS)


def test_a_front_that_is_not_the_loops(run: RunData, history: History) -> None:
    front = pareto_front(history.individuals(), run.directions)
    assert [row.id for row in run.front] == [one.id for one in front]
    assert len(front) > 1


def test_a_pipeline_that_loses_children(run: RunData) -> None:
    steps = check_pipeline(run)
    assert steps[0].passed == len(run.children) == 150
    for above, below in itertools.pairwise(steps):
        assert above.passed - below.lost == below.passed
    by_name = {step.name: step for step in steps}
    assert by_name["trained and scored"].passed == sum(row.state == "scored" for row in run.children)
    assert by_name["on the Pareto front"].passed == sum(row.front for row in run.children)


def test_a_pipeline_out_of_order(run: RunData, history: History) -> None:
    checks = [shown_stage(name) for name in CHECKS]
    lost = {step.name: step.lost for step in check_pipeline(run) if step.name in checks}
    assert list(lost) == [name for name in checks if name in lost]
    assert lost == {shown_stage(name): count for name, count in history.rejections().items()}


def test_a_check_of_a_plugin_that_is_gone(history: History) -> None:
    known = tuple(name for name in CHECKS if name != "names")
    names = [step.name for step in check_pipeline(read_run(history, known))]
    assert "names" in names
    assert len(names) == len(set(names))


def test_checks_sorted_by_anything_but_kind_and_order() -> None:
    from doubles import Seen, SeenFunction

    order = check_order([SeenFunction(), Seen()])
    assert order.index("contract") < order.index("seen") < order.index("probe") < order.index("seen-function")


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_that_counts_children_twice_or_not(run: RunData, group: str) -> None:
    tallies = success(run, group)  # type: ignore[arg-type]
    assert sum(tally.total for tally in tallies) == 150
    assert sum(tally.fates[0] for tally in tallies) == sum(row.front for row in run.children)
    assert [tally.total for tally in tallies] == sorted((tally.total for tally in tallies), reverse=True)


def test_a_report_whose_every_child_is_better(run: RunData) -> None:
    """Better than its parents by the definition, written out, and mates count with both parents. A hundredth
    of the parameters is no difference."""
    rows = {row.id: row for row in run.rows}

    def beats(a: Row, b: Row) -> bool:
        fewer, base = a.objectives["parameters"], b.objectives["parameters"]
        mine = (-a.objectives["accuracy"], base if abs(fewer - base) <= 0.01 * base else fewer)
        theirs = (-b.objectives["accuracy"], base)
        return mine != theirs and all(x <= y for x, y in zip(mine, theirs, strict=True))

    for row in run.children:
        parents = [rows[name] for name in row.parents if rows[name].state == "scored"]
        wanted = row.state == "scored" and any(beats(row, one) for one in parents)
        assert row.better == (wanted and not any(beats(one, row) for one in parents)), row.id
    found = [row.better for row in run.children if row.state == "scored"]
    assert 0 < sum(found) < len(found)
    second = [row for row in run.children if row.better and len(row.parents) == 2]
    assert any(not beats(row, rows[row.parents[0]]) for row in second), "better than the second parent alone"
    steps = {step.name: step for step in check_pipeline(run)}
    assert 0 < steps["improved"].lost < steps["trained and scored"].passed


def test_better_that_log_and_report_and_the_draw_mean_differently(run: RunData, history: History) -> None:
    found = statistics(history).items()
    counted = {value: stats.better for (dimension, value), stats in found if dimension == "operator"}
    drawn = operator_stats(history, len(history.generations()))
    for name, better in counted.items():
        mine = [row for row in run.children if any(step.operator == name for step in row.steps)]
        assert sum(row.better for row in mine) == better
        assert drawn["operator", name].better == better
    assert sum(counted.values()) > 0


def test_reasons_that_do_not_add_up(run: RunData, history: History) -> None:
    lost = sum(row.state in ("rejected", "failed") for row in run.children)
    assert sum(reason.count for reason in reasons(run, most=1000)) == lost
    for reason in reasons(run):
        one = next(row for row in run.rows if row.id == reason.example)
        assert (one.stage, one.reason) == (reason.stage, reason.reason)


def test_the_best_value_of_the_wrong_direction(run: RunData) -> None:
    best = best_values(run)
    scored = [row.objectives for row in run.rows if row.state == "scored"]
    assert best["accuracy"].objectives["accuracy"] == max(scores["accuracy"] for scores in scored)
    assert best["parameters"].objectives["parameters"] == min(scores["parameters"] for scores in scored)


def test_a_hypervolume_that_shrinks_or_misses_evaluations(run: RunData) -> None:
    grown = progress(run)
    assert len(grown.volumes) == sum(row.state == "scored" for row in run.rows)
    assert list(grown.volumes) == sorted(grown.volumes)
    assert 0 < grown.volumes[0] <= grown.volumes[-1] <= 1
    assert [generation for _, generation in grown.starts] == [0, 1, 2, 3, 4]


def test_a_lineage_with_a_parent_missing_or_below_its_child(run: RunData) -> None:
    rows = {row.id: row for row in run.rows}
    assert sorted(depth_first(rows)) == sorted(rows)
    shown = ancestors(rows, [row.id for row in run.front])
    place = {name: at for at, name in enumerate(shown)}
    assert shown[0] == "seed"
    for name in shown:
        assert all(parent in place for parent in rows[name].parents)
        if rows[name].parents:
            assert place[rows[name].parents[0]] < place[name]


def test_a_genome_whose_code_is_not_the_ledgers(run: RunData, history: History) -> None:
    one = next(row for row in run.front if row.id != "seed")
    genome = history.individual(one.id).genome  # type: ignore[union-attr]
    assert genome is not None
    assert one.parts is not None
    replaced = dict(one.parts.replaced)
    codes = [replaced.get(at, code) for at, (_, code) in enumerate(run.seed_segments)]
    lines = [line for code in codes for line in run.sources.lines(code) if line]
    assert lines == [line for line in genome.text.split("\n") if line]


def test_prompts_replies_and_tests_that_are_lost(run: RunData, history: History) -> None:
    assert all(len(row.exchanges) == 1 for row in run.children)
    row = run.rows[7]
    call = history.calls(row.id)[0]
    assert "\n".join(run.sources.lines(row.exchanges[0].reply)) == call.reply.text.removesuffix("\n")
    assert {row.id for row in run.rows if row.test} == set(history.test_outcomes())


@pytest.mark.parametrize(
    ("details", "curve"),
    [
        ({}, ()),
        ({"curve": None}, ()),
        ({"curve": "no curve"}, ()),
        ({"curve": [0.5, 0.25]}, ({"epoch": 1.0, "value": 0.5}, {"epoch": 2.0, "value": 0.25})),
        ({"curve": [{"epoch": 3, "loss": 1, "note": "x"}]}, ({"epoch": 3.0, "loss": 1.0},)),
    ],
)
def test_a_curve_of_another_evaluator(details: dict[str, object], curve: tuple[object, ...]) -> None:
    assert read_curve(details) == curve


LONG = [{"loss": float(at), **{f"name {name}": 1.0 for name in range(200)}} for at in range(3000)]


@pytest.mark.parametrize(
    "raw",
    [
        LONG,
        list(range(10**6)),
        [{"x" * 10**6: 1}] * 10,
        [{f"{at} {name}": 1 for name in range(50)} for at in range(600)],
        [1e308, 10**400, float("inf"), float("nan"), True, "x", None, [1], {"a": {}}],
    ],
)
def test_a_curve_that_no_page_can_hold(raw: list[object]) -> None:
    points = read_curve({"curve": raw})
    names = {name for point in points for name in point}
    assert len(points) == min(len(raw), MOST_POINTS)
    assert len(names) <= MOST_NAMES + 1
    assert all(len(name) <= LONGEST_NAME for name in names)
    assert all(math.isfinite(value) for point in points for value in point.values())
    assert [points[0]["epoch"], points[-1]["epoch"]] == [1, len(raw)]


@given(count=st.integers(0, 5000), most=st.integers(2, 700))
def test_places_that_leave_out_the_last(count: int, most: int) -> None:
    places = spaced(count, most)
    assert len(places) == min(count, most)
    assert places == sorted(set(places))
    assert not places or (places[0], places[-1]) == (0, count - 1)


def test_a_run_of_which_nothing_is_scored(tmp_path: Path) -> None:
    from ge_engine.report import build_page, draw

    with Ledger.create(tmp_path / "run", Seed.load(synthetic.EXAMPLE), RunConfig()) as ledger:
        ledger.set_config(RunConfig(), {"accuracy": "max", "parameters": "min"})
    with History(tmp_path / "run") as opened:
        empty = read_run(opened, CHECKS)
    assert (empty.rows, empty.front, progress(empty).volumes) == ((), (), ())
    assert "</html>" in build_page(empty, draw(empty))


def test_the_best_of_groups_that_are_too_small_to_compare(history: History, run: RunData) -> None:
    few = replace(run, rows=run.rows[:8])
    assert all("Too few" in success_figure(few, group).summary for group in GROUPS if group != "operator")
    assert "Most often better" in success_figure(run, "persona").summary


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.81234, "81.23 %"),
        ("parameters", 518230.0, "518,230"),
        ("flops", 203_412_345.5, "203.4M"),
        ("flops", 2.5e9 + 0.5, "2.5B"),
        ("latency", 0.0123456, "0.01235"),
    ],
)
def test_a_value_that_nobody_can_read(name: str, value: float, text: str) -> None:
    assert BEFORE.get(name, PLAIN).value(value) == text


def test_a_front_of_one_objective_that_is_called_paretos(run: RunData) -> None:
    alone = replace(run, directions={"accuracy": "max"})
    assert check_pipeline(alone)[-1].name == "on the front"
    drawn = pareto(alone)
    assert drawn.title == "best"
    assert "Pareto front" not in {trace.name for trace in drawn.figure.data}


def test_a_task_that_scores_nothing_on_top_of_a_page(tmp_path: Path) -> None:
    told = []
    for name, settings in (("task", {}), ("job", {"evaluator": "function", "evaluator_argument": "a.py:f"})):
        with Ledger.create(tmp_path / name, Seed.load(synthetic.EXAMPLE), RunConfig(**settings)) as ledger:
            ledger.set_config(RunConfig(**settings), {"accuracy": "max", "parameters": "min"})
        with History(tmp_path / name) as opened:
            told.append(read_run(opened, CHECKS).settings)
    assert told[0]["task"] == "digits"
    assert "task" not in told[1]
    assert told[1]["scored by"] == "a.py:f"


@given(count=st.integers(8, 30), odd=st.floats(0.06, 0.3), at=st.integers(0, 7))
def test_a_candidate_that_learned_nothing_and_presses_the_rest_together(
    run: RunData, count: int, odd: float, at: int
) -> None:
    usual = [0.9 + 0.05 * place / count for place in range(count)]
    row = next(one for one in run.rows if one.state == "scored" and not one.front and one.id != "seed")
    rows = [replace(row, objectives={**row.objectives, "accuracy": value}) for value in usual]
    far = replace(row, objectives={**row.objectives, "accuracy": odd})
    one = replace(run, rows=(*rows[:at], far, *rows[at:]))
    view = view_of(one, "accuracy")
    assert view is not None
    assert odd < view[0] <= min(usual)
    assert max(usual) <= view[1]
    assert outside(one, ["accuracy"]) == 1
    assert "1 far from the others lies outside the plot" in pareto(one).summary


@given(values=st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=12), best=st.floats(1e-3, 1e6))
def test_a_front_or_a_seed_that_lies_outside_the_plot(run: RunData, values: list[float], best: float) -> None:
    row = next(one for one in run.rows if one.state == "scored" and not one.front and one.id != "seed")
    rows = [replace(row, objectives={**row.objectives, "parameters": value}) for value in values]
    rows += [
        replace(row, objectives={**row.objectives, "parameters": best}, front=True),
        replace(row, objectives={**row.objectives, "parameters": best / 2}, id="seed"),
    ]
    one = replace(run, rows=tuple(rows))
    view = view_of(one, "parameters")
    assert view is not None
    as_drawn = math.log10 if scale_of(one, "parameters") == "log" else float
    assert view[0] <= as_drawn(best / 2) <= as_drawn(best) <= view[1]
