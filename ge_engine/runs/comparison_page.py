"""Runs side by side as one HTML page: what `ge compare` prints, and their fronts and hypervolumes drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ge_engine.atomic_file import write_whole
from ge_engine.ledger.history import History
from ge_engine.notation import front_title
from ge_engine.population import Individual
from ge_engine.report.comparison import Table, comparison_page
from ge_engine.report.data import read_run
from ge_engine.runs.comparison import Comparison


def write_comparison(found: Comparison, page: Path) -> Path:
    """The page's file. Raises ConfigError where it cannot be written, LedgerError where a run is gone."""
    runs = {}
    for one in found.runs:
        with History(one.folder) as history:
            runs[str(one.folder)] = read_run(history, ())
    write_whole(page, comparison_page(runs, list(_tables(found))).encode(), "Choose another --html.")
    return page


def _tables(found: Comparison) -> Iterator[Table]:
    if found.warning:
        yield Table("Not scored alike", ["why"], [[found.warning]])
    yield _runs(found)
    yield _front(found)
    if found.differences:
        heads = ["setting", *(str(one.folder) for one in found.runs)]
        rows = [[name, *map(_text, values)] for name, values in found.differences.items()]
        yield Table("Set differently", heads, rows)


def _runs(found: Comparison) -> Table:
    titles = [how.title(name) for name, how in found.notations.items()]
    heads = ["run", *(f"baseline {title}" for title in titles), "scored", "hypervolume", "tokens", "verdict"]
    rows = [
        [
            str(one.folder),
            *_figures(found, one.seed),
            f"{one.scored} of {one.children}",
            f"{one.hypervolume:.3f}",
            f"{sum(one.tokens):,}",
            one.verdict,
        ]
        for one in found.runs
    ]
    return Table("Runs", heads, rows, frozenset(range(1, len(heads) - 1)))


def _front(found: Comparison) -> Table:
    titles = [how.title(name) for name, how in found.notations.items()]
    rows = [[f"{folder}:{one.id}", *_figures(found, one)] for folder, one in found.front]
    best = front_title(found.directions)
    title = f"{best[:1].upper()}{best[1:]} of all"
    return Table(title, ["individual", *titles], rows, frozenset(range(1, len(titles) + 1)))


def _figures(found: Comparison, one: Individual) -> Iterator[str]:
    for name, how in found.notations.items():
        yield how.spread(one.objectives[name], one.errors.get(name))


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
