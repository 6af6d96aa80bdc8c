"""Fixtures that several test files share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import ge_engine.llm  # noqa: F401  (sets how threads wait, before torch is imported)

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import HealthCheck, settings

from ge_engine.llm.embedded import embedded_model
from ge_engine.llm.local import LocalModel, load_local

Ge = Callable[..., tuple[int, str, str]]

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""No example fails because the machine is busy."""


@pytest.fixture(scope="session")
def smollm2() -> LocalModel:
    """The embedded language model, loaded once for all tests."""
    return load_local(str(embedded_model()), "smollm2")


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
