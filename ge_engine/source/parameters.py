"""What a function or a class of a seed model is called with; read, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ge_engine.source.syntax import dotted, unparsed


@dataclass(frozen=True, slots=True)
class Parameter:
    """`annotation` is the dotted name of a plain annotation, else ""; `pair` tells that two numbers are
    wanted, as in `size: tuple[int, int]` and `size=(224, 224)`; `default` is a whole number, else None;
    `plain_default` tells that the default is None or a call without arguments, such as `Config()`."""

    name: str
    required: bool
    keyword_only: bool = False
    positional_only: bool = False
    annotation: str = ""
    pair: bool = False
    default: int | None = None
    plain_default: bool = False


def parameters_of(args: ast.arguments) -> tuple[Parameter, ...]:
    """The parameters of a function, in order."""
    positional = [*args.posonlyargs, *args.args]
    defaults = [*(None for _ in positional[len(args.defaults) :]), *args.defaults]
    found = [
        _parameter(a, default, positional_only=at < len(args.posonlyargs))
        for at, (a, default) in enumerate(zip(positional, defaults, strict=True))
    ]
    found += [
        replace(_parameter(a, default), keyword_only=True)
        for a, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)
    ]
    return tuple(found)


def _parameter(argument: ast.arg, default: ast.expr | None, positional_only: bool = False) -> Parameter:
    return Parameter(
        argument.arg,
        required=default is None,
        positional_only=positional_only,
        annotation=_annotation(argument.annotation) or _called(default),
        pair=_is_pair(argument.annotation, default),
        default=_number(default),
        plain_default=bool(_called(default)) or (isinstance(default, ast.Constant) and default.value is None),
    )


def _called(default: ast.expr | None) -> str:
    """`Config` of a default `Config()`; "" of any other."""
    bare = isinstance(default, ast.Call) and not default.args and not default.keywords
    return dotted(default.func) if bare else ""  # type: ignore[union-attr]


def _number(node: ast.expr | None) -> int | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if type(value) is int else None


def _annotation(node: ast.expr | None) -> str:
    """The dotted name of an annotation, also in quotes, in `Optional[...]` or before `| None`; "" of any
    other."""
    if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and node.right.value is None:
        node = node.left
    if isinstance(node, ast.Subscript) and dotted(node.value).rpartition(".")[2] == "Optional":
        node = node.slice
    quoted = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return str(node.value) if quoted else dotted(node)  # type: ignore[union-attr]


def _is_pair(annotation: ast.expr | None, default: ast.expr | None) -> bool:
    if isinstance(default, (ast.Tuple, ast.List)):
        return len(default.elts) == 2
    return annotation is not None and unparsed(annotation).lower() == "tuple[int, int]"


def optional(parameter: Parameter) -> Parameter:
    """The parameter as one that `**kwargs` may hold."""
    return replace(parameter, required=False, keyword_only=True, positional_only=False)


def signature_text(args: ast.arguments, skip: int = 0) -> str:
    """The parameters in brackets, without the first where `skip` says so."""
    text = unparsed(args)
    return f"({text.partition(', ')[2] if skip and ', ' in text else '' if skip else text})"


def fields_of(node: ast.ClassDef) -> Iterator[Parameter]:
    """Annotated attributes, as a dataclass takes them."""
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if "ClassVar" not in unparsed(statement.annotation):
            annotation = _annotation(statement.annotation)
            pair = _is_pair(statement.annotation, statement.value)
            number = _number(statement.value)
            yield Parameter(
                statement.target.id, statement.value is None, annotation=annotation, pair=pair, default=number
            )
