"""Constraints: judged before training where they can be, and after it otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ge_engine.config import config_from_dict
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.evaluation.command import open_command
from ge_engine.evaluation.constraints import parse_constraints
from ge_engine.outcome import Rejected, Scored
from tests.evaluation import NET_PARAMETERS, genome, outcome_of, shop
from tests.patience import PATIENT


def test_a_constraint_on_a_score_judged_before_training() -> None:
    constraint = parse_constraints(["parameters<=100", "accuracy>0.5 or parameters<10"], ["accuracy"])
    assert [text for text, _ in constraint.before] == ["parameters<=100"]
    assert constraint.broken_before({"parameters": 50.0}) is None
    broken = constraint.broken_after({"parameters": 50.0, "accuracy": 0.4})
    assert broken is not None
    assert "accuracy is 0.4" in broken.reason


def test_a_constraint_on_an_unknown_figure() -> None:
    with pytest.raises(ConfigError, match="speed"):
        parse_constraints(["speed<3"], ["accuracy"])


def test_a_program_that_no_constraint_binds(tmp_path: Path) -> None:
    config = config_from_dict({"constraints": ["parameters<=5"], "workers": 1})
    answer = "import json, sys; print(json.dumps({'parameters': len(sys.argv)}))"
    for words, wanted in ((["x"] * 3, Scored({"parameters": 4.0})), (["x"] * 5, Rejected)):
        arguments = [sys.executable, "-c", answer, *words]
        with open_command(genome(), config, arguments, ["parameters"], tmp_path) as evaluation:
            outcome = evaluation.submit(Job("x", genome(), 0)).result(PATIENT)
        assert outcome == wanted or (isinstance(outcome, Rejected) and wanted is Rejected)
    with pytest.raises(ConfigError, match="flops"):
        parse_constraints(["flops<3"], ["accuracy"], early=())


@pytest.mark.long
def test_a_genome_trained_against_the_constraint(tmp_path: Path) -> None:
    limit = f"parameters<={NET_PARAMETERS}"
    with shop(tmp_path, constraints=(limit, "accuracy<=1"), workers=1) as evaluation:
        assert isinstance(outcome_of(evaluation, genome()), Scored)
        wider = outcome_of(evaluation, genome(init="self.spare = nn.Linear(2, 2)"))
        assert wider == Rejected("constraint", f"{limit} does not hold: parameters is {NET_PARAMETERS + 6}")
