"""Shapes, parameters and FLOPs of each module of a network, seen in a forward pass that runs anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from ge_engine.evaluation.measure.parameters import numbers_in, registered_parameters, walk
from ge_engine.profile import MOST_MODULES, ModuleProfile
from ge_engine.source.addresses import address_in


@dataclass(slots=True)
class Seen:
    """What one module did in the pass: shapes of its first call, FLOPs of all calls with all within them."""

    input: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    flops: int = 0
    calls: int = 0
    entered: list[int] = field(default_factory=list)


class ModuleWatch:
    """While open, notes the shapes and FLOPs of every module that is called, by torch's global hooks.

    `counted` gives the FLOPs counted so far. A module whose `forward` is called directly is not seen; its
    FLOPs count in the module around it.
    """

    def __init__(self, counted: Callable[[], int]) -> None:
        self._counted = counted
        self._seen: dict[int, Seen] = {}
        self._hooks: tuple[RemovableHandle, ...] = ()

    def __enter__(self) -> ModuleWatch:
        self._hooks = register_module_forward_pre_hook(self._enter), register_module_forward_hook(self._leave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def rows(self, model: nn.Module, files: Mapping[str, str], images: int) -> list[ModuleProfile]:
        """Each module of `model` once, in the order of its tree. `files` are names of files by those of their
        modules, whose classes are blocks; `images` went through the pass."""
        owned: set[int] = set()
        listed = islice(walk(model), MOST_MODULES)
        return [self._row(path, module, files, owned, images) for path, module in listed]

    def _row(
        self, path: str, module: nn.Module, files: Mapping[str, str], owned: set[int], images: int
    ) -> ModuleProfile:
        own = [p for p in vars(module)["_parameters"].values() if p is not None and id(p) not in owned]
        owned.update(map(id, own))
        seen, kind = self._seen.get(id(module), Seen()), type(module)
        return ModuleProfile(
            path=path,
            kind=kind.__qualname__,
            block=address_in(files[kind.__module__], kind.__qualname__) if kind.__module__ in files else "",
            input=seen.input,
            output=seen.output,
            own=numbers_in(own),
            parameters=numbers_in(registered_parameters(module).values()),
            flops=seen.flops / images,
            calls=seen.calls,
        )

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        seen = self._seen.setdefault(id(module), Seen())
        seen.entered.append(self._counted())
        if not seen.calls:
            seen.input = first_shape(inputs)

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG002
        seen = self._seen[id(module)]
        began = seen.entered.pop()
        if not seen.entered:  # a module within itself counts once
            seen.flops += self._counted() - began
        if not seen.calls:
            seen.output = first_shape(output)
        seen.calls += 1


def first_shape(values: Any) -> tuple[int, ...]:
    """The shape of the first tensor in a nested structure; () where there is none."""
    found = next((value for value in tree_leaves(values) if isinstance(value, Tensor)), None)
    return () if found is None else tuple(map(int, found.shape))
