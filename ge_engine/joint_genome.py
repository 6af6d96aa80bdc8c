"""Seed and genome of several files: one of each file, and addresses that carry it (`blocks.py::Conv`)."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from ge_engine.genome import Block, Genome, Seed, Segment
from ge_engine.source.addresses import address_in, is_below, split_address
from ge_engine.source.bindings import merge
from ge_engine.source.language import PYTHON, SUFFIXES
from ge_engine.source.records import foreign_record
from ge_engine.source.segmenter import UNREAD
from ge_engine.source.syntax import normalised
from ge_engine.source.values import names_elsewhere


class JointSeed(Seed):
    """Model files that are evolved together, by the names that addresses carry. What is asked of one file,
    such as the path, is that of the first, which builds the model."""

    def __init__(self, files: Mapping[str, Seed]) -> None:
        self._files = MappingProxyType(_read_by_others(files))
        main = next(iter(files.values()))
        super().__init__(main.source, main.path, main.cut)
        self.genome = JointGenome(self, {name: seed.genome for name, seed in self._files.items()})

    @property
    def files(self) -> Mapping[str, Seed]:
        """The seed of each file, the one that builds the model first."""
        return self._files

    def restored(self, delta: Mapping[str, Any]) -> Genome:
        """The genome that `JointGenome.delta` described. Raises SeedError when it is of
        another seed model."""
        changed = delta.get("files") if isinstance(delta, Mapping) else None
        if not isinstance(changed, Mapping) or not changed.keys() <= self.files.keys():
            raise foreign_record()
        restored = {name: self.files[name].restored(one) for name, one in changed.items()}
        return JointGenome(self, {**self.genome.files, **restored})

    def __reduce__(self) -> tuple[Any, ...]:
        return JointSeed, (dict(self.files),)


class JointGenome(Genome):
    """The genomes of several files as one. Its `source` is that of the file that builds the model; `text` is
    that of all, for what looks for words. Its blocks' lines count in their own files."""

    def __init__(self, seed: JointSeed, files: Mapping[str, Genome]) -> None:
        self._files = MappingProxyType(dict(files))
        main = next(iter(files.values()))
        super().__init__(seed, main.replaced, main.helpers, main.imports)

    @property
    def files(self) -> Mapping[str, Genome]:
        """The genome of each file, the one that builds the model first."""
        return self._files

    def with_files(self, changed: Mapping[str, Genome]) -> JointGenome:
        """This genome with other genomes of some of its files."""
        assert isinstance(self.seed, JointSeed)
        return JointGenome(self.seed, {**self.files, **changed})

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """All segments, file by file."""
        return tuple(segment for one in self.files.values() for segment in one.segments)

    @cached_property
    def text(self) -> str:
        return "\n".join(one.text for one in self.files.values())

    @cached_property
    def source(self) -> bytes:
        return self.main.source

    @cached_property
    def digest(self) -> str:
        """Equal for two genomes of one seed model whose files' syntax trees are equal, docstrings apart."""
        parts = "".join(f"{name}\n{one.digest}\n" for name, one in self.files.items())
        return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()

    @cached_property
    def blocks(self) -> Mapping[str, Block]:
        """Every definition by its address, file by file."""
        return MappingProxyType({block.address: block for block in self._blocks()})

    def _blocks(self) -> Iterator[Block]:
        for name, one in self.files.items():
            for address, block in one.blocks.items():
                yield dataclasses.replace(block, address=address_in(name, address))

    @cached_property
    def bound(self) -> Mapping[str, str]:
        """The names of all files with what they mean: of one that several bind, all of it."""
        bound: dict[str, str] = {}
        for one in self.files.values():
            merge(bound, one.bound)
        return bound

    def segment(self, name: str) -> Segment | None:
        """The segment that holds the top-level block at this address."""
        one, local = self.at(name)
        return one.segment(local)

    def has_comment_beside(self, name: str) -> bool:
        """Whether a comment of its file follows the top-level block at this address on its last line."""
        one, local = self.at(name)
        return one.has_comment_beside(local)

    def reason(self, address: str) -> str | None:
        """Why `address` is not evolvable, "" when it is, None when there is no such block."""
        file, local = split_address(address)
        one = self.files.get(file)
        return None if one is None else one.reason(local)

    def replace(self, name: str, segment: Segment) -> Genome:
        """This genome with another text for the top-level block at this address."""
        file, local = split_address(name)
        return self.with_files({file: self.files[file].replace(local, segment)})

    def insert(self, before: str, segments: Sequence[Segment], imports: Iterable[str]) -> Genome:
        """This genome with helper definitions before a block, and imports added to its file once."""
        file, local = split_address(before)
        return self.with_files({file: self.files[file].insert(local, segments, imports)})

    def tidied(self) -> Genome:
        """This genome with each of its files tidied."""
        return self.with_files({name: one.tidied() for name, one in self.files.items()})

    def delta(self) -> dict[str, Any]:
        """What differs from the seed model, by the files that do, as plain data for JSON."""
        seeds = self.seed.files
        changed = (name for name, one in self.files.items() if one.source != seeds[name].source)
        return {"files": {name: self.files[name].delta() for name in changed}}


def _read_by_others(files: Mapping[str, Seed]) -> dict[str, Seed]:
    """The files, of whose values those can be evolved as well that only another one reads."""
    read = {name: _names_read(one) for name, one in files.items()}
    found = {}
    for name, one in files.items():
        elsewhere = set[str]().union(*(names for other, names in read.items() if other != name))
        reasons = {
            address: reason
            for address, reason in one.cut.reasons.items()
            if reason != UNREAD or address not in elsewhere
        }
        same = len(reasons) == len(one.cut.reasons)
        found[name] = (
            one
            if same
            else Seed(one.source, one.path, dataclasses.replace(one.cut, reasons=reasons), one.language)
        )
    return found


def _names_read(one: Seed) -> set[str]:
    """The names by which a file may read the values of others; none of one that is no code."""
    if one.language is not PYTHON:
        return set()
    return names_elsewhere(ast.parse(normalised(one.genome.text)).body)


def is_file_name(name: str) -> bool:
    """Whether a text may name a file in addresses: a path below a folder that ends as a file of a seed model
    does, as "heads/conv.py" and "conf.yaml"."""
    return is_below(name) and name.endswith(tuple(SUFFIXES))


def joined(files: Mapping[str, Seed]) -> Seed:
    """The seed model of these files; of one file, that file's.

    Raises:
        ValueError: there is none.
    """
    if not files:
        raise ValueError("a seed model has at least one file")
    return next(iter(files.values())) if len(files) == 1 else JointSeed(files)
