"""The parts of an address: `blocks.py::Conv.forward` is a method of a class in one file of several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BETWEEN = "::"
"""Between the file and the block, where a seed model has several files."""


def split_address(address: str) -> tuple[str, str]:
    """The file and the address within it; "" for the file where the seed model has only one."""
    file, between, local = address.rpartition(BETWEEN)
    return (file, local) if between else ("", address)


def address_in(file: str, local: str) -> str:
    """The address of what is `local` in a file; of the only file where that is ""."""
    return f"{file}{BETWEEN}{local}" if file and local else local


def owner_of(address: str) -> str:
    """The address of the top-level block that holds a block: a method's class, else the block itself."""
    file, local = split_address(address)
    return address_in(file, local.partition(".")[0])


def method_name(address: str) -> str:
    """The name of a method within its class, "" for any other block."""
    return split_address(address)[1].partition(".")[2]


def within(file: str, addresses: Iterable[str]) -> list[str]:
    """Those of the addresses that lie in a file, as they are within it."""
    return [local for name, local in map(split_address, addresses) if name == file]


def is_below(path: str) -> bool:
    """Whether a relative path with "/" leads to a place below the folder that it begins in."""
    odd = not path.isprintable() or "\\" in path or ":" in path
    return not odd and not any(part in ("", ".", "..") for part in path.split("/"))


def files_of(addresses: Sequence[str]) -> tuple[str, ...]:
    """The files that addresses lie in, each once, in their order."""
    return tuple(dict.fromkeys(split_address(address)[0] for address in addresses))
