"""Measurements of the engine: `make bench`, `bench-llm`, `bench-train`, `bench-loop`, `bench-schedule`."""

import ge_engine.llm  # noqa: F401  (sets how threads wait, before torch is imported)
