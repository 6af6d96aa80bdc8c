"""Code -> Patch -> Genome. A patch names one block, its new code, and what that code brings along."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import libcst as cst

from ge_engine import style
from ge_engine.blocks import Genome, Segment, Span
from ge_engine.contract import check_contract
from ge_engine.outcome import Rejected
from ge_engine.segments import bound_names
from ge_engine.syntax import DEFINITIONS, FUNCTIONS, Definition, SyntaxFault, compiles, digest, parse


@dataclass(frozen=True, slots=True)
class Patch:
    """`code` replaces the block at `address` (column 0, LF, in the block's own indent). `helpers` are
    definitions that go before it, `imports` statements that bind one name each."""

    address: str
    code: str
    helpers: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


def parse_patch(genome: Genome, address: str, code: str) -> Patch | Rejected:
    """Validate `code` as a rewrite of the block `address`.

    `code` may hold more than the block: imports and definitions that the block uses come along,
    anything else is left behind. Decorators and bases that it leaves out are put back.
    Never raises; stages are "compile" and "contract".
    """
    target = locate(genome, address)
    if isinstance(target, Rejected):
        return target
    segment, span = target
    text = code.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        return Rejected("compile", "the reply holds no code.")
    tree = parse(text)
    if isinstance(tree, SyntaxFault):
        return Rejected("compile", f"{tree}.")
    if not tree.body:
        return Rejected("compile", "the reply holds comments only.")
    new = find_definition(tree, address, span.kind)
    if isinstance(new, Rejected):
        return new
    broken = check_contract(segment, span, new, text)
    if broken is not None:
        return broken
    module = style.read(text)
    if isinstance(module, SyntaxFault):
        return Rejected("compile", f"{module}.")
    return _assemble(genome, address, segment, span, tree, new, module)


def apply(genome: Genome, patch: Patch) -> Genome | Rejected:
    """Splice a patch into a genome. Stage "compile" when the file would not compile, else "contract"."""
    target = locate(genome, patch.address)
    if isinstance(target, Rejected):
        return target
    segment, span = target
    inner = segment_text(genome, segment, span, patch.code)
    if isinstance(inner, Rejected):
        return inner
    helpers = []
    for helper in patch.helpers:
        made = _helper_segment(genome, helper)
        if isinstance(made, Rejected):
            return made
        helpers += [made] if made is not None else []
    child = genome if inner is segment else genome.replace(segment.name, inner)
    child = child.insert(segment.name, helpers, patch.imports)
    return _checked(child)


def transplant(donor: Genome, address: str) -> Patch:
    """The donor's block as a patch, with the helpers and imports that it relies on."""
    target = locate(donor, address)
    if isinstance(target, Rejected):
        raise KeyError(address)
    segment, span = target
    code = donor.blocks[address].code
    loads = segment.facts.loads
    added = {s.name: s for group in donor.helpers.values() for s in group}
    wanted: list[Segment] = []
    queue = [name for name in added if name in loads and name != segment.name]
    while queue:
        helper = added[queue.pop(0)]
        if helper not in wanted:
            wanted.append(helper)
            queue += [name for name in added if name in helper.facts.loads]
            loads = loads | helper.facts.loads
    helpers = tuple(s.code for s in added.values() if s in wanted)
    imports = tuple(line for line in donor.imports if loads & set(bound_names(ast.parse(line).body)))
    return Patch(address, code, helpers, imports)


def locate(genome: Genome, address: str) -> tuple[Segment, Span] | Rejected:
    """The segment and span of an evolvable block."""
    reason = genome.reason(address)
    if reason is None:
        return Rejected("contract", f"there is no block {address!r}.")
    if reason:
        return Rejected("contract", f"the block {address!r} cannot be evolved: {reason}.")
    name, _, method = address.partition(".")
    segment = genome.segment(name)
    span = segment and (segment.method(method) if method else segment.facts.outer)
    if segment is None or span is None:
        return Rejected("contract", f"there is no block {address!r}.")
    return segment, span


def find_definition(tree: ast.Module, address: str, kind: str) -> Definition | Rejected:
    """The last definition in `tree` that `address` asks for."""
    owner, _, method = address.rpartition(".")
    found: list[Definition] = []
    for node in tree.body:
        if (
            isinstance(node, DEFINITIONS)
            and node.name == method
            and not (owner and isinstance(node, ast.ClassDef))
        ):
            found.append(node)
        elif owner and isinstance(node, ast.ClassDef) and node.name == owner:
            found += [n for n in node.body if isinstance(n, FUNCTIONS) and n.name == method]
    if not found:
        names = [n.name for n in tree.body if isinstance(n, DEFINITIONS)]
        there = (
            f"the reply defines {', '.join(dict.fromkeys(names))}" if names else "the reply defines nothing"
        )
        return Rejected("contract", f"{method} was asked for, {there}: keep the name {method}.")
    new = found[-1]
    if (kind == "class") != isinstance(new, ast.ClassDef):
        return Rejected("contract", f"{address} must stay a {kind}.")
    return new


def segment_text(genome: Genome, segment: Segment, span: Span, code: str) -> Segment | Rejected:
    """The segment with the definition `span` rewritten, in the file's own style."""
    if span.kind == "method":
        if code == segment.method_code(span.name):
            return segment
        text = _nested(segment, span, code, genome.seed.indent)
        if isinstance(text, SyntaxFault):
            return Rejected("compile", f"{text}.")
    elif code == segment.code:
        return segment
    else:
        text = code
    first, last = segment.bounds(span)
    text = text.replace("\n", genome.seed.newline) if genome.seed.newline != "\n" else text
    made = Segment(segment.text[:first] + text + segment.text[last:], segment.name)
    tree = parse(made.code)
    if isinstance(tree, SyntaxFault):
        return Rejected("compile", f"{tree}.")
    if len(tree.body) != 1 or getattr(tree.body[0], "name", "") != segment.name:
        return Rejected("contract", f"the patch of {segment.name} must hold this definition alone.")
    return made


def _nested(segment: Segment, span: Span, code: str, indent: str) -> str | SyntaxFault:
    module = style.read(code)
    if isinstance(module, SyntaxFault):
        return module
    if len(module.body) != 1 or not isinstance(module.body[0], cst.FunctionDef):
        return SyntaxFault(0, "a patch of a method must hold one function")
    return style.nest(module, module.body[0], span.indent, span.inner or indent)


def _assemble(
    genome: Genome,
    address: str,
    segment: Segment,
    span: Span,
    tree: ast.Module,
    new: Definition,
    module: cst.Module,
) -> Patch | Rejected:
    node = _cst_definition(module, address)
    node = _restored(node, segment, span, new)
    code = style.restyle(module, [node], span.inner or genome.seed.indent)
    if isinstance(code, SyntaxFault):
        return Rejected("compile", f"{code}.")
    brought = _brought(genome, segment.name, tree, new)
    if isinstance(brought, Rejected):
        return brought
    names, imports = brought
    helpers = []
    for statement in module.body:
        if _cst_name(statement) in names:
            text = style.restyle(module, [statement], genome.seed.indent)
            if isinstance(text, SyntaxFault):
                return Rejected("compile", f"{text}.")
            helpers.append(text)
    return Patch(address, code, tuple(helpers), imports)


def _brought(
    genome: Genome, name: str, tree: ast.Module, new: Definition
) -> tuple[frozenset[str], tuple[str, ...]] | Rejected:
    """Names of helpers and the imports that the new block needs and the genome lacks."""
    offered: dict[str, ast.stmt] = {}
    for statement in tree.body:
        for bound in bound_names([statement]):
            offered[bound] = statement
    offered.pop(name, None)
    meanings = bound_names(tree.body)
    needed = _reachable(new, offered)
    helpers, imports = [], []
    for one in needed:
        meaning, known = meanings[one], genome.bound.get(one)
        if known == meaning:
            continue
        if known is not None:
            return Rejected("contract", f"{one} already has another meaning in this file: use another name.")
        (imports if meaning.startswith(("import ", "from ")) else helpers).append(one)
    return frozenset(helpers), tuple(sorted(meanings[one] for one in imports))


def _reachable(new: ast.AST, offered: Mapping[str, ast.stmt]) -> list[str]:
    found: list[str] = []
    queue: list[ast.AST] = [new]
    while queue:
        for node in ast.walk(queue.pop()):
            if isinstance(node, ast.Name) and node.id in offered and node.id not in found:
                found.append(node.id)
                queue.append(offered[node.id])
    return found


def _cst_definition(module: cst.Module, address: str) -> cst.FunctionDef | cst.ClassDef:
    owner, _, name = address.rpartition(".")
    found: list[cst.FunctionDef | cst.ClassDef] = []
    for node in module.body:
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)) and node.name.value == name:
            found.append(node)
        elif owner and isinstance(node, cst.ClassDef) and node.name.value == owner:
            found += [n for n in node.body.body if isinstance(n, cst.FunctionDef) and n.name.value == name]
    return found[-1]


