"""The fuzz tests of the transformation and of long replies with fresh random seeds for about a minute.

    python -m benchmarks.fuzz [SECONDS]

Ends with the first failure; its message names the input, made as small as possible.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60.0
EXAMPLES = 150


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    started, rounds = time.monotonic(), 0
    environment = {**os.environ, "GE_FUZZ_EXAMPLES": str(EXAMPLES)}
    while time.monotonic() - started < seconds:
        seed = time.time_ns() % 2**32
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            f"--hypothesis-seed={seed}",
            "-m",
            "not browser and not gpu",
            "tests/test_fuzz_transform.py",
            "tests/test_fuzz_replies.py",
        ]
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if code:
            print(f"failed with --hypothesis-seed={seed}")
            return code
        rounds += 1
    print(f"{rounds} rounds of {EXAMPLES} inputs for each test, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
