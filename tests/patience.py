"""How long a test waits for what is to come."""

import os

PATIENT = float(os.environ.get("GE_TEST_PATIENCE", 3600.0))
"""Seconds: a bound against waiting for ever, that a busy machine does not reach. What breaks the engine on
purpose sets less."""
