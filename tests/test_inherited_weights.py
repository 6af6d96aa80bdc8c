"""Inherited weights: what of a parent's comes into a child, for how long it trains then, and files that are
not what they should be."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from test_course import Dicey, assert_equal, lesson, recipe
from torch import Tensor, nn
from torch.testing import assert_close

from ge_engine.contracts import Job
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.exit_status import Kills, report_of
from ge_engine.evaluation.parents import ALL, ParentWeights, room_of_each
from ge_engine.evaluation.protocol.messages import BEGUN, JobSpec, WorkerReport, pack_report
from ge_engine.evaluation.train.inheritance import inherit, inherited_epochs
from ge_engine.evaluation.train.optimizers import default_optimizer
from ge_engine.evaluation.train.rung import Rung, TrainResult
from ge_engine.evaluation.train.state import tensors_of
from ge_engine.evaluation.train.trainer import train
from ge_engine.evaluation.train.weights import packed_weights
from ge_engine.outcome import INHERITED, Failed, Scored
from tests.evaluation import data, genome, shop, source
from tests.patience import PATIENT

WIDTHS = st.integers(1, 9)


def seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return build().double()


def learnt(network: nn.Module) -> nn.Module:
    """The network with running statistics and scales that a training could have left."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 2.0)
    return network


def mlp(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 3))


def convolutions(width: int, kernel: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, kernel, padding=kernel // 2),
        nn.BatchNorm2d(width),
        nn.SiLU(),
        nn.Conv2d(width, 4, 1, bias=False),
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, width, 2, stride=2),
        nn.ReLU(),
        nn.Conv2d(width, 2, 1),
    ).eval()


def weights(**tensors: Tensor) -> bytes:
    return save(dict(tensors))


# --- the laws of a transfer -------------------------------------------------------------------------


@given(WIDTHS, st.sampled_from([mlp, convolutions]))
def test_a_child_of_the_same_architecture_that_differs_from_its_parent(
    width: int, build: Callable[[int], nn.Module]
) -> None:
    parent, child = (learnt(seeded(lambda: build(width), seed)) for seed in (1, 2))
    assert inherit(child, packed_weights(parent)) == 1.0
    mine, theirs = tensors_of(child), tensors_of(parent)
    assert all(torch.equal(one, theirs[name]) for name, one in mine.items())


@given(WIDTHS, st.integers(0, 9), st.integers(0, 2**20))
def test_a_wider_child_that_forgets_what_its_parent_computes(width: int, more: int, seed: int) -> None:
    parent, child = seeded(lambda: mlp(width), seed), seeded(lambda: mlp(width + more), seed + 1)
    images = torch.randn(6, 5, dtype=torch.float64)
    share = inherit(child, packed_weights(parent))
    assert_close(child(images), parent(images))
    numbers = [sum(p.numel() for p in one.parameters()) for one in (parent, child)]
    assert share == pytest.approx(numbers[0] / numbers[1])


@settings(max_examples=30, deadline=None)
@given(WIDTHS, st.integers(0, 5), st.sampled_from([(1, 1), (1, 3), (3, 3), (3, 5)]), st.integers(0, 2**20))
def test_a_wider_network_of_convolutions_that_forgets(
    width: int, more: int, kernels: tuple[int, int], seed: int
) -> None:
    parent = learnt(seeded(lambda: convolutions(width, kernels[0]), seed))
    child = seeded(lambda: convolutions(width + more, kernels[1]), seed + 1)
    images = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    inherit(child, packed_weights(parent))
    assert_close(child(images), parent(images))


@given(WIDTHS, WIDTHS)
def test_a_new_unit_that_cannot_learn(width: int, more: int) -> None:
    """Its own weights begin as the child's do; all of zero would get no gradient."""
    child, own = (seeded(lambda: mlp(width + more), 2) for _ in range(2))
    inherit(child, packed_weights(seeded(lambda: mlp(width), 1)))
    first, first_own = child.get_parameter("0.weight"), own.get_parameter("0.weight")
    assert torch.equal(first[width:], first_own[width:])
    assert not child.get_parameter("2.weight")[:, width:].any()


def test_a_cut_child_that_counts_as_inherited_whole() -> None:
    parent, child = (
        seeded(lambda: nn.Linear(8, 8, bias=False), 1),
        seeded(lambda: nn.Linear(4, 4, bias=False), 2),
    )
    assert inherit(child, packed_weights(parent)) == 16 / 64
    assert torch.equal(child.get_parameter("weight"), parent.get_parameter("weight")[:4, :4])


class Coded(nn.Module):
    """A buffer that its code sets, and modules whose names say which."""

    def __init__(self, temperature: float, **modules: nn.Module) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.tensor([temperature]))
        for name, module in modules.items():
            self.add_module(name, module)


def test_a_change_of_a_constant_that_inheritance_undoes() -> None:
    parent, child = Coded(1.0, norm=nn.BatchNorm2d(2)), Coded(2.0, norm=nn.BatchNorm2d(2))
    parent.get_buffer("norm.running_mean").fill_(5.0)
    inherit(child, packed_weights(parent))
    assert child.get_buffer("temperature").item() == 2.0
    assert child.get_buffer("norm.running_mean").tolist() == [5.0, 5.0]


