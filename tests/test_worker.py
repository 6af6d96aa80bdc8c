"""The isolated process: limits, endings, whose fault, and what a candidate gets to see (P1 to P9)."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from ge_engine.contracts import Job
from ge_engine.errors import GeError, SeedError
from ge_engine.evaluation.exit_status import Kills, killed_for_memory, report_of
from ge_engine.evaluation.fork_server import starting
from ge_engine.evaluation.fork_server.client import ForkServerExecutor
from ge_engine.evaluation.fork_server.worker_output import LOG_BYTES
from ge_engine.evaluation.machine_health import MachineHealth, gpus_answer
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.evaluation.worker import jobs
from ge_engine.genome import Seed
from ge_engine.outcome import Failed, Scored
from tests.evaluation import data, genome, outcome_of, shop, source
from tests.patience import PATIENT

TRAINED = 161


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    with shop(
        tmp_path_factory.mktemp("scratch"), dataset=data(train=TRAINED), workers=2, timeout=15.0
    ) as opened:
        yield opened


def executor_of(evaluation: TrainEvaluation) -> ForkServerExecutor:
    executor = evaluation.executor
    assert isinstance(executor, ForkServerExecutor)
    return executor


def test_a_slot_that_a_hanging_candidate_keeps(evaluation: TrainEvaluation) -> None:
    for hanging in (genome(forward="while self.training:\n    pass"), genome(top="while True:\n    pass")):
        spec = evaluation.job_spec("train", hanging, timeout=2.0)
        started = time.monotonic()
        ending = executor_of(evaluation).submit(spec).result(PATIENT)
        assert time.monotonic() - started >= 2.0
        assert ending.reason == "timeout"
        assert jobs_of(executor_of(evaluation)) == []
        failed = report_of(ending, spec, Kills())
        assert isinstance(failed, Failed)
        assert (failed.kind, failed.fault) == ("timeout", "candidate")


def test_bytecode_of_another_candidate_of_the_same_size(evaluation: TrainEvaluation) -> None:
    wide, narrow = source().replace("8", "64"), source().replace("8", "32")
    assert len(wide) == len(narrow)
    probes = [evaluation.probe(genome(text)) for text in (wide, narrow, wide)]
    counts = [probe.result(PATIENT).facts["parameters"] for probe in probes]
    assert counts == [n * 27 + n + 2 * n + n * 4 + 4 for n in (64, 32, 64)]


def test_a_log_without_bound(evaluation: TrainEvaluation) -> None:
    loud = genome(forward="if not hasattr(self, 'said'):\n    self.said = True\n    print('x' * 50_000_000)")
    spec = evaluation.job_spec("probe", loud, timeout=15.0)
    ending = executor_of(evaluation).submit(spec).result(PATIENT)
    assert ending.status == 0
    assert LOG_BYTES < len(ending.log) < 3 * LOG_BYTES


def test_what_a_dying_candidate_printed_is_lost(evaluation: TrainEvaluation) -> None:
    outcome = outcome_of(
        evaluation, genome(top="import os, sys", forward="os.write(2, b'last words')\nos._exit(3)")
    )
    assert isinstance(outcome, Failed)
    assert "status 3" in outcome.reason
    assert "last words" in outcome.reason


def test_a_candidate_whose_garbage_is_never_collected(evaluation: TrainEvaluation) -> None:
    """The server that it is a fork of collects none while it imports."""
    probe = evaluation.probe(genome(top="import gc\nraise ValueError(f'collecting: {gc.isenabled()}')"))
    assert "collecting: True" in probe.result(PATIENT).error


def test_an_error_without_the_line_where_it_was(evaluation: TrainEvaluation) -> None:
    probe = evaluation.probe(genome(forward="x = self.missing(x)")).result(PATIENT)
    assert probe.stage == "forward"
    assert "AttributeError" in probe.error
    assert "(line 26, in Net.forward)" in probe.error


def test_a_system_kill_that_counts_against_the_candidate(evaluation: TrainEvaluation) -> None:
    """Killed from outside once, it is the machine's fault; tried again, the same genome succeeds."""
    waits = genome(
        top="import time", forward="if training and torch.initial_seed() == 99:\n    time.sleep(900)"
    )
    probe = evaluation.probe(waits).result(PATIENT)
    spec = evaluation.job_spec("train", waits, rng_seed=99, timeout=900.0)
    trained = executor_of(evaluation).submit(spec)
    while not (running := jobs_of(executor_of(evaluation))):
        assert not trained.done()
        time.sleep(0.02)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    outcome = evaluation._take_training(trained.result(PATIENT), spec, Job("waits", waits, 99), probe).result(
        PATIENT
    )
    assert isinstance(outcome, Failed)
    assert outcome.fault == "infrastructure"
    assert isinstance(outcome_of(evaluation, waits), Scored)


