"""Run a program of the user's that may run generated code: `python -I -S FILE SANDBOX COMMAND ...`.

It keeps its files, its sockets and the processes that it starts; what touches other processes is refused, and
in bubblewrap ("bwrap") further namespaces as well. The engine's own folder is found from this file's place:
without `site`, this takes a few milliseconds.
"""

from __future__ import annotations

import os
import sys

_ROOT = os.path.abspath(os.path.join(__file__, *[os.pardir] * 4))


def behind_filter(sandbox: str, command: list[str]) -> list[str]:
    """`command`, begun by way of this file."""
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), sandbox, *command]


def main() -> None:
    sys.path.append(_ROOT)
    from ge_engine.evaluation.sandbox import landlock, seccomp

    sandbox, *command = sys.argv[1:]
    if sandbox == "bwrap":
        rules = {**seccomp.OTHERS, "clone": seccomp.WITHIN["clone"]}
        program = seccomp.of_program(rules, (*seccomp.PROCESSES, *seccomp.NAMESPACES))
    else:
        program = seccomp.of_program(seccomp.OTHERS, seccomp.PROCESSES)
    seccomp.hold(program)
    landlock.hold_signals()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
