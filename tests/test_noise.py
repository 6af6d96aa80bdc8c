"""What chance explains is not called better, ties are ties, and a tie is no reason to lose the better one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import doubles
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ge_engine.errors import ConfigError
from ge_engine.noise import Ties, as_good, beyond_noise, clearly_better, front_of, improves, margin
from ge_engine.outcome import Scored
from ge_engine.pareto import Direction, dominates, pareto_front
from ge_engine.population import Individual
from ge_engine.search.selection import Selection
from ge_engine.tolerances import Tolerance, parse_tolerances

DIRECTIONS: dict[str, Direction] = {"accuracy": "max", "parameters": "min"}
SHARES = st.integers(0, 24).map(lambda n: n / 24)
SIZES = st.integers(1, 4).map(lambda n: 100.0 * n)
WIDTHS = st.one_of(st.floats(1e-6, 10.0), st.sampled_from([1 / 24, 2 / 24, 0.1, 0.25]))


def scored(accuracy: float, parameters: float, error: float = 0.0) -> Scored:
    return Scored({"accuracy": accuracy, "parameters": parameters}, {}, {"accuracy": error} if error else {})


def one(number: int, accuracy: float, parameters: float, error: float = 0.01) -> Individual:
    outcome = scored(accuracy, parameters, error)
    identity = "seed" if number < 0 else f"g0s{number}"
    return Individual(identity, 0, number, (), (), doubles.seed().genome, outcome)


def named(points: Sequence[tuple[float, float]]) -> list[Individual]:
    return [one(number, *point) for number, point in enumerate(points)]


def ids(individuals: Sequence[Individual]) -> list[str]:
    return [individual.id for individual in individuals]


def figures(individuals: Sequence[Individual]) -> set[tuple[float, ...]]:
    return {tuple(individual.objectives.values()) for individual in individuals}


# --- what may be said -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("child", "signs"),
    [
        (scored(0.827, 1000, 0.01), (0, 0)),
        (scored(0.828, 1000, 0.01), (1, 0)),
        (scored(0.772, 1000, 0.01), (-1, 0)),
        (scored(0.788, 900, 0.01), (0, 1)),
        (scored(0.8, 1000.4, 0.01), (0, 0)),
        (scored(0.8, 1010, 0.01), (0, 0)),
        (scored(0.8, 1011, 0.01), (0, -1)),
        (scored(0.8, 989, 0.01), (0, 1)),
    ],
)
def test_a_difference_within_the_error_that_counts(child: Scored, signs: tuple[int, int]) -> None:
    """The error of the difference of two figures of 0.01 each is 0.0141, 1.96 of them are 0.0277. Of a
    count a hundredth is no finding."""
    seed = scored(0.8, 1000, 0.01)
    assert tuple(beyond_noise(child, seed, DIRECTIONS).values()) == signs
    assert clearly_better(child, seed, DIRECTIONS) is (max(signs) > 0 and min(signs) >= 0)


def test_a_loss_that_is_called_none_because_it_might_be_chance() -> None:
    seed, child = scored(0.8, 1000, 0.01), scored(0.785, 500, 0.01)
    assert beyond_noise(child, seed, DIRECTIONS) == {"accuracy": 0, "parameters": 1}
    assert not clearly_better(child, seed, DIRECTIONS)
    assert not as_good(child, seed, "accuracy", "max")
    assert as_good(scored(0.787, 500, 0.01), seed, "accuracy", "max")


@pytest.mark.parametrize(("comparisons", "z"), [(0, 1.960), (1, 1.960), (5, 2.576), (20, 3.023)])
def test_the_luckiest_of_many_that_is_judged_as_if_it_were_alone(comparisons: int, z: float) -> None:
    """By tables of the normal distribution: 1 - 0.025 / n."""
    assert margin(comparisons) == pytest.approx(z, abs=5e-4)
    seed, gain = scored(0.8, 1000, 0.01), math.hypot(0.01, 0.01) * z
    for share, better in ((0.999, False), (1.001, True)):
        child = scored(0.8 + share * gain, 1000, 0.01)
        assert clearly_better(child, seed, DIRECTIONS, comparisons) is better
        assert (beyond_noise(child, seed, DIRECTIONS, comparisons)["accuracy"] == 1) is better


@pytest.mark.parametrize(
    ("child", "parents", "better"),
    [
        ((0.9, 10.0), [(0.8, 10.0)], True),
        ((0.8, 10.0), [(0.8, 10.0)], False),
        ((0.9, 11.0), [(0.8, 10.0)], False),
        ((0.7, 11.0), [(0.8, 10.0)], False),
        ((0.9, 10.0), [(0.8, 10.0), (0.95, 5.0)], False),
        ((0.9, 10.0), [(0.95, 20.0), (0.8, 10.0)], True),
        ((0.9, 10.0), [], False),
    ],
)
def test_a_child_called_better_than_its_parents_that_is_not(
    child: tuple[float, float], parents: list[tuple[float, float]], better: bool
) -> None:
    first, *rest = (scored(*values) for values in (child, *parents))
    assert improves(first, rest, DIRECTIONS) is better
    assert improves(first, iter(rest), DIRECTIONS) is better


def test_a_child_that_is_better_than_its_parent_by_chance() -> None:
    child, parent = scored(0.81, 1000, 0.01), scored(0.8, 1000, 0.01)
    assert not improves(child, [parent], DIRECTIONS)
    assert improves(scored(0.81, 900, 0.01), [parent], DIRECTIONS), "as accurate, and smaller"


# --- what ties ------------------------------------------------------------------------------------


def beats(a: Individual, b: Individual, ties: Ties) -> bool:
    """The relation by which a front is chosen, asked of the front itself."""
    return ids(front_of([b, a], DIRECTIONS, ties)) == [a.id]


@given(st.lists(st.tuples(SHARES, SIZES), min_size=3, max_size=3), SHARES, WIDTHS)
def test_ties_by_which_better_is_no_strict_partial_order(
    points: list[tuple[float, float]], seed: float, width: float
) -> None:
    ties = Ties.around(scored(seed, 100.0, width), 1.0)
    triple = named(points)
    for a, b in itertools.permutations(triple, 2):
        assert not (beats(a, b, ties) and beats(b, a, ties))
    for a, b, c in itertools.permutations(triple):
        if beats(a, b, ties) and beats(b, c, ties):
            assert beats(a, c, ties)


@given(st.lists(st.tuples(SHARES, SIZES), min_size=1, max_size=9), SHARES, WIDTHS, st.randoms())
def test_a_front_that_depends_on_the_order_in_which_it_grew(
    points: list[tuple[float, float]], seed: float, width: float, rng: object
) -> None:
    """Of the same figures the first stays, so the figures of the front are compared."""
    ties = Ties.around(scored(seed, 100.0, width), 1.0)
    everybody = named(points)
    whole = {
        (i.objectives["accuracy"], i.objectives["parameters"]) for i in front_of(everybody, DIRECTIONS, ties)
    }
    rng.shuffle(everybody)  # type: ignore[attr-defined]
    grown: list[Individual] = []
    for individual in everybody:
        grown = front_of([*grown, individual], DIRECTIONS, ties)
    assert figures(grown) == whole


@given(st.lists(st.tuples(SHARES, SIZES), min_size=2, max_size=9), SHARES, st.floats(1e-6, 1.0))
def test_ties_of_width_0_that_change_a_front(
    points: list[tuple[float, float]], seed: float, error: float
) -> None:
    everybody = named(points)
    for ties in (Ties.around(scored(seed, 100.0, error), 0.0), Ties.around(scored(seed, 100.0), 1.0), Ties()):
        assert front_of(everybody, DIRECTIONS, ties) == pareto_front(everybody, DIRECTIONS)
        assert all(ties.seen(i.objectives) == i.objectives for i in everybody)


@given(SHARES, SHARES, SHARES, WIDTHS)
def test_a_grid_that_turns_two_figures_round_or_ties_what_lies_apart(
    a: float, b: float, seed: float, width: float
) -> None:
    ties = Ties.around(scored(seed, 100.0, width), 1.0)
    low, high = sorted((a, b))
    seen = [ties.seen({"accuracy": value})["accuracy"] for value in (low, high)]
    assert seen[0] <= seen[1]
    assume(high - low > width * (1 + 1e-9))
    assert seen[0] < seen[1]


def test_a_figure_that_no_grid_can_hold() -> None:
    ties = Ties.around(scored(0.5, 100.0, 1e-320), 1.0)
    assert ties.seen({"accuracy": 1e300})["accuracy"] == 1e300
    assert math.isfinite(ties.seen({"accuracy": 0.75})["accuracy"])


def test_a_smaller_child_as_accurate_within_noise_that_a_front_keeps_beside_what_it_beats() -> None:
    seed = one(-1, 0.80, 1000)
    smaller, larger, twin = one(0, 0.798, 400), one(1, 0.803, 990), one(2, 0.799, 400)
    ties = Ties.around(seed, 1.0)
    everybody = [seed, smaller, larger, twin]
    assert ids(front_of(everybody, DIRECTIONS, ties)) == ["g0s2"], "of one box the more accurate"
    assert ids(front_of(everybody, DIRECTIONS)) == ["g0s1", "g0s2"]


# --- selection ------------------------------------------------------------------------------------

SEED = one(-1, 0.8, 1000)
LUCKY, SMALL, CLEAR = one(0, 0.803, 1000), one(1, 0.797, 500), one(2, 0.9, 1000)


def selection(ties: float, **settings: object) -> Selection:
    config = doubles.config(ties=ties, **settings)
    return Selection(config, doubles.registry(), DIRECTIONS, Ties.around(SEED, ties))


def test_an_elite_that_gained_by_chance_whose_thought_is_carried_on() -> None:
    everybody = [SEED, LUCKY, SMALL, CLEAR]
    for ties, wanted in ((1.0, [SMALL, CLEAR]), (0.0, [LUCKY, SMALL, CLEAR])):
        pool = selection(ties, eot_elites=6).pool(1, 0, 4, SEED, everybody)
        assert set(ids(pool.helpful)) == set(ids(wanted))


def test_elites_that_are_chosen_by_chance() -> None:
    """A child half as large and as accurate within noise, against one that is two images luckier."""
    assert ids(selection(1.0, elites=1).elites(1, 0, [SEED, LUCKY, SMALL])) == ["g0s1"]
    drawn = selection(1.0).pool(1, 0, 40, SEED, [SEED, LUCKY, SMALL]).parents
    counts = [ids(drawn).count(name) for name in ("seed", "g0s0", "g0s1")]
    assert counts[2] > counts[0] + counts[1]


def test_a_tie_in_which_the_worse_is_taken() -> None:
    """Of those that are equal as selection sees them, the better by its own figures."""
    worse, best, other = one(0, 0.798, 900), one(1, 0.802, 900), one(2, 0.8, 900)
    for order in itertools.permutations([worse, best, other]):
        assert ids(selection(1.0, elites=1).elites(1, 0, list(order))) == ["g0s1"]
        assert set(ids(selection(1.0, elites=2).elites(1, 0, list(order)))) == {"g0s1", "g0s2"}


def test_scores_that_selection_rewrites() -> None:
    kept = selection(1.0, elites=3).elites(1, 0, [SEED, LUCKY, SMALL])
    assert all(individual in (SEED, LUCKY, SMALL) for individual in kept)
    assert not dominates(SMALL.objectives, SEED.objectives, DIRECTIONS)


@pytest.mark.parametrize(
    ("entry", "child", "signs"),
    [
        ("parameters=20%", (0.8, 810), (0, 0)),
        ("parameters=20%", (0.8, 790), (0, 1)),
        ("parameters=20%", (0.8, 1210), (0, -1)),
        ("parameters=0", (0.8, 999), (0, 1)),
        ("parameters = 15", (0.8, 985), (0, 0)),
        ("parameters=15", (0.8, 984), (0, 1)),
        ("accuracy=0.05", (0.84, 1000), (0, 0)),
        ("accuracy=0.05", (0.86, 1000), (1, 0)),
        ("accuracy=10%", (0.87, 1000), (0, 0)),
        ("accuracy=0.001", (0.82, 1000), (0, 0)),
    ],
)
def test_a_difference_too_small_for_the_user_that_counts(
    entry: str, child: tuple[float, float], signs: tuple[int, int]
) -> None:
    """The noise of 0.0277 stays where the tolerance is smaller."""
    seed, other = scored(0.8, 1000, 0.01), scored(*child, 0.01)
    tolerances = parse_tolerances([entry], DIRECTIONS)
    assert tuple(beyond_noise(other, seed, DIRECTIONS, tolerances=tolerances).values()) == signs
    assert clearly_better(other, seed, DIRECTIONS, tolerances=tolerances) is (max(signs) > 0)
    assert improves(other, [seed], DIRECTIONS, tolerances) is (max(signs) > 0)


def test_a_loss_within_a_tolerance_that_spoils_a_gain() -> None:
    seed, child = scored(0.8, 1000, 0.01), scored(0.78, 500, 0.01)
    tolerances = parse_tolerances(["accuracy=0.02001"], DIRECTIONS)
    assert not clearly_better(child, seed, DIRECTIONS)
    assert clearly_better(child, seed, DIRECTIONS, tolerances=tolerances)
    assert as_good(child, seed, "accuracy", "max", tolerances)


@given(
    old=st.floats(-1e6, 1e6),
    gained=st.floats(-1e6, 1e6),
    error=st.floats(1e-9, 1e3),
    amount=st.floats(0, 1e3),
)
def test_a_tolerance_that_makes_more_of_a_difference(
    old: float, gained: float, error: float, amount: float
) -> None:
    """A tolerance only ever takes signs away where figures have errors."""
    seed, child = scored(old, 1000, error), scored(old + gained, 1000, error)
    tolerances = {"accuracy": Tolerance(amount)}
    strict = beyond_noise(child, seed, DIRECTIONS)["accuracy"]
    kept = beyond_noise(child, seed, DIRECTIONS, tolerances=tolerances)["accuracy"]
    assert kept == (strict if abs((old + gained) - old) > amount else 0)


@pytest.mark.parametrize(
    "entry",
    [
        *("parameters", "parameters=", "=1%", "parameters=-1%", "parameters=one", "parameters=1%%"),
        *("parameters=1.2.3", "parameters=nan", "parameters=1e999", "", "size=1%", "parameters=1 000"),
    ],
)
def test_a_tolerance_that_is_misread(entry: str) -> None:
    with pytest.raises(ConfigError, match="tolerance") as told:
        parse_tolerances([entry], DIRECTIONS)
    assert "accuracy, parameters" in str(told.value.hint)
