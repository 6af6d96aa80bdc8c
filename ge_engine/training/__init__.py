"""Helpers of the rooms trainer, worker, nursery and evaluate: data, limits, orders, probes."""
