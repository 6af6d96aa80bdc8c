"""The options that `--help` shows of commands with more than a screen of them; `--help-all` shows all."""

from __future__ import annotations

from collections.abc import Mapping

EVERYDAY: Mapping[str, tuple[str, ...]] = {
    "evolve": (
        *(
            "task",
            "objectives",
            "command",
            "project",
            "llm",
            "llm_url",
            "generations",
            "population",
            "epochs",
        ),
        *("max_seconds", "workers", "preset", "config", "run"),
    ),
    "resume": (
        *("generations", "max_seconds", "llm", "llm_url", "command", "project", "evaluator", "workers"),
        *("allow_changes", "as_json"),
    ),
    "init": (
        *("task", "objectives", "llm", "generations", "population", "epochs", "preset", "config"),
        *("output", "force"),
    ),
    "ablate": (
        *("folder", "arms", "repeats", "task", "llm", "llm_url", "generations", "population", "epochs"),
        *("max_evaluations", "preset", "config"),
    ),
    "rescore": ("seeds", "epochs", "command", "project", "evaluator", "workers"),
    "train": ("output", "epochs", "data", "train_limit", "as_json"),
    "add": ("note", "wait", "as_json", "evaluator", "command", "project", "workers"),
}
"""Parameters by the name of their command, in the order in which they are shown."""