def test_new_statistics_that_are_zero() -> None:
    parent, child = nn.BatchNorm2d(2), nn.BatchNorm2d(3)
    inherit(child, packed_weights(parent))
    assert child.get_buffer("running_var").tolist() == [1.0, 1.0, 1.0]


def test_layers_that_inherit_from_others_than_those_of_their_names() -> None:
    parent = Coded(1.0, a=nn.Linear(3, 3), b=nn.Linear(3, 3))
    child = Coded(1.0, b=nn.Linear(3, 3), c=nn.Linear(3, 3))
    assert inherit(child, packed_weights(parent)) == 0.5
    assert torch.equal(child.get_parameter("b.weight"), parent.get_parameter("b.weight"))


def test_lazy_modules_that_are_taken_for_inherited() -> None:
    child = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 2))
    assert inherit(child, packed_weights(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)))) == 0.0


# --- how long a child trains ------------------------------------------------------------------------


def test_epochs_that_do_not_follow_from_the_share() -> None:
    assert [inherited_epochs(8, share) for share in (1.0, 0.5, 0.25, 0.0)] == [2, 5, 7, 8]
    assert [inherited_epochs(epochs, 1.0) for epochs in (1, 2, 4, 5, 500)] == [1, 1, 1, 2, 125]


@given(st.integers(1, 600), st.floats(0, 1), st.floats(0, 1))
def test_a_child_with_more_news_that_trains_less(epochs: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert -(-epochs // 4) <= inherited_epochs(epochs, more) <= inherited_epochs(epochs, less) <= epochs


def training(rung: Rung, epochs: int = 4) -> TrainResult:
    return train(Dicey, default_optimizer, lesson(), recipe(epochs=epochs), 7, rung=rung)


def test_a_training_that_does_not_begin_with_the_weights_of_the_parent() -> None:
    parent = packed_weights(training(Rung()).model)
    child = training(Rung(parent=parent))
    assert [len(child.curve), child.facts[INHERITED]] == [1, 1.0]
    assert child.curve[-1]["lr"] == training(Rung(), epochs=1).curve[-1]["lr"]
    assert child.curve[0]["loss"] < training(Rung()).curve[0]["loss"]


def test_a_training_whose_parent_is_lost_that_is_not_one_from_scratch() -> None:
    lost, scratch = training(Rung(parent=b"")), training(Rung())
    assert_equal(lost, scratch)
    assert (lost.facts.get(INHERITED), scratch.facts.get(INHERITED)) == (0.0, None)


# --- files that are not what they should be ---------------------------------------------------------


def crafted(header: object, payload: bytes = bytes(64)) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


GOOD = weights(weight=torch.ones(4, 4), bias=torch.ones(4))
GIANT = {"weight": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 64]}}
BAD = {
    "nothing": b"",
    "junk": b"no weights at all",
    "truncated": GOOD[:-5],
    "longer": GOOD + b"12345678",
    "a header that never ends": struct.pack("<Q", 2**62) + b"{}",
    "a giant shape": crafted(GIANT),
    "overlapping": crafted(
        {n: {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]} for n in ("weight", "bias")}
    ),
    "no type": crafted({"weight": {"dtype": "PICKLE", "shape": [4, 4], "data_offsets": [0, 64]}}),
    "whole numbers": weights(weight=torch.ones(4, 4, dtype=torch.int32)),
    "half precision": weights(weight=torch.ones(4, 4).half()),
    "other sides": weights(weight=torch.ones(4, 4, 1), bias=torch.ones(())),
    "NaN": weights(weight=torch.full((4, 4), math.nan)),
    "infinite elsewhere": weights(weight=torch.ones(4, 4), other=torch.tensor([math.inf])),
    "other names": weights(**{"../weight": torch.ones(4, 4), "": torch.ones(4)}),
    "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("name", BAD)
def test_bytes_that_become_weights(name: str) -> None:
    child = seeded(lambda: nn.Linear(4, 4), 1).float()
    before = [one.clone() for one in child.parameters()]
    assert inherit(child, BAD[name]) == 0.0
    assert all(torch.equal(*pair) for pair in zip(before, child.parameters(), strict=True))


@given(st.binary(max_size=120))
def test_bytes_of_any_kind_that_break_a_training(junk: bytes) -> None:
    assert 0.0 <= inherit(nn.Linear(2, 2), junk) <= 1.0


def damaged(folder: Path, file: Path) -> None:
    file.write_bytes(GOOD[:-5])


def linked(folder: Path, file: Path) -> None:
    (folder / "elsewhere").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(folder / "elsewhere")


