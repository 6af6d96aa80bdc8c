"""Tune: what is set stays in its range, follows from the run's scores alone, and gets better by them."""

from __future__ import annotations

import dataclasses
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tunable
from conftest import Ge
from cut_off import require_equal
from hypothesis import example, given
from hypothesis import strategies as st

from ge_engine import loop
from ge_engine.config import load_config
from ge_engine.contracts import Context, RunFacts
from ge_engine.errors import ConfigError
from ge_engine.genome import Genome, Seed
from ge_engine.ledger.history import History
from ge_engine.outcome import Outcome, Rejected, Scored, Skipped
from ge_engine.patch import AnyPatch, JointPatch, Patch, apply
from ge_engine.population import Individual, Step
from ge_engine.registry import load_registry
from ge_engine.runs.audit import check
from ge_engine.search.settled import Settled
from ge_engine.structure.number_ranges import range_of
from ge_engine.structure.tuned import NumberSite, number_text, numbers_of, with_numbers
from ge_plugins import tune
from ge_plugins.tpe import STARTUP, Tpe, _distribution, _written
from ge_plugins.tune import TpeAlone, Tune
from ge_plugins.tuning_space import Space, space_of

REGISTRY = load_registry(["tunable"])
DIRECTIONS = {"accuracy": "max", "parameters": "min"}
NAMES = (
    "",
    "p",
    "dropout",
    "momentum",
    "betas",
    "lr",
    "eps",
    "width",
    "depth",
    "kernel_size",
    "heads",
    "linear",
)


def individual(identity: str, genome: Genome, outcome: Outcome | None = None) -> Individual:
    scored = outcome or Scored(tunable.figures(genome))
    return Individual(identity, 0, 0, ("seed",), (), genome, scored)


def context(
    genome: Genome, settled: Sequence[Individual] = (), rng: int = 0, seed: Seed | None = None
) -> Context:
    first = individual("seed", (seed or tunable.seed()).genome)
    about = Context(
        genome=genome,
        addresses=genome.evolvable,
        rng=random.Random(rng),
        read=lambda prompt, reply: Patch(prompt.address, reply.text),
        parents=(individual("g0s0", genome),),
        run=RunFacts(1, first, (), DIRECTIONS),  # type: ignore[arg-type]
    )
    return dataclasses.replace(about, memory=dataclasses.replace(about.memory, settled=lambda: settled))


def result(operator: Tune, about: Context) -> AnyPatch | Rejected | Skipped:
    with pytest.raises(StopIteration) as end:
        next(operator.propose(about))
    return end.value.value


def child(operator: Tune, about: Context) -> Genome:
    made = result(operator, about)
    assert isinstance(made, Patch | JointPatch), made
    genome = apply(about.genome, made)
    assert not isinstance(genome, Rejected)
    return genome


def changed(genome: Genome, old: str, new: str) -> Genome:
    text = genome.text
    assert old in text
    seed = Seed.from_bytes(text.replace(old, new).encode(), Path("tunable.py"))
    sites = {
        mine: theirs.value
        for mine, theirs in zip(numbers_of(genome).sites, numbers_of(seed.genome).sites, strict=True)
        if mine.value != theirs.value
    }
    made = apply(genome, with_numbers(genome, sites))  # type: ignore[arg-type]
    assert not isinstance(made, Rejected)
    return made


def history(count: int, rng: int = 0) -> list[Individual]:
    """Scored children of the seed model, each made from those before it."""
    made: list[Individual] = []
    for number in range(count):
        genome = child(Tune(), context(tunable.seed().genome, list(made), 100 * rng + number))
        made.append(individual(f"g0s{number}", genome))
    return made


# --- structure --------------------------------------------------------------------------------------


def test_numbers_of_yaml_that_are_gone_for_who_reads_it_next() -> None:
    """Its tree is shared: digests would follow from who looked first."""

    def read() -> Genome:
        return Seed.parsed(b"width: 64\nrate: 0.5\n", Path("conf.yaml")).genome

    genome, before = read(), read().digest
    sites = numbers_of(genome).sites
    assert [(site.address, site.value) for site in sites] == [("width", 64), ("rate", 0.5)]
    assert read().digest == before
    made = with_numbers(genome, {sites[0]: 48})
    assert isinstance(made, Patch)
    changed = apply(genome, made)
    assert isinstance(changed, Genome)
    assert changed.text == "width: 48\nrate: 0.5\n"


