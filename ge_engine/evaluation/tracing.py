"""Which blocks of a file a program of the user's runs, told by the file itself.

One statement before its first one has Python call back when a function of the file begins (`sys.monitoring`
from 3.12 on, else `sys.settrace`), wherever the program copies or executes it, and in each process that it
starts.
"""

from __future__ import annotations

import ast
from pathlib import Path

from ge_engine.genome import Genome

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
def write(line):
    with open({into}, "a", encoding="utf-8") as file:
        file.write(line + "\\n")
def started(code):
    if code.co_filename == own and code.co_flags & 1 and code not in seen:
        seen.add(code)
        write(getattr(code, "co_qualname", "{unknown}"))
def called(frame, event, argument):
    started(frame.f_code)
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
        monitoring.register_callback(4, starts, lambda code, _: started(code) or monitoring.DISABLE)
        monitoring.set_events(4, starts)
atexit.register(ended)
monitoring = getattr(sys, "monitoring", None)
if monitoring.get_tool(4) if monitoring else sys.gettrace():
    write("{unknown}")
else:
    begin(monitoring)
"""


def traced_source(genome: Genome, into: Path) -> bytes:
    """The genome's file, which writes into the file `into` what of it runs. Its lines stay where they are,
    but for one more where it begins by a definition."""
    tree = ast.parse(genome.source)
    first = next(one for one in tree.body if not _comes_first(one))
    place = min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", ()))]) - 1
    functions = sum(isinstance(node, _CODE) for node in ast.walk(tree))
    code = _STATEMENT.format(into=ascii(str(into)), functions=functions, ended=_ENDED, unknown=_UNKNOWN)
    lines = genome.source.splitlines(keepends=True)
    bom = genome.seed.cut.bom if place == 0 else b""
    end = genome.seed.newline if hasattr(first, "body") else "; "
    lines[place] = bom + f"exec({code!a}, {{}}){end}".encode() + lines[place].removeprefix(bom)
    return b"".join(lines)


def blocks_that_ran(into: Path, genome: Genome) -> frozenset[str]:
    """The blocks that a program has run, by what the file wrote; all where it wrote nothing, did not come to
    its end, or was compiled, so that nobody was called back. A class without a function that makes or calls
    it counts as run."""
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
