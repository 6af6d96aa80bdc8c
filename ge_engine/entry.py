"""Which expression builds the seed model, found by reading it.

In order: what the user says; what the main guard builds; the one model that is built at import; the one
factory without required arguments; the one root class; else the candidates are listed. Known arguments are
filled from the task.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ge_engine.errors import SeedError
from ge_engine.genome import Genome
from ge_engine.source.builders import Builders, unchained
from ge_engine.source.names import BUILTINS
from ge_engine.source.parameters import Parameter
from ge_engine.source.syntax import DEFINITIONS, dotted, is_main_guard, unparsed
from ge_engine.source.task_facts import Facts, counts_classes, fact_of, written

CONFIG_NAMES = ("config", "cfg", "configuration", "conf", "hparams", "args", "opt", "params", "settings")
_PRETRAINED_FIELDS = ("num_labels",)


def resolve_entry(genome: Genome, facts: Facts, override: str = "") -> str:
    """The expression that builds the model, e.g. "Net(num_classes=10)".

    `facts` are what the task knows: "num_classes", "in_channels", "image_size" (pixels). `override` is a
    full expression, or a name whose known arguments are filled.

    Raises:
        SeedError: `override` is no expression of names in the seed model, or no rule leads to one builder;
            the candidates are listed with their signatures.
    """
    genome = genome.main
    builders = Builders(genome)
    if override.strip():
        return _overridden(builders, genome, facts, override.strip())
    guarded = _from_main_guard(builders, genome, facts)
    if guarded:
        return guarded
    at_import = _from_top_level(builders, genome, facts)
    if at_import:
        return at_import
    factories = [call for name in builders.factories if (call := _call(builders, name, facts)) is not None]
    if len(factories) == 1:
        return factories[0]
    roots = _likely(builders, facts)
    calls = [call for name in roots if (call := _call(builders, name, facts)) is not None]
    if len(calls) == 1 and len(roots) == 1:
        return calls[0]
    raise _refusal(builders, facts, roots)


def signature_of(genome: Genome, entry: str) -> str:
    """What the entry calls with its parameters, "Net(out=5, width=16)"; the entry where that is not known."""
    called = Builders(genome.main).builder(entry.partition("(")[0].strip())
    return str(called) if called else entry


def _likely(builders: Builders, facts: Facts) -> list[str]:
    """The root classes; where there are several, those that take a number of classes, and of these
    those for image classification."""
    roots = builders.roots
    if len(roots) > 1 and "num_classes" in facts:
        wanting = [name for name in roots if _takes_classes(builders, name)]
        named = [name for name in roots if name.endswith("ForImageClassification")]
        roots = named or wanting or roots
    return roots


def _takes_classes(builders: Builders, name: str) -> bool:
    return any(fact_of(p, {"num_classes": 0}) is not None for p in builders.parameters(name))


def _overridden(builders: Builders, genome: Genome, facts: Facts, override: str) -> str:
    try:
        tree = ast.parse(override, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SeedError(f"The entry {override!r} is no Python expression.", _listed(builders)) from error
    known = {*genome.bound, *BUILTINS, *_bound_in(tree)}
    unknown = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id not in known]
    if unknown and "*" not in genome.bound:
        raise SeedError(
            f"The entry names {unknown[0]!r}, which the seed model does not define.", _listed(builders)
        )
    if isinstance(tree.body, ast.Name):
        call = _call(builders, override, facts)
        if call is None:
            missing = ", ".join(_unknown(builders, override, facts))
            hint = _line_to_copy(builders, override, facts)
            raise SeedError(f"The entry {override} needs arguments: {missing}.", hint)
        return call
    return override


def _bound_in(tree: ast.AST) -> set[str]:
    """Names that assignments, comprehensions, lambdas and loops in `tree` give a meaning."""
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    return names | {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}


def _call(builders: Builders, name: str, facts: Facts) -> str | None:
    """A call of `name` with known arguments filled; None when a required one is not known."""
    builder = builders.builder(name)
    if builder is None:
        return None
    filled: list[str] = []
    for parameter in builder.parameters:
        value = _value(builders, parameter, facts)
        if value is None and parameter.required:
            return None
        if value is not None:
            filled.append(value if parameter.positional_only else f"{parameter.name}={value}")
    return f"{name}({', '.join(filled)})"


def _unknown(builders: Builders, name: str, facts: Facts) -> list[str]:
    wanted = (p for p in builders.parameters(name) if p.required)
    return [p.name for p in wanted if _value(builders, p, facts) is None]


def _value(builders: Builders, parameter: Parameter, facts: Facts) -> str | None:
    fact = fact_of(parameter, facts)
    if fact is not None:
        return written(parameter, fact)
    if parameter.required:
        return _configuration(builders, parameter, facts)
    if parameter.plain_default and parameter.annotation in builders.configurations:
        filled = _configuration(builders, parameter, facts)
        return filled if filled and not filled.endswith("()") else None
    return None


def _configuration(builders: Builders, parameter: Parameter, facts: Facts) -> str | None:
    """A configuration object for an argument: by its annotation, or the file's only one."""
    name = parameter.annotation.rpartition(".")[2]
    builder = builders.builder(name) if name and name not in builders.modules else None
    if builder is None and parameter.name.lower() in CONFIG_NAMES and len(builders.configurations) == 1:
        builder = builders.builder(builders.configurations[0])
    if builder is None or builder.kind != "class":
        return None
    filled = {
        p.name: written(p, value) for p in builder.parameters if (value := fact_of(p, facts)) is not None
    }
    if any(p.required and p.name not in filled for p in builder.parameters):
        return None
    if builder.pretrained and not counts_classes(filled):
        filled |= {name: repr(facts["num_classes"]) for name in _PRETRAINED_FIELDS if "num_classes" in facts}
    return f"{builder.name}({', '.join(f'{key}={value}' for key, value in filled.items())})"


