"""How long a test waits for what is to come."""

import os
import time
from collections.abc import Callable

PATIENT = float(os.environ.get("GE_TEST_PATIENCE", 3600.0))
"""Seconds: a bound against waiting for ever, that a busy machine does not reach. What breaks the engine on
purpose sets less."""


def until(met: Callable[[], object]) -> None:
    """Wait for what another process or thread does."""
    end = time.monotonic() + PATIENT
    while not met():
        assert time.monotonic() < end
        time.sleep(0.02)
