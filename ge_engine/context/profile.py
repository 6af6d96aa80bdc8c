"""The section "profile": the modules of the parent's network with shapes, parameters and FLOPs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ge_engine.contracts import Context, ModuleProfile, Prompt
from ge_engine.profile import maps_to_one, share
from ge_engine.search.repair_feedback import ELSEWHERE, is_known, words_of
from ge_engine.source.addresses import owner_of

INSTANCES, LARGEST, MOST = 4, 4, 60
"""Modules that are told: instances of the block, others with the most parameters; of the whole table."""


def profile(context: Context, prompt: Prompt) -> Sequence[str]:
    """The network, the block's instances and the largest others; then every module. A name that neither the
    code nor torch has is left out: a candidate can make it up while it runs."""
    modules = context.profile
    if not modules:
        return ()
    words = words_of(context.genome.text)
    short = _told(_chosen(modules, owner_of(prompt.address)), modules, words)
    whole = _told(_widest(modules), modules, words)
    return (short, whole) if len(whole) > len(short) else (short,)


def _chosen(modules: Sequence[ModuleProfile], block: str) -> list[int]:
    """The places of those that matter, in the order of the tree."""
    places = range(1, len(modules))
    instances = [at for at in places if block and modules[at].block == block][:INSTANCES]
    heaviest = sorted((at for at in places if modules[at].own), key=lambda at: (-modules[at].own, at))
    return sorted({0, *instances, *heaviest[:LARGEST]})


def _widest(modules: Sequence[ModuleProfile]) -> list[int]:
    """The places of at most `MOST` modules that hold parameters or change a shape: of outer ones first, then
    of those with the most parameters."""

    def rank(at: int) -> tuple[int, int, int]:
        module = modules[at]
        return min(2, module.path.count(".")) if module.path else -1, -module.parameters, at

    telling = [at for at, one in enumerate(modules) if not at or one.parameters or one.input != one.output]
    return sorted(sorted(telling, key=rank)[:MOST])


def _told(places: Iterable[int], modules: Sequence[ModuleProfile], words: frozenset[str]) -> str:
    lines = [_line(modules[at], modules[0], words) for at in places]
    left = len(modules) - len(lines)
    more = [f"... and {left} others"] if left else []
    head = "The network: module, shape of input and output with the batch, parameters, MFLOPs per sample"
    return "\n".join([head, *lines, *more])


def _line(module: ModuleProfile, whole: ModuleProfile, words: frozenset[str]) -> str:
    path = ".".join(part if is_known(part, words) else ELSEWHERE for part in module.path.split("."))
    kind = module.kind if is_known(module.kind, words) else ELSEWHERE
    cells = [f"{path}: {kind}" if module.path else kind]
    if module.input and module.output:
        cells.append(f"{_shape(module.input)} -> {_shape(module.output)}")
    if module.parameters:
        cells.append(f"{module.parameters:,} ({share(module.parameters, whole.parameters):.1%})")
    if module.flops:
        cells.append(f"{module.flops / 1e6:.3g} MFLOPs ({share(module.flops, whole.flops):.1%})")
    if maps_to_one(module):
        cells.append("one position left")
    return "- " + ", ".join(cells)


def _shape(sides: Sequence[int]) -> str:
    return "x".join(map(str, sides))