# --- the main guard -----------------------------------------------------------------------------------


def _from_main_guard(builders: Builders, genome: Genome, facts: Facts) -> str | None:
    """The first model that `if __name__ == "__main__":` builds, also through a function it calls."""
    for statements in _guarded(builders):
        local = _assigned(statements)
        local |= dict.fromkeys(set().union(*map(_bound_in, statements)) - set(local))
        for call in _calls(statements):
            name = dotted(call.func)
            if name in builders.roots or name in builders.factories:
                return _adapted(builders, genome, call, local, facts)
    return None


def _from_top_level(builders: Builders, genome: Genome, facts: Facts) -> str | None:
    """The model that a script builds where it is imported, `model = Net(64, 10)`, if it is of one kind."""
    statements = [s for s in builders.tree.body if not (isinstance(s, ast.If) and is_main_guard(s))]
    calls = [c for c in _calls(statements) if dotted(c.func) in (*builders.roots, *builders.factories)]
    if len({dotted(call.func) for call in calls}) != 1:
        return None
    return _adapted(builders, genome, calls[0], {}, facts)


def _guarded(builders: Builders) -> Iterator[list[ast.stmt]]:
    for statement in builders.tree.body:
        if isinstance(statement, ast.If) and is_main_guard(statement):
            yield statement.body
            called = [dotted(call.func) for call in _calls(statement.body)]
            yield from (builders.functions[name].body for name in called if name in builders.functions)


def _calls(statements: list[ast.stmt]) -> list[ast.Call]:
    """Calls in the order in which they stand."""
    nodes = (n for s in statements if not isinstance(s, DEFINITIONS) for n in ast.walk(s))
    return sorted((n for n in nodes if isinstance(n, ast.Call)), key=lambda c: (c.lineno, c.col_offset))


