"""Every hostile network in every way in which this machine can confine it, as a table: `make hostile`.

The tests of the hostile suite, as the user who calls and, where that is root, as nobody; with candidates that
are forked and that are spawned. Exit status 1 where something broke out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
VERDICT = re.compile(r"::test_(\w+)\[(.+)\] (PASSED|FAILED|ERROR)")
CASE = "a_network_that_does_not_come_to_its_outcome"

Table = dict[str, dict[str, str]]


def main() -> None:
    whole: Table = {}
    failed = False
    for user, prefix in users():
        for method in ("fork", "spawn"):
            output, status = suite(prefix, method)
            failed |= status != 0
            table = verdicts(output)
            show(f"{user}, {method}", table)
            if status and not any("broke" in row.values() for row in table.values()):
                print(output[-3000:])
            whole |= table
    print(f"{len(whole)} attacks: " + ("NOT all held" if failed else "all held"))
    sys.exit(failed)


def users() -> Iterator[tuple[str, list[str]]]:
    """Names of users, and how to be each."""
    if os.getuid() != 0:
        yield "an ordinary user", []
        return
    yield "root", []
    begins = [*NOBODY, sys.executable, "-c", "import pytest, torch"]
    if shutil.which("setpriv") and subprocess.run(begins, capture_output=True, check=False).returncode == 0:
        yield "an ordinary user", NOBODY
    else:
        print("An ordinary user cannot run this Python: as root only.")


def suite(prefix: list[str], method: str) -> tuple[str, int]:
    """What pytest says of the suite, and its exit status."""
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o777)
        environment = {**os.environ, "GE_TEST_START_METHOD": method, "HOME": home, "TMPDIR": home}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [*prefix, sys.executable, "-m", "pytest", "tests/test_hostile.py", "-v", "--tb=short"]
        command += ["-p", "no:cacheprovider", "-p", "no:xdist"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    return done.stdout, done.returncode


def verdicts(output: str) -> Table:
    """Attack -> mode -> "held" or "broke"."""
    table: Table = {}
    for test, case, result in VERDICT.findall(output):
        mode, _, attack = case.partition(": ") if test == CASE else (case, "", test.replace("_", " "))
        table.setdefault(attack, {})[mode] = "held" if result == "PASSED" else "broke"
    return table


def show(title: str, table: Table) -> None:
    """Print `table`; "-" is where an attack is not held off by design."""
    modes = list(dict.fromkeys(mode for row in table.values() for mode in row))
    widths = [max(len(mode), 5) for mode in modes]
    longest = max((len(attack) for attack in table), default=0)
    print(f"{title}\n{'':{longest}}  " + "  ".join(f"{m:{w}}" for m, w in zip(modes, widths, strict=True)))
    for attack, row in table.items():
        cells = [f"{row.get(mode, '-'):{width}}" for mode, width in zip(modes, widths, strict=True)]
        print(f"{attack:{longest}}  " + "  ".join(cells).rstrip())
    print(flush=True)


if __name__ == "__main__":
    main()
