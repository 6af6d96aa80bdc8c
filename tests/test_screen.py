"""One of several children is trained: which, and what is recorded of the others."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from itertools import permutations
from pathlib import Path
from typing import Any

import doubles
import pytest
from cut_off import cut_off, require_equal
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from typer.testing import CliRunner

from ge_engine import loop
from ge_engine.api import open_run
from ge_engine.cli.app import app
from ge_engine.config import RunConfig, config_from_dict, load_config
from ge_engine.contracts import Job, Probe
from ge_engine.errors import ConfigError, SeedError
from ge_engine.genome import Genome
from ge_engine.ledger import Ledger
from ge_engine.ledger.history import History
from ge_engine.ledger.proxies import proxies
from ge_engine.ledger.statistics import operator_stats
from ge_engine.outcome import PROXIES, SCREEN, Outcome, Rejected, Scored
from ge_engine.population import SEED_ID, Child
from ge_engine.report.counts import check_pipeline, success
from ge_engine.report.data import read_run
from ge_engine.runs.audit import check
from ge_engine.search.islands import island_of, turn_of, turns
from ge_engine.search.screen import Screen, lacking_proxies, mean_ranks, require_proxies
from ge_engine.search.screen_quality import EXACT, Ranking, ScreenWatch, ranking, screen_quality
from ge_engine.search.settled import Settled
from ge_engine.search.slots import Slot
from ge_engine.views.live import line_of
from ge_engine.views.progress import Progress

N = 3
FIGURES = st.one_of(st.none(), st.integers(-5, 5).map(float))


def probe(synflow: float | None = None, jacob_cov: float | None = None, **facts: float) -> Probe:
    known = {"synflow": synflow, "jacob_cov": jacob_cov}
    return Probe(facts={**{name: one for name, one in known.items() if one is not None}, **facts})


def with_proxies(genome: Genome) -> Probe:
    """The doubles' probe with proxies: every seventh network has none, and some lack one."""
    value, plain = int(genome.digest[-8:], 16), doubles._probe(genome)
    found = {"synflow": value % 31 / 10, "jacob_cov": -float(value % 37)}
    missing = {0: PROXIES, 1: PROXIES[:1], 2: PROXIES[1:]}.get(value % 7, ())
    kept = {name: one for name, one in found.items() if name not in missing}
    seed = genome.digest == doubles.seed().genome.digest
    return dataclasses.replace(plain, facts={**plain.facts, **(found if seed else kept)})


class Screened(doubles.Instant):
    def probe(self, genome: Genome) -> Future[Probe]:
        self.probed.append(genome.digest)
        return doubles._done(with_proxies(genome))


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> Screened:
    opened = Screened()
    monkeypatch.setattr(doubles, "Instant", lambda: opened)
    monkeypatch.setattr(doubles.InstantEvaluator, "screens", True)
    return opened


def screened(**settings: Any) -> RunConfig:
    return doubles.config(**{"screen": N, "population": 4, "elites": 4, "generations": 2, **settings})


def evolve(folder: Path, config: RunConfig, observe: Any = lambda *_: None) -> loop.Result:
    return loop.run(doubles.seed(), config, doubles.registry(), folder, observe)


