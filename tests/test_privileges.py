"""Whether somebody who runs candidates as root hears of it, and nobody else does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ge_engine.config import RunConfig
from ge_engine.installation import _sandbox
from ge_engine.views.live import Heading


@pytest.mark.parametrize(("user", "warned"), [(0, True), (1000, False)])
def test_candidates_with_the_rights_of_root(
    user: int, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    Heading(Path("runs/one"), RunConfig()).show()
    said = capsys.readouterr().err
    assert "runs/one" in said
    assert ("You are root" in said) == warned
    assert any("You are root" in value for _, _, value in _sandbox()) == warned
