"""One candidate over several processes, inside an evaluation: what it scores, how it ends, what it may do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from ge_engine.config import config_from_dict
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.evaluation.on_machine import chosen_sandbox
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.outcome import Failed, Scored
from tests.evaluation import genome, outcome_of, shop, source
from tests.patience import PATIENT

PLAIN = {"norm = nn.BatchNorm2d(channels)": "norm = nn.Identity()"}
TOGETHER = {"processes_per_candidate": 2, "workers": 1, "recipe": {"epochs": 2, "batch_size": 32}}
FILE_MEETS = {"bwrap": "FileNotFoundError", "landlock": "PermissionError", "network": "'key'"}
TCP = "lambda: socket.create_connection(('127.0.0.1', 9), 1), lambda: socket.create_server(('127.0.0.1', 0)),"
SECOND = 'os.environ["RANK"] == "1"'


def plain(**places: str) -> Any:
    """The small network without batch normalisation, which sees only its process's part of a batch."""
    text = source(**places)
    for old, new in PLAIN.items():
        assert old in text
        text = text.replace(old, new)
    return genome(text)


def scored(outcome: object) -> Scored:
    assert isinstance(outcome, Scored), outcome
    return outcome


def failed(outcome: object) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


@pytest.fixture(scope="module", autouse=True)
def no_gpus() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    with shop(
        tmp_path_factory.mktemp("run"), plain(), timeout=120.0, memory_gib=1.0, **TOGETHER
    ) as evaluation:
        yield evaluation


def ending(evaluation: TrainEvaluation, forward: str, top: str = "import os, signal") -> Failed:
    return failed(outcome_of(evaluation, plain(top=top, forward=forward)))


def test_two_processes_that_score_or_learn_otherwise_than_one(
    together: TrainEvaluation, tmp_path: Path
) -> None:
    """With batches that split evenly: 160 images by 32."""
    two = scored(outcome_of(together, plain()))
    with shop(tmp_path, plain(), **{**TOGETHER, "processes_per_candidate": 1}) as evaluation:
        one = scored(outcome_of(evaluation, plain()))
    assert one.objectives == two.objectives
    assert [point["lr"] for point in one.details["curve"]] == [point["lr"] for point in two.details["curve"]]
    assert one.details["facts"]["steps"] == two.details["facts"]["steps"] == 10
    for alone, together in zip(one.details["curve"], two.details["curve"], strict=True):
        assert together["loss"] == pytest.approx(alone["loss"], abs=1e-4)


def test_two_processes_that_are_one(together: TrainEvaluation) -> None:
    """Each sees its own half of a batch."""
    seen = "if training: raise ValueError(f\"{os.environ['WORLD_SIZE']} processes, {len(x)} images\")"
    assert "2 processes, 16 images" in ending(together, seen).reason


@pytest.mark.long
def test_a_training_in_stages_that_ends_otherwise_than_in_one(tmp_path: Path) -> None:
    recipe = {"epochs": 3, "batch_size": 32}
    with shop(tmp_path, halving=True, **{**TOGETHER, "recipe": recipe}) as evaluation:
        at_once = scored(evaluation.submit(Job("whole", genome(), 0)).result(PATIENT))
        again = scored(evaluation.submit(Job("again", genome(), 0)).result(PATIENT))
        for epochs in (1, 3):
            staged = evaluation.submit(Job(f"stage {epochs}", genome(), 0, epochs=epochs)).result(PATIENT)
    assert again.objectives == at_once.objectives
    assert again.details["curve"] == at_once.details["curve"] == scored(staged).details["curve"]
    assert scored(staged).objectives == at_once.objectives


def test_an_error_in_the_second_process_that_is_told_as_a_lost_connection(together: TrainEvaluation) -> None:
    outcome = ending(together, f'if training and {SECOND}: raise ValueError("mine")')
    assert (outcome.stage, outcome.kind, outcome.fault) == ("train", "error", "candidate")
    assert "mine" in outcome.reason


def test_a_loss_that_is_not_finite_in_the_second_process_alone(together: TrainEvaluation) -> None:
    assert ending(together, f'if training and {SECOND}: x = x * float("nan")').kind == "not finite"


