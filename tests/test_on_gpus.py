"""What a training on a GPU may do and comes to without one. The driver is a stub, all else is real."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ge_engine.contracts import Job
from ge_engine.evaluation.gpu_check import why_not
from ge_engine.evaluation.measure import witness
from ge_engine.evaluation.sandbox.bubblewrap import why_not as why_no_bubblewrap
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.installation import gpu_in_sandbox
from ge_engine.outcome import Failed, Scored
from tests.evaluation import genome, outcome_of, shop
from tests.patience import PATIENT
from tests.sampled import everyday
from tests.stub_gpu import LOST, NAMES_A_THREAD, gpus_that_are_not_there

LANDLOCK = ("landlock",) * (landlock_version() > 0)
"""The sandbox whose rules are tried, where the kernel has it."""
MODES_OF_FILES = (*LANDLOCK, *["bwrap"] * (not why_no_bubblewrap()))
REFUSED = """\
refused = []
above = os.getppid()
for path in (f"/proc/{above}/task/{above}/comm", "/proc/self/oom_score_adj", "/proc/self/clear_refs"):
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError as error:
        refused.append(type(error).__name__)
raise ValueError(f"<{refused}>")
"""


@pytest.mark.parametrize("together", everyday([1, 2], 2))
@pytest.mark.parametrize("sandbox", LANDLOCK)
def test_a_driver_that_may_not_name_its_threads(tmp_path: Path, sandbox: str, together: int) -> None:
    """CUDA does not start then, and no candidate on a GPU has a score."""
    names = [str(90 + number) for number in range(together)]
    with (
        gpus_that_are_not_there(*names),
        shop(tmp_path, sandbox=sandbox, workers=1, gpus_per_candidate=together) as opened,
    ):
        outcome = outcome_of(opened, genome())
    assert isinstance(outcome, Scored), outcome


@pytest.mark.parametrize("sandbox", LANDLOCK)
def test_a_candidate_on_a_gpu_that_writes_more_of_proc_than_names_of_its_threads(
    tmp_path: Path, sandbox: str
) -> None:
    attempt = "if training:\n    " + REFUSED.strip().replace("\n", "\n    ")
    with gpus_that_are_not_there("90"), shop(tmp_path, sandbox=sandbox, workers=1) as opened:
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


@pytest.mark.long
def test_a_gpu_that_a_probe_takes_memory_of(tmp_path: Path) -> None:
    top = "import os\nif os.environ['CUDA_VISIBLE_DEVICES'] != EXPECTED:\n    raise ValueError('shown')"
    with gpus_that_are_not_there("90"), shop(tmp_path, workers=1) as opened:
        assert not opened.probe(genome(top=top.replace("EXPECTED", "''"))).result(PATIENT).error
        trained = outcome_of(
            opened, genome(top="import os", forward="assert not training or '90' == " + SEEN)
        )
    assert isinstance(trained, Scored), trained


SEEN = "os.environ['CUDA_VISIBLE_DEVICES']"


MEMORY = """\
if training:
    open(f"{folder}/{number}", "a").write("x")
    while len(os.listdir(folder)) < 2:
        time.sleep(0.02)
    if number:
        time.sleep(0.5)
    elif len(open(f"{folder}/0").read()) <= tries:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
"""


@pytest.mark.parametrize("tries", [1, pytest.param(9, marks=pytest.mark.long)])
def test_memory_that_a_neighbour_has_taken_counted_against_a_candidate(tmp_path: Path, tries: int) -> None:
    """Two train on one GPU; one has no memory: alone it has enough, or it is its own fault."""
    folder = tmp_path / "meeting"
    folder.mkdir()
    top = f"import os, time\nfolder, tries = {str(folder)!r}, {tries}\nnumber = "
    with (
        gpus_that_are_not_there("90"),
        shop(tmp_path / "run", workers=2, sandbox="none", timeout=60.0) as opened,
    ):
        both = [opened.submit(Job(str(n), genome(top=f"{top}{n}", forward=MEMORY), 0)) for n in range(2)]
        first, second = (one.result(PATIENT) for one in both)
    assert isinstance(second, Scored), second
    if tries == 1:
        assert isinstance(first, Scored), first
    else:
        assert isinstance(first, Failed), first
        assert (first.kind, first.fault) == ("out of memory", "candidate")
    assert len((folder / "0").read_text()) > 1


@pytest.mark.parametrize("sandbox", everyday(MODES_OF_FILES, *MODES_OF_FILES[:1]))
def test_a_driver_that_is_tried_outside_of_the_sandbox_alone(sandbox: str, tmp_path: Path) -> None:
    """`ge doctor` says that a GPU is there; whether it starts where candidates are is another question."""
    assert why_not(sandbox, NAMES_A_THREAD) == ""
    secret = tmp_path / "secret"
    secret.write_text("x")
    outside = f"open({str(secret)!r}).read()"
    assert why_not(sandbox, outside).startswith(("PermissionError", "FileNotFoundError"))


def test_a_gpu_that_doctor_finds_usable_where_there_is_none() -> None:
    state, name, said = gpu_in_sandbox()
    assert (state, name) == (("ok" if torch.cuda.is_available() else "missing"), "GPU in sandbox")
    assert state == "ok" or "cannot be used in the sandbox" in said


class OnGpu(torch.Tensor):
    """Says that it lies on a GPU."""

    is_cuda = property(lambda _: True)  # type: ignore[assignment]


def test_a_latency_that_counts_what_was_asked_of_the_gpu_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU works behind: the image is still being normalised when the network is asked."""
    said: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: said.append("waited"))
    monkeypatch.setattr(witness, "_clock", lambda: said.append("clock") or 0.0)

    class Network(torch.nn.Module):
        def forward(self, _: torch.Tensor) -> str:
            said.append("answer")
            return "no tensor"

    witness.Witness(Network(), 0)._timed(torch.zeros(1).as_subclass(OnGpu))
    assert said == ["waited", "clock", "answer", "waited", "clock"]
