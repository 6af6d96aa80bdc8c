"""Says that candidates run with the rights of root, where they do."""

from __future__ import annotations

import os

ROOT = (
    "You are root, and so are the candidates: a way out of the sandbox would be one into the whole machine. "
    "Run ge as an ordinary user."
)


def root_warning() -> str:
    """One sentence for root; "" for everybody else."""
    return ROOT if os.geteuid() == 0 else ""
