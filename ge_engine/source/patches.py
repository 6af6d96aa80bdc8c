"""What a patch is: one block's new code with what it brings along, or several such as one change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ge_engine.outcome import Rejected
from ge_engine.source.addresses import address_in, split_address

SEPARATOR = ", "
"""Between the addresses of several blocks."""


@dataclass(frozen=True, slots=True)
class Patch:
    """`code` replaces the block at `address` (column 0, LF, in the block's own indent). `helpers` are
    definitions that go before it, `imports` statements that bind one name each. `notes` say what of the code
    that it was read from stays behind; they change nothing."""

    address: str
    code: str
    helpers: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.address,)

    @property
    def patches(self) -> tuple[Patch, ...]:
        return (self,)


@dataclass(frozen=True, slots=True)
class JointPatch:
    """Patches of several blocks, in any order, that are applied together or not at all; none may hold
    another. Read as one `Patch`, it has the address, code, helpers, imports and notes of them all.
    """

    patches: tuple[Patch, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(patch.address for patch in self.patches)

    @property
    def address(self) -> str:
        return SEPARATOR.join(self.addresses)

    @property
    def code(self) -> str:
        return "\n\n".join(patch.code for patch in self.patches)

    @property
    def helpers(self) -> tuple[str, ...]:
        return _each(patch.helpers for patch in self.patches)

    @property
    def imports(self) -> tuple[str, ...]:
        return _each(patch.imports for patch in self.patches)

    @property
    def notes(self) -> tuple[str, ...]:
        return _each(patch.notes for patch in self.patches)


AnyPatch = Patch | JointPatch
SomePatch = TypeVar("SomePatch", Patch, JointPatch)


def in_file(patch: SomePatch, file: str) -> SomePatch:
    """A patch of blocks of one file as a patch of a seed model of several."""
    if isinstance(patch, Patch):
        return replace(patch, address=address_in(file, patch.address))
    return replace(patch, patches=tuple(in_file(one, file) for one in patch.patches))


def by_file(patch: AnyPatch) -> dict[str, JointPatch]:
    """The patches of each file, with addresses within it, in the order in which the files first occur."""
    found: dict[str, list[Patch]] = {}
    for one in patch.patches:
        file, local = split_address(one.address)
        found.setdefault(file, []).append(replace(one, address=local))
    return {file: JointPatch(tuple(patches)) for file, patches in found.items()}


def of_block(address: str, rejected: Rejected) -> Rejected:
    """The rejection of one block among several, whose reason says which."""
    named = address in rejected.reason
    return rejected if named else Rejected(rejected.stage, f"{address}: {rejected.reason}")


def _each(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All that the parts hold, each once."""
    return tuple(dict.fromkeys(one for part in parts for one in part))
