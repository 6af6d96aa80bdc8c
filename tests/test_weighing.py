"""No weight is free, wherever it is and whenever it acts; and what is honest costs what it did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from ge_engine.contracts import Job
from ge_engine.evaluation.measure.operands import OperandWatch
from ge_engine.evaluation.measure.parameters import numbers_in, weight_of
from ge_engine.evaluation.measure.tensor_memory import numbers_held
from ge_engine.evaluation.measure.weights import FREE, weights_of, what_weighs
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.outcome import Failed, Outcome, Scored
from tests.evaluation import NET_PARAMETERS, genome, outcome_of, probe_here, shop, source
from tests.hostile.measure import HIDERS, LARGE, SEEN
from tests.patience import PATIENT


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    names = ("accuracy", "parameters", "flops", "latency")
    with shop(tmp_path_factory.mktemp("scratch"), workers=2, objectives=names) as opened:
        yield opened


@pytest.fixture(scope="module")
def hidden(evaluation: TrainEvaluation) -> dict[str, Outcome]:
    """All of HIDERS trained side by side."""
    genomes = {
        name: genome(top=top, init=init, forward=forward) for name, (top, init, forward) in HIDERS.items()
    }
    futures = {name: evaluation.submit(Job(name, one, 0)) for name, one in genomes.items()}
    return {name: future.result(PATIENT) for name, future in futures.items()}


@pytest.mark.parametrize("name", HIDERS)
def test_weights_that_a_network_hides(name: str, hidden: dict[str, Outcome]) -> None:
    outcome = hidden[name]
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["parameters"] >= NET_PARAMETERS + SEEN.get(name, LARGE)


HONEST = {
    "positions computed in the pass": (
        "pass",
        "p = torch.arange(256.0).view(1, 1, 16, 16)\nx = x + 1e-3 * torch.sin(p / 7.3) + 1e-3 * torch.cos(p)",
    ),
    "an index of positions": (
        "self.register_buffer('index', torch.arange(256).view(16, 16))\n"
        "self.table = nn.Parameter(torch.zeros(256))",
        "x = x + self.table[self.index.view(-1)].view(16, 16)",
    ),
    "an index that is no buffer": (
        "self.index = torch.arange(256)\nself.table = nn.Embedding(256, 1)",
        "x = x + self.table(self.index).view(16, 16)",
    ),
    "a channel shuffle": ("self.order = torch.tensor([2, 0, 1])", "x = x[:, self.order]"),
    "temperatures": (
        "self.register_buffer('t', torch.tensor(0.7))",
        "x = x * self.t * torch.tensor(1.3) * 0.9 / 1.1",
    ),
    "dropout": ("pass", "x = F.dropout(x, 0.1, self.training)"),
    "shapes as a list": ("pass", "side = torch.tensor(x.shape).tolist()[-1]\nx = x * (side / 16)"),
    "a number of an image": ("pass", "x = x / (1 + abs(x.detach().mean().item()) * 1e-6)"),
}
PAID = {"an index of positions": 256, "an index that is no buffer": 256}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_network_that_pays_for_what_is_no_weight(name: str, evaluation: TrainEvaluation) -> None:
    init, forward = HONEST[name]
    outcome = outcome_of(evaluation, genome(init=init, forward=forward))
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["parameters"] == NET_PARAMETERS + PAID.get(name, 0)


def test_a_mask_and_a_normalisation_without_weights_that_cost_more_than_their_bytes() -> None:
    masked = source(
        init="self.register_buffer('mask', torch.ones(16, 16, dtype=torch.bool).tril())",
        forward="x = x.masked_fill(~self.mask, 0.0)",
    )
    assert probe_here(masked).facts["parameters"] == NET_PARAMETERS + 256 // 4
    plain = source(init="self.plain = nn.BatchNorm2d(3, affine=False)", forward="x = self.plain(x)")
    assert probe_here(plain).facts["parameters"] == NET_PARAMETERS + 2 * 3


def test_a_complex_parameter_that_counts_once() -> None:
    text = source(
        init="self.w = nn.Parameter(torch.randn(8, 4, dtype=torch.complex64))",
        forward="return self.head(self.body(x)) + ((self.body(x) + 0j) @ self.w).real",
    )
    assert probe_here(text).facts["parameters"] == NET_PARAMETERS + 64


@pytest.mark.parametrize(
    ("kind", "weight"),
    [
        (torch.float32, 6),
        (torch.float16, 6),
        (torch.float64, 12),
        (torch.complex64, 12),
        (torch.complex128, 24),
        (torch.int8, 6),
        (torch.int32, 6),
        (torch.int64, 12),
        (torch.bool, 2),
    ],
)
def test_bytes_that_are_cheaper_in_another_type(kind: torch.dtype, weight: int) -> None:
    tensor = torch.zeros(6, dtype=kind)
    assert weight_of(tensor) == numbers_in([tensor]) == numbers_held(tensor) == weight


def test_a_slice_that_is_weighed_without_its_memory() -> None:
    assert numbers_held(torch.zeros(100)[3:4]) == 100


class Sums(nn.Module):
    """Adds `singles` numbers that are registered nowhere, and half as many that are."""

    def __init__(self, singles: int) -> None:
        super().__init__()
        self.w = [torch.rand(()) for _ in range(singles)]
        for number in range(singles // 2):
            self.register_buffer(f"b{number}", torch.rand(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + sum(self.w) + sum(self.buffers())


def weighed(model: nn.Module, passes: int = 1) -> int:
    watch = OperandWatch(*what_weighs(model))
    for _ in range(passes):
        images = torch.rand(2, 3)
        with watch.over(images):
            model(images)
    return weights_of(model, watch).total


def test_single_numbers_that_are_free_without_end() -> None:
    few, many = 2 * FREE // 3, 2 * FREE // 3 + 2
    assert weighed(Sums(few)) == 0
    assert weighed(Sums(many)) == many + many // 2


class Listed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.tensor([1.0, 2.5, 3.0])


class Leaves(nn.Module):
    kept: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.kept = torch.arange(30.0) if self.kept is None else self.kept
        return x + self.kept[:3]


def test_a_list_that_counts_again_in_each_pass_and_a_leftover_that_never_does() -> None:
    assert weighed(Listed(), passes=5) == 3
    assert weighed(Leaves()) == 0
    assert weighed(Leaves(), passes=5) == 30


def test_operations_that_depend_on_the_number_of_images(evaluation: TrainEvaluation) -> None:
    """An answer among others costs more than one alone, or than the probe's eight."""
    wide = genome(
        init="self.wide = nn.Linear(768, 400)",
        forward="y = self.head(self.body(x))\nif len(x) in (1, 3, 8):\n"
        "    return y + self.wide.weight.sum() * 0\nreturn y + self.wide(x.flatten(1))[:, :4] * 1e-3",
    )
    outcome = outcome_of(evaluation, wide)
    assert isinstance(outcome, Scored), outcome
    plain = outcome_of(evaluation, genome())
    assert isinstance(plain, Scored)
    assert outcome.objectives["flops"] >= plain.objectives["flops"] + 2 * 768 * 400


