"""What a patch is: one block's new code with what it brings along, or several such as one change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ge_engine.outcome import Rejected

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


def of_block(address: str, rejected: Rejected) -> Rejected:
    """The rejection of one block among several, whose reason says which."""
    named = address in rejected.reason
    return rejected if named else Rejected(rejected.stage, f"{address}: {rejected.reason}")


def _each(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All that the parts hold, each once."""
    return tuple(dict.fromkeys(one for part in parts for one in part))
