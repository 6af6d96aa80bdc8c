"""Which members of torch keep a tensor's shape, and which keyword values they take: from their signatures,
and from one call of each on a small tensor. Nothing is listed by hand, so a newer torch offers more.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ge_engine.grammar.catalog import Options
from ge_engine.grammar.signatures import MODULES, parameters

if TYPE_CHECKING:
    import torch

UNTOUCHED = frozenset(("inplace", "training", "out", "device", "dtype"))
SIZE = (2, 4, 6, 6)


@cache
def functions() -> Mapping[str, Options]:
    """Functions of `F` that need `input` alone, keep its shape and draw nothing, with keyword values."""
    return _keeping("F", lambda member, keywords: lambda sample: member(sample, **keywords), ("input",))


@cache
def layers() -> Mapping[str, Options]:
    """Layers of `nn` that need no argument and keep the shape, with keyword values."""
    return _keeping("nn", lambda member, keywords: member(**keywords).eval(), ())


Caller = Callable[[Any, Mapping[str, Any]], Callable[["torch.Tensor"], Any]]


def _keeping(module: str, call: Caller, required: tuple[str, ...]) -> Mapping[str, Options]:
    found: dict[str, Options] = {}
    for name, member in inspect.getmembers(importlib.import_module(MODULES[module]), callable):
        known = parameters(module, name)
        needed = tuple(n for n, default in known if default is inspect.Parameter.empty)
        if name.startswith(("_", "Lazy")) or name.endswith("_") or name[0].isupper() == (module == "F"):
            continue
        if known and needed == required and _keeps(call, member, {}):
            found[name] = {
                key: values
                for key, default in known
                if (values := tuple(repr(v) for v in _near(key, default) if _keeps(call, member, {key: v})))
            }
    return found


def _near(key: str, default: object) -> tuple[object, ...]:
    if key in UNTOUCHED or key.startswith("_"):
        return ()
    if isinstance(default, bool):
        return (not default,)
    if isinstance(default, float):
        near = tuple(float(f"{default * f:.4g}") for f in (0.5, 2.0)) if default else (0.1, 0.5)
        return tuple(value for value in near if key != "p" or value != 1.0)
    return ()


def _keeps(call: Caller, member: Any, keywords: Mapping[str, Any]) -> bool:
    """Two calls give the same, finite and of the same shape, without a warning."""
    import torch

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.no_grad():
        warnings.simplefilter("error")
        torch.manual_seed(0)
        sample = torch.randn(SIZE)
        before = sample.clone()
        try:
            run = call(member, keywords)
            first, second = run(sample), run(sample)
        except Exception:  # whatever a member raises, it is not one that takes a tensor alone
            return False
        if not isinstance(first, torch.Tensor) or first.shape != sample.shape:
            return False
        kept = torch.equal(sample, before) and torch.equal(first, second)
        return kept and bool(torch.isfinite(first).all())
