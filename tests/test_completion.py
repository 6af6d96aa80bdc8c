"""What the completer answers: the one that the shells ask, through the variables that they set."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.cli.app import main
from ge_engine.cli.completion import ASKED, rejoined

PLUGIN = """
from ge_engine.contracts import Objective
from ge_engine.hookspecs import hookimpl


class Warmth(Objective):
    name, direction = "warmth", "min"

    def measure(self, measurement):
        return 0.0


@hookimpl
def ge_objectives():
    yield Warmth()
"""


class Shell:
    """Asks as a shell's script does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._set, self._read = monkeypatch.setenv, capsys.readouterr

    def _asked(self) -> list[str]:
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self._read()
        assert ended.value.code == 0, captured.err
        return captured.out.split()

    def fish(self, line: str) -> list[str]:
        """Completions of `ge` and `line`, whose last word is not finished."""
        self._set(ASKED, "complete_fish")
        self._set("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        self._set("_TYPER_COMPLETE_ARGS", f"ge {line}")
        return self._asked()

    def bash(self, *words: str) -> list[str]:
        """Of words as bash has them: cut at colons, the cursor at the end of the last."""
        self._set(ASKED, "complete_bash")
        self._set("COMP_WORDS", "\n".join(("ge", *words)))
        self._set("COMP_CWORD", str(len(words)))
        return self._asked()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs, `runs/one` and `runs/other`, and a folder `runs/older` that is none."""
    synthetic.write_run(tmp_path / "runs" / "one", 4, size=4)
    synthetic.write_run(tmp_path / "runs" / "other", 2, size=2)
    (tmp_path / "runs" / "older").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("evolve model.py --objectives acc", ["accuracy"]),
        ("evolve model.py --objectives accuracy --objective lat", ["latency"]),
        ("evolve model.py --task dig", ["digits"]),
        ("evolve model.py --llm uni", ["uniform"]),
        ("resume runs/one --llm smol", ["smollm2"]),
        ("evolve model.py --schedule ", ["generational", "steady"]),
        ("evolve model.py --optimizer ", ["seed", "sgd", "adamw"]),
        ("evolve model.py --lr-schedule pl", ["plateau"]),
        ("evolve model.py --preset ", ["demo", "paper"]),
        ("evolve model.py --operators mat", ["mating"]),
        ("evolve model.py --operators mating,mut", ["mating,mutation"]),
        ("evolve model.py --operators mating,mat", []),
        ("rescore runs/one --sandbox land", ["landlock"]),
        ("ablate model.py --arms full,no-e", ["full,no-eot"]),
        ("plugins --preset pa", ["paper"]),
        ("evolve model.py --halving-r", ["--halving-rate"]),
        ("evolve model.py --help-", ["--help-all"]),
    ],
)
def test_a_value_that_is_not_completed(shell: Shell, line: str, completed: list[str]) -> None:
    answered = shell.fish(line)
    assert [one for one in answered if one in completed] == completed
    last = line.rpartition(" ")[2]
    assert all(one.startswith(last) for one in answered if one in completed)
    assert len(answered) >= len(completed)


def test_a_name_of_a_plugin_that_is_not_completed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "warm_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    assert shell.fish("evolve model.py --objectives war") == []
    assert shell.fish("evolve model.py --plugin warm_plugin --objectives war") == ["warmth"]


def test_individuals_that_are_not_completed(shell: Shell, runs: Path) -> None:
    everybody = {f"runs/one:{one}" for one in ("seed", "g0s0", "g0s1", "g0s2", "g0s3")}
    for command in ("show", "blame", "export", "diff"):
        assert set(shell.fish(f"{command} runs/on")) == everybody
    assert set(shell.fish("show runs/one:g0")) == {one for one in everybody if "g0" in one}
    assert set(shell.fish("diff runs/one:g0s1 runs/ot")) == {
        f"runs/other:{one}" for one in ("seed", "g0s0", "g0s1")
    }
    assert shell.fish("show ./runs/one:s") == ["./runs/one:seed"]
    assert shell.fish("show runs/ol") == shell.fish("show nowhere:g") == shell.fish("show :g") == []


def test_individuals_that_bash_cuts_at_their_colon(shell: Shell, runs: Path) -> None:
    assert set(shell.bash("show", "runs/one", ":", "g0")) == {"g0s0", "g0s1", "g0s2", "g0s3"}
    assert set(shell.bash("show", "runs/other", ":")) == {"seed", "g0s0", "g0s1"}
    assert set(shell.bash("diff", "runs/one", ":", "seed", "runs/other", ":", "g")) == {"g0s0", "g0s1"}
    assert set(shell.bash("show", "runs/oth")) == {f"runs/other:{one}" for one in ("seed", "g0s0", "g0s1")}
    assert shell.bash("evolve", "model.py", "--schedule", "st") == ["steady"]


def test_a_damaged_run_that_is_completed_in_silence(
    shell: Shell, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "one" / "ledger.sqlite").write_bytes(b"no database" * 99)
    monkeypatch.setenv(ASKED, "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "ge show runs/one:")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def cut(words: Sequence[str]) -> list[str]:
    """Words as bash gives them: colons are words of their own."""
    return [part for word in words for part in _parts(word)]


def _parts(word: str) -> list[str]:
    lexer = shlex.shlex(word, posix=False, punctuation_chars=":")
    lexer.whitespace_split, lexer.commenters, lexer.quotes = True, "", ""
    return list(lexer) or [""]


WORD = st.from_regex(r"[a-z/.]{1,5}(:[a-z0-9]{1,4}){0,2}", fullmatch=True)


@given(st.lists(WORD, min_size=1, max_size=5))
def test_words_that_are_not_put_together_again(words: list[str]) -> None:
    line = ["ge", "show", *words]
    parts = cut(line)
    assert rejoined(parts, len(parts) - 1) == (line, len(line) - 1)
