"""A YAML file's bytes -> segments: an entry for each of its outermost keys, and what stands between."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from ge_engine.errors import SeedError
from ge_engine.source.segmenter import BOM, SegmentedFile
from ge_engine.source.source_text import Source
from ge_engine.source.syntax import SyntaxFault, newline_of
from ge_engine.source.task_facts import decided_elsewhere
from ge_engine.source.values import MOST_NODES, literal_kind
from ge_engine.source.yaml_entries import YamlSegment
from ge_engine.source.yaml_source import entry_name, key_of
from ge_engine.source.yaml_tree import odd_parts, read

HINT = "A YAML file of a seed model is one mapping, with a line for each of its keys at the left margin."


def cut_yaml(data: bytes, name: str) -> SegmentedFile:
    """Cut a file. `name` is used in messages only.

    Raises:
        SeedError: it is no UTF-8 text, no YAML, or no mapping of keys that each begin a line.
    """
    bom = BOM if data.startswith(BOM) else b""
    try:
        text = data[len(bom) :].decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SeedError(f"{name} is not utf-8 text (line {line}).", "Save it as UTF-8.") from error
    statements = _statements(text, name)
    segments = tuple(_segments(text, statements))
    return SegmentedFile(
        bom=bom,
        encoding="utf-8",
        newline=newline_of(text, "\n"),
        indent="  ",
        segments=segments,
        index={segment.name: at for at, segment in enumerate(segments) if segment.name},
        leads={at: at for at, segment in enumerate(segments) if segment.name},
        import_at=0,
        blocked={},
        reasons=dict(_reasons(statements)),
        names=frozenset(),
        former=(),
    )


def fault_of(text: str) -> SyntaxFault | None:
    """Why a text is no YAML file that can be cut; None where it can be."""
    tree = read(text)
    if isinstance(tree, SyntaxFault):
        return tree
    if indented := next((one for one in tree.body if one.col_offset), None):
        return SyntaxFault(indented.lineno, "its keys do not begin at the left margin")
    names = Counter(filter(None, map(key_of, tree.body)))
    twice = next((one for one in reversed(tree.body) if names[key_of(one)] > 1), None)
    return SyntaxFault(twice.lineno, f"the key {key_of(twice)} stands twice") if twice else None


def _statements(text: str, name: str) -> list[ast.Assign]:
    if fault := fault_of(text):
        raise SeedError(f"{name} cannot be one of a seed model's files: {fault}.", HINT)
    tree = read(text)
    assert isinstance(tree, ast.Module)
    return [one for one in tree.body if isinstance(one, ast.Assign)]


def _segments(text: str, statements: list[ast.Assign]) -> Iterator[YamlSegment]:
    source, at = Source(text), 0
    for statement in statements:
        if not (name := entry_name(statement)):
            continue
        start, end = source.span(statement)
        if start > at:
            yield YamlSegment(text[at:start])
        yield YamlSegment(text[start:end], name)
        at = end
    yield YamlSegment(text[at:])


def _reasons(statements: list[ast.Assign]) -> Iterator[tuple[str, str]]:
    """Why values cannot be evolved, by the names of their keys."""
    for statement in statements:
        if (name := entry_name(statement)) and (reason := _reason(name, statement.value)):
            yield name, reason


def _reason(name: str, value: ast.expr) -> str:
    if odd := next(odd_parts(value), None):
        return f"it holds {odd.why} (line {odd.lineno})"
    if decided_elsewhere(name.replace("-", "_")):
        return "the task, the training or the machine decides it, by its name"
    kind = literal_kind(value)
    if kind == "None":
        return "it has no value"
    return "" if kind else f"it has more than {MOST_NODES} parts"
