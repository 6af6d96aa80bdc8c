"""Measurements of the engine: `make bench`, `bench-llm`, `bench-train`, `bench-loop`, `bench-schedule`."""