def jobs_of(executor: ForkServerExecutor) -> list[int]:
    """The processes of the jobs that run, found by their working directory."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            folder = os.readlink(place)
            if folder.startswith(executor._session.scratch + "/jobs/"):
                found.append(int(place.parent.name))
    return found


def test_a_candidate_that_kills_itself_and_blames_the_system(evaluation: TrainEvaluation) -> None:
    suicide = genome(top="import os", forward="if training:\n    os.kill(os.getpid(), 9)")
    first, second = outcome_of(evaluation, suicide), outcome_of(evaluation, suicide)
    assert isinstance(first, Failed)
    assert isinstance(second, Failed)
    assert (first.fault, second.fault) == ("infrastructure", "candidate")
    assert second.kind == "crash"


def test_a_kill_for_want_of_memory_that_is_blamed_on_the_candidate() -> None:
    counts = iter([3, 3, 4, 4, 5])
    kills = Kills(lambda: next(counts))
    faults = [kills.judge("train", digest).fault for digest in ("a", "a", "b", "a")]
    assert faults == ["infrastructure", "infrastructure", "infrastructure", "infrastructure"]
    assert killed_for_memory() >= 0


GPU_WORDS = "CUDA error: GPU is lost. Reboot the system to recover this GPU"


def test_a_lost_gpu_that_is_believed_of_a_candidate_on_a_cpu(evaluation: TrainEvaluation) -> None:
    outcome = outcome_of(evaluation, genome(forward=f"if training:\n    raise RuntimeError({GPU_WORDS!r})"))
    assert isinstance(outcome, Failed)
    assert (outcome.fault, "GPU is lost" in outcome.reason) == ("candidate", True)


OF_MACHINES = (
    GPU_WORDS,
    "OSError: [Errno 28] No space left on device",
    "RuntimeError: No CUDA GPUs are available",
    "AcceleratorError: CUDA error: no kernel image is available for execution on the device",
    "RuntimeError: The NVIDIA driver on your system is too old: CUDA driver version is insufficient",
    "DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3690, unhandled system error",
    "RuntimeError: cuDNN error: CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED",
)
OF_CANDIDATES = (
    "AcceleratorError: CUDA error: device-side assert triggered",
    "AcceleratorError: CUDA error: an illegal memory access was encountered",
    "RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
)
LACKING = (
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "CUDA error: out of memory",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
)


@pytest.mark.parametrize("error", OF_CANDIDATES)
def test_an_error_of_a_candidates_kernels_that_is_blamed_on_the_machine(error: str) -> None:
    assert jobs._kind(RuntimeError(error)) == "error"


@pytest.mark.parametrize("error", LACKING)
def test_memory_that_a_library_lacks_taken_for_another_error(error: str) -> None:
    kind = torch.OutOfMemoryError if "allocate" in error else RuntimeError
    assert jobs._kind(kind(error)) == "out of memory"


@pytest.mark.parametrize("error", OF_MACHINES)
def test_a_fault_of_the_machine_that_a_worker_does_not_tell(error: str) -> None:
    raised = OSError(28, error) if "Errno" in error else RuntimeError(error)
    assert jobs._kind(raised) == "infrastructure"


@pytest.mark.parametrize("error", OF_MACHINES)
def test_a_broken_machine_that_counts_against_the_candidate(error: str) -> None:
    broken = MachineHealth(free=lambda: 2**20, gpus_answer=lambda: False)
    whole = MachineHealth(free=lambda: 2**40, gpus_answer=lambda: True)
    assert broken.at_fault(error)
    assert not whole.at_fault(error)


def test_a_gpu_that_is_taken_for_one_that_answers_where_there_is_none() -> None:
    if torch.cuda.is_available():
        assert gpus_answer()
    else:
        assert not gpus_answer()


def test_a_fork_server_that_does_not_start_and_does_not_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say = "import sys; sys.exit('there is no room')"
    monkeypatch.setattr(starting, "command", lambda end, *_: [sys.executable, "-c", say])
    with pytest.raises(GeError, match="did not start: there is no room"), shop(tmp_path):
        pass


def test_a_full_disk_that_is_believed_of_a_candidate_while_there_is_room(evaluation: TrainEvaluation) -> None:
    full = genome(forward="if training:\n    raise OSError(28, 'No space left on device')")
    outcome = outcome_of(evaluation, full)
    assert isinstance(outcome, Failed)
    assert outcome.fault == "candidate"
    probe = evaluation.probe(genome(forward="raise OSError(28, 'No space left on device')")).result(PATIENT)
    assert "No space left" in probe.error


@pytest.mark.long
def test_a_candidate_that_takes_its_neighbours_along(tmp_path: Path) -> None:
    """No candidate can kill the process that started it; here this one does whenever the `killer` runs."""
    note = tmp_path / "parent"
    slow = genome(forward="if training:\n    import time\n    time.sleep(0.05)")
    tell = f"if training:\n    open({str(note)!r}, 'w').write(f'{{os.getppid()}}\\n')\n    time.sleep(60)"
    killer = genome(top="import os, time", forward=tell)
    with shop(tmp_path / "run", sandbox="none", workers=3, timeout=60.0) as unconfined:
        unconfined.probe(slow).result(PATIENT)
        unconfined.probe(killer).result(PATIENT)
        jobs = [Job("a", slow, 0), Job("killer", killer, 0), Job("b", slow, 1)]
        futures = [unconfined.submit(job) for job in jobs]
        for _ in range(2):
            while not (note.exists() and note.read_text().endswith("\n")):
                time.sleep(0.01)
            parent = int(note.read_text())
            note.unlink()
            os.kill(parent, signal.SIGKILL)
        one, blamed, two = [future.result(PATIENT) for future in futures]
    assert isinstance(one, Scored)
    assert isinstance(two, Scored)
    assert isinstance(blamed, Failed)
    assert (blamed.kind, blamed.fault) == ("crash", "candidate")
    assert "twice" in blamed.reason


def test_figures_that_differ_from_run_to_run(evaluation: TrainEvaluation) -> None:
    first, again, other = (outcome_of(evaluation, genome(), rng_seed=seed) for seed in (5, 5, 6))
    assert isinstance(first, Scored)
    assert isinstance(again, Scored)
    assert isinstance(other, Scored)
    assert first.objectives == again.objectives
    assert first.details["curve"] == again.details["curve"]
    assert first.details["curve"] != other.details["curve"]


def test_an_answer_on_the_wrong_split(evaluation: TrainEvaluation) -> None:
    echo = genome(forward="if not self.training:\n    return x.mean((2, 3)) @ torch.ones(3, 4) + len(x) * 0")
    for split, size in (("validation", 97), ("test", 50)):
        spec = evaluation.job_spec("train", echo, split=split, timeout=PATIENT)
        ending = executor_of(evaluation).submit(spec).result(PATIENT)
        assert len(ending.result) > size * 4 * 4
        job = Job("echo", echo, 0, split=split)
        outcome = evaluation._take_training(ending, spec, job, evaluation.probe(echo).result(PATIENT)).result(
            PATIENT
        )
        assert isinstance(outcome, Scored)


def test_a_cancelled_job_that_is_trained(evaluation: TrainEvaluation) -> None:
    evaluation.probe(genome()).result(PATIENT)
    futures = [evaluation.submit(Job(f"c{n}", genome(), n)) for n in range(8)]
    cancelled = [future for future in reversed(futures) if future.cancel()]
    assert cancelled
    done = [future.result(PATIENT) for future in futures if future not in cancelled]
    assert all(isinstance(outcome, Scored) for outcome in done)


def test_a_batch_norm_over_a_last_batch_of_one(evaluation: TrainEvaluation) -> None:
    pooled = source().replace(
        "return F.relu(self.norm(self.conv(x))).mean((2, 3))",
        "return F.relu(self.norm(self.conv(x).mean((2, 3), keepdim=True))).flatten(1)",
    )
    assert TRAINED % 32 == 1
    assert isinstance(outcome_of(evaluation, genome(pooled)), Scored)


PACKAGE = {
    "__init__.py": "from .net import Net\n",
    "registry.py": "KINDS = {}\n\n\ndef register(kind):\n    if kind.__name__ in KINDS:\n"
    "        raise ValueError(f'{kind.__name__} is already registered')\n    KINDS[kind.__name__] = kind\n"
    "    return kind\n",
    "net.py": """\
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from .registry import register
from helper_beside_the_package import WIDTH