def groups_of(folder: Path) -> list[list[Child]]:
    """The children of each group, in the order of their numbers."""
    with History(folder) as history:
        children = [one for one in history.individuals() if one.id != SEED_ID]
    found: dict[tuple[int, int], list[Child]] = {}
    for one in children:
        found.setdefault((one.generation, one.slot // N), []).append(one)
    return list(found.values())


def at_screen(one: Child) -> bool:
    return isinstance(one.outcome, Rejected) and one.outcome.stage == SCREEN


def passed(one: Child) -> bool:
    return not isinstance(one.outcome, Rejected) or at_screen(one)


def require_best(folder: Path) -> None:
    """Each group has trained its best by the recorded figures, and no other."""
    with History(folder) as history:
        known = proxies(history)
    for group in groups_of(folder):
        through = [one for one in group if passed(one)]
        trained = [one for one in through if not at_screen(one)]
        assert len(trained) == min(1, len(through))
        means = mean_ranks([known.get(one.id, {}) for one in through])
        best = sorted(zip(means, [one.slot for one in through], strict=True))[:1]
        assert [one.slot for one in trained] == [slot for _, slot in best]
        for one in through:
            if at_screen(one):
                assert isinstance(one.outcome, Rejected)
                assert one.outcome.reason.startswith(f"{trained[0].id} is trained in its place (synflow ")


# --- which ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(FIGURES, FIGURES), min_size=1, max_size=6))
def test_a_figure_that_is_missing_and_ranks_before_one_that_is_there(pairs: list[tuple[Any, Any]]) -> None:
    slots = [Slot(number, 0, 0) for number in range(len(pairs))]
    screen = Screen(config_from_dict({"screen": 6}), slots)
    order = screen.order({slot: probe(*pair) for slot, pair in zip(slots, pairs, strict=True)})
    assert sorted(order) == slots
    best = pairs[order[0].number]
    low = float("-inf")
    for one in pairs:
        better = [
            (low if a is None else a) >= (low if b is None else b) for a, b in zip(one, best, strict=True)
        ]
        strictly = [
            (low if a is None else a) > (low if b is None else b) for a, b in zip(one, best, strict=True)
        ]
        assert not (all(better) and any(strictly)), "it was chosen though another is better in all"


def test_equal_networks_of_which_chance_chooses() -> None:
    slots = [Slot(number, 0, 0) for number in (7, 2, 5)]
    screen = Screen(config_from_dict({"screen": 3}), slots)
    assert screen.order({slot: probe(1.0, 2.0) for slot in slots})[0].number == 2
    assert screen.order({slot: probe() for slot in slots})[0].number == 2


def test_a_choice_by_one_of_the_two_alone() -> None:
    """First by neither, second by both: the mean decides."""
    slots = [Slot(number, 0, 0) for number in range(4)]
    screen = Screen(config_from_dict({"screen": 4}), slots)
    order = screen.order(dict(zip(slots, (probe(9, 1), probe(8, 8), probe(1, 9), probe(2, 2)), strict=True)))
    assert order[0].number == 1


def test_a_choice_that_no_constraint_lets_train() -> None:
    facts = {"flops": 1.0, "size_on_disk": 1.0}
    config = config_from_dict({"screen": 2, "constraints": ["parameters<1000"]})
    slots = [Slot(0, 0, 0), Slot(1, 0, 0)]
    large, small = probe(9, 9, parameters=5000, **facts), probe(1, 1, parameters=50, **facts)
    best, others = Screen(config, slots).rejections({slots[0]: large, slots[1]: small})
    assert best == slots[1]
    assert "parameters<1000 does not hold" in others[slots[0]].reason


def test_a_seed_model_without_proxies_by_which_chance_would_choose(
    tmp_path: Path, evaluation: Screened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Screened, "probe", lambda _, genome: doubles._done(doubles._probe(genome)))
    with pytest.raises(SeedError, match="Neither synflow nor jacob_cov") as told:
        evolve(tmp_path, screened())
    assert told.value.hint == "Leave --screen out."
    assert not evaluation.scored


def test_a_proxy_of_the_seed_model_that_is_silently_missing() -> None:
    require_proxies(probe(1.0))
    assert "no jacob_cov" in lacking_proxies(probe(1.0))
    assert not lacking_proxies(probe(1.0, 2.0))


# --- in a run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"repairs": 1}, {"schedule": "steady"}, {"islands": 2}])
def test_a_group_that_trains_two_or_another_than_its_best(
    tmp_path: Path, evaluation: Screened, settings: dict[str, Any]
) -> None:
    evolve(tmp_path, screened(**settings))
    require_best(tmp_path)
    groups = groups_of(tmp_path)
    assert len(groups) == 2 * 4
    assert all(len({one.island for one in group}) == 1 and len(group) == N for group in groups)
    if "islands" in settings:
        assert [group[0].island for group in groups] == [0, 1] * 4
    trained = sum(any(passed(one) for one in group) for group in groups)
    assert len(evaluation.scored) == 1 + trained + len(open_run(tmp_path).tests)
    assert any(at_screen(one) for group in groups for one in group)
    assert not check(tmp_path)


def test_a_repaired_child_that_comes_too_late_for_its_group(tmp_path: Path, evaluation: Screened) -> None:
    """Of three answers alone many are twins of others in their generation, which only the barrier tells."""
    evolve(tmp_path, screened(llm="scripted:few", repairs=3, population=6))
    saved = [
        one
        for group in groups_of(tmp_path)
        for one in group
        if passed(one) and any("repaired seen" in step.note for step in one.steps)
    ]
    assert saved
    require_best(tmp_path)


@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_budget_of_evaluations_that_counts_who_was_not_trained(
    tmp_path: Path, evaluation: Screened, schedule: str
) -> None:
    evolve(tmp_path, screened(max_evaluations=4, llm="scripted:good", schedule=schedule, generations=9))
    with History(tmp_path) as history:
        assert history.evaluations() == 4
    assert len(groups_of(tmp_path)) == 3


@pytest.mark.parametrize(("schedule", "moment"), [("generational", 3), ("generational", 7), ("steady", 5)])
def test_a_run_cut_off_and_resumed_that_chooses_otherwise(
    tmp_path: Path, evaluation: Screened, monkeypatch: pytest.MonkeyPatch, schedule: str, moment: int
) -> None:
    config = screened(repairs=1, schedule=schedule)
    evolve(tmp_path / "whole", config)
    with cut_off(monkeypatch, moment):
        evolve(tmp_path / "cut", config)
    evolve(tmp_path / "cut", config)
    if schedule == "generational":
        require_equal(tmp_path / "whole", tmp_path / "cut")
    require_best(tmp_path / "cut")


def test_a_score_that_a_resumed_run_deletes_because_a_twin_of_its_code_was_refused(
    tmp_path: Path, evaluation: Screened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three answers alone most children are twins; who was trained is not trained again."""
    config = screened(llm="scripted:few", repairs=1, population=6, generations=1)
    evolve(tmp_path, config)
    evaluation.scored.clear()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("UPDATE generations SET finished = 0")
        db.execute("DELETE FROM meta WHERE key = 'stopped_because'")
    deleted = list[str]()
    plain = Ledger.record_children

    def recording(self: Ledger, children: Any, void: Iterable[str] = ()) -> None:
        digests = list(void)
        deleted.extend(one for one in digests if self.score(one) is not None)
        plain(self, children, digests)

    monkeypatch.setattr(Ledger, "record_children", recording)
    evolve(tmp_path, config)
    assert not deleted
    assert not evaluation.scored


def test_a_replayed_run_that_chooses_otherwise(tmp_path: Path, evaluation: Screened) -> None:
    config = screened(schedule="steady", islands=2)
    evolve(tmp_path / "first", config)
    again = dataclasses.replace(config, llm=(f"replay:{tmp_path / 'first'}",))
    registry = doubles.registry()
    models = {**registry.language_models, "replay": doubles.Replay()}
    registry = dataclasses.replace(registry, language_models=models)
    loop.run(doubles.seed(), again, registry, tmp_path / "second", lambda *_: None)
    first, second = (
        {one.id: (at_screen(one), one.island) for group in groups_of(tmp_path / name) for one in group}
        for name in ("first", "second")
    )
    assert first == second


def test_a_child_that_was_not_chosen_and_is_charged_to_its_operator_or_barred(
    tmp_path: Path, evaluation: Screened
) -> None:
    evolve(tmp_path, screened(adaptive=True))
    children = [one for group in groups_of(tmp_path) for one in group]
    counted = [one for one in children if not at_screen(one)]
    with History(tmp_path) as history:
        known = operator_stats(history)
        for name in ("mutation", "mating"):
            made = [one for one in counted if any(step.operator == name for step in one.steps)]
            assert known["operator", name].children == len(made)
        told = {one.id for one in Settled(history).before(9)}
        for one in children:
            if at_screen(one):
                assert one.id not in told
                assert one.genome is not None
                assert history.probe(one.genome.digest) is not None
                assert not history.query("SELECT 1 FROM scores WHERE digest = ?", one.genome.digest)


def test_code_that_was_not_trained_and_is_never_tried_because_a_twin_of_it_was_refused(
    tmp_path: Path, evaluation: Screened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """g0s2 is the same as g0s0, in whose place g0s1 is trained; the code comes again in generation 1."""
    numbers = {"g0s0/0": 11, "g0s1/0": 12, "g0s2/0": 11, "g0s3/0": 13, "g1s0/0": 11, "g1s1/0": 12}

    def text(_: Any, request: Any) -> str:
        code = doubles.seed().genome.blocks["Net.forward"].code
        return code.replace("5", str(numbers.get(request.key, 99)))

    def probe(_: Any, genome: Genome) -> Future[Probe]:
        plain = doubles._probe(genome)
        figure = 1.0 if "+ 11" in genome.text else 2.0
        return doubles._done(dataclasses.replace(plain, facts={**plain.facts, "synflow": figure}))

    monkeypatch.setattr(doubles.Scripted, "_text", text)
    monkeypatch.setattr(Screened, "probe", probe)
    plain = {"blocks": ["Net.forward"], "p_mating": 0.0, "p_mutation": 1.0}
    evolve(tmp_path, screened(screen=2, population=2, operators=["mutation"], **plain))
    with History(tmp_path) as history:
        outcomes = {one.id: one.outcome for one in history.individuals()}
    unchosen = outcomes["g0s0"]
    assert isinstance(unchosen, Rejected)
    assert unchosen.stage == SCREEN
    assert outcomes["g0s2"] == Rejected("seen", "it is the same as g0s0")
    assert isinstance(outcomes["g1s0"], Scored)
    assert outcomes["g1s1"] == Rejected("seen", "it is the same as g0s1")


def test_a_report_that_charges_an_operator_for_who_was_not_trained(
    tmp_path: Path, evaluation: Screened
) -> None:
    """As `ge log --stats`; the funnel tells how many they are."""
    evolve(tmp_path, screened())
    with History(tmp_path) as history:
        known, run = operator_stats(history), read_run(history, ("seen", SCREEN))
        unchosen = history.rejections()[SCREEN]
    tallies = {one.name: one.total for one in success(run, "operator")}
    assert tallies == {name: known["operator", name].children for name in tallies}
    assert {one.name: one.lost for one in check_pipeline(run)}[SCREEN] == unchosen > 0


def test_a_run_database_in_which_a_group_trained_two(tmp_path: Path, evaluation: Screened) -> None:
    evolve(tmp_path, screened(llm="scripted:good", generations=1))
    assert not check(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("UPDATE individuals SET stage = NULL, reason = NULL WHERE id IN ('g0s1', 'g0s2', 'g0s0')")
    (told,) = check(tmp_path)
    assert told == "generation 0: g0s0 and g0s1 and g0s2 were to be trained, of a group for one training"


def test_a_line_by_which_few_have_passed_the_checks(tmp_path: Path, evaluation: Screened) -> None:
    observer, progress = doubles.Observer(), Progress()
    evolve(tmp_path, screened(llm="scripted:good", generations=1), observer)
    for name, data in observer.events:
        progress.update(name, data)
        if name == "generation_finished":
            assert progress.admitted == 12
            line = line_of(name, data)
            assert line is not None
            assert f"12 passed checks, 4 of them chosen, {data['scored']} scored" in line.plain


def test_a_child_made_by_hand_that_competes(tmp_path: Path, evaluation: Screened) -> None:
    variant = tmp_path / "variant.py"
    variant.write_bytes(doubles.SEED.replace(b"* 3", b"* 4"))
    evolve(tmp_path / "run", screened(generations=1, start=(str(variant),)))
    (last,) = [one for group in groups_of(tmp_path / "run") for one in group if one.slot == 4 * N]
    assert isinstance(last.outcome, Scored)


# --- settings --------------------------------------------------------------------------------------


def test_an_evaluator_without_proxies_that_is_taken(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing by which children could be chosen") as told:
        evolve(tmp_path, screened())
    assert "--screen" in told.value.hint


@pytest.mark.parametrize("flags", [{"evaluator": "command"}, {"evaluator": "function"}])
def test_a_program_or_function_beside_which_it_does_nothing_in_silence(flags: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--screen does nothing where a"):
        load_config("demo", None, {**flags, "evaluator_argument": "x.py:f", "screen": 2})


@pytest.mark.parametrize("preset", ["demo", "paper"])
def test_a_preset_that_chooses_unasked(preset: str) -> None:
    assert load_config(preset, None, {}).screen == 1


@pytest.mark.parametrize("screen", [0, -1])
def test_groups_of_none(screen: int) -> None:
    with pytest.raises(ConfigError, match="must be 1"):
        config_from_dict({"screen": screen})


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 4))
def test_groups_of_two_islands_or_islands_that_are_passed_over(
    batches: Sequence[int], screen: int, islands: int
) -> None:
    drawn, seen = 0, list[int]()
    for size in batches:
        own = size * screen
        given = [island_of(turn_of(at, own, screen), turns(drawn, screen), islands) for at in range(own)]
        for at in range(0, own, screen):
            assert len(set(given[at : at + screen])) == 1
            seen.append(given[at])
        drawn += own
    assert seen == [number % islands for number in range(sum(batches))]


# --- how well it ranked ------------------------------------------------------------------------------


def test_a_correlation_of_another_kind_or_sign() -> None:
    found = ranking([1, 2, 3, 4, 50], [10, 20, 30, 40, 41])
    assert found is not None
    assert found.correlation == pytest.approx(1)
    assert found.p_value < 0.05
    turned = ranking([1, 2, 3, 4, 50], [41, 40, 30, 20, 10])
    assert turned is not None
    assert turned.correlation == pytest.approx(-1)
    assert turned.p_value > 0.95
    assert ranking([1, 2], [1, 2]) is None
    flat = ranking([1, 1, 1], [1, 2, 3])
    assert flat is not None
    assert (flat.correlation, flat.p_value) == (0, 1)
    few, tied = ranking([1, 2, 3], [4, 5, 6]), ranking([1, 2, 2, 3], [4, 5, 6, 7])
    assert few is not None
    assert tied is not None
    assert (few.children, few.correlation, few.p_value) == pytest.approx((3, 1, 1 / 6))
    assert (tied.children, tied.correlation, tied.p_value) == pytest.approx((4, 0.9487, 1 / 12), abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=6))
def test_a_ranking_of_few_that_chance_reaches_more_often_than_is_said(
    pairs: list[tuple[int, int]],
) -> None:
    figures, measured = zip(*pairs, strict=True)
    found = ranking(figures, measured)
    assert found is not None
    if len(set(figures)) > 1 and len(set(measured)) > 1:
        ranks = rankdata(measured)
        orders = [float(ranks @ order) for order in permutations(rankdata(figures))]
        reached = [one >= orders[0] - 1e-9 for one in orders]
        assert found.p_value == pytest.approx(sum(reached) / len(orders))


def test_more_children_than_orders_can_be_counted() -> None:
    """The two ways to a p-value meet where one takes over."""
    count = EXACT + 1
    found = ranking(range(count), [1, 0, *range(2, count)])
    assert found is not None
    assert 0 < found.p_value < 1e-4


class Foretold(Screened):
    """What is measured follows from the proxies, or runs against them."""

    sign = 1

    def submit(self, job: Job) -> Future[Outcome]:
        self.scored.append(job.genome.digest)
        value = int(job.genome.digest[-8:], 16)
        return doubles._done(
            Scored({"accuracy": 0.5 + self.sign * value / 2**34, "parameters": float(value)})
        )

    def probe(self, genome: Genome) -> Future[Probe]:
        value, plain = int(genome.digest[-8:], 16), doubles._probe(genome)
        facts = {**plain.facts, "synflow": float(value), "jacob_cov": float(value)}
        return doubles._done(dataclasses.replace(plain, facts=facts))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_ranking_by_chance_that_is_not_told_or_a_good_one_that_is(
    tmp_path: Path, evaluation: Screened, monkeypatch: pytest.MonkeyPatch, sign: int
) -> None:
    opened = Foretold()
    opened.sign = sign
    monkeypatch.setattr(doubles, "Instant", lambda: opened)
    observer = doubles.Observer()
    evolve(tmp_path, screened(screen=2, population=8, llm="scripted:good", generations=3), observer)
    warned = [one for one in observer.of("remark") if one["model"] == SCREEN]
    assert len(warned) == (sign < 0)
    with History(tmp_path) as history:
        quality = screen_quality(history)
        rejected = history.rejections()[SCREEN]
    assert quality.objective == "accuracy"
    assert quality.rejected == rejected > 0
    assert set(quality.rankings) == {SCREEN, *PROXIES}
    for one in quality.rankings.values():
        assert one.correlation == pytest.approx(sign)
        assert one.children == 24
    if warned:
        assert "cannot be told from chance so far: rank correlation -1.00 with acc" in warned[0]["message"]


class Waiting(Screened):
    """A figure that is no less known for not moving with training, before one that moves."""

    def submit(self, job: Job) -> Future[Outcome]:
        figures = {"waiting": 1.0 + len(self.scored), "accuracy": 0.5}
        self.scored.append(job.genome.digest)
        return doubles._done(Scored(figures, errors={"accuracy": 0.1}))


def test_a_ranking_beside_a_figure_that_training_does_not_move(
    tmp_path: Path, evaluation: Screened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "Instant", Waiting)
    evolve(tmp_path, screened(objectives=["waiting:min", "accuracy"], llm="scripted:good"))
    with History(tmp_path) as history:
        quality = screen_quality(history)
    assert quality.objective == "accuracy"


def test_trained_children_without_a_proxy_of_whom_the_ranking_says_nothing(
    tmp_path: Path, evaluation: Screened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the last by it, and count."""
    bare = {"synflow": 0.0, "jacob_cov": 0.0}

    def probe(_: Any, genome: Genome) -> Future[Probe]:
        plain, seed = doubles._probe(genome), genome.digest == doubles.seed().genome.digest
        return doubles._done(dataclasses.replace(plain, facts={**plain.facts, **(bare if seed else {})}))

    monkeypatch.setattr(Screened, "probe", probe)
    evolve(tmp_path, screened(llm="scripted:good"))
    with History(tmp_path) as history:
        quality, scored = screen_quality(history), len(list(history.scored())) - 1
    assert quality.rankings == {SCREEN: Ranking(scored, 0.0, 1.0)}


def test_a_watch_that_looks_where_nothing_is_chosen(tmp_path: Path, evaluation: Screened) -> None:
    evolve(tmp_path, screened(screen=1, population=16, llm="scripted:good", generations=1))
    told: list[str] = []
    with History(tmp_path) as history:
        ScreenWatch(config_from_dict({}), history, lambda name, **_: told.append(name)).look()  # type: ignore[arg-type]
        assert not told
        ScreenWatch(config_from_dict({"screen": 2}), history, lambda name, **_: told.append(name)).look()  # type: ignore[arg-type]
    assert told == ["remark"]


def test_views_that_do_not_tell_what_was_not_trained(tmp_path: Path, evaluation: Screened) -> None:
    evolve(tmp_path, screened())
    rejected = [one for group in groups_of(tmp_path) for one in group if at_screen(one)]
    shown = {
        options: CliRunner().invoke(app, ["log", str(tmp_path), *options]).output
        for options in ((), ("--stats",), ("--stats", "--json"), ("--json",))
    }
    assert f"{len(rejected)} rejected at screen" in shown[()]
    assert f"screen: {len(rejected)} children that passed the checks were not trained" in shown["--stats",]
    assert "its ranking: rank correlation" in shown["--stats",]
    rows = [json.loads(line) for line in shown["--stats", "--json"].splitlines()]
    assert {one["name"] for one in rows if one["dimension"] == "screen"} == {"", *PROXIES}
    records = {one["id"]: one for one in map(json.loads, shown["--json",].splitlines())}
    run = open_run(tmp_path)
    for identity, record in records.items():
        assert record.get("proxies", {}) == run.proxies(identity)
    assert records[SEED_ID]["proxies"]
    some = next(one for one in rejected if len(run.proxies(one.id)) == 2)
    told = CliRunner().invoke(app, ["show", f"{tmp_path}:{some.id}"]).output
    assert f"before training  synflow {run.proxies(some.id)['synflow']:.6g}, jacob_cov" in told
    assert "is trained in its place" in told
