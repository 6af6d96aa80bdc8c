"""Keeps what a process knows, such as a token, from other processes of the same user."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_DUMPABLE = 4


def hide_memory(hidden: bool) -> None:
    """Refuse or allow other processes of this user to read our memory and environment (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0 if hidden else 1, 0, 0, 0)