def test_a_second_process_that_dies_unnoticed(together: TrainEvaluation) -> None:
    outcome = ending(together, f"if training and {SECOND}: os.kill(os.getpid(), signal.SIGSEGV)")
    assert (outcome.kind, outcome.fault) == ("crash", "candidate"), outcome
    assert "SIGSEGV" in outcome.reason
    outcome = ending(together, f"if training and {SECOND}: os._exit(3)")
    assert "exited with status 3" in outcome.reason


def test_a_second_process_that_outlives_a_timeout(together: TrainEvaluation) -> None:
    """Both have a name that finds them again."""
    name = f"ge-{os.getpid()}"
    hang = f"""\
if training:
    ctypes.CDLL(None).prctl(15, ({name!r} + os.environ["RANK"]).encode())
    time.sleep(900)
"""
    hanging = plain(top="import ctypes, os, time", forward=hang)
    for seconds in (4.0, 16.0, 64.0, 256.0):  # on a busy machine both are there later
        spec = together.job_spec("train", hanging, timeout=seconds)
        waiting, most = together.executor.submit(spec), 0
        while not waiting.done():
            most = max(most, len(processes_named(name)))
            time.sleep(0.05)
        assert waiting.result().reason == "timeout"
        assert processes_named(name) == []
        if most == 2:
            return
    pytest.fail("the two were never there together")


def test_memory_that_the_second_process_may_take_without_limit(together: TrainEvaluation) -> None:
    outcome = ending(together, f"if training and {SECOND}: torch.zeros(2**30).add_(1)")
    assert outcome.kind == "out of memory"


def test_a_report_that_the_second_process_may_forge(together: TrainEvaluation) -> None:
    """Its failure is heard; it has no descriptor of the result channel, so what it writes anywhere ends up
    in a pipe to the first process, which takes no figures from there."""
    forge = f"""\
if training and {SECOND}:
    for end in range(3, 4096):
        try:
            os.write(end, b"0" * 64)
        except OSError:
            pass
    raise ValueError("forged")
"""
    assert ending(together, forge).fault == "candidate"


@pytest.mark.parametrize("rank", [0, 1])
def test_tcp_and_files_on_any_thread_of_any_process(
    together: TrainEvaluation, rank: int, tmp_path: Path
) -> None:
    """The group is connected over TCP before that is taken from gloo's threads, which run callbacks. The
    other process holds the operations up until they have theirs. What a thread meets is that of the sandbox
    in force: TCP is taken where Landlock can, the file where anything can."""
    secret = tmp_path / "secret"
    secret.write_text("key")
    met = {FILE_MEETS[chosen_sandbox("auto")]}
    acts = f"lambda: open({str(secret)!r}).read(),"
    if landlock_version() >= 4:
        met.add("PermissionError")
        acts += TCP
    attempts = f"""\
import os, socket, threading, time
threads = set()

def attempt(future):
    threads.add(threading.get_native_id())
    time.sleep(0.3)
    for act in ({acts}):
        try:
            tried.append(repr(act()))
        except OSError as error:
            tried.append(type(error).__name__)

tried = []
"""
    attack = f"""\
if training:
    mine = int(os.environ["RANK"]) == {rank}
    while not mine and not os.path.exists("ready"):
        time.sleep(0.01)
    waiting = [torch.distributed.all_reduce(torch.ones(1), async_op=True).get_future() for _ in range(4)]
    waiting = [future.then(attempt) for future in waiting] if mine else waiting
    if mine:
        open("ready", "w").close()
    for future in waiting:
        future.wait()
    if mine:
        attempt(None)
        raise ValueError(" ".join(sorted(set(tried))) + f" on {{len(threads)}} threads")
    time.sleep(5)
"""
    said = f"ValueError: {' '.join(sorted(met))} on 3 threads"
    assert said in ending(together, attack, attempts).reason


def test_batches_too_small_to_be_split() -> None:
    with pytest.raises(ConfigError, match="batch_size is split"):
        config_from_dict({"processes_per_candidate": 4, "recipe": {"batch_size": 7}})


def processes_named(start: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            found.append((folder / "comm").read_text().strip())
    return [name for name in found if name.startswith(start)]
