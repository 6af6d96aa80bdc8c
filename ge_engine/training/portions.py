"""Which of the shared arrays a job gets: nothing of a split that it does not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ge_engine.training.orders import Block, Order
from ge_engine.training.sharing import map_blocks

_HELD_OUT = {"validation": ("validation",), "test": ("test",), "both": ("validation", "test")}


def portion_of(order: Order) -> tuple[str, ...]:
    """The names of the arrays that `order` needs; none for building alone."""
    learned = ("train", "labels") if order.kind == "train" else ()
    return () if order.kind in ("probe", "size") else (*learned, *_HELD_OUT[order.split])


def mapped_for(order: Order, blocks: Mapping[str, Block], files: Sequence[int]) -> dict[str, Tensor]:
    """Tensors over those of the shared `files` that `order` needs."""
    wanted = portion_of(order)
    chosen = [(name, file) for name, file in zip(blocks, files, strict=True) if name in wanted]
    return map_blocks({name: blocks[name] for name, _ in chosen}, [file for _, file in chosen])
