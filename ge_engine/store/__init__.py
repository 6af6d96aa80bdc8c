"""Helpers of the room ledger: records, locks, reading a run, auditing it."""
