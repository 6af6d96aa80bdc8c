"""A plugin whose observer fails at every event."""

from __future__ import annotations

from ge_engine.hookspecs import hookimpl


@hookimpl
def ge_event(name: str) -> None:
    raise RuntimeError(f"no patience for {name}")
