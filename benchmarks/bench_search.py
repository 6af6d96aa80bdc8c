"""`make bench-search ARGS="--data cifar10-jpeg.zip"`: what a search finds on CIFAR-10, by real trainings.

    python -m benchmarks.bench_search --data ZIP-OR-FOLDER [--out runs/search] [--baseline CHECKOUT]
        [--arms uniform less] [--records FILE]

Each arm evolves `examples/exquisitenet_v2.py` from the same random seeds: `baseline` by the program of
another checkout (its `.venv/bin/python`, with `uniform`), `uniform` and `smollm2` by this one, and `less`
as `uniform` with `--inherit --screen 2`, where it is asked for. A run is a folder OUT/SETTINGS/ARM-SEED, with
what was measured of it beside it. One that is finished is not run again, one that was cut off goes on, so the
benchmark can be done in parts: `--arms` and `--seeds` choose which, and what is printed at the end is of
all runs of these that are there. `--records` keeps what finished runs found, a line of JSON each, so that
the parts can be done on several machines: a run that has a record there is not run again. Beside this file,
`search_cifar10.jsonl` has those of the other arms, `less_cifar10.jsonl` those of `--arms uniform less
--generations 3 --population 6`.

Printed: hypervolume over evaluations with its spread, the gain over the seed model, the rank-sum test
against the first arm, and of each arm's median run the smallest child that is at least as accurate as the
seed model on validation and on the test split; all but `less`, whose scores are of other trainings. Then
hypervolume over processor seconds, of all arms: that of the front which a run had then by its own scores,
in figures of trainings from scratch with the run's random seed. Where a score is inherited, that training
is made here once the run has ended (`from_scratch.py`), and its seconds do not count as the search's.
Scores from scratch are taken as they are, and a front that was selected by them looks better by that, so
the comparison rather favours `uniform`. Seconds are those of the processor, of all processes of the run
together, as they are on Linux.

Ends with 1 where a run has failed or, beside a baseline, a bound of `searched.py` is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from benchmarks.course import left_of, meter_of, scratch_meter_of
from benchmarks.reaching import lines
from benchmarks.records import Records
from benchmarks.searched import Search, arms_of, finished, median_run, missed, smallest_as_good, table

ROOT = Path(__file__).resolve().parent.parent
SEED = ROOT / "examples" / "exquisitenet_v2.py"
LESS = "less"
ARMS: Mapping[str, Mapping[str, str | None]] = {
    "baseline": {"--llm": "uniform"},
    "uniform": {"--llm": "uniform"},
    LESS: {"--llm": "uniform", "--inherit": None, "--screen": "2"},
    "smollm2": {"--llm": "smollm2"},
}
"""The options of each arm, None for what takes no word. The first that was run is the one compared with."""

PATIENCE = 3600
"""Seconds that a training may take: a busy machine costs no child."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: for each arm and random seed a search of `generations` x `population` children."""

    data: Path
    out: Path
    records: Path | None
    baseline: Path | None
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    images: int
    epochs: int
    generations: int
    less_generations: int
    population: int

    def folder(self, arm: str, seed: int) -> Path:
        return self.out / "-".join(map(str, self.settings(arm).values())) / f"{arm}-{seed}"

    def checkout(self, arm: str) -> Path:
        """Where an arm's program is run, whose own modules Python finds first."""
        return self.baseline if arm == "baseline" and self.baseline else ROOT

    def command(self, arm: str, seed: int) -> list[str]:
        """The search as a command line, of its checkout's own Python."""
        own = sys.executable
        python = str(self.checkout(arm) / ".venv" / "bin" / "python") if arm == "baseline" else own
        options = {
            "--task": f"folder:{self.data}",
            **ARMS[arm],
            "--train-limit": self.images,
            "--epochs": self.epochs,
            "--generations": self.generations_of(arm),
            "--population": self.population,
            random_seed_flag(python, self.checkout(arm)): seed,
            "--timeout": PATIENCE,
            "--run": self.folder(arm, seed),
        }
        words = [str(word) for pair in options.items() for word in pair if word is not None]
        return [python, "-m", "ge_engine.cli", "evolve", str(SEED), *words]

    def generations_of(self, arm: str) -> int:
        return self.less_generations if arm == LESS else self.generations

    def settings(self, arm: str) -> dict[str, str | int]:
        """What decides beside arm and random seed what a run finds; of the data the name, for a path is a
        machine's."""
        names = ("images", "epochs", "generations", "population")
        own = {name: getattr(self, name) for name in names}
        return {"data": self.data.name, **own, "generations": self.generations_of(arm)}

    def left(self) -> list[tuple[str, int]]:
        """Arms and random seeds whose run is not finished: of all arms the first seed, then the second."""
        known = self._recorded()
        return [
            (arm, seed)
            for seed in self.seeds
            for arm in self.arms
            if self._name(arm, seed) not in known and not measured(self.folder(arm, seed))
        ]

    def done(self) -> dict[str, list[Search]]:
        """The finished runs by arm, of arms that have one: from their records, else from their folders."""
        known = self._recorded() | {one.name: one for one in self._unrecorded()}
        names = {arm: [self._name(arm, seed) for seed in self.seeds] for arm in self.arms}
        found = {arm: [known[name] for name in several if name in known] for arm, several in names.items()}
        return {arm: searches for arm, searches in found.items() if searches}

    def record(self) -> None:
        """Keep what finished runs found that have no record yet, where records are kept."""
        if self.records:
            found = self._unrecorded()
            for arm in self.arms:
                names = self._names(arm)
                self._records(self.records, arm).add([asdict(one) for one in found if one.name in names])

    def _unrecorded(self) -> list[Search]:
        known = self._recorded()
        folders = [self.folder(arm, seed) for arm in self.arms for seed in self.seeds]
        return [Search.of(one) for one in folders if one.name not in known and measured(one)]

    def _name(self, arm: str, seed: int) -> str:
        return self.folder(arm, seed).name

    def _names(self, arm: str) -> list[str]:
        return [self._name(arm, seed) for seed in self.seeds]

    def _records(self, file: Path, arm: str) -> Records:
        return Records(file, self.settings(arm), "search")

    def _recorded(self) -> dict[str, Search]:
        """By name, those that were run with these settings."""
        if not self.records:
            return {}
        found = {}
        for arm in self.arms:
            kept = map(Search.from_json, self._records(self.records, arm).read())
            found |= {one.name: one for one in kept if one.name in self._names(arm)}
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    plan = planned(arguments)
    failed = []
    plan.record()
    for arm, seed in plan.left():
        failed += [] if ran(plan, arm, seed) else [f"{arm}-{seed}"]
        plan.record()
    searches = plan.done()
    for name in failed:
        print(f"failed: {name}")
    if not searches:
        return 1
    short = told_by_evaluations({name: several for name, several in searches.items() if name != LESS})
    tell_by_seconds(searches)
    return 1 if short or failed else 0


