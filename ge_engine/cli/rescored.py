"""How finalists read that were trained again with further random seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.text import Text

from ge_engine.api import Replicates, Run, Spread
from ge_engine.notation import Notation, Notations
from ge_engine.population import SEED_ID
from ge_engine.views.console import out, print_table, table_of
from ge_engine.views.outcomes import counted

HEAD = (
    "trained again{} with further random seeds: mean ± standard deviation; improvement over the baseline, "
    "paired by random seed (in percentage points where figures are in %)"
)


def print_rescored(run: Run) -> None:
    """A row per finalist and objective that a training's random seed moves, for each length of trainings;
    nothing without rescoring."""
    found = {"": run.rescored}
    found |= {f" for {counted(epochs, 'epoch')}": one for epochs, one in run.rescored_longer.items()}
    for length, one in found.items():
        if rows := list(_rows(one, run.notations)):
            _print(HEAD.format(length), rows)


def _print(head: str, rows: list[list[str]]) -> None:
    table = table_of(
        "id", "objective", right=("seeds", "validation", "improvement", "test", "improvement"), after=""
    )
    for row in rows:
        table.add_row(*row)
    out.print(Text(head))
    print_table(table)
    out.print()


def _rows(found: Mapping[str, Replicates], notations: Notations) -> Iterator[list[str]]:
    moving = {
        name
        for one in found.values()
        for name, spread in (*one.validation.items(), *one.test.items())
        if spread.deviation is None or spread.deviation > 0
    }
    for identity, one in found.items():
        if not one.validation:
            yield [identity, "", "0", "-", "", "-", "", f"{one.failed} failed"]
        for name in [name for name in one.validation if name in moving]:
            mine, test = one.validation[name], one.test.get(name)
            how = notations[name]
            cells = [_mean(how, mine), _gain(how, mine), _mean(how, test), _gain(how, test)]
            yield [
                identity,
                how.title(name),
                str(mine.count),
                *cells,
                remark(identity, mine, test, one.failed),
            ]


def remark(identity: str, validation: Spread, test: Spread | None, failed: int) -> str:
    """Whether an improvement shows; one in validation or test that does not exceed its spread is named."""
    parts = [f"{failed} failed"] if failed else []
    if identity != SEED_ID:
        sides = (("validation", validation), ("test", test))
        within = [split for split, spread in sides if spread is not None and spread.within]
        parts += (
            [f"{' and '.join(within)}: within the spread of {counted(validation.count, 'random seed')}"]
            if within
            else []
        )
        parts += ["the run's improvement is not reproduced"] if validation.refuted else []
    return "; ".join(parts)


def _mean(notation: Notation, spread: Spread | None) -> str:
    return "-" if spread is None else notation.spread(spread.mean, spread.deviation)


def _gain(notation: Notation, spread: Spread | None) -> str:
    if spread is None or spread.gain is None:
        return ""
    return notation.gain(spread.gain, spread.gain_deviation)
