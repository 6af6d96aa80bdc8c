"""What a training on a GPU may do and what it comes to without one: the driver is a stub, the rest is real."""

from __future__ import annotations

from pathlib import Path

import pytest

from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.outcome import Failed, Scored
from tests.evaluation import genome, outcome_of, shop
from tests.stub_gpu import LOST, gpus_that_are_not_there

needs_landlock = pytest.mark.skipif(not landlock_version(), reason="no Landlock here")
REFUSED = """\
refused = []
for path in (f"/proc/{os.getppid()}/task/{os.getppid()}/comm", "/proc/self/oom_score_adj", "/proc/self/clear_refs"):
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError as error:
        refused.append(type(error).__name__)
raise ValueError(f"<{refused}>")
"""


@needs_landlock
@pytest.mark.parametrize("together", [1, 2])
def test_a_driver_that_may_not_name_its_threads(tmp_path: Path, together: int) -> None:
    """CUDA does not start then, and no candidate on a GPU has a score."""
    names = [str(90 + number) for number in range(together)]
    with (
        gpus_that_are_not_there(*names),
        shop(tmp_path, sandbox="landlock", workers=1, gpus_per_candidate=together) as opened,
    ):
        outcome = outcome_of(opened, genome())
    assert isinstance(outcome, Scored), outcome


@needs_landlock
@pytest.mark.long
def test_a_spawned_process_whose_driver_may_not_name_its_threads(tmp_path: Path) -> None:
    with (
        gpus_that_are_not_there("90", "91"),
        shop(
            tmp_path, sandbox="landlock", workers=1, gpus_per_candidate=2, start_method="spawn", timeout=60.0
        ) as opened,
    ):
        outcome = outcome_of(opened, genome())
    assert isinstance(outcome, Scored), outcome


@needs_landlock
def test_a_candidate_on_a_gpu_that_writes_more_of_proc_than_names_of_its_threads(tmp_path: Path) -> None:
    attempt = "if training:\n    " + REFUSED.strip().replace("\n", "\n    ")
    with gpus_that_are_not_there("90"), shop(tmp_path, sandbox="landlock", workers=1) as opened:
        outcome = outcome_of(opened, genome(top="import os", forward=attempt))
    assert isinstance(outcome, Failed), outcome
    assert "<['PermissionError', 'PermissionError', 'PermissionError']>" in outcome.reason


def test_a_lost_gpu_after_which_training_goes_on_elsewhere(tmp_path: Path) -> None:
    """Scored on the CPU, it would stand beside figures of a GPU as if they were alike."""
    with gpus_that_are_not_there("90", driver=LOST), shop(tmp_path, workers=1) as opened:
        outcome = outcome_of(opened, genome())
    assert isinstance(outcome, Failed), outcome
    assert outcome.fault == "infrastructure"
    assert "CUDA_VISIBLE_DEVICES=90" in outcome.reason
    assert "no CUDA-capable device" in outcome.reason


def test_a_gpu_that_a_probe_takes_memory_of(tmp_path: Path) -> None:
    top = "import os\nif os.environ['CUDA_VISIBLE_DEVICES'] != EXPECTED:\n    raise ValueError('shown')"
    with gpus_that_are_not_there("90"), shop(tmp_path, workers=1) as opened:
        assert not opened.probe(genome(top=top.replace("EXPECTED", "''"))).result().error
        trained = outcome_of(opened, genome(top="import os", forward="assert not training or '90' == " + SEEN))
    assert isinstance(trained, Scored), trained


SEEN = "os.environ['CUDA_VISIBLE_DEVICES']"
