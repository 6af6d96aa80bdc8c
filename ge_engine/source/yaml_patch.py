"""Text -> the patch of an entry of a YAML file."""

from __future__ import annotations

from ge_engine.outcome import Rejected
from ge_engine.source.addressing import Location, find_statement
from ge_engine.source.contract import check_contract
from ge_engine.source.patches import Patch
from ge_engine.source.syntax import SyntaxFault
from ge_engine.source.yaml_entries import read_like, rewritten_entry
from ge_engine.source.yaml_tree import read


def entry_patch(address: str, location: Location, text: str, newline: str) -> Patch | Rejected:
    """Validate `text`, which may hold more entries, as a rewrite of the one at `address`; the patch's code is
    in the layout of the old one. `newline` is the file's. Stages "compile" and "contract"."""
    tree = read(text)
    if isinstance(tree, SyntaxFault):
        return Rejected("compile", f"{tree}.")
    segment, span = location
    new = find_statement(tree, address, span.kind)
    if isinstance(new, Rejected):
        return new
    entry = read_like(segment, new, text)
    if isinstance(entry, Rejected):
        return entry
    broken = check_contract(segment, span, entry.statement, entry.text)
    made = broken or rewritten_entry(segment, entry.text, newline)
    return made if isinstance(made, Rejected) else Patch(address, made.code)
