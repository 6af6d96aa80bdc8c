"""A network's profile as a table: its modules as a tree, and what each block of the file sums up to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from ge_engine.contracts import ModuleProfile
from ge_engine.profile import BlockProfile, block_profiles, maps_to_one, rows_of, share
from ge_engine.views.console import out, print_table

FIELDS = ("path", "class", "block", "input", "output", "own_parameters", "parameters", "flops", "calls")


def print_profile(modules: Sequence[ModuleProfile]) -> None:
    """Two tables: the modules, and the blocks with the sums of their instances."""
    print_table(module_table(modules))
    out.print()
    print_table(block_table(block_profiles(modules)))


def profile_records(modules: Sequence[ModuleProfile]) -> Iterator[dict[str, Any]]:
    """One plain record per module, then one per block, for JSON lines."""
    for row in rows_of(modules):
        yield {"module": dict(zip(FIELDS, row, strict=True))}
    for block in block_profiles(modules).values():
        yield {
            "block": {
                "address": block.address,
                "instances": block.instances,
                "parameters": block.parameters,
                "parameter_share": round(block.parameter_share, 6),
                "flops": block.flops,
                "flop_share": round(block.flop_share, 6),
            }
        }


def module_table(modules: Sequence[ModuleProfile]) -> Table:
    """The modules as a tree, in the columns that a model summary has."""
    table = _table("module", "input", "output", *_COSTS)
    whole = modules[0]
    for module in modules:
        depth = module.path.count(".") + bool(module.path)
        name = module.path.rpartition(".")[2]
        label = "  " * depth + (f"{name}: {module.kind}" if name else module.kind)
        table.add_row(
            Text(label, style="bold" if module.block else ""),
            Text(_shape(module.input)),
            Text(_shape(module.output), style="yellow" if maps_to_one(module) else ""),
            *_costs(module.parameters, module.flops, whole),
        )
    return table


def block_table(blocks: dict[str, BlockProfile]) -> Table:
    """Per block of the file: how many instances there are and what they hold and cost together."""
    table = _table("block", "instances", *_COSTS)
    for block in blocks.values():
        table.add_row(
            Text(block.address),
            str(block.instances),
            f"{block.parameters:,}",
            f"{block.parameter_share:.1%}",
            millions(block.flops),
            f"{block.flop_share:.1%}",
        )
    return table


_COSTS = ("parameters", "%", "MFLOPs", "% ")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    left = ("module", "block", "input", "output")
    for column in columns:
        table.add_column(column.strip(), justify="left" if column in left else "right", no_wrap=True)
    return table


def _costs(parameters: int, flops: float, whole: ModuleProfile) -> Sequence[str]:
    if not parameters and not flops:
        return "", "", "", ""
    return (
        f"{parameters:,}",
        f"{share(parameters, whole.parameters):.1%}",
        millions(flops),
        f"{share(flops, whole.flops):.1%}",
    )


def _shape(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))


def millions(flops: float) -> str:
    """FLOPs in millions, three figures."""
    return f"{flops / 1e6:.3g}"
