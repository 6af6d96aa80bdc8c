"""What a candidate finds of what runs it: no frame, and no step of an optimizer that goes unseen."""

from __future__ import annotations

import json
from types import FrameType
from typing import Any

import pytest
import torch
from torch import nn

from ge_engine.evaluation.train.optimizer_guard import OptimizerGuard, StepsItself
from ge_engine.evaluation.worker.sealing import _Guard

CANDIDATE = "/home/somebody/model.py"


def frame_in(file: str) -> FrameType:
    """A frame of code in `file`."""
    names: dict[str, Any] = {}
    exec(compile("import sys\nhere = sys._getframe()", file, "exec"), names)
    frame: FrameType = names["here"]
    return frame


@pytest.mark.parametrize(
    ("file", "trusted"),
    [(CANDIDATE, False), ("<string>", False), ("/tmp/other.py", False), (json.__file__, True)],
)
def test_a_frame_that_a_candidate_gets(file: str, trusted: bool) -> None:
    assert _Guard(frozenset({CANDIDATE}), [])._trusts(frame_in(file)) is trusted


def test_a_candidate_beside_the_libraries_that_is_trusted_for_its_place() -> None:
    assert not _Guard(frozenset({json.__file__}), [])._trusts(frame_in(json.__file__))


def test_a_step_besides_the_trainers_that_goes_unseen() -> None:
    weight = nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    own = torch.optim.SGD([weight], lr=0.1)
    with OptimizerGuard() as steps:
        steps.step(own)
        steps.require()
        with pytest.raises(StepsItself):
            own.step()
        with pytest.raises(StepsItself, match="took 1 optimizer steps"):
            steps.require()
    own.step()
