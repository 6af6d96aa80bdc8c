"""Which GPUs a training gets, seen from inside its worker. The count of GPUs is faked, the rest is real."""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path

import pytest
import torch

from ge_engine.config import config_from_dict
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.evaluation import devices
from ge_engine.evaluation.devices import Placement, cores, placement_of
from ge_engine.outcome import Failed, Outcome
from tests.evaluation import genome, shop
from tests.patience import PATIENT
from tests.stub_gpu import gpus_that_are_not_there

Gpus = Callable[[int], None]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    """Have torch find so many GPUs in this process; a worker still finds what there is."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def found(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return found


def layout(**settings: int) -> Placement:
    return placement_of(config_from_dict(settings))


def test_slots_that_do_not_follow_from_the_gpus(gpus: Gpus) -> None:
    gpus(5)
    assert layout() == Placement(5, ("0", "1", "2", "3", "4"), 1)
    assert layout(gpus_per_candidate=2) == Placement(2, ("0,1", "2,3"), 2)
    assert layout(gpus_per_candidate=2, workers=4).slots == 4
    gpus(0)
    assert layout() == Placement(cores(), (), 1)
    assert layout(processes_per_candidate=2 * cores()) == Placement(1, (), 2 * cores())


def test_a_choice_of_gpus_that_is_overruled(gpus: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-8932f937,1")
    gpus(3)
    assert layout().devices == ("3", "GPU-8932f937", "1")
    gpus(1)  # torch stops at the first that is not there
    assert layout().devices == ("3",)


def test_more_gpus_for_a_candidate_than_there_are(gpus: Gpus) -> None:
    gpus(2)
    with pytest.raises(ConfigError, match="finds 2 here"):
        layout(gpus_per_candidate=3)
    with pytest.raises(ConfigError, match="needs one of its own"):
        layout(processes_per_candidate=2)
    gpus(0)
    with pytest.raises(ConfigError, match="finds none"):
        layout(gpus_per_candidate=2)


def test_parts_of_gpus_of_which_only_the_first_trains(gpus: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process sees one of them (MIG), however many are listed."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-3d0e5f4a, MIG-GPU-8932f937/1/0,MIG-3d0e5f4a")
    gpus(1)
    assert layout().devices == ("MIG-3d0e5f4a", "MIG-GPU-8932f937/1/0")
    with pytest.raises(ConfigError, match="a part of one"):
        layout(gpus_per_candidate=2)
    gpus(0)
    assert layout().devices == ()


def devices_seen(outcomes: list[Outcome]) -> list[str]:
    assert all(isinstance(outcome, Failed) for outcome in outcomes), outcomes
    return sorted(o.reason.split("<")[1].split(">")[0] for o in outcomes if isinstance(o, Failed))


WAITS = """\
if training:
    open(f"{folder}/{os.getpid()}", "w").close()
    while len(os.listdir(folder)) < COUNT:
        time.sleep(0.02)
    raise ValueError(f"<{os.environ['CUDA_VISIBLE_DEVICES']}>")
"""


@pytest.fixture
def four_gpus() -> Iterator[None]:
    """GPUs that no machine has, so that the workers train on the CPU everywhere."""
    with gpus_that_are_not_there("90", "91", "92", "93"):
        yield


def meet(tmp_path: Path, candidates: int, processes: int) -> list[str]:
    """The devices of trainings that all run at the same moment."""
    folder = tmp_path / "meeting"
    folder.mkdir()
    forward = WAITS.replace("COUNT", str(candidates * processes))
    top = f"import os, time\nfolder = {str(folder)!r}"
    with shop(tmp_path / "run", workers=4, sandbox="none", gpus_per_candidate=processes) as shopped:
        waiting: list[Future[Outcome]] = [
            shopped.submit(Job(f"c{number}", genome(top=f"{top}\nnumber = {number}", forward=forward), 0))
            for number in range(candidates)
        ]
        wait(waiting, timeout=PATIENT)
        return devices_seen([one.result() for one in waiting])


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.long
def test_two_candidates_on_one_gpu_while_another_is_free(tmp_path: Path) -> None:
    assert meet(tmp_path, candidates=4, processes=1) == ["90", "91", "92", "93"]


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.long
def test_a_pair_of_gpus_that_two_candidates_share(tmp_path: Path) -> None:
    assert meet(tmp_path, candidates=2, processes=2) == ["90,91", "92,93"]


def test_the_number_of_processors_that_python_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("file", "platform", "asked"),
    [
        ("nvidia0", "linux", True),
        ("nvhost-gpu", "linux", True),
        ("nvmap", "linux", True),
        ("dxg", "linux", True),
        ("kfd", "linux", True),
        ("null", "linux", False),
        ("null", "darwin", True),
    ],
)
def test_a_gpu_of_which_torch_is_not_asked(
    file: str, platform: str, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices.glob, "glob", lambda pattern: fnmatch.filter([f"/dev/{file}"], pattern))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delitem(sys.modules, "torch")
    assert devices._surely_none() == (not asked)
