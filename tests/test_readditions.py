"""Lines that children add again: counted as their definition says, and told."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import doubles
import pytest
from conftest import Ge
from hypothesis import example, given
from hypothesis import strategies as st

from ge_engine import loop
from ge_engine.ledger.history import History
from ge_engine.ledger.readditions import ALL, Readditions, readditions, telling_lines
from ge_engine.population import Individual, Step


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose language model has three answers, so that lines come and go; some parents are mated."""
    folder = tmp_path_factory.mktemp("readditions") / "run"
    config = doubles.config(llm="scripted:few", generations=6, population=10)
    loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)
    return folder


def counted(everybody: dict[str, Individual]) -> dict[str, Readditions]:
    """By the definition: every ancestor of the line of first parents is read for each child."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0], {ALL: [0, 0]})
    for one in everybody.values():
        if not one.parents:
            continue
        line, at = [], one.parents[0]
        while True:
            line.append(telling_lines(everybody[at].genome.text))
            if not everybody[at].parents:
                break
            at = everybody[at].parents[0]
        others = [telling_lines(everybody[parent].genome.text) for parent in one.parents]
        added = telling_lines(one.genome.text).difference(*others)
        again = {text for text in added if any(text in ancestor for ancestor in line)}
        for name in {ALL, *(step.operator for step in one.steps)}:
            counts[name][0] += len(added)
            counts[name][1] += len(again)
    return {name: Readditions(*two) for name, two in counts.items()}


LINES = [f"self.layer{n} = nn.Linear({n}, 8)" for n in range(5)]
lineages = st.lists(
    st.tuples(st.sets(st.sampled_from(LINES)), st.lists(st.integers(0, 30), min_size=1, max_size=2)),
    min_size=1,
    max_size=12,
)


def lineage(drawn: list[tuple[set[str], list[int]]]) -> tuple[Any, dict[str, Individual]]:
    """A history of the seed model and of children with these lines, each of earlier parents."""
    everybody: dict[str, Individual] = {}
    for number, (lines, parents) in enumerate([(set(LINES[:3]), []), *drawn]):
        text = "\n".join(sorted(lines))
        segments = (SimpleNamespace(text=text),)
        genome: Any = SimpleNamespace(text=text, files={"": SimpleNamespace(segments=segments)})
        before = list(everybody)
        names = tuple(before[at % len(before)] for at in parents)
        steps = (Step("mating" if len(names) > 1 else "mutation", "", "", "", ""),) if names else ()
        name = f"g0s{number}" if number else "seed"
        everybody[name] = Individual(name, 0, number, names, steps, genome)
    history = SimpleNamespace(
        seed=everybody["seed"],
        individuals=lambda: iter(everybody.values()),
        query=lambda _: [(json.dumps(one.parents),) for one in everybody.values()],
    )
    return history, everybody


@given(lineages)
@example([({LINES[0]}, [0]), ({LINES[0], LINES[1]}, [1])])
def test_lines_counted_otherwise_than_they_are_defined(drawn: list[tuple[set[str], list[int]]]) -> None:
    history, everybody = lineage(drawn)
    assert readditions(history) == counted(everybody)


def test_a_line_that_comes_back_or_from_a_mate() -> None:
    first, second, third = (frozenset({line}) for line in LINES[:3])
    history, _ = lineage(
        [(first | second, [0]), (first | third, [1]), (first | third, [1, 0]), (first | second, [2])]
    )
    found = readditions(history)
    assert found["mutation"] == Readditions(added=2, again=2), "the third line is back, then the second"
    assert found["mating"] == Readditions(added=0, again=0), "the third line is the mate's"
    assert found[ALL] == Readditions(added=2, again=2)


def test_lines_of_a_run_counted_otherwise_than_they_are_defined(folder: Path) -> None:
    with History(folder) as history:
        found = readditions(history)
        everybody = {one.id: one for one in history.individuals() if isinstance(one, Individual)}
    assert found == counted(everybody)
    assert next(iter(found)) == ALL
    assert found[ALL].added > 20
    assert {"mutation", "eot", "mating"} <= found.keys()


def test_lines_that_say_nothing_and_count() -> None:
    text = """
# a comment of several words
x = conv(x)
    )
    return x
    else:
  self.act  =  nn.ReLU()
pass
3,
lr = 0.1
"""
    assert telling_lines(text) == {"x = conv(x)", "self.act = nn.ReLU()", "lr = 0.1"}


def test_a_rate_of_nothing() -> None:
    assert Readditions().rate == 0.0
    assert Readditions(8, 2).rate == 0.25


def test_a_rate_that_nobody_is_told(folder: Path, ge: Ge) -> None:
    with History(folder) as history:
        found = readditions(history)
    code, shown, error = ge("log", folder, "--stats")
    assert code == 0, error
    told = " ".join(shown.split())
    all_of = found[ALL]
    share = f"{all_of.again} of {all_of.added} ({all_of.rate:.0%}); "
    assert f"added lines that an ancestor had and another deleted: {share}" in told
    assert f"mutation {found['mutation'].again} of {found['mutation'].added}" in told
    lines = [json.loads(line) for line in ge("log", folder, "--stats", "--json")[1].splitlines()]
    by_name = {one["name"]: one for one in lines if one["dimension"] == "added lines"}
    assert {name: (one["added"], one["again"]) for name, one in by_name.items()} == {
        name: (one.added, one.again) for name, one in found.items()
    }
    assert {"operator", "intent", "block"} <= {one["dimension"] for one in lines}
    (mutation,) = [one for one in lines if (one["dimension"], one["name"]) == ("operator", "mutation")]
    assert mutation["children"] >= mutation["admitted"] >= mutation["scored"]