# --- ranges -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "scored"),
    [("gamma", 0.1, 0.0), ("gamma", 0.1, -2.0), ("alpha", 0.9, 1.0), ("alpha", 0.9, 1.5), ("width", 64, 0)],
)
def test_a_score_of_a_number_that_no_logarithm_has(name: str, value: float, scored: float) -> None:
    """As a language model may have set it: the child stays a trial, by the next number that there is."""
    ranged = range_of(NumberSite("Net", 0, 1, name, value, True))
    assert ranged is not None
    wide = ranged.widened(scored)
    assert wide == ranged
    drawn = _distribution(wide)
    assert drawn._contains(drawn.to_internal_repr(_written(wide, scored)))


@given(
    st.sampled_from(NAMES),
    st.one_of(st.integers(0, 5000), st.floats(1e-9, 1e6)),
    st.booleans(),
    st.floats(-1e7, 1e7),
)
@example("dropout", 0.0, True, 2.0)
@example("momentum", 0.9999, False, 1.0)
@example("width", 47, True, 94.0)
def test_a_value_outside_of_its_typed_range(name: str, value: float, stated: bool, asked: float) -> None:
    ranged = range_of(NumberSite("Net", 0, 1, name, value, stated))
    if ranged is None:
        return
    assert ranged.low <= value <= ranged.high
    legal = ranged.legal(asked)
    assert ranged.low <= legal <= ranged.high
    assert type(legal) is type(value)
    if type(legal) is int:
        assert legal >= 1
    if ranged.kind in ("share", "remainder") or value < 1:
        assert legal < 1


@given(st.floats(1e-12, 1e12))
def test_a_float_that_is_written_as_an_integer_or_longer_than_it_is(value: float) -> None:
    text = number_text(value)
    assert any(mark in text for mark in ".e")
    assert float(text) == pytest.approx(value, rel=1e-3)
    assert number_text(float(text)) == text


def test_numbers_of_the_structure_that_are_tuned() -> None:
    code = b"""
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes=10, depth=2):
        super().__init__()
        self.conv = nn.Conv2d(1, 24, kernel_size=7, stride=2)
        self.heads = nn.MultiheadAttention(24, num_heads=8)

    def forward(self, x):
        return self.conv(x)[:, 3] * 2
"""
    tuned = [site for site in numbers_of(Seed.from_bytes(code).genome).sites if range_of(site)]
    assert [(site.name, site.value) for site in tuned] == [
        ("depth", 2), ("conv2d", 24), ("multiheadattention", 24),
    ]  # fmt: skip


# --- what a child is made of ------------------------------------------------------------------------


def test_a_child_with_a_number_outside_of_its_range_or_another_structure() -> None:
    known = history(12)
    for rng in range(8):
        about = context(known[rng].genome, known, rng)
        space, genome = space_of(about), child((Tune, TpeAlone)[rng % 2](), about)
        made = numbers_of(genome)
        assert made.structure == numbers_of(tunable.seed().genome).structure
        assert made.values not in space.known
        for parameter in space.parameters:
            assert parameter.range.low <= parameter.of(made.values) <= parameter.range.high


def test_a_child_that_depends_on_more_than_its_history_and_random_numbers() -> None:
    known = history(12)
    again = [dataclasses.replace(one) for one in known]
    random.seed(1)
    first = result(Tune(), context(known[3].genome, known, 5))
    random.seed(2)
    assert result(Tune(), context(known[3].genome, again, 5)) == first
    assert result(Tune(), context(known[3].genome, known, 6)) != first
    better = [
        dataclasses.replace(one, outcome=Scored({"accuracy": float(n), "parameters": 1.0}))
        for n, one in enumerate(known)
    ]
    assert result(Tune(), context(known[3].genome, better, 5)) != first, "scores count"