def piped(folder: Path, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def endless(folder: Path, file: Path) -> None:
    os.truncate(file, 2**40)


def gone(folder: Path, file: Path) -> None:
    file.unlink()


def scored(outcome: object) -> Scored:
    assert isinstance(outcome, Scored), outcome
    return outcome


def test_a_child_in_a_worker_that_inherits_what_no_parent_learnt(tmp_path: Path) -> None:
    """Begun with its parent's weights it trains a quarter; begun with anything else it is trained from
    scratch, and says so."""
    wider = genome(source().replace("Body(8)", "Body(12)").replace("Linear(8,", "Linear(12,"))
    with shop(tmp_path, dataset=data(train=96), inherit=True, recipe={"epochs": 4}) as opened:
        parent = scored(opened.submit(Job("seed", genome(), 0)).result(PATIENT))
        job = Job("child", wider, 0, parent=genome().digest)
        scratch = scored(opened.submit(replace(job, parent="")).result(PATIENT))
        child = scored(opened.submit(job).result(PATIENT))
        again = scored(opened.submit(job).result(PATIENT))
        (file,) = tmp_path.glob(f"parents/{genome().digest}.safetensors")
        whole = file.read_bytes()
        others = []
        for spoil in (damaged, linked, piped, endless, gone):
            file.unlink(missing_ok=True)
            file.write_bytes(whole)
            spoil(tmp_path, file)
            others.append(scored(opened.submit(job).result(PATIENT)))
    numbers = (3 * 8 * 9 + 8 + 16 + 8 * 4 + 4) / (3 * 12 * 9 + 12 + 24 + 12 * 4 + 4)
    assert INHERITED not in parent.figures
    assert child.figures[INHERITED] == pytest.approx(numbers)
    assert len(child.details["curve"]) == inherited_epochs(4, numbers) < 4
    assert again.objectives == child.objectives
    assert again.details["curve"] == child.details["curve"]
    for other in others:
        assert other.figures[INHERITED] == 0.0
        assert other.details["curve"] == scratch.details["curve"]
        assert other.objectives == scratch.objectives


@pytest.mark.long
def test_processes_that_begin_with_different_weights(tmp_path: Path) -> None:
    """Both of two that train one child begin with its parent's weights, and the child keeps all of them."""
    together = {"processes_per_candidate": 2, "workers": 1, "recipe": {"epochs": 4, "lr": 1e-12}}
    with shop(tmp_path, dataset=data(train=96), inherit=True, **together) as opened:
        scored(opened.submit(Job("seed", genome(), 0)).result(PATIENT))
        changed = genome(source(forward="x = x * 1.0"))
        child = scored(opened.submit(Job("child", changed, 0, parent=genome().digest)).result(PATIENT))
        files = [tmp_path / "parents" / f"{one.digest}.safetensors" for one in (genome(), changed)]
        mine, theirs = (load(file.read_bytes()) for file in files)
    assert child.figures[INHERITED] == 1.0
    assert_close(mine["head.weight"], theirs["head.weight"])
    assert_close(mine["body.conv.weight"], theirs["body.conv.weight"])


def test_a_candidate_that_says_how_much_it_inherited_unasked() -> None:
    def read(inherits: bool, **facts: float) -> object:
        token = bytes(range(16))
        spec = JobSpec("1", "train", {}, "d", 0, "validation", 9.0, token.hex(), inherits=inherits)
        measured = dict.fromkeys(("registered", "latency", "peak_memory", "size_on_disk"), 1.0)
        known = {**measured, "train_seconds": 1.0, "steps": 1.0, "start_seconds": 1.0, **facts}
        result = BEGUN + pack_report(WorkerReport(facts=known), token)
        return report_of(WorkerExit(0, "", result, ""), spec, Kills(lambda: 0))

    assert isinstance(read(True, inherited=0.5), WorkerReport)
    assert isinstance(read(False), WorkerReport)
    for refused in (read(False, inherited=0.5), read(True), read(True, inherited=1.5)):
        assert isinstance(refused, Failed)


# --- what is kept -----------------------------------------------------------------------------------


def test_weights_of_parents_that_fill_the_disk_or_cost_a_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "parents"
    store = ParentWeights(folder, len(GOOD), 0)
    for digest, given_bytes in (("a", GOOD), ("b", weights(w=torch.ones(1000))), ("c", b"junk"), ("d", GOOD)):
        store.put(f"g0{digest}", digest, given_bytes)
    store.put("g1a", "a", b"")
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(" are not kept")[0][-3:] for line in said] == ["g0b", "g0c", "g1a"]
    assert [store.path(digest) != "" for digest in "abcd"] == [False, False, False, True]
    store.put("g0a", "a", GOOD)
    store.keep({"d", "unknown"})
    assert [file.name for file in folder.iterdir()] == ["d.safetensors"]


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_bound_that_a_run_exceeds(elites: int, population: int) -> None:
    assert 0 < room_of_each(elites, population) * (1 + elites + 2 * population) <= ALL


@pytest.mark.parametrize(
    ("job", "wanted"),
    [
        (Job("x", genome(), 5), True),
        (Job("x", genome(), 6), False),
        (Job("x", genome(), 5, "test"), False),
        (Job("x", genome(), 5, epochs=1), False),
    ],
)
def test_weights_that_are_kept_of_another_training_than_the_one_that_counts(
    tmp_path: Path, job: Job, wanted: bool
) -> None:
    assert ParentWeights(tmp_path, 10, 5).wants(job) == wanted
    assert not ParentWeights(tmp_path, 0, 5).wants(job)
