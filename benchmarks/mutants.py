"""Breaks the engine on purpose, one line at a time, and reports what the tests do not notice.

    python -m benchmarks.mutants [--jobs N] [--after NAME] [WORD ...]      default: one job, all of them

They stand in mutants.toml. NAME is the one after which to go on; a WORD takes those whose name or file has
it. Each is made in a copy of the tree, where the tests that are named for it run. Leaves with 1 when one
survives, or when its tests do not run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_name("mutants.toml")
PACKAGES = {"ge_plugins": "plugins", "ge_grammars": "grammars"}
"""Import names of the tree's packages whose folders have other names."""
PRELOADED = ("torch", "accelerate", "hypothesis", "libcst", "numpy", "pytest")
"""What most tests import, and what imports nothing of the tree."""
SERVE = "--serve"
MARKED = "not browser and not slow and not gpu and not world and not slurm and not ray"
OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "--tb=no", "-m", MARKED)
SECONDS, PATIENCE = 600, 100
"""How long the tests of a mutant may take, and how long each waits for what a mutant may have stopped."""
FAULT = 70
KILLED, SURVIVED, BROKEN = "killed", "SURVIVED", "TESTS DO NOT RUN"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` stands once in `file` and becomes `new`; `tests` are pytest's ids; `why` is what is lost."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str

    def made(self, text: str) -> str:
        """`text` of the file with the line broken. Raises ValueError: the old text does not stand once."""
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"{self.name}: its old text stands {count} times in {self.file}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Verdict:
    mutant: Mutant
    result: str
    seconds: float
    said: str


def mutants() -> list[Mutant]:
    """All of mutants.toml, in its order."""
    tables = tomllib.loads(LIST.read_text("utf-8"))["mutant"]
    return [Mutant(**{**table, "tests": tuple(table["tests"])}) for table in tables]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--after", default="")
    parser.add_argument("words", nargs="*")
    given = parser.parse_args(arguments)
    listed = mutants()
    first = 1 + [one.name for one in listed].index(given.after) if given.after else 0
    chosen = [
        one
        for one in listed[first:]
        if not given.words or any(word in f"{one.name} {one.file}" for word in given.words)
    ]
    count = {KILLED: 0, SURVIVED: 0, BROKEN: 0}
    for verdict in run(chosen, given.jobs):
        count[verdict.result] += 1
        print(
            f"{verdict.result:9} {verdict.seconds:5.1f} s  {verdict.mutant.name}: {verdict.said}", flush=True
        )
    print(", ".join(f"{number} {result.lower()}" for result, number in count.items()))
    return 0 if chosen and count[KILLED] == len(chosen) else 1


def run(chosen: Sequence[Mutant], jobs: int) -> Iterator[Verdict]:
    """The verdict on each, in order; `jobs` at once, each in a copy of its own."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ExitStack() as stack:
        copies: SimpleQueue[Tester] = SimpleQueue()
        for number in range(jobs):
            copies.put(stack.enter_context(Tester(copied(Path(folder, str(number))))))

        def judged(mutant: Mutant) -> Verdict:
            tester = copies.get()
            try:
                return judge(mutant, tester)
            finally:
                copies.put(tester)

        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(judged, chosen)


def copied(folder: Path) -> Path:
    """A copy of the tree without what git ignores, in which its packages are found by their import names."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for name, place in PACKAGES.items():
        (folder / name).symlink_to(place)
    return folder


class Tester:
    """Runs tests in a copy of the tree, each time in a new fork of a process that has imported PRELOADED."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        path = os.pathsep.join(filter(None, (str(copy), os.environ.get("PYTHONPATH", ""))))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        environment["GE_TEST_PATIENCE"] = str(PATIENCE)
        self._server = subprocess.Popen(
            [sys.executable, str(copy / "benchmarks" / "mutants.py"), SERVE],
            cwd=copy,
            env={**environment, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Tester:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def tested(self, tests: Sequence[str]) -> tuple[int, str]:
        """pytest's exit status and output; -1 where it did not end in time."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(list(tests)), file=self._server.stdin, flush=True)
        code, output = json.loads(self._server.stdout.readline())
        return code, output


def judge(mutant: Mutant, tester: Tester) -> Verdict:
    """Break the line, run the tests, put the line back."""
    file = tester.copy / mutant.file
    text = file.read_text("utf-8")
    file.write_text(mutant.made(text), "utf-8")
    began = time.monotonic()
    try:
        code, output = tester.tested(mutant.tests)
    finally:
        file.write_text(text, "utf-8")
    seconds = time.monotonic() - began
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", output, re.MULTILINE)
    if code == 1 and failed:
        return Verdict(mutant, KILLED, seconds, failed[0])
    if code == 0:
        return Verdict(mutant, SURVIVED, seconds, mutant.why)
    return Verdict(mutant, BROKEN, seconds, " ".join(output.split())[-300:])


def serve() -> None:
    """For each line of standard input, a list of tests, a line of output: pytest's status and its output."""
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        folder = tempfile.mkdtemp(prefix="mutants-")
        try:
            with tempfile.TemporaryFile() as held:
                code = forked(json.loads(line), Path(folder), held.fileno())
                held.seek(0)
                print(json.dumps([code, held.read().decode("utf-8", "replace")]), flush=True)
        finally:  # by a program that no mutant breaks, and that no depth of folders stops
            subprocess.run(["rm", "-rf", folder], check=False)


def forked(tests: Sequence[str], folder: Path, output: int) -> int:
    """pytest's exit status in a fork of this process, whose output goes to the descriptor `output`."""
    child = os.fork()
    if not child:
        run_pytest([*OPTIONS, f"--basetemp={folder / 'tests'}", *tests], output)
    began = time.monotonic()
    while time.monotonic() - began < SECONDS:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def run_pytest(arguments: list[str], output: int) -> NoReturn:
    """Run pytest in a session of its own, and leave with its status whatever happens."""
    code = FAULT
    try:
        os.setsid()
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        import pytest

        code = int(pytest.main(arguments))
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(serve() if sys.argv[1:] == [SERVE] else main(sys.argv[1:]))
