"""Messages that left a newcomer without the next step."""

from __future__ import annotations

import io
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ge_engine.cli.app import app, main
from ge_engine.cli.command import first_example
from ge_engine.cli.options import default_of
from ge_engine.config import load_config, settings
from ge_engine.entry import resolve_entry
from ge_engine.errors import ConfigError, GeError, PluginError, SeedError
from ge_engine.genome import Seed
from ge_engine.registry import load_registry
from ge_engine.views import live as view
from ge_engine.views.console import print_table
from ge_engine.views.live import Heading, line_of

PLAIN = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"
ODD = """
from torch import nn


class DigitNet(nn.Module):
    def __init__(self, cfg, widths, num_classes=10, dropout=0.1):
        super().__init__()

    def forward(self, x):
        return x
"""


@pytest.mark.parametrize(
    ("setting", "default"),
    [
        ({"population": 0}, "population = 8"),
        ({"p_eot": 2.0}, "p_eot = 0.25"),
        ({"training.lr": 0.0}, "training.lr = 0.1"),
        ({"objectives": ()}, "objectives = ('accuracy', 'parameters')"),
        ({"price_in": -1.0}, "price_in = 0.0"),
        ({"llm": ()}, "llm = ('smollm2',)"),
    ],
)
def test_a_value_out_of_range_without_a_next_step(setting: dict[str, object], default: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config("demo", None, setting)
    assert default in refused.value.hint


@pytest.mark.parametrize("override", ["", "DigitNet"])
def test_missing_arguments_without_a_line_to_copy(override: str) -> None:
    with pytest.raises(SeedError) as refused:
        resolve_entry(Seed.from_bytes(ODD.encode()).genome, {"num_classes": 7}, override)
    assert "--entry 'DigitNet(cfg=..., widths=..., num_classes=7)'" in refused.value.hint
    assert "dropout=0.1" in refused.value.hint


@pytest.mark.parametrize("data", [bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_a_binary_file_that_is_called_text_of_a_wrong_encoding(data: bytes) -> None:
    with pytest.raises(SeedError, match="is not a text file"):
        Seed.from_bytes(data)


def test_an_image_folder_that_is_missing_empty_or_of_one_class(tmp_path: Path) -> None:
    from ge_plugins.image_folder import find_entries, read_image_folder

    said: list[GeError] = []
    for attempt in (
        lambda: read_image_folder(tmp_path / "nowhere", 0),
        lambda: find_entries([], "empty"),
        lambda: find_entries(["cats/a.png"], "one"),
    ):
        with pytest.raises(ConfigError) as refused:
            attempt()
        said.append(refused.value)
    assert "There is no folder or .zip" in said[0].message
    assert "call it from the folder in which the run was started" in said[0].hint
    assert "holds no images in folders of classes" in said[1].message
    assert "images of one class only, 'cats'" in said[2].message
    assert all(error.hint for error in said)


def test_a_misspelt_plugin_that_is_to_be_uninstalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PluginError) as refused:
        load_registry(["nosuch"])
    assert "Check the name" in refused.value.hint
    (tmp_path / "broken_plugin.py").write_text("import nothing_like_this\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError) as refused:
        load_registry(["broken_plugin"])
    assert "Fix it, or leave out --plugin broken_plugin" in refused.value.hint


@cache
def commands() -> dict[str, Any]:
    """Every command by its words, groups included."""
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [("ge", typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        found[words] = command
        waiting += [(f"{words} {name}", one) for name, one in getattr(command, "commands", {}).items()]
    return found


@pytest.mark.parametrize("words", sorted(commands()))
def test_a_command_whose_help_has_no_example(words: str) -> None:
    assert first_example(commands()[words].help).startswith(words)


def test_an_option_whose_help_hides_default_and_range(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        app(["evolve", "--help-all"], prog_name="ge")
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Children in each generation; 1 or more. [default: (8; paper: 44)]" in said
    assert "[default: (accuracy, parameters)]" in said
    assert "<bool>" not in said
    assert default_of(settings()["training.epochs"]) == "4; paper: 500"
    assert settings()["training.epochs"].limits == "1 or more"


def test_a_missing_argument_without_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["evolve"], prog_name="ge")
    assert ended.value.code == 2
    assert "For example: ge evolve examples/plain_cnn.py" in capsys.readouterr().err


def test_a_table_in_a_pipe_that_ends_in_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(box=None)
    for column in ("a", "b"):
        table.add_column(column)
    table.add_row("x", "short")
    table.add_row("y", "much longer than the other")
    print_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:2]] == [["a", "b"], ["x", "short"]]
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(("accuracy", "remarked"), [(0.12, True), (0.6, False)])
def test_a_seed_that_hardly_learns_without_a_remark(accuracy: float, remarked: bool) -> None:
    line = line_of(
        "seed_scored",
        {
            "objectives": {"accuracy": accuracy, "parameters": 9.0},
            "errors": {},
            "chance": {"accuracy": 0.1},
        },
    )
    assert line is not None
    assert ("near chance (10.00 %)" in line.plain) is remarked


@pytest.mark.parametrize(
    "flags",
    [
        ("--task", "folder:nowhere"),
        ("--task", "imagnet"),
        ("--stop-when", "beauty>1"),
        ("--objectives", "beauty"),
    ],
)
def test_a_mistake_that_is_told_below_the_heading_of_a_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
) -> None:
    words = ["ge", "evolve", str(PLAIN), "--llm", "uniform", "--run", str(tmp_path / "run"), *flags]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_blocks_of_a_file_that_does_not_run_in_one_long_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "net.py"
    file.write_text(PLAIN.read_text().replace("return self.", "return self.nothing.", 1))
    with pytest.raises(SystemExit):
        app(["blocks", str(file)], prog_name="ge")
    said = capsys.readouterr().err
    assert "which blocks are executed is unknown" in said
    assert "\nerror: The seed model, built by PlainCNN(num_classes=10" in said
    assert "stops at forward" in said
    assert "\n  try: " in said


def test_a_heading_on_a_narrow_terminal_that_breaks_within_words(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, no_color=True, width=80, soft_wrap=True)
    monkeypatch.setattr(view, "err", terminal)
    config = load_config("demo", None, {})
    Heading(Path("runs/mine"), config).show()
    lines = Text.from_ansi(shown.getvalue()).plain.splitlines()
    assert max(map(len, lines)) <= 80
    assert view.constants(config) in " ".join(" ".join(lines).split())
