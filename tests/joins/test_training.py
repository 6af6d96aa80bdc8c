"""What a training owes to its seed of randomness, to its steps and to its answers."""

from __future__ import annotations

from pathlib import Path

import torch

from ge_engine.contracts import Dataset, Job, Split
from ge_engine.outcome import Failed
from tests.evaluation import genome, shop
from tests.joins.watched import CLASSES, SIZE, trained
from tests.patience import PATIENT


def noise(count: int, rng_seed: int) -> Split:
    generator = torch.Generator().manual_seed(rng_seed)
    images = torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator).to(torch.uint8)
    return Split(images, torch.randint(CLASSES, (count,), generator=generator))


DATA = Dataset(noise(24, 1), noise(6, 2), noise(5, 3), tuple("abcd"))


def test_a_step_with_the_gradients_of_the_steps_before_it() -> None:
    """Steps so small that nothing is learnt: the same batch gives the same gradient each time."""
    seen = trained(DATA, epochs=4, batch_size=24, lr=1e-12, weight_decay=0.0, optimizer="sgd")
    first, *later = seen.gradients
    assert len(later) == 3
    assert first.abs().max() > 1e-4
    assert all(torch.allclose(gradient, first, atol=1e-6) for gradient in later)


def test_a_seed_of_randomness_that_changes_neither_weights_nor_order() -> None:
    one, same, other = (trained(DATA, rng_seed=number) for number in (0, 0, 1))
    assert torch.equal(one.weights[0], same.weights[0])
    assert torch.equal(one.images[0], same.images[0])
    assert one.report.logits == same.report.logits
    assert not torch.equal(one.weights[0], other.weights[0])
    assert not torch.equal(one.images[0], other.images[0])


def test_an_answer_that_is_no_number_and_counts_as_a_class(tmp_path: Path) -> None:
    """argmax of NaN is class 0, which would be a tenth of the labels right."""
    silent = genome(
        forward="if not self.training and len(x) > 8:\n    return self.head(self.body(x)) * torch.nan"
    )
    with shop(tmp_path, workers=1) as evaluation:
        outcome = evaluation.submit(Job("g0s0", silent, 0)).result(PATIENT)
    assert outcome == Failed("predict", "not finite", "97 of 97 answers are NaN or infinite")
