"""How long a test waits for what is to come."""

PATIENT = 3600.0
"""Seconds: a bound against waiting for ever, that a busy machine does not reach."""