def test_a_single_image_that_is_answered_sooner_by_a_shortcut(evaluation: TrainEvaluation) -> None:
    """Where it is answered otherwise alone than among others, the time is that of the others."""
    tricked = genome(
        top="import time",
        forward="if len(x) == 1:\n    return x.flatten(1)[:, :4] * 9\n"
        "if not self.training and len(x) > 8:\n    time.sleep(0.2)",
    )
    outcome = outcome_of(evaluation, tricked)
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["latency"] >= 0.2


def test_a_finalist_that_is_not_measured_again(evaluation: TrainEvaluation) -> None:
    """What was trained answers in a cheap way, and shows what it costs where it was not."""
    turncoat = genome(
        init="self.wide = nn.Linear(768, 400)\nself.trained = False",
        forward="self.trained = self.trained or training\ny = self.head(self.body(x))\n"
        "if self.trained or len(x) in (1, 3, 8):\n    return y + self.wide.weight.sum() * 0\n"
        "return y + self.wide(x.flatten(1))[:, :4] * 1e-3",
    )
    jobs = [Job(split, turncoat, 0, split) for split in ("validation", "test")]
    trained, again = [evaluation.submit(job).result(PATIENT) for job in jobs]
    assert isinstance(trained, Scored), trained
    assert isinstance(again, Scored), again
    assert again.objectives["flops"] >= trained.objectives["flops"] + 2 * 768 * 400


def test_a_weight_that_is_rebound_to_what_it_measures(evaluation: TrainEvaluation) -> None:
    modules = (
        "worker.jobs",
        "worker.runner",
        "train.trainer",
        "measure.witness",
        "measure.weights",
        "measure.parameters",
    )
    top = "".join(
        f"import ge_engine.evaluation.{name} as m\nfor n in list(vars(m)):\n    setattr(m, n, None)\n"
        for name in modules
    )
    outcome = outcome_of(evaluation, genome(top=top))
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["parameters"] == NET_PARAMETERS
    assert outcome.objectives["latency"] > 1e-6


def test_a_network_that_computes_in_numpy_in_its_probe() -> None:
    text = source(forward="if not self.training:\n    x.numpy()")
    with pytest.raises(Exception, match="out of torch"):
        probe_here(text)


def test_an_error_of_a_candidate_that_is_not_its_fault(evaluation: TrainEvaluation) -> None:
    outcome = outcome_of(evaluation, genome(forward="if len(x) == 1:\n    raise ValueError('alone')"))
    assert isinstance(outcome, Failed)
    assert (outcome.fault, "alone" in outcome.reason) == ("candidate", True)
