# ruff: noqa: E501
"""What Python compiles and libcst does not support costs its own block; what compiles into gigabytes is not compiled."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable

import libcst as cst
import pytest
from transform_seed import genome_of, refusal, rewrite

from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, parse_patch
from ge_engine.source import style, syntax
from ge_engine.source.expansion import expansive
from ge_engine.source.syntax import SyntaxFault, parse

LINES = {
    "return": "return.5",
    "not": "x = not.5",
    "assert": "assert(lambda: 0)",
    "else": "x = 1 if x else(lambda: 2)",
    "if": "x = 1 if(lambda: 2)else 3",
    "for": "for i in(lambda: x)():\n        pass",
    "await": "x = [i for i in(lambda: x)()]",
    "in": "x = 1 in(lambda: x)()",
    "and": "x = 1 and(lambda: x)",
    "yield": "yield(lambda: x)",
    "raise": "raise(lambda: x)",
    "raise from": "raise x from(lambda: x)",
    "del": "del(x)",
    "while": "while(lambda: x):\n        pass",
    "elif": "if x:\n        pass\n    elif(lambda: x):\n        pass",
    "with": "with(lambda: x)() as y:\n        pass",
    "is not": "x = 1 is not(lambda: x)",
    "lambda": "x = lambda:.5",
    "except": "try:\n        pass\n    except(lambda: x):\n        pass",
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_a_line_that_libcst_refuses_and_the_whole_program_ends(case: str) -> None:
    """In a seed it costs that block, in a reply that reply."""
    line = LINES[case]
    seed = f"class A:\n    def bad(self, x):\n        y = 1\n        {line.replace(chr(10), chr(10) + '    ')}\n    def good(self):\n        return 1\n\n\ndef f(x):\n    y = 1\n    {line}\n\n\ndef g(x):\n    return x\n"
    genome = genome_of(seed)
    assert {"A.good", "g"} <= set(genome.evolvable)
    within = line[: line.find("(lambda")].count("\n")
    for address, above in (("f", 3), ("A.bad", 4)):
        reason = genome.blocks[address].reason
        assert not reason or (f"(line {above + within} of the block)" in reason and "not supported" in reason)
    child = rewrite(
        rewrite(genome, "A.good", "def good(self):\n    return 2\n"), "g", "def g(x):\n    return 3\n"
    )
    assert child.text == seed.replace("return 1\n\n", "return 2\n\n").replace(
        "    return x\n", "    return 3\n"
    )
    result = parse_patch(genome, "g", f"def g(x):\n    y = 1\n    {line}\n")
    assert isinstance(result, Patch) or (result.stage == "compile" and f"line {3 + within}" in result.reason)


@pytest.mark.parametrize(
    "error", [TypeError, AttributeError, KeyError, type("PanicException", (BaseException,), {})]
)
def test_an_error_within_libcst_that_leaves_it(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error("inside")

    genome = genome_of("def f(x):\n    return x\n")
    style.read.cache_clear()
    monkeypatch.setattr(cst.Module, "code", property(broken))
    assert "not supported here" in refusal(genome, "f", "# c\ndef f(x):\n    return 2\n").reason
    monkeypatch.setattr(cst, "parse_module", broken)
    style.read.cache_clear()
    assert "not supported here" in refusal(genome, "f", "def f(x):\n    return 3\n").reason
    assert isinstance(style.read("x = 1\n"), SyntaxFault)


def test_an_interrupt_within_libcst_that_is_taken_for_a_fault_of_the_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cst, "parse_module", interrupted)
    with pytest.raises(KeyboardInterrupt):
        style.read("never = 'seen before'\n")


# --- encodings, decorators, form feeds --------------------------------------------------------------------


def genome_or_refusal(text: str) -> Genome | SeedError:
    try:
        return genome_of(text)
    except SeedError as error:
        return error


CODECS = ["rot13", "hex", "base64", "bz2", "zlib", "uu", "quopri", "undefined", "utf-16", "utf-32", "unicode_escape", "raw_unicode_escape", "idna", "punycode", "utf-7", "cp037"]  # fmt: skip


@pytest.mark.parametrize("codec", CODECS)
def test_a_coding_line_that_names_no_text_encoding(codec: str) -> None:
    for code in (
        f"# coding: {codec}\ndef f(x):\n    return '\\n\u00fc'\n",
        f"# coding: {codec}\ndef f(x):\n    return 1\n",
    ):
        genome = genome_or_refusal(code)
        if isinstance(genome, SeedError):
            assert "\n" not in genome.message
            continue
        assert genome.source == code.encode()
        result = parse_patch(genome, "f", "def f(x):\n    return '\u00e9\U0001f600'\n")
        assert isinstance(result, (Patch, Rejected))


DECORATORS = ["@(\n{i}    deco\n{i})", "@\\\n{i}deco", "@(  # why\n{i}    # @deco\n{i}    deco)", "@deco\n{i}@(\n{i}deco)", "@(\n{i}    (\n{i}deco\n{i}@ 2))", "@ \\\n{i}  (deco)"]  # fmt: skip


@pytest.mark.parametrize("form", DECORATORS)
def test_a_decorator_that_begins_lines_above_its_expression(form: str) -> None:
    top, inner = form.format(i=""), form.format(i="    ")
    seed = f"deco = print\n{top}\ndef f(x):\n    return x\n\n\n{top}\nclass A:\n    {inner}\n    def a(self):\n        return 1\n\n    {inner}\n    def b(self):\n        return 2\n"
    genome = genome_of(seed)
    assert list(genome.evolvable) == ["f", "A", "A.a", "A.b"]
    for address, old in (("f", "return x"), ("A.a", "return 1"), ("A.b", "return 2"), ("A", "return 2")):
        code = genome.blocks[address].code
        assert code.startswith("@")
        assert rewrite(genome, address, code).source == genome.source
        assert rewrite(genome, address, code.replace(old, "return 7")).text == seed.replace(old, "return 7")
    bare = rewrite(genome, "A.b", "def b(self):\n    return 7\n")
    assert bare.text == seed.replace("return 2", "return 7")


def test_a_comment_between_decorators_that_a_reply_leaves_out() -> None:
    seed = "@a\n# why\n@b\n# and so\ndef f(x):\n    return x\n"
    assert rewrite(genome_of(seed), "f", "def f(x):\n    return 7\n").text == seed.replace(
        "return x", "return 7"
    )


FEEDS = ["  \x0c    ", "    \x0c    ", "\x0c        ", "\x0c\x0c        ", "        \x0c        ", "\t\x0c\t"]


@pytest.mark.parametrize("feed", FEEDS)
def test_a_form_feed_within_an_indent_that_moves_a_line(feed: str) -> None:
    seed = f"class A:\n    def a(self):\n{feed}return 1\n    def b(self):\n        return 2\n"
    genome = genome_or_refusal(seed)
    if isinstance(genome, SeedError):
        assert "line" in genome.message
        return
    assert "form feed" in genome.blocks["A.a"].reason
    assert rewrite(genome, "A.b", "def b(self):\n    return 7\n").text == seed.replace("return 2", "return 7")
    assert "form feed" in refusal(genome, "A.b", "def b(self):\n    if 1:\n    \x0c        return 7\n").reason


def test_a_class_within_if_that_ends_its_file() -> None:
    for tail in ("", "\n", "\n# end", "\n    # end\n"):
        seed = f"def f(x):\n    return x\nif True:\n    @f\n    class X: pass{tail}"
        genome = genome_of(seed)
        assert "defined conditionally" in genome.blocks["X"].reason
        assert genome.blocks["X"].code.strip().startswith("@f\n    class X")
        assert rewrite(genome, "f", "def f(x):\n    return 2\n").text == seed.replace("return x", "return 2")


def test_an_identifier_that_python_reads_as_another() -> None:
    seed = "class A:\n    def \ufb01t(self):\n        return 1\n\n\ndef \ufb01nd(x):\n    return 1\n"
    genome = genome_of(seed)
    assert list(genome.evolvable) == ["A", "A.fit", "find"]
    child = rewrite(genome, "A.fit", genome.blocks["A.fit"].code.replace("1", "2"))
    assert rewrite(child, "find", "def find(x):\n    return 3\n").text.endswith(
        "def find(x):\n    return 3\n"
    )


def test_line_ends_that_change_beside_a_changed_line() -> None:
    seed = "class A:\r\n    def f(self):\n        x = 1\r\n        y = 2\n        return x\r\n\n    def g(self):\r        return 2\n"
    genome = genome_of(seed)
    for address in ("A", "A.f"):
        child = rewrite(genome, address, genome.blocks[address].code.replace("y = 2", "y = 3"))
        assert child.text in [seed.replace("y = 2\n", f"y = 3{end}") for end in ("\n", "\r\n")]


# --- compile() that doubles ---------------------------------------------------------------------------------


def finally_within(levels: int) -> str:
    lines = [" " * n + part for n in range(levels) for part in ("try: x", "finally:")]
    return "\n".join([*lines, " " * levels + "x()"])


def functions_within(levels: int) -> str:
    lines = [" " * (2 * n) + part for n in range(levels) for part in ("try: x", "finally:", " def f():")]
    return "\n".join([*lines, " " * (2 * levels) + "x()"])


def exits(returns: int) -> str:
    inside = ["  if x: return x"] * returns
    return "\n".join(["try:", *inside, "finally:", *["  x()"] * returns])


def exits_within(levels: int) -> str:
    lines: list[str] = []
    for n in range(levels):
        lines += [" " * n + "try:", *[" " * n + "  if x: return 1"] * 8, " " * n + "finally:"]
    return "\n".join([*lines, " " * levels + "x()"])


def loops(exits: int) -> str:
    inside = [f"    if x: {('break', 'continue')[n % 2]}" for n in range(exits)]
    return "\n".join(["while x:", "  try:", *inside, "  finally:", *["    x()"] * exits])


LARGE: dict[str, tuple[Callable[[int], str], int]] = {
    "levels": (finally_within, 18),
    "functions within": (functions_within, 24),
    "ways out": (exits, 900),
    "ways out of levels": (exits_within, 7),
    "ways out of a loop": (loops, 900),
}


@pytest.mark.parametrize("case", LARGE)
def test_a_reply_that_compiles_into_gigabytes(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by its tree: `compile()` never sees it, neither as a reply nor as a seed."""
    make, size = LARGE[case]
    code = function(make(size))
    monkeypatch.setattr(syntax, "compiles", lambda text: pytest.fail("compiled"))
    parse.cache_clear()
    fault = parse(code)
    assert isinstance(fault, SyntaxFault)
    assert fault.line
    assert "`finally`" in fault.reason
    with pytest.raises(SeedError, match="`finally`"):
        Seed.from_bytes(code.encode())


@pytest.mark.parametrize("case", LARGE)
def test_code_whose_finally_is_as_large_as_real_code_has_it(case: str) -> None:
    make, _ = LARGE[case]
    few = {"levels": 8, "functions within": 6, "ways out of levels": 3}.get(case, 40)
    code = function(make(few))
    assert isinstance(parse(code), ast.Module)
    assert expansive(ast.parse(code)) == 0


def function(body: str) -> str:
    return "def f(x):\n" + "\n".join(f"  {line}" for line in body.split("\n")) + "\n"


def test_what_compiling_may_cost_at_most() -> None:
    """The largest that is let through, in a process that may take 400 MiB."""
    levels = next(n for n in range(1, 20) if expansive(ast.parse(function(finally_within(n + 1)))))
    returns = next(n for n in range(20, 3000, 20) if expansive(ast.parse(function(exits(n + 20)))))
    assert levels >= 10
    assert returns >= 100
    code = function(finally_within(levels)) + function(exits(returns))
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (400 << 20,) * 2); compile(sys.stdin.read(), 'f', 'exec')"
    subprocess.run([sys.executable, "-I", "-c", limited], input=code, text=True, check=True)
