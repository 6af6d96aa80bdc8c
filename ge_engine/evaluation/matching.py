"""The last match of regular expressions in what a program printed, in a process that can be ended.

A regular expression may take ages on a text that a candidate chose, and nothing in its own process stops it.
This file is that process, too: JSON {"patterns": {NAME: REGEX}, "texts": [TEXT, ...]} on stdin, and
{NAME: what the group matched} on stdout. Of several texts the first with a match counts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence

SECONDS = 20.0
"""Time for all expressions on one program's output."""
FLAGS = re.MULTILINE


class EndlessError(Exception):
    """The expressions were not done in time."""


def last_matches(patterns: Mapping[str, str], texts: Sequence[str]) -> dict[str, str]:
    """What the group of each expression matched last, by name, without those that match nothing.

    Raises:
        EndlessError: they take more than `SECONDS`, or all memory.
    """
    asked = json.dumps({"patterns": dict(patterns), "texts": [_lines(text) for text in texts]})
    command = [sys.executable, "-I", "-S", os.path.abspath(__file__)]
    try:
        ended = subprocess.run(
            command, input=asked.encode(), capture_output=True, timeout=SECONDS, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise EndlessError(f"more than {SECONDS:g} s") from error
    except subprocess.CalledProcessError as error:
        raise EndlessError("more memory than there is") from error
    found: dict[str, str] = json.loads(ended.stdout)
    return found


def _lines(text: str) -> str:
    """A progress bar's carriage returns end lines, too."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _last(pattern: str, texts: Sequence[str]) -> str | None:
    for text in texts:
        last = None
        for found in re.finditer(pattern, text, FLAGS):
            last = found
        if last is not None:
            return last[1]
    return None


def main() -> None:
    asked = json.load(sys.stdin)
    found = {name: _last(pattern, asked["texts"]) for name, pattern in asked["patterns"].items()}
    json.dump({name: text for name, text in found.items() if text is not None}, sys.stdout)


if __name__ == "__main__":
    main()