def _cst_name(statement: cst.CSTNode) -> str:
    if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
        return statement.name.value
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        small = statement.body[0]
        target = small.targets[0].target if isinstance(small, cst.Assign) else getattr(small, "target", None)
        return target.value if isinstance(target, cst.Name) else ""
    return ""


def _restored(
    node: cst.FunctionDef | cst.ClassDef, segment: Segment, span: Span, new: Definition
) -> cst.FunctionDef | cst.ClassDef:
    """The new definition with the old one's decorators and bases where it has none."""
    old = _old_definition(segment, span)
    if old is None:
        return node
    if old.decorators and not new.decorator_list:
        node = node.with_changes(decorators=[d.with_changes(leading_lines=()) for d in old.decorators])
    if isinstance(old, cst.ClassDef) and isinstance(node, cst.ClassDef) and not node.bases and old.bases:
        node = node.with_changes(bases=old.bases, keywords=old.keywords, lpar=old.lpar, rpar=old.rpar)
    return node


def _old_definition(segment: Segment, span: Span) -> cst.FunctionDef | cst.ClassDef | None:
    module = segment.module
    if isinstance(module, SyntaxFault):
        return None
    outer = module.body[0]
    if span.kind != "method":
        return outer if isinstance(outer, (cst.FunctionDef, cst.ClassDef)) else None
    parts: Iterable[cst.CSTNode] = outer.body.body if isinstance(outer, cst.ClassDef) else ()
    return next((p for p in parts if isinstance(p, cst.FunctionDef) and p.name.value == span.name), None)


def _helper_segment(genome: Genome, code: str) -> Segment | None | Rejected:
    """A new segment, None when the genome has this definition already."""
    tree = parse(code)
    if isinstance(tree, SyntaxFault):
        return Rejected("compile", f"{tree}.")
    bound = bound_names(tree.body)
    if len(tree.body) != 1 or len(bound) != 1:
        return Rejected("contract", "a helper must be one definition.")
    name = next(iter(bound))
    known = genome.bound.get(name)
    if known == digest(tree.body[0]):
        return None
    if known is not None:
        return Rejected("contract", f"the helper {name} already has another meaning in this file.")
    return Segment(code.replace("\n", genome.seed.newline), name)


def _checked(genome: Genome) -> Genome | Rejected:
    try:
        genome.source  # noqa: B018
    except UnicodeEncodeError as error:
        return Rejected("compile", f"the file's encoding has no {error.object[error.start]!r}.")
    fault = compiles(genome.text)
    return Rejected("compile", f"{fault}.") if fault else genome