def told_by_evaluations(searches: Mapping[str, Sequence[Search]]) -> list[str]:
    """Print what arms found whose trainings are all from scratch; what is missed beside a baseline."""
    if not searches:
        return []
    arms = arms_of(searches)
    print("\n".join(table(arms)))
    found = {}
    for arm in arms:
        run = searches[arm.name][median_run(arm)]
        found[arm.name] = one = smallest_as_good(run)
        print(f"{arm.name}: median run {run.name}: {one.in_words() if one else 'no child is as accurate'}")
    short = missed(arms, found) if arms[0].name == "baseline" else []
    for line in short:
        print(f"missed: {line}")
    return short


def tell_by_seconds(searches: Mapping[str, Sequence[Search]]) -> None:
    """Print what arms had found after how many processor seconds, of runs in which these were measured."""
    unknown = [one.name for several in searches.values() for one in several if one.course is None]
    if unknown:
        print(f"processor seconds are unknown of {', '.join(unknown)}:")
        print("delete what is kept of a run, its folder and its record, to have it run with them.")
    courses = {arm: [one.course for one in several if one.course] for arm, several in searches.items()}
    told = {arm: several for arm, several in courses.items() if several}
    if told:
        print("\n".join(["", *lines(told, LESS, "uniform")]))


def measured(folder: Path) -> bool:
    """Whether a run has ended, and all who stood on its front have figures of a training from scratch."""
    return finished(folder) and not (meter_of(folder).total and left_of(folder))


def ran(plan: Plan, arm: str, seed: int) -> bool:
    """Run one search to its end, and what its figures need besides; whether it got there."""
    print(f"--- {arm}, random seed {seed}", flush=True)
    folder = plan.folder(arm, seed)
    if not finished(folder) and meter_of(folder).run(plan.command(arm, seed), plan.checkout(arm)):
        return False
    if finished(folder) and not measured(folder):
        scratch_meter_of(folder).run([sys.executable, "-m", "benchmarks.from_scratch", str(folder)], ROOT)
    return measured(folder)


@cache
def random_seed_flag(python: str, checkout: Path) -> str:
    """The flag of the random seed in a checkout with this Python: `--seed` in version 0.1.0."""
    command = [python, "-m", "ge_engine.cli", "evolve", "--help-all"]
    said = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False).stdout
    return "--random-seed" if "--random-seed" in said else "--seed"


def planned(arguments: Sequence[str] | None = None) -> Plan:
    """What the command line asks for. Ends with 2 and a sentence where it asks for what cannot be."""
    parser = argparse.ArgumentParser(prog="bench_search", description="What a search finds, by trainings.")
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10 as JPEG: a zip, or a folder")
    parser.add_argument("--out", type=Path, default=Path("runs/search"), help="where the runs are kept")
    parser.add_argument("--records", type=Path, help="a file that keeps what finished runs found")
    parser.add_argument("--baseline", type=Path, help="another checkout with a .venv of its own")
    parser.add_argument(
        "--arms", nargs="+", choices=ARMS, help=f"default: all but {LESS}, baseline with --baseline"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], help="random seeds")
    parser.add_argument("--images", type=int, default=5000, help="to train on")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--generations", type=int, default=4)
    parser.add_argument("--less-generations", type=int, help="of the arm less; default: as the others")
    parser.add_argument("--population", type=int, default=10)
    given = parser.parse_args(arguments)
    if not given.data.exists():
        parser.error(f"{given.data} is not there; give the data as --data ZIP-OR-FOLDER.")
    python = given.baseline and given.baseline / ".venv" / "bin" / "python"
    if python and not python.exists():
        parser.error(f"{python} is not there; `make test` in that checkout makes it.")
    arms = given.arms or [arm for arm in ARMS if arm != LESS and (given.baseline or arm != "baseline")]
    if "baseline" in arms and not given.baseline:
        parser.error("The arm baseline wants --baseline CHECKOUT.")
    return Plan(
        given.data.resolve(),
        given.out.resolve(),
        given.records and given.records.resolve(),
        given.baseline and given.baseline.resolve(),
        tuple(arm for arm in ARMS if arm in arms),
        tuple(dict.fromkeys(given.seeds)),
        given.images,
        given.epochs,
        given.generations,
        given.less_generations or given.generations,
        given.population,
    )


if __name__ == "__main__":
    sys.exit(main())
