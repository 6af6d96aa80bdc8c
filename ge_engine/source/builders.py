"""What in a file builds a model: module classes, factories, configurations; read, never run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ge_engine.genome import Genome
from ge_engine.source.parameters import Parameter, fields_of, optional, parameters_of, signature_text
from ge_engine.source.syntax import (
    FUNCTIONS,
    Function,
    SyntaxFault,
    dotted,
    method_of,
    normalised,
    parse,
)

_MODULE_BASES = frozenset(
    ("Module", "Sequential", "ModuleList", "ModuleDict", "LightningModule", "PreTrainedModel",
     "PretrainedModel", "ScriptModule")
)  # fmt: skip
_ABSTRACT = _MODULE_BASES - {"Sequential"}
_NO_MODELS = ("Loss", "Config", "Output", "Processor", "Tokenizer", "Mixin")
_LIBRARIES = ("torch.nn", "torchvision.models", "timm", "transformers")
_MODEL_FUNCTIONS = ("torchvision.models.", "timm.create_model", "timm.models.")
_CHAINED = ("to", "cuda", "cpu", "eval", "train", "float", "half", "requires_grad_")
_CONFIGURED = ("Config", "Configuration", "Args", "Hparams", "Settings")
MAX_FORWARDING = 6
"""Functions that hand their `**kwargs` on to one another."""


@dataclass(frozen=True, slots=True)
class Builder:
    """A class or function that gives a model (or a configuration) when it is called. `pretrained` when
    it is a configuration of transformers, whose base has fields of its own."""

    name: str
    kind: str
    parameters: tuple[Parameter, ...]
    signature: str
    pretrained: bool = False

    def __str__(self) -> str:
        return f"{self.name}{self.signature}"


class Builders:
    """The builders of one seed model. `tree` is that of the whole file."""

    def __init__(self, genome: Genome) -> None:
        tree = parse(normalised(genome.text))
        self.tree = ast.parse(normalised(genome.text)) if isinstance(tree, SyntaxFault) else tree
        self.folder = genome.seed.path.parent if genome.seed.path else None
        self.classes = {n.name: n for n in self.tree.body if isinstance(n, ast.ClassDef)}
        self.functions = {n.name: n for n in self.tree.body if isinstance(n, FUNCTIONS)}

    @cached_property
    def modules(self) -> dict[str, ast.ClassDef]:
        """Classes that are modules: by a base of their own or of a class of this file."""
        found: dict[str, ast.ClassDef] = {}
        for _ in self.classes:
            for name, node in self.classes.items():
                bases = [dotted(base) for base in node.bases]
                if any(base in found or self._is_module(base) for base in bases):
                    found[name] = node
        return {name: node for name, node in self.classes.items() if name in found}

    def _is_module(self, base: str) -> bool:
        """Whether `base`, which this file does not define, is a module of torch, torchvision, timm or
        transformers, and neither a loss nor settings."""
        last = base.rpartition(".")[2]
        return last in _MODULE_BASES or (
            self._brought(base) and last[:1].isupper() and not last.endswith(_NO_MODELS)
        )

    def _brought(self, name: str) -> bool:
        return name.startswith(("nn.", "torch.nn.")) or name.partition(".")[0] in self._from_libraries

    @cached_property
    def _from_libraries(self) -> frozenset[str]:
        """Names that this file imports from libraries of models."""
        return frozenset(name for name, full in self._imported.items() if full.startswith(_LIBRARIES))

    @cached_property
    def _imported(self) -> dict[str, str]:
        """What this file imports: the full name of each."""
        statements = [n for n in ast.walk(self.tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
        return {
            alias.asname or alias.name: f"{n.module}.{alias.name}"
            if isinstance(n, ast.ImportFrom)
            else alias.name
            for n in statements
            for alias in n.names
        }

    @cached_property
    def roots(self) -> list[str]:
        """Module classes with a `forward` that no other class of the file names."""
        named = {name for owner, node in self.classes.items() for name in _names_in(node) - {owner}}
        return [name for name in self.modules if name not in named and self._has_forward(name)]

    @cached_property
    def factories(self) -> list[str]:
        """Functions that return a model, private ones, `main` and what a class is made with left out."""
        parts = {name for node in self.modules.values() for name in _names_in(node)}
        found: set[str] = set()
        for _ in range(MAX_FORWARDING):
            rest = {name: node for name, node in self.functions.items() if name not in found}
            new = {name for name, node in rest.items() if self._returns(node, found)}
            if not new:
                break
            found |= new
        return [
            name
            for name in self.functions
            if name in found and not name.startswith("_") and name not in {"main", *parts}
        ]

    def builder(self, name: str) -> Builder | None:
        """The builder `name`: a class or function of this file, or a class that it imports from a
        file beside it."""
        if name in self.functions:
            args = self.functions[name].args
            own = parameters_of(args)
            extra = self._forwarded(self.functions[name], 0) if args.kwarg else ()
            known = {p.name for p in own}
            return Builder(
                name, "function", (*own, *(p for p in extra if p.name not in known)), signature_text(args)
            )
        node = self.classes.get(name) or self._imported_class(name)
        if node is None:
            return None
        return _class_builder(node, {**self.classes, name: node})

    def parameters(self, name: str) -> tuple[Parameter, ...]:
        """The parameters of a builder, () where there is none of that name."""
        builder = self.builder(name)
        return builder.parameters if builder else ()

    @cached_property
    def configurations(self) -> list[str]:
        """Classes of this file that hold settings: dataclasses and those called so."""
        others = {name: node for name, node in self.classes.items() if name not in self.modules}
        return [n for n, node in others.items() if _is_dataclass(node) or n.endswith(_CONFIGURED)]

    def _has_forward(self, name: str) -> bool:
        node = self.classes[name]
        if method_of(node, "forward") is not None:
            return True
        bases = [dotted(base) for base in node.bases]
        return any(
            (self._is_module(base) and base.rpartition(".")[2] not in _ABSTRACT)
            or (base in self.modules and self._has_forward(base))
            for base in bases
            if base != name
        )

    def _returns(self, node: Function, factories: set[str]) -> bool:
        """The function returns a module, also of a class within it, or what another factory returns."""
        local = {n.name for n in ast.walk(node) if isinstance(n, ast.ClassDef) and self._has_module_base(n)}
        makers = {*self.modules, *factories, *local}
        built = {
            target.id
            for statement in ast.walk(node)
            if isinstance(statement, (ast.Assign, ast.AnnAssign))
            and self._makes(statement.value, makers, set())
            for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
            if isinstance(target, ast.Name)
        }
        returned = [s.value for s in ast.walk(node) if isinstance(s, ast.Return)]
        return any(self._makes(value, makers, built) for value in returned)

    def _makes(self, value: ast.expr | None, makers: set[str], built: set[str]) -> bool:
        value = unchained(value)
        if isinstance(value, ast.Name):
            return value.id in built
        if not isinstance(value, ast.Call):
            return False
        called = dotted(value.func)
        if called in makers or called in ("nn.Sequential", "torch.nn.Sequential"):
            return True
        return not self.roots and self._is_library_model(called)

    def _is_library_model(self, called: str) -> bool:
        """Whether a call gives a model of torchvision or timm, such as `models.resnet18()`."""
        head, dot, rest = called.partition(".")
        return f"{self._imported.get(head, head)}{dot}{rest}".startswith(_MODEL_FUNCTIONS)

    def _has_module_base(self, node: ast.ClassDef) -> bool:
        return any(base in self.modules or self._is_module(base) for base in map(dotted, node.bases))

    def used_by(self, function: str) -> frozenset[str]:
        """Names that a function of this file uses."""
        return frozenset(n.id for n in ast.walk(self.functions[function]) if isinstance(n, ast.Name))

    def _forwarded(self, node: Function, depth: int) -> tuple[Parameter, ...]:
        """Parameters that `**kwargs` of a function reaches."""
        keywords = node.args.kwarg.arg if node.args.kwarg else ""
        for call in (c for c in ast.walk(node) if isinstance(c, ast.Call)):
            if not any(
                k.arg is None and isinstance(k.value, ast.Name) and k.value.id == keywords
                for k in call.keywords
            ):
                continue
            target = self.functions.get(dotted(call.func))
            if target is not None and depth < MAX_FORWARDING:
                own = tuple(optional(p) for p in parameters_of(target.args))
                return (*own, *(self._forwarded(target, depth + 1) if target.args.kwarg else ()))
            built = self.builder(dotted(call.func)) if dotted(call.func) in self.classes else None
            if built is not None:
                return tuple(optional(p) for p in built.parameters)
        return ()

    def _imported_class(self, name: str) -> ast.ClassDef | None:
        """A class that the seed model imports from a file beside it."""
        if self.folder is None:
            return None
        for statement in ast.walk(self.tree):
            if isinstance(statement, ast.ImportFrom) and any(
                (a.asname or a.name) == name for a in statement.names
            ):
                tree = _tree_of(self.folder, statement)
                for node in tree.body if tree else ():
                    if isinstance(node, ast.ClassDef) and node.name == name:
                        return node
        return None


def unchained(value: ast.expr | None) -> ast.expr | None:
    """`Net()` for `Net().to(device).eval()`."""
    while (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _CHAINED
    ):
        value = value.func.value
    return value


def _class_builder(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Builder:
    init = method_of(node, "__init__")
    if init is not None:
        parameters = parameters_of(init.args)[1:]
        return Builder(
            node.name, "class", parameters, signature_text(init.args, skip=1), _is_pretrained(node)
        )
    bases = [classes[base] for base in map(dotted, node.bases) if base in classes and base != node.name]
    others = {name: other for name, other in classes.items() if name != node.name}
    inherited = _class_builder(bases[0], others).parameters if bases else ()
    fields = tuple(fields_of(node)) if _is_dataclass(node) or not bases else ()
    parameters = (*inherited, *fields)
    shown = ", ".join(p.name if p.required else f"{p.name}=..." for p in parameters)
    return Builder(node.name, "class", parameters, f"({shown})", _is_pretrained(node))


def _is_dataclass(node: ast.ClassDef) -> bool:
    names = (dotted(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list)
    bases = (dotted(base).rpartition(".")[2] for base in node.bases)
    return any("dataclass" in name or name == "strict" for name in names) or any(
        base in ("PreTrainedConfig", "PretrainedConfig", "NamedTuple", "BaseModel") for base in bases
    )


def _is_pretrained(node: ast.ClassDef) -> bool:
    return any(dotted(b).rpartition(".")[2] in ("PreTrainedConfig", "PretrainedConfig") for b in node.bases)


def _names_in(node: ast.ClassDef) -> set[str]:
    """Names that a class's code uses, annotations of its methods apart."""
    names: set[str] = set()
    stack: list[ast.AST] = [*node.bases, *node.body]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.Name):
            names.add(item.id)
        for field, value in ast.iter_fields(item):
            if field not in ("annotation", "returns"):
                stack += [
                    v for v in (value if isinstance(value, list) else [value]) if isinstance(v, ast.AST)
                ]
    return names


def _tree_of(folder: Path, statement: ast.ImportFrom) -> ast.Module | None:
    """The tree of the file that an import from beside the seed model reads."""
    for _ in range(max(0, statement.level - 1)):
        folder = folder.parent
    path = folder.joinpath(*(statement.module or "__init__").split(".")).with_suffix(".py")
    try:
        tree = parse(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return None if isinstance(tree, SyntaxFault) else tree