def test_a_suggestion_that_the_trials_do_not_lead() -> None:
    """All good trials have dropout near 0.2: so have most suggestions, of a range up to 0.8."""
    genome, known = tunable.seed().genome, []
    for number in range(40):
        drop = f"{0.02 * (number + 1):.2f}"
        one = changed(genome, "Dropout(0.7)", f"Dropout({drop})") if drop != "0.70" else genome
        outcome = Scored({"accuracy": 1 - abs(float(drop) - 0.2), "parameters": 1.0})
        known.append(individual(f"g0s{number}", one, outcome))
    about = context(genome, known)
    space = space_of(about)
    (parameter,) = [one for one in space.parameters if one.name == "dropout"]
    seen = {one.id: one.objectives for _, one in space.trials}
    tpe = Tpe(space, about.run.directions, seen, 3)
    drawn = [tpe.suggest([parameter])[parameter] for _ in range(20)]
    assert sum(abs(value - 0.2) < 0.15 for value in drawn) > 15


def widths(space: Space) -> list[tuple[int, ...]]:
    return [one.places for one in space.parameters if one.range.kind == "width"]


def test_widths_that_hang_together_and_are_set_apart() -> None:
    about = context(tunable.seed().genome)
    places = widths(space_of(about))
    sites = numbers_of(about.genome).sites
    assert [[sites[at].value for at in group] for group in places] == [[64], [48, 48]]


def test_widths_that_need_not_be_equal_and_stay_together() -> None:
    genome = tunable.seed().genome
    apart = changed(genome, "Linear(48, num_classes)", "Linear(56, num_classes)")
    unscored = individual("g0s0", apart, Rejected("shape", "it does not fit"))
    assert len(widths(space_of(context(genome, [unscored])))) == 2
    assert len(widths(space_of(context(genome, [individual("g0s0", apart)])))) == 3


def test_an_integer_that_does_not_fit_and_is_set_for_ever() -> None:
    """The 64 inputs are the data's: two children with another number are rejected, and it is left alone."""
    genome = tunable.seed().genome
    known = [
        individual(f"g0s{n}", changed(genome, "Linear(64", f"Linear({width}"), Rejected("shape", "no"))
        for n, width in enumerate((32, 96))
    ]
    before, after = space_of(context(genome, known[:1])), space_of(context(genome, known))
    assert [len(widths(space)) for space in (before, after)] == [2, 1]


def test_two_integers_of_which_neither_is_known_to_fit_in_one_child() -> None:
    genome = tunable.seed().genome
    assert [s.value for s in numbers_of(genome).sites if s.name == "linear"] == [64, 48, 48]
    seen = set()
    for rng in range(12):
        made = numbers_of(child(TpeAlone(), context(genome, (), rng)))
        widths = [site.value for site in made.sites if site.name == "linear"]
        assert sum((widths[0] != 64, widths[1:] != [48, 48])) <= 1
        seen.add(tuple(widths))
    assert len(seen) > 2


def test_trials_of_another_structure() -> None:
    known = history(3)
    other = Seed.from_bytes(tunable.SOURCE.replace(b"LeakyReLU(slope)", b"ELU(slope)"), Path("tunable.py"))
    deeper = individual("g0s9", other.genome)
    space = space_of(context(tunable.seed().genome, [*known, deeper]))
    assert [one.id for _, one in space.trials] == ["seed", *(one.id for one in known)]


def test_blocks_that_this_run_does_not_rewrite() -> None:
    about = dataclasses.replace(context(tunable.seed().genome), addresses=("get_optimizer",))
    for rng in range(6):
        made = result(TpeAlone(), dataclasses.replace(about, rng=random.Random(rng)))
        assert isinstance(made, Patch)
        assert made.addresses == ("get_optimizer",)


def test_a_genome_without_numbers_that_costs_a_child() -> None:
    bare = Seed.from_bytes(b"def f(x):\n    return x\n")
    made = result(Tune(), context(bare.genome, seed=bare))
    assert made == Skipped("the parent has no number that this run may tune")