@dataclass
class Config:
    width: int = WIDTH
    classes: int | None = 4


@register
class Net(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.config = Config(classes=num_classes)
        self.conv = nn.Conv2d(3, self.config.width, 3)
        self.head = nn.Linear(self.config.width, num_classes)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))
""",
}


@pytest.mark.long
def test_a_package_with_a_registry_and_a_dataclass_loaded_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "code" / "zoo"
    package.mkdir(parents=True)
    (tmp_path / "code" / "helper_beside_the_package.py").write_text("WIDTH = 5\n")
    for name, text in PACKAGE.items():
        (package / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    seed = Seed.load(Path("code/zoo/net.py")).genome
    wider = Seed.from_bytes(seed.source.replace(b"width: int = WIDTH", b"width: int = WIDTH + 2")).genome
    scratch = tmp_path / "scratch"
    with shop(scratch, seed, workers=2) as opened:
        counts = [opened.probe(one).result(PATIENT).facts.get("parameters") for one in (seed, wider, seed)]
        assert counts == [5 * 28 + 24, 7 * 28 + 32, 5 * 28 + 24]
        assert isinstance(outcome_of(opened, wider), Scored)
        assert list((scratch / "jobs").iterdir()) == []
    assert not (scratch / "jobs").exists()


BAD_SEEDS = {
    "does not build": (source(init="raise ValueError('no such width')"), "ValueError: no such width"),
    "does not run": (source(forward="x = x.view(3, -1, 7)"), "(line 26, in Net.forward)"),
    "answers in another shape": (source().replace("num_classes)", "num_classes + 1)"), "(8, 5)"),
    "is not finite": (source(forward="x = x * float('nan')"), "NaN"),
    "dies": (source(top="import os\nos._exit(4)"), "status 4"),
}


@pytest.mark.parametrize(("text", "part"), BAD_SEEDS.values(), ids=BAD_SEEDS)
def test_a_seed_that_does_not_train_accepted(text: str, part: str, evaluation: TrainEvaluation) -> None:
    with pytest.raises(SeedError) as caught:
        evaluation.admit(genome(text))
    assert part in caught.value.message


def test_a_secret_in_the_environment_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "SSH_AUTH_SOCK", "ANYTHING"):
        monkeypatch.setenv(name, "sk-secret")
    assert "sk-secret" not in clean_environment().values()


def test_an_order_of_gpus_that_workers_do_not_hear_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Number 1 would be another GPU to them than to the engine."""
    given = {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_MPS_PIPE_DIRECTORY": "/run/mps",
        "NCCL_P2P_DISABLE": "1",
    }
    kept_back = {"NCCL_NET_PLUGIN": "x.so", "NCCL_DEBUG_FILE": "/tmp/x", "CUDA_CACHE_PATH": "/home/me/.nv"}
    for name, value in (given | kept_back).items():
        monkeypatch.setenv(name, value)
    assert clean_environment().items() >= given.items()
    assert not clean_environment().keys() & kept_back.keys()
