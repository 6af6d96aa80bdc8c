"""Watches the tensors that enter the operations of a forward pass: weights, wherever they are kept.

torch calls a dispatch mode for every operation, below autograd and whatever a network overrides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from ge_engine.evaluation.measure.parameters import storage_of
from ge_engine.evaluation.measure.tensor_memory import (
    content_digest,
    lies_inside,
    numbers_held,
    spans_of,
    tells_places,
)

_PLACES = frozenset(
    f"aten.{name}"
    for one in ("index_add", "index_put", "scatter_add")
    for name in (f"{one}.default", f"{one}_.default")
) | {
    "aten.index.Tensor",
    "aten._unsafe_index.Tensor",
    "aten.index_select.default",
    "aten.gather.default",
    "aten.embedding.default",
    "aten.take.default",
}
"""Operations whose first operand holds values, and whose others tell places among them."""
_READS = ("from_file",)
_LEAVES = frozenset(["numpy", "__array__", "tolist", "__dlpack__"])
_SCALARS_OUT = 256
"""Numbers of an image that may become Python's, one by one, in a pass."""


class ComputesOutside(Exception):
    """A forward pass takes the images out of torch: what they meet there cannot be weighed."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A tensor that acts and is registered nowhere. `tensor` keeps its memory, of which `numbers` is the
    size: at least one for four bytes."""

    tensor: Tensor
    numbers: int
    trainable: bool


class OperandWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the tensors that enter operations without being an input, a registered parameter or buffer, or
    the result of an earlier operation of the same pass: weights in attributes, closures or globals.

    What operations make of nothing (`arange`, `zeros`) is a result; what is made of a Python list, an array
    or a file is not, and neither is what an earlier pass left. `foreign` holds them; of several passes, each
    once. `order` are the registered storages in order of first use. `acting` are those buffers of whole
    numbers that do more than tell places, and those of `statistics` (running ones of a normalisation) that
    enter anything but a normalisation; `beyond` are storages of which more acts than is registered. `scalars`
    is how many Python numbers with a fraction enter one pass at most, `flops` what torch's flop counter makes
    of the operations.
    """

    def __init__(self, registered: Iterable[Tensor], statistics: Collection[int] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        mine = list(registered)
        self.foreign: dict[int, Foreign] = {}
        self.order: dict[int, None] = {}
        self.acting: set[int] = set()
        self.beyond: set[int] = set()
        self.scalars = 0
        self.flops = 0
        self._spans = spans_of(mine)
        self._whole = {storage_of(one) for one in mine if tells_places(one)}
        self._statistics = frozenset(statistics)
        self._loose: dict[int, Foreign] = {}
        self._contents: set[bytes] = set()
        self._settled: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        """Forget an earlier pass: what it made and left is no result of this one."""
        self._learned: dict[int, bool] = {}
        self._places: set[int] = set()
        self._alive: dict[int, Any] = {}
        self._numbers_in: set[float] = set()
        self._numbers_out = 0

    @contextmanager
    def over(self, images: Tensor) -> Iterator[None]:
        """Watch one pass of `images`."""
        self._begin()
        self._result(images, learned=True)
        with self:
            yield
        self.scalars = max(self.scalars, len(self._numbers_in))
        self._drop_repeated()

    def learned(self, tensor: Tensor) -> bool:
        """Whether this pass computed `tensor` from its images or from parameters."""
        return self._learned.get(storage_of(tensor), False)

    def alias(self, tensor: Tensor) -> None:
        """What `tensor` holds can be changed from outside from now on: it is no result of an operation."""
        self._learned.pop(storage_of(tensor), None)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        operands = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        for leaf in leaves:
            if isinstance(leaf, Tensor):
                self._enter(leaf)
            elif isinstance(leaf, torch.UntypedStorage):
                self._enter(torch.empty(0, dtype=torch.uint8, device=leaf.device).set_(leaf))
            elif isinstance(leaf, float) and not leaf.is_integer():
                self._numbers_in.add(leaf)
        result = func(*args, **kwargs)
        cost: Callable[..., int] | None = flop_registry.get(func._overloadpacket)
        self.flops += int(cost(*args, **kwargs, out_val=result)) if cost is not None else 0
        results = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self._saw(str(func), operands, results)
        return result

    def _enter(self, tensor: Tensor) -> None:
        storage = storage_of(tensor)
        if storage in self._spans:
            self.order.setdefault(storage)
            if lies_inside(tensor, self._spans[storage]):
                return
            self.beyond.add(storage)
        if storage in self._learned or storage in self.foreign or storage in self._loose:
            return
        kept = Foreign(tensor.detach(), numbers_held(tensor), tensor.requires_grad)
        if tells_places(tensor):
            self._loose[storage] = kept
            self._whole.add(storage)
        else:
            self.foreign[storage] = kept

    def _saw(self, name: str, operands: list[Tensor], results: list[Tensor]) -> None:
        """Judge an operation: which buffers act in it, and where its results come from."""
        storages = [storage_of(one) for one in operands]
        if name.startswith("aten._local_scalar_dense") and self._learned.get(storages[0]):
            self._numbers_out += 1
            if self._numbers_out > _SCALARS_OUT:
                raise ComputesOutside("its forward pass computes with Python numbers, image by image")
        if "norm" not in name and not name.startswith("c10d"):
            self.acting.update(one for one in storages if one in self._statistics)
        whole = {one for one in storages if one in self._whole or one in self._places}
        if whole and any(one.is_floating_point() or one.is_complex() for one in results):
            self._judge_places(name, storages, whole)
        learned = any(self._learns(one) for one in storages)
        for one in results:
            storage = storage_of(one)
            if storage in self._spans or storage in self.foreign or storage in self._loose:
                continue
            if any(part in name for part in _READS):
                self._enter(one)
                continue
            self._result(one, learned or self._learned.get(storage, False))
            if whole and not one.is_floating_point():
                self._places.add(storage)

    def _result(self, tensor: Tensor, learned: bool) -> None:
        """A storage's number is not given again while a weak reference to it is held."""
        storage = storage_of(tensor)
        if storage not in self._alive:
            self._alive[storage] = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        self._learned[storage] = learned

    def _judge_places(self, name: str, storages: list[int], whole: set[int]) -> None:
        """Whole numbers that come into others with a fraction weigh, unless they only pick among what learns.
        Those behind a result are not known one by one: all that were used so far."""
        if name in _PLACES and storages[0] not in whole and self._learns(storages[0]):
            return
        used = self._whole & (self.order.keys() | self._loose.keys())
        acting = self._whole & whole or used
        self.acting.update(acting)
        for storage in acting & self._loose.keys():
            self.foreign[storage] = self._loose.pop(storage)

    def _learns(self, storage: int) -> bool:
        """Whether it holds images, weights or what is computed from them, not a table made of nothing."""
        known = self._learned.get(storage)
        return storage not in self._whole if known is None else known

    def _drop_repeated(self) -> None:
        """Keep one of the foreign tensors with the same content, which a list gives anew in each pass."""
        for storage in [one for one in self.foreign if one not in self._settled]:
            content = content_digest(self.foreign[storage].tensor)
            if content in self._contents:
                del self.foreign[storage]
            else:
                self._contents.add(content)
                self._settled.add(storage)


class LeavingWatch(TorchFunctionMode):
    """Stops a pass that takes its images, or what became of them, to numpy or to Python's lists. It keeps
    torch from its shortcuts, which round otherwise, so it is for passes whose answers are not scored.

    Raises:
        ComputesOutside: from within the pass.
    """

    def __init__(self, watch: OperandWatch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _LEAVES and args and isinstance(args[0], Tensor) and args[0].numel() > 1:
            if self._watch.learned(args[0]):
                raise ComputesOutside(
                    f"its forward pass takes the images out of torch (Tensor.{name}), "
                    "where weights cannot be counted"
                )
            self._watch.alias(args[0])
        return func(*args, **(kwargs or {}))