def _assigned(statements: list[ast.stmt]) -> dict[str, ast.expr | None]:
    """What each name is set to, also in `n, c = 4, 3`."""
    return {
        name: value
        for s in statements
        if isinstance(s, ast.Assign)
        for target in s.targets
        for name, value in _pairs(target, s.value)
    }


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, (ast.Tuple, ast.List)):
        for one, part in zip(target.elts, value.elts, strict=False):
            yield from _pairs(one, part)


def _adapted(
    builders: Builders, genome: Genome, call: ast.Call, local: Mapping[str, ast.expr | None], facts: Facts
) -> str | None:
    """The guard's call with the task's facts in place of its own figures; None when it uses what is
    known only while the guard runs and nothing else can be put there."""
    name = dotted(call.func)
    builder = builders.builder(name)
    if builder is None or any(isinstance(a, ast.Starred) for a in call.args):
        return _call(builders, name, facts)
    values: dict[str, str] = {}
    given = dict(zip([p.name for p in builder.parameters if not p.keyword_only], call.args))
    given |= {k.arg: k.value for k in call.keywords if k.arg is not None}
    for parameter in builder.parameters:
        source = _resolved(given.get(parameter.name), local, genome)
        fact = fact_of(replace(parameter, required=False) if source else parameter, facts)
        if fact is not None:
            values[parameter.name] = written(parameter, fact)
        elif source is not None:
            values[parameter.name] = source
        elif parameter.required:
            value = _configuration(builders, parameter, facts)
            if value is None:
                return None
            values[parameter.name] = value
    positional = {p.name for p in builder.parameters if p.positional_only}
    return f"{name}({', '.join(v if k in positional else f'{k}={v}' for k, v in values.items())})"


def _resolved(value: ast.expr | None, local: Mapping[str, ast.expr | None], genome: Genome) -> str | None:
    """The source of an argument that needs nothing but the module; local constants are put in."""
    if isinstance(value, ast.Name) and value.id in local:
        value = local[value.id]
    value = unchained(value)
    if value is None:
        return None
    names = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
    return unparsed(value) if names <= ({*genome.bound, *BUILTINS} - set(local)) else None


# --- messages -----------------------------------------------------------------------------------------


def _refusal(builders: Builders, facts: Facts, roots: list[str]) -> SeedError:
    parts = builders.used_by(builders.factories[0]) if len(builders.factories) == 1 else frozenset()
    names = list(dict.fromkeys((*builders.factories, *(name for name in roots if name not in parts))))
    if not names:
        return SeedError(
            "The seed model has no class that is a torch module and no function that builds one.",
            _listed(builders),
        )
    if len(names) == 1:
        missing = ", ".join(_unknown(builders, names[0], facts))
        return SeedError(
            f"The model {names[0]} needs arguments that the task does not know: {missing}.",
            _line_to_copy(builders, names[0], facts),
        )
    return SeedError(f"{len(names)} builders could give the model: {', '.join(names)}.", _listed(builders))


def _line_to_copy(builders: Builders, name: str, facts: Facts) -> str:
    """`--entry` with the call of `name`: what the task knows is filled, `...` stands for what is wanted."""
    arguments: list[str] = []
    for parameter in builders.parameters(name):
        value = _value(builders, parameter, facts) or ("..." if parameter.required else "")
        if value:
            arguments.append(value if parameter.positional_only else f"{parameter.name}={value}")
    known = builders.builder(name) or name
    call = shlex.quote(f"{name}({', '.join(arguments)})")
    return f"Give what is missing in --entry {call}; it is {known}."


def _listed(builders: Builders) -> str:
    names = list(dict.fromkeys((*builders.factories, *builders.roots)))
    shown = [str(b) for name in names if (b := builders.builder(name)) is not None]
    if not shown:
        return "Name the file that defines the model, or give --entry with a full expression."
    return f"Give --entry with a full expression; candidates: {'; '.join(shown)}."
