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
IMPORTS = f"""\
import os, sys, pytest, torch
sys.exit(os.__file__ != {os.__file__!r} and "it finds " + os.__file__ + " instead of " + {os.__file__!r})
"""
"""Fails for a user who cannot read the standard library of this Python, and may find that of another one."""
BY_SHELL = ["/bin/sh", "-c", 'exec "$0" -c "$1"']
"""setpriv itself may start a Python that what it starts may not: it has root's rights until then."""
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
    held = bool(whole) and not failed
    print(f"{len(whole)} attacks: " + ("all held" if held else "NOT all held"))
    sys.exit(not held)


def users() -> Iterator[tuple[str, list[str]]]:
    """Names of users who can run this Python, and how to be each; says who cannot, and why."""
    everybody = {"an ordinary user": [] if os.getuid() else NOBODY}
    if os.getuid() == 0:
        everybody = {"root": [], **everybody}
    for user, prefix in everybody.items():
        why = why_not(prefix)
        if why:
            print(f"Left out: {user}, who cannot run {sys.executable}: {why}\n", flush=True)
        else:
            yield user, prefix


def why_not(prefix: list[str]) -> str:
    """Why Python with its libraries does not run behind `prefix`; "" where it does."""
    if prefix and not shutil.which(prefix[0]):
        return f"there is no {prefix[0]}"
    command = [*prefix, *BY_SHELL, sys.executable, IMPORTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or ["no message"])[-1] if done.returncode else ""


def suite(prefix: list[str], method: str) -> tuple[str, int]:
    """What pytest says of the suite, and its exit status."""
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o777)
        environment = {**os.environ, "GE_TEST_START_METHOD": method, "HOME": home, "TMPDIR": home}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [*prefix, sys.executable, "-m", "pytest", "tests/test_hostile.py", "-v", "--tb=short"]
        command += ["-m", "", "-p", "no:cacheprovider", "-p", "no:xdist"]
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
