"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import ge_engine.llm  # noqa: F401  (sets how threads wait, before torch is imported)

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from ge_engine.llm.local import LocalModel

Ge = Callable[..., tuple[int, str, str]]

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""No example fails because the machine is busy."""


FIRST = (
    *("test_end_to_end", "test_hostile", "test_docs", "test_nodes", "test_cli", "test_full_training"),
    *("test_contracts", "test_on_gpus", "test_several_files_run_in", "test_llm_server", "test_machines"),
    *("test_processes", "test_spawning", "test_model_code", "test_yaml_trained", "test_structure"),
    *("test_plugin_new", "test_zoo", "test_inherited_weights", "test_git_diff", "test_promises"),
    *("test_login_nodes", "test_secrets", "test_crash", "test_inherit", "test_gpu_headline", "test_launch"),
)
"""The files that take longest: they begin first, lest one worker still has one when the others are done."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--part", metavar="K/N", help="of the tests marked long, part K of N: 0/N, 1/N, ...")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files of many tests first, for `--no-loadscope-reorder`; of long tests the part that is asked for."""
    sizes = Counter(item.path for item in items)

    def order(item: pytest.Item) -> tuple[int, int, str]:
        name = item.path.stem
        return FIRST.index(name) if name in FIRST else len(FIRST), -sizes[item.path], str(item.path)

    items.sort(key=order)
    if not (asked := config.getoption("--part")):
        return
    found = re.fullmatch(r"([0-9]+)/([0-9]+)", asked)
    number, count = map(int, found.groups()) if found else (0, 0)
    if number >= count:
        raise pytest.UsageError(f"--part wants 0/N to N-1/N, such as 1/4, and got {asked!r}")
    parts = [_part_of(item) for item in items]
    chosen = {"", *sorted({*parts} - {""})[number::count]}
    config.hook.pytest_deselected(
        items=[i for i, part in zip(items, parts, strict=True) if part not in chosen]
    )
    items[:] = [i for i, part in zip(items, parts, strict=True) if part in chosen]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Collecting garbage takes a quarter of the time in which tests are collected, and finds nothing; later
    it is not to go through all tests, and what they import, again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000)
        gc.enable()


def _part_of(item: pytest.Item) -> str:
    """What a long test stands or falls with: its file, and what its mark names or its own name."""
    mark = item.get_closest_marker("long")
    if mark is None:
        return ""
    return f"{item.path.stem}: {mark.args[0] if mark.args else getattr(item, 'originalname', item.name)}"


@pytest.fixture(scope="session")
def smollm2() -> LocalModel:
    """The embedded language model, loaded once for all tests."""
    from ge_engine.llm.embedded import embedded_model
    from ge_engine.llm.local import load_local

    return load_local(str(embedded_model()), "smollm2", "torch")


@pytest.fixture
def ge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ge:
    """Runs the command in this process: exit code, standard output, standard error."""
    from ge_engine.cli import app as cli

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ge", *map(str, words)])
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
