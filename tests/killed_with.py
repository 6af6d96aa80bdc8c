"""A run that takes in a child that was made by hand and is killed with SIGKILL before that has a score.

`python killed_with.py FOLDER SCHEDULE NUMBER`"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import doubles
from test_adding import evolve, leaving

if __name__ == "__main__":
    folder, schedule, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    leaves = leaving(folder, "seed_scored", number)

    def observe(name: str, data: Mapping[str, Any]) -> None:
        leaves(name, data)
        if name == "submitted" and data["individual"] == f"g0s{doubles.config().population}":
            os.kill(os.getpid(), signal.SIGKILL)

    evolve(folder, observe, schedule=schedule, workers=2)
