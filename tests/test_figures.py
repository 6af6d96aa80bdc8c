"""How a program's figures are found in what it prints and in a file that it leaves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ge_engine.cli.app import app
from ge_engine.cli.options import chosen_settings
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.evaluation import matching
from ge_engine.evaluation.figures import FigureReader, parse_metrics
from ge_engine.outcome import Failed, Outcome, Scored
from tests.test_project import genome, opened, outcome_in, project

__all__ = ["project"]
LOSS = "val_loss=val_loss=([^ \\n]+)"


def read(
    tmp_path: Path, output: str, *metrics: str, errors: str = "", file: str = "", objectives: str = "val_loss"
) -> Outcome:
    (tmp_path / "stdout").write_text(output)
    (tmp_path / "stderr").write_text(errors)
    reader = FigureReader.of(objectives.split(), metrics, file)
    return reader.read(tmp_path / "stdout", tmp_path / "stderr", tmp_path)


def refused(outcome: Outcome, words: str, kind: str = "error") -> bool:
    return isinstance(outcome, Failed) and words in outcome.reason and outcome.kind == kind


PRINTED: dict[str, tuple[str, str, Callable[[Outcome], bool]]] = {
    "the last of several": (
        "step 1: val_loss=2.5 lr=1\nstep 2: val_loss=1.5 lr=1\nsaved\n",
        "",
        lambda o: o == Scored({"val_loss": 1.5}),
    ),
    "standard error, where stdout has none": (
        "begin\n",
        "val_loss=3\nval_loss=-2e-1",
        lambda o: o == Scored({"val_loss": -0.2}),
    ),
    "standard output before standard error": (
        "val_loss=1",
        "val_loss=2",
        lambda o: o == Scored({"val_loss": 1.0}),
    ),
    "a progress bar's": ("1/2 val_loss=9\r2/2 val_loss=8\r", "", lambda o: o == Scored({"val_loss": 8.0})),
    "thousands": ("val_loss=1,234,567.5", "", lambda o: o == Scored({"val_loss": 1234567.5})),
    "a comma for a point": ("val_loss=1,5", "", lambda o: refused(o, "'val_loss' is no number")),
    "nothing": (
        "loss 3",
        "",
        lambda o: refused(o, "nothing that it printed matches 'val_loss=([^ \\\\n]+)'"),
    ),
    "a word": ("val_loss=tensor", "", lambda o: refused(o, "no number in what it printed: 'tensor'")),
    "not a number": ("val_loss=nan", "", lambda o: refused(o, "val_loss is nan", "not finite")),
    "infinite": ("val_loss=-inf", "", lambda o: refused(o, "val_loss is -inf", "not finite")),
    "a number that no float can hold": (
        "val_loss=" + "7" * 400,
        "",
        lambda o: refused(o, "val_loss is inf", "not finite"),
    ),
    "a long word": ("val_loss=" + "x" * 9000, "", lambda o: refused(o, "xxx") and len(o.reason) < 300),  # type: ignore[union-attr]
    "bytes of a terminal": (
        "val_loss=\x1b[31m\x07",
        "",
        lambda o: refused(o, "\\x1b[31m\\x07") and "\x1b" not in o.reason,  # type: ignore[union-attr]
    ),
    "feedback and further figures in a last line": (
        'val_loss=4\n{"feedback": "slow", "minutes": 2}',
        "",
        lambda o: o == Scored({"val_loss": 4.0}, {"feedback": "slow", "figures": {"minutes": 2.0}}),
    ),
}


@pytest.mark.parametrize(("output", "errors", "right"), PRINTED.values(), ids=PRINTED)
def test_a_figure_in_the_output_that_is_missed_or_misread(
    tmp_path: Path, output: str, errors: str, right: Callable[[Outcome], bool]
) -> None:
    outcome = read(tmp_path, output, LOSS, errors=errors)
    assert right(outcome), outcome


def test_a_figure_that_stands_elsewhere_than_the_others(tmp_path: Path) -> None:
    """An expression wins over the file and the last line; what has none is read there."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text('{"val_loss": 9, "size": 3, "errors": {"size": 1}}')
    from_file = read(tmp_path, "val_loss=1", LOSS, file="out/results.json", objectives="val_loss size")
    assert from_file == Scored({"val_loss": 1.0, "size": 3.0}, {}, {"size": 1})
    line = read(tmp_path, 'val_loss=1\n{"size": 3}', LOSS, objectives="val_loss size")
    assert line == Scored({"val_loss": 1.0, "size": 3.0})
    assert refused(read(tmp_path, "val_loss=1", LOSS, objectives="val_loss size"), "its last line is no JSON")
    assert read(tmp_path, '{"size": 3}\nval_loss=1', LOSS, "n=_loss=(.)", objectives="n") == Scored(
        {"n": 1.0}, {"figures": {"val_loss": 1.0}}
    )


def test_lines_far_from_the_end_that_are_searched_or_an_end_that_is_not(tmp_path: Path) -> None:
    assert read(tmp_path, "val_loss=1\n" + "x" * 900_000, LOSS) == Scored({"val_loss": 1.0})
    assert refused(read(tmp_path, "val_loss=1\n" + "x" * 1_100_000, LOSS), "nothing that it printed")