def test_a_library_that_talks_or_stays_silent_for_others(capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    level = logging.getLogger("optuna").level
    child(Tune(), context(tunable.seed().genome, history(2)))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("optuna").level == level == optuna.logging.INFO


# --- runs -------------------------------------------------------------------------------------------


def run(folder: Path, observe: Any = lambda *_: None, **settings: Any) -> None:
    base = {
        "evaluator": "by-numbers",
        "llm": ("uniform",),
        "operators": ("tune",),
        "population": 8,
        "rescore_seeds": 0,
    }
    config = load_config("demo", None, {**base, **settings})
    loop.run(tunable.seed(), config, REGISTRY, folder, observe)


def best(folder: Path) -> float:
    with History(folder) as history:
        return max(figures["accuracy"] for _, _, figures in history.scored_points())


class Cut(Exception):
    """What ends a session in the middle of a generation, as a kill does."""


def cut_after(admitted: int) -> Any:
    told: list[str] = []

    def observe(event: str, _: Any) -> None:
        told.append(event)
        if told.count("admitted") == admitted:
            raise Cut

    return observe


@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_resumed_run_that_tunes_otherwise_than_one_in_one_go(schedule: str, tmp_path: Path) -> None:
    settings = {"generations": 3, "population": 5, "schedule": schedule, "workers": 1}
    run(tmp_path / "whole", **settings)
    for admitted in (6, 2):
        with pytest.raises(Cut):
            run(tmp_path / "cut", cut_after(admitted), **settings)
    run(tmp_path / "cut", **settings)
    require_equal(tmp_path / "whole", tmp_path / "cut")
    assert check(tmp_path / "cut") == []


def test_individuals_of_the_generation_that_asks(tmp_path: Path) -> None:
    """Those of earlier generations are told, rejected ones among them, and nothing of what comes after."""
    run(tmp_path / "run", generations=3, population=6, random_seed=2)
    with History(tmp_path / "run") as history:
        everybody = [one for one in history.individuals() if isinstance(one, Individual) and one.slot >= 0]
        for generation in (3, 1, 2):
            told = Settled(history).before(generation)
            assert [one.id for one in told] == [one.id for one in everybody if one.generation < generation]
            assert all(one.outcome is not None for one in told)
    assert any(isinstance(one.outcome, Rejected) for one in everybody)


def test_numbers_that_do_not_follow_the_scores(tmp_path: Path) -> None:
    """Forty children each: a language model that draws at random, and tune, which sees the scores."""
    run(tmp_path / "tuned", generations=5, random_seed=1)
    run(tmp_path / "drawn", generations=5, random_seed=1, operators=("mutation",), grammar="edits")
    assert best(tmp_path / "tuned") > best(tmp_path / "drawn") + 0.1
    with History(tmp_path / "tuned") as history:
        scored = [figures["accuracy"] for _, _, figures in history.scored_points()]
        steps: list[Step] = [step for one in history.individuals() for step in one.steps]
        assert sum(scored[-STARTUP:]) > sum(scored[1 : STARTUP + 1])
        assert history.tokens() == (0, 0)
        assert history.query("SELECT count(*) FROM calls")[0][0] == 0
    assert {(step.operator, step.persona, step.intent) for step in steps} == {("tune", "", "tune")}
    assert {step.note.partition(" trial")[0] for step in steps} >= {"TPE of 1"}
    assert check(tmp_path / "tuned") == []


def test_a_child_of_which_nobody_says_what_was_set(tmp_path: Path, ge: Ge) -> None:
    run(tmp_path / "run", generations=1, population=2)
    code, shown, error = ge("show", f"{tmp_path / 'run'}:g0s0")
    assert code == 0, error
    (line,) = [line for line in shown.splitlines() if "g0s0  tune" in line]
    assert "[TPE of 1 trial, too few, so at random: " in " ".join(shown.split())
    assert " becomes " in shown
    assert "No language model was asked" in ge("show", f"{tmp_path / 'run'}:g0s0", "--prompt")[1]
    assert line.startswith("g0s0  tune of ")


def test_a_run_without_the_library_that_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="The operator tune needs the package optuna") as refused:
        run(tmp_path / "run", generations=1)
    assert refused.value.hint == "pip install 'ge-engine[tune]'"
    assert not (tmp_path / "run").exists()
