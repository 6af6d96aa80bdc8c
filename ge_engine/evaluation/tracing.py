"""Which blocks of files a program of the user's runs, told by the files themselves.

One statement before a file's first one has Python call back when a function of the file begins
(`sys.monitoring` from 3.12 on, else `sys.settrace`), wherever the program copies or executes it, and in each
process that it starts.
"""

from __future__ import annotations

import ast
from pathlib import Path

from ge_engine.genome import Genome
from ge_engine.source.addresses import address_in
from ge_engine.source.language import PYTHON
from ge_engine.source.values_read import values_read

_ENDED, _UNKNOWN = "<ended>", "<unknown>"
_CONSTRUCTED = ("__init__", "__call__", "forward")
_CODE = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
_STATEMENT = """\
import atexit, os, sys, threading
own, seen = sys._getframe(1).f_code.co_filename, set()
files = sys.__dict__.setdefault("_traced_files", {{}})
def write(line):
    with open({into}, "a", encoding="utf-8") as file:
        file.write(line + "\\n")
def started(code):
    if code.co_filename == own and code.co_flags & 1 and code not in seen:
        seen.add(code)
        write(getattr(code, "co_qualname", "{unknown}"))
def note(code):
    if code.co_filename in files:
        files[code.co_filename](code)
def called(frame, event, argument):
    note(frame.f_code)
    if len(seen) == {functions}:
        sys.settrace(None)
def ended():
    dynamo, script = sys.modules.get("torch._dynamo.utils"), sys.modules.get("torch.jit._recursive")
    compiled = dynamo and dynamo.counters["frames"] or script and script.concrete_type_store.type_store
    write("{unknown}" if compiled else "{ended}")
def begin(monitoring):
    if monitoring is None:
        sys.settrace(called)
        threading.settrace(called)
    else:
        monitoring.use_tool_id(4, "ge_engine")
        starts = monitoring.events.PY_START
        monitoring.register_callback(4, starts, lambda code, _: note(code) or monitoring.DISABLE)
        monitoring.set_events(4, starts)
atexit.register(ended)
monitoring = getattr(sys, "monitoring", None)
first, files[own] = not files, started
if first and (monitoring.get_tool(4) if monitoring else sys.gettrace()):
    files[""] = None
elif first:
    begin(monitoring)
if "" in files:
    write("{unknown}")
"""


def traced_sources(genome: Genome, into: Path) -> dict[str, bytes]:
    """The genome's files by name, each of which writes into a file what of it runs. Their lines stay where
    they are, but for one more where a file begins by a definition."""
    alone = len(genome.files) == 1
    traced = {
        name: _traced(one, _told(into, at), _functions(one) if alone else -1)
        for at, (name, one) in enumerate(genome.files.items())
        if one.seed.language is PYTHON
    }
    return genome.sources | traced


def blocks_that_ran(into: Path, genome: Genome) -> frozenset[str]:
    """The blocks that a program has run, by what the files wrote; all of a file that wrote nothing, did not
    come to its end, or was compiled, so that nobody was called back. A class without a function that makes or
    calls it counts as run, a value where code that runs reads it."""
    ran = {
        address_in(name, address)
        for at, (name, one) in enumerate(genome.files.items())
        for address in _that_ran(_told(into, at), one)
    }
    values = values_read(code_of(genome), ran)
    return frozenset(ran | (values & genome.blocks.keys()))


def code_of(genome: Genome) -> dict[str, bytes]:
    """The genome's files of Python by name."""
    return {name: one.source for name, one in genome.files.items() if one.seed.language is PYTHON}


def _told(into: Path, at: int) -> Path:
    return into.with_name(f"{into.name} {at}")


def _functions(genome: Genome) -> int:
    return sum(isinstance(node, _CODE) for node in ast.walk(ast.parse(genome.source)))


def _traced(genome: Genome, into: Path, functions: int) -> bytes:
    tree = ast.parse(genome.source)
    first = next(one for one in tree.body if not _comes_first(one))
    place = min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", ()))]) - 1
    code = _STATEMENT.format(into=ascii(str(into)), functions=functions, ended=_ENDED, unknown=_UNKNOWN)
    lines = genome.source.splitlines(keepends=True)
    bom = genome.seed.cut.bom if place == 0 else b""
    end = genome.seed.newline if hasattr(first, "body") else "; "
    lines[place] = bom + f"exec({code!a}, {{}}){end}".encode() + lines[place].removeprefix(bom)
    return b"".join(lines)


def _that_ran(into: Path, genome: Genome) -> frozenset[str]:
    blocks = frozenset(genome.blocks)
    try:
        names = set(into.read_text("utf-8").split("\n"))
    except OSError:
        return blocks
    if _UNKNOWN in names or _ENDED not in names:
        return blocks
    ran = {name.split(".<locals>")[0] for name in names}
    ran |= {name.rpartition(".")[0] for name in ran}
    ran |= {
        address
        for address, block in genome.blocks.items()
        if block.kind == "class" and not any(f"{address}.{name}" in blocks for name in _CONSTRUCTED)
    }
    return blocks & ran


def _comes_first(statement: ast.stmt) -> bool:
    """Whether it is a docstring, or an import from the future."""
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")
