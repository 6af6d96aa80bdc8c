"""The figures of a network that is scored: the larger of what its probe and its training measured.

Both are reported by processes that the candidate's code runs in. Since the larger cost counts, a network
would have to hide it from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ge_engine.contracts import Probe

_COSTS = ("parameters", "hidden_weights", "flops", "size_on_disk", "latency")


def figures(probed: Mapping[str, float], trained: Mapping[str, float]) -> dict[str, float]:
    """All that objectives are computed from, by name."""
    found = {**probed, **trained}
    seen = max(trained.get("registered", 0.0), trained.get("parameters", 0.0))
    counted = {**trained, "parameters": seen}
    return found | {name: max(probed[name], counted.get(name, 0.0)) for name in _COSTS if name in probed}


def within(probe: Probe, memory: int) -> Probe:
    """`probe`, or one that stops where it says what cannot be: more weights than bytes of `memory`, or fewer
    than it hides, or more bytes of them than memory."""
    if probe.stage:
        return probe
    parameters = probe.facts["parameters"]
    if parameters > memory or parameters < probe.facts["hidden_weights"]:
        return replace(probe, stage="run", error=f"it says that it has {parameters:g} parameters")
    if probe.facts["size_on_disk"] > memory:
        size = probe.facts["size_on_disk"]
        return replace(probe, stage="run", error=f"it says that its weights take {size:g} bytes")
    return probe
