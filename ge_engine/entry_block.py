"""What `--entry` passes, as a block: the seed model with a last function that builds the model so."""

from __future__ import annotations

import ast
import re

from ge_engine.config import RunConfig
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed
from ge_engine.joint_genome import joined

BUILDER = "build_model"
_IN_MODULE = re.compile(r"\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?!=)(.+)", re.DOTALL)
_EXAMPLE = 'Give --entry "Net(widths=[16, 32])", a call with what it passes.'


def with_entry_block(seed: Seed, entry: str) -> Seed:
    """`seed` with a last definition, in the file that builds the model, that returns the expression `entry`.
    What that passes is evolved, diffed and exported like other code of the file, which stays as it is.

    Raises:
        SeedError: `entry` is no call, or the file has the function's name already.
    """
    (name, main), *others = seed.files.items()
    _, expression = split_entry(entry)
    return joined({name: _with_builder(main, _written(expression)), **dict(others)})


def _with_builder(seed: Seed, call: str) -> Seed:
    """One file with a last function that returns `call`."""
    if BUILDER in seed.genome.bound:
        raise SeedError(
            f"The seed model has a {BUILDER} of its own, so that --entry-block cannot add one.",
            "Rename it, or write into it what it passes and leave --entry-block out.",
        )
    gap = "" if seed.source.endswith((b"\n", b"\r")) else "\n"
    text = f"{gap}\n\ndef {BUILDER}():\n{seed.indent}return {call}\n".replace("\n", seed.newline)
    return Seed.from_bytes(seed.source + text.encode(seed.cut.encoding), seed.path)


def split_entry(entry: str) -> tuple[str, str]:
    """The module that an entry names before a colon, "" for none, and the expression that builds the model:
    "pkg.net:Net(3)" -> "pkg.net" and "Net(3)"."""
    found = _IN_MODULE.fullmatch(entry)
    return (found[1], found[2].strip()) if found else ("", entry)


def without_entry_block(seed: Seed) -> bytes:
    """The file that `with_entry_block` was given; with a line end at its end, which it may have lacked."""
    head = f"{seed.newline * 2}def {BUILDER}():".encode(seed.cut.encoding)
    before, found, _ = seed.source.rpartition(head)
    return before if found else seed.source


def entry_of(genome: Genome, config: RunConfig) -> str:
    """The user's expression that builds the model, "" for none: a call of the function that
    `with_entry_block` has added where there is one."""
    return (
        f"{BUILDER}()"
        if config.entry_block and genome.main.segment(BUILDER)
        else split_entry(config.entry)[1]
    )


def _written(entry: str) -> str:
    """`entry` on one line."""
    if not entry.strip():
        raise SeedError(
            "--entry-block makes a block of what --entry passes, and there is no --entry.", _EXAMPLE
        )
    try:
        tree = ast.parse(entry.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SeedError(f"The entry {entry!r} is no Python expression.", _EXAMPLE) from error
    if not isinstance(tree.body, ast.Call):
        raise SeedError(f"The entry {entry!r} is no call, so that it passes nothing to evolve.", _EXAMPLE)
    return entry.strip() if "\n" not in entry.strip() else ast.unparse(tree)