def test_an_expression_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "SECONDS", 0.5)
    outcome = read(tmp_path, "a" * 100, "val_loss=(?:a+)+(b)")
    assert refused(outcome, "looking for val_loss in what it printed takes more than 0.5 s"), outcome


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("val_loss", "not of the form NAME=REGEX"),
        ("=x(1)", "not of the form NAME=REGEX"),
        ("a=", "not of the form NAME=REGEX"),
        ("feedback=(x)", "not of the form NAME=REGEX"),
        ("a=(x", "of the metric 'a' cannot be read: missing )"),
        ("a=x", "has 0 groups, and wants one"),
        ("a=(x)(y)", "has 2 groups, and wants one"),
        ("a=(x){9999999999999999999}", "cannot be read"),
    ],
)
def test_a_metric_that_cannot_be_read(metric: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_metrics(["b=(x)", metric])
    assert words in caught.value.message
    assert "--metric" in caught.value.hint


def test_a_metric_that_is_given_twice_or_has_an_equals_sign() -> None:
    assert parse_metrics(["val_loss=val_loss=(.)", " b =x = (.)"]) == {
        "val_loss": "val_loss=(.)",
        "b": "x = (.)",
    }
    with pytest.raises(ConfigError, match="'a' is given twice"):
        parse_metrics(["a=(x)", "a=(y)"])


@pytest.mark.parametrize("name", ["/etc/passwd", "../results.json", "a/../../b", "."])
def test_a_file_of_figures_outside_the_programs_folder(name: str) -> None:
    with pytest.raises(ConfigError, match="does not lie in the program's own folder"):
        FigureReader.of(["a"], (), name)


def test_a_file_of_figures_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "results.json"

    def told() -> Outcome:
        return read(tmp_path, '{"val_loss": 1}', file="results.json")

    assert refused(told(), "no file 'results.json' that can be read: No such file")
    os.mkfifo(file)
    assert refused(told(), "is no plain file")
    file.unlink()
    file.symlink_to("/etc/hostname")
    assert refused(told(), "that can be read")
    file.unlink()
    file.mkdir()
    assert refused(told(), "results.json")
    file.rmdir()
    file.write_bytes(b"1" * (2**20 + 1))
    assert refused(told(), "at most 1 MiB")
    file.write_text("[1]")
    assert refused(told(), "results.json is no JSON object: '[1]'")
    file.write_text('{"val_loss": "1"}')
    assert refused(told(), "results.json has no number for 'val_loss'")
    file.write_text('{"val_loss": 1e999}')
    assert refused(told(), "val_loss is inf", "not finite")


def test_figures_of_an_earlier_training_that_a_candidate_is_credited_with(project: Path) -> None:
    (project / "out").mkdir()
    (project / "out" / "results.json").write_text('{"parameters": 1}')
    outcome = outcome_in(project, "python -c 'import nets'", metrics_file="out/results.json")
    assert refused(outcome, "no file 'out/results.json'"), outcome


def test_figures_that_a_program_leaves_in_its_tree_or_in_its_folder(project: Path) -> None:
    write = (
        "import json, pathlib, sys\nfrom nets import Net\n"
        "pathlib.Path(sys.argv[1]).write_text(json.dumps({'parameters': sum(Net().parameters())}))\n"
    )
    (project / "train.py").write_text(write)
    outcome = outcome_in(project, "python train.py r.json", metrics_file="r.json")
    assert outcome == Scored({"parameters": 11.0})
    alone = (
        f"""{sys.executable} -c 'open("{{folder}}/r.json", "w").write("{{\\"parameters\\": 5}}")' {{path}}"""
    )
    with opened(project, alone, project="", metrics_file="r.json") as evaluation:
        assert evaluation.submit(Job("x", genome(), 0)).result() == Scored({"parameters": 5.0})


def test_a_time_limit_that_is_not_five_minutes() -> None:
    for asked, seconds in {"300": 300.0, "5m": 300.0, "1.5h": 5400.0, "20s": 20.0, "0.5": 0.5}.items():
        assert chosen_settings({"timeout": asked}) == {"timeout": seconds}
    for asked in ("five minutes", "m", "", "5 min"):
        with pytest.raises(ConfigError, match="--timeout wants seconds, or minutes as 5m"):
            chosen_settings({"timeout": asked})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--project", "."], "--project is for a program"),
        (["--command", "python x.py", "--project", ".", "--metric", "accuracy=x"], "has 0 groups"),
        (["--command", "python x.py", "--project", ".", "--timeout", "soon"], "--timeout wants seconds"),
        (["--command", "python x.py", "--project", ".", "--timeout", "0"], "timeout must be more than 0"),
        (["--command", "python x.py"], "--project DIR"),
    ],
)
def test_a_mistake_in_a_flag_that_leaves_a_run_or_a_traceback(
    tmp_path: Path, words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("def f():\n    return 1\n")
    ended = CliRunner().invoke(app, ["evolve", "model.py", "--llm", "uniform", "--run", "run", *words])
    assert isinstance(ended.exception, ConfigError)
    assert told in f"{ended.exception.message} {ended.exception.hint}"
    assert not Path("run").exists()
