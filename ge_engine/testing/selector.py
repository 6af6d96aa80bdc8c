"""What every selector promises: as many as asked for, the better ones more often, and nothing hidden."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from ge_engine.contracts import Selector
from ge_engine.outcome import Scored
from ge_engine.population import Direction, Individual
from ge_engine.testing.material import DIRECTIONS, SEED
from ge_engine.testing.watching import assert_is_a_name, no_global_randomness, no_io

TRIALS = 60
SIZES = pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 44])


def population(points: Sequence[Mapping[str, float]]) -> list[Individual]:
    """Scored individuals with these objectives."""
    return [
        replace(SEED, id=f"g0s{n}", slot=n, outcome=Scored(dict(point))) for n, point in enumerate(points)
    ]


def random_population(size: int, seed: int = 0) -> list[Individual]:
    rng = random.Random(seed)
    return population(
        [{"accuracy": rng.random(), "parameters": float(rng.randrange(10**6))} for _ in range(size)]
    )


class SelectorContract:
    """Override `selector`."""

    @pytest.fixture
    def selector(self) -> Selector:
        raise NotImplementedError("give the fixture `selector`")

    def chosen(
        self,
        selector: Selector,
        individuals: Sequence[Individual],
        k: int,
        directions: Mapping[str, Direction] = DIRECTIONS,
        seed: int = 0,
    ) -> list[Individual]:
        return selector.select(individuals, k, directions, random.Random(seed))

    def test_it_has_a_name(self, selector: Selector) -> None:
        assert_is_a_name(selector.name)

    @SIZES
    def test_it_gives_as_many_as_asked_for(self, selector: Selector, size: int) -> None:
        everybody = random_population(size)
        for k in range(1, size + 1):
            assert len(self.chosen(selector, everybody, k)) == k

    @SIZES
    def test_it_gives_no_more_than_asked_for_of_too_few(self, selector: Selector, size: int) -> None:
        """Asked for twice the population it repeats some, or gives everybody once."""
        assert size <= len(self.chosen(selector, random_population(size), 2 * size)) <= 2 * size

    @SIZES
    def test_it_chooses_from_those_it_was_given(self, selector: Selector, size: int) -> None:
        everybody = random_population(size)
        known = {id(one) for one in everybody}
        assert all(id(one) in known for one in self.chosen(selector, everybody, size))

    def test_it_chooses_nobody_when_asked_for_none_or_of_none(self, selector: Selector) -> None:
        assert self.chosen(selector, random_population(5), 0) == []
        assert self.chosen(selector, [], 5) == []

    def test_it_leaves_the_population_in_its_order(self, selector: Selector) -> None:
        everybody = random_population(12)
        before = list(everybody)
        self.chosen(selector, everybody, 6)
        assert everybody == before

    def test_the_same_random_numbers_give_the_same_choice(self, selector: Selector) -> None:
        everybody = random_population(20)
        for seed in range(5):
            first = self.chosen(selector, everybody, 8, seed=seed)
            assert first == self.chosen(selector, everybody, 8, seed=seed)

    def test_it_draws_from_the_generator_it_is_given(self, selector: Selector) -> None:
        with no_global_randomness():
            self.chosen(selector, random_population(20), 8)

    def test_it_does_no_input_or_output(self, selector: Selector) -> None:
        self.chosen(selector, random_population(20), 8)
        with no_io():
            self.chosen(selector, random_population(20), 8)

    @pytest.mark.parametrize("worse_first", [False, True])
    def test_the_best_is_chosen_more_often_than_the_worst(
        self, selector: Selector, worse_first: bool
    ) -> None:
        points = [{"accuracy": 0.1 * n, "parameters": 1000.0 - 100 * n} for n in range(9)]
        best, worst = self._often(selector, points, DIRECTIONS, worse_first)
        assert best > worst

    def test_it_heeds_the_directions(self, selector: Selector) -> None:
        turned: Mapping[str, Direction] = {"accuracy": "min", "parameters": "max"}
        points = [{"accuracy": 0.9 - 0.1 * n, "parameters": 100.0 + 100 * n} for n in range(9)]
        best, worst = self._often(selector, points, turned, True)
        assert best > worst

    @pytest.mark.parametrize(
        "point",
        [{"accuracy": 0.5, "parameters": 100.0}, {"accuracy": 0.0, "parameters": 0.0}],
        ids=("equal", "zero"),
    )
    def test_equal_scores_are_no_obstacle(self, selector: Selector, point: Mapping[str, float]) -> None:
        assert len(self.chosen(selector, population([point] * 10), 4)) == 4

    @pytest.mark.parametrize("scale", [1e-300, 1.0, 1e9, 1e300])
    def test_the_scale_of_a_score_is_no_obstacle(self, selector: Selector, scale: float) -> None:
        points = [{"accuracy": 0.1 * n, "parameters": scale * (n + 1)} for n in range(10)]
        assert len(self.chosen(selector, population(points), 4)) == 4

    @pytest.mark.parametrize("count", [1, 3, 5])
    def test_any_number_of_objectives(self, selector: Selector, count: int) -> None:
        rng = random.Random(count)
        directions: dict[str, Direction] = {f"o{n}": "max" if n % 2 else "min" for n in range(count)}
        points = [{name: rng.random() for name in directions} for _ in range(12)]
        assert len(self.chosen(selector, population(points), 5, directions)) == 5

    def _often(
        self,
        selector: Selector,
        points: list[dict[str, float]],
        directions: Mapping[str, Direction],
        worse_first: bool,
    ) -> tuple[int, int]:
        """How often the best and the worst of a chain in which each dominates the one before were chosen."""
        everybody = population(points if worse_first else points[::-1])
        ranked = everybody if worse_first else everybody[::-1]
        chosen = [
            one.id
            for seed in range(TRIALS)
            for one in self.chosen(selector, everybody, len(points) // 2, directions, seed)
        ]
        return chosen.count(ranked[-1].id), chosen.count(ranked[0].id)
