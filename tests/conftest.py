"""Fixtures that several test files share."""

from __future__ import annotations

import os

import ge_engine.llm  # noqa: F401  (sets how threads wait, before torch is imported)

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import HealthCheck, settings

from ge_engine.llm.embedded import embedded_model
from ge_engine.llm.local import LocalModel, load_local

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""No example fails because the machine is busy."""


@pytest.fixture(scope="session")
def smollm2() -> LocalModel:
    """The embedded language model, loaded once for all tests."""
    return load_local(str(embedded_model()), "smollm2")
