"""The section "goal": what the child's figures must show, in numbers of its parent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ge_engine.contracts import Context, Prompt


def goal(context: Context, prompt: Prompt) -> Sequence[str]:
    """One form; none without a goal or without the parent's figures."""
    if prompt.goal is None or not context.profile:
        return ()
    whole, wanted = context.profile[0], prompt.goal
    bounds = [
        *_bounds("parameters", whole.parameters, wanted.parameters),
        *_bounds("FLOPs per sample", whole.flops, wanted.flops),
    ]
    if wanted.change:
        bounds.append(f"parameters or FLOPs that differ by {wanted.change:.0%} or more")
    return (f"The change must give the network {'; '.join(bounds)}.",) if bounds else ()


def _bounds(name: str, parent: float, shares: tuple[float, float]) -> Iterator[str]:
    low, high = shares
    whole = f"the parent's {parent:,.0f}"
    if parent and low > 0:
        yield f"at least {math.ceil(low * parent):,} {name} ({100 * low:.4g} % of {whole})"
    if parent and math.isfinite(high):
        yield f"at most {math.floor(high * parent):,} {name} ({100 * high:.4g} % of {whole})"
