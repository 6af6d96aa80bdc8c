"""Which entries of files of values a candidate takes: those of files that it opens, less those that no code
names and that the training settings decide."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from ge_engine.evaluation.data.candidate_files import Candidate
from ge_engine.source.addresses import address_in
from ge_engine.source.syntax import SyntaxFault
from ge_engine.source.task_facts import decided_by_training
from ge_engine.source.yaml_source import entry_name
from ge_engine.source.yaml_tree import read


def entries_taken(candidate: Candidate, opened: Collection[str], modules: Mapping[str, str]) -> set[str]:
    """The addresses of the entries of the candidate's files of values by the names of those that were
    `opened`. `modules` are paths of further modules of the user's own.

    A name such as `lr` counts where code of the user's has it as a text or an attribute: a mapping that is
    read says nothing of who takes what from it.
    """
    found = {
        (one.name, name)
        for one in candidate.values
        if one.name in opened
        for name in entry_names(one.content)
    }
    doubtful = {name for _, name in found if decided_by_training(name)}
    left_out = doubtful - names_in_code(candidate, modules) if doubtful else set()
    return {address_in(file, name) for file, name in found if name not in left_out}


def entry_names(content: bytes) -> list[str]:
    """The names of a YAML file's entries, without those that no address can have."""
    tree = read(content.decode("utf-8-sig"))
    return [] if isinstance(tree, SyntaxFault) else [name for one in tree.body if (name := entry_name(one))]


def names_in_code(candidate: Candidate, modules: Mapping[str, str]) -> set[str]:
    """The texts and attributes in the code of the user's own."""
    sources = [one.source for one in candidate.code]
    sources += [source for path in modules.values() if (source := _source_of(path))]
    return {name for source in sources for name in _named(source)}


def _source_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes() if path.endswith(".py") else b""
    except OSError:  # its import tells what is wrong with it
        return b""


def _named(source: bytes) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
