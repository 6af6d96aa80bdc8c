"""The executor ray that loses patience soon, for runs from the command line with --plugin ray_soon."""

from __future__ import annotations

from collections.abc import Iterable

from ge_engine.contracts import Executor
from ge_engine.hookspecs import hookimpl
from ge_plugins.ray_cluster import Ray


class Soon(Ray):
    name = "ray-soon"
    patience = 6.0


@hookimpl
def ge_executors() -> Iterable[Executor]:
    yield Soon()
