"""Run a user's program that may run generated code: `python -I -S FILE SANDBOX PARENT MEMORY COMMAND ...`.

It keeps its files, its sockets and the processes that it starts; what touches other processes is refused, and
in bubblewrap ("bwrap") further namespaces as well. Outside bubblewrap, which does that itself, this process
waits for it, and ends all that it has started when it ends, when asked to (SIGTERM), and when the engine is
gone. The engine's own folder is found from this file's place: without `site`, this takes a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys

_ROOT = os.path.abspath(os.path.join(__file__, *[os.pardir] * 4))


def behind_filter(sandbox: str, memory: int, command: list[str]) -> list[str]:
    """`command`, begun by way of this file with `memory` bytes of data at most."""
    start = [sys.executable, "-I", "-S", os.path.abspath(__file__), sandbox, str(os.getpid()), str(memory)]
    return [*start, *command]


def main() -> None:
    sys.path.append(_ROOT)
    sandbox, parent, memory, *command = sys.argv[1:]
    if sandbox != "bwrap":
        watched(int(parent))
    _become(sandbox, int(memory), command)


def _become(sandbox: str, memory: int, command: list[str]) -> None:
    """Begin `command` in this process, confined."""
    from ge_engine.evaluation.sandbox import landlock, limits, seccomp

    limits.limit_program(memory)
    if sandbox == "bwrap":
        rules = {**seccomp.OTHERS, "clone": seccomp.WITHIN["clone"]}
        program = seccomp.of_program(rules, (*seccomp.PROCESSES, *seccomp.NAMESPACES))
    else:
        program = seccomp.of_program(seccomp.OTHERS, seccomp.PROCESSES)
    seccomp.hold(program)
    landlock.hold_signals()
    os.execvp(command[0], command)


def watched(parent: int) -> None:
    """Continue as a child of this process, which waits for it, and ends like it, with all that it has
    started. `parent` is the process that this one is to end with."""
    from ge_engine.evaluation.sandbox import limits
    from ge_engine.evaluation.sandbox.process_tree import end_as, kill_children

    def end(*_: object) -> None:
        kill_children(keep=frozenset())
        os._exit(128 + signal.SIGTERM)

    limits.adopt_orphans()
    before = signal.signal(signal.SIGTERM, end)
    limits.die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        end()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, before)
        return
    _, status = os.waitpid(pid, 0)
    kill_children(keep=frozenset())
    end_as(status)


if __name__ == "__main__":
    main()
