"""Keep a folder of the user's from a program: `python -I -S FILE KEPT OWN COMMAND ...`.

The program may change nothing below KEPT but what lies below OWN, and neither make nor remove names in the
folders above it: Landlock, Linux 5.13 and later. The engine's own folder is found from this file's place,
without `site`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

_ROOT = os.path.abspath(os.path.join(__file__, *[os.pardir] * 4))


def keeping(kept: str, own: str, command: Sequence[str]) -> list[str]:
    """`command`, begun by way of this file, where the kernel can do that; else as it is."""
    from ge_engine.evaluation.sandbox.landlock import landlock_version

    start = [sys.executable, "-I", "-S", os.path.abspath(__file__), kept, own]
    return [*start, *command] if landlock_version() else list(command)


def main() -> None:
    sys.path.append(_ROOT)
    from ge_engine.evaluation.sandbox import landlock

    kept, own, *command = sys.argv[1:]
    landlock.restrict_changes([*beside(kept), own])
    os.execvp(command[0], command)


def beside(folder: str) -> Iterator[str]:
    """All that lies beside `folder` or a folder above it: together, all but `folder` and the names in those
    above. Links are left out, for they may lead into it."""
    while (above := os.path.dirname(folder)) != folder:
        with suppress(PermissionError), os.scandir(above) as entries:
            yield from (one.path for one in entries if one.path != folder and not one.is_symlink())
        folder = above


if __name__ == "__main__":
    main()
