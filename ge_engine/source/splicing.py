"""A block rewritten within its segment, in the layout of the file."""

from __future__ import annotations

import ast

import libcst as cst

from ge_engine.genome import Genome, Segment, Span
from ge_engine.outcome import Rejected
from ge_engine.source import style
from ge_engine.source.language import YAML
from ge_engine.source.layout import with_blanks, with_line_ends
from ge_engine.source.syntax import SyntaxFault, name_of, newline_of, normalised, parse, split_lines
from ge_engine.source.yaml_entries import rewritten_entry


def rewritten(genome: Genome, segment: Segment, span: Span, code: str) -> Segment | Rejected:
    """The segment with the definition `span` rewritten in the file's own style; the same object when
    the code is the old one."""
    if genome.seed.language is YAML:
        return rewritten_entry(segment, code, genome.seed.newline)
    if code == (segment.method_code(span.name) if span.kind == "method" else segment.own_code):
        return segment
    text = _nested(span, code, genome.seed.indent) if span.kind == "method" else code
    if isinstance(text, SyntaxFault):
        return Rejected("compile", f"{text}.")
    made = _in_place(genome, segment, span, text)
    if isinstance(made, Rejected):
        return made
    old = normalised(segment.text[slice(*segment.bounds(span))])
    if (blanks := with_blanks(text, old)) != text:
        kept = _in_place(genome, segment, span, blanks)
        if isinstance(kept, Segment) and ast.dump(ast.parse(kept.code)) == ast.dump(ast.parse(made.code)):
            made = kept
    if span.kind == "method" and made.members != segment.members:
        return Rejected("contract", f"the patch of {segment.name}.{span.name} must hold this method alone.")
    return made


def _in_place(genome: Genome, segment: Segment, span: Span, text: str) -> Segment | Rejected:
    """The segment with `text` (LF) where the definition `span` stands, in that one's line ends."""
    first, last = segment.bounds(span)
    default = newline_of(segment.text, genome.seed.newline)
    text = with_line_ends(text, segment.text[first:last], default)
    whole = segment.text[:first] + text + segment.text[last:]
    tree = parse(normalised(whole))
    if isinstance(tree, SyntaxFault):
        return Rejected("compile", f"{tree}.")
    alone = len(tree.body) == 1 and name_of(tree.body[0]) == segment.name
    if not alone or not split_lines(whole)[-1].strip() or whole.endswith(("\n", "\r")):
        return Rejected("contract", f"the patch of {segment.name} must hold this definition alone.")
    return Segment(whole, segment.name, tree)


def _nested(span: Span, code: str, indent: str) -> str | SyntaxFault:
    fault = parse(code)
    module = fault if isinstance(fault, SyntaxFault) else style.read(code)
    if isinstance(module, SyntaxFault):
        return module
    if len(module.body) != 1 or not isinstance(module.body[0], cst.FunctionDef):
        return SyntaxFault(0, "a patch of a method must hold one function")
    return style.nest(module, module.body[0], span.indent, span.inner or indent)
