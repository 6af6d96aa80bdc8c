"""Figures of isolation and training, all ratios in one run: `make bench-train`."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the workers have it; read when torch is imported

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ge_engine.config import Recipe, load_config
from ge_engine.contracts import Job
from ge_engine.evaluation.data.batches import Images, shuffled
from ge_engine.evaluation.data.draws import Augmentation
from ge_engine.evaluation.data.module_loader import import_source, module_address
from ge_engine.evaluation.train.rung import TrainingData
from ge_engine.evaluation.train.trainer import train
from ge_engine.evaluation.train_evaluation import TrainEvaluation, open_training
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Failed, Outcome, Scored
from ge_plugins.objectives import ge_objectives
from ge_plugins.tasks import Digits

VERDICT = re.compile(r"::test_(\w+)(?:\[(.+)\])? (PASSED|FAILED|ERROR) ")
STARTS = 31
EXAMPLE = Path(__file__).parent.parent / "examples" / "exquisitenet_v2.py"
FRESH = """\
import sys, time
started = time.perf_counter()
sys.path.insert(0, {folder!r})
import torch, torchvision, accelerate
import exquisitenet_v2
model = exquisitenet_v2.ExquisiteNetV2(10)
optimizer = exquisitenet_v2.get_optimizer(model, 0.05, 1e-4)
accelerator = accelerate.Accelerator(cpu=True)
model, optimizer = accelerator.prepare(model, optimizer)
accelerator.backward(model(torch.randn(64, 3, 32, 32)).logsumexp(1).mean())
optimizer.step()
"""


def main() -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    seed = Seed.load(EXAMPLE).genome
    with evaluation(seed, timeout=120.0, workers=1) as opened:
        start_of_training(opened, seed)
    rate_of_training()
    rate_of_input()
    with evaluation(seed, timeout=2.0, workers=2, training={"train_limit": 64, "epochs": 1}) as opened:
        cost_of_timeouts(opened, seed)
    hostile_table()


@contextmanager
def evaluation(seed: Genome, **flags: object) -> Iterator[TrainEvaluation]:
    recipe = flags.pop("training", {})
    assert isinstance(recipe, dict)
    settings = {**flags, **{f"training.{name}": value for name, value in recipe.items()}}
    config = load_config("demo", None, settings)
    objectives = [one for one in ge_objectives() if one.name in ("accuracy", "parameters")]
    with (
        tempfile.TemporaryDirectory() as scratch,
        open_training(seed, config, objectives, Path(scratch), Digits().load("", config)) as opened,
    ):
        yield opened


def start_of_training(opened: TrainEvaluation, seed: Genome) -> None:
    opened.probe(seed).result()
    starts = []
    for number in range(STARTS):
        outcome = opened.submit(Job(f"warm{number}", seed, number)).result()
        assert isinstance(outcome, Scored), outcome
        starts.append(outcome.details["facts"]["start_seconds"])
    started = time.perf_counter()
    code = FRESH.format(folder=str(EXAMPLE.parent))
    subprocess.run([sys.executable, "-c", code], check=True)
    fresh = time.perf_counter() - started
    warm = statistics.median(starts[1:])
    print(
        f"checks passed to first step, warm: {warm * 1e3:.0f} ms (wanted: at most 60); "
        f"a fresh process: {fresh:.2f} s"
    )


def rate_of_training() -> None:
    ours, by_hand, ratio = training_rates(512, 64, 3)
    print(f"training: {ours:.0f} images/s, by hand {by_hand:.0f}: ratio {ratio:.2f} (wanted: at least 0.95)")


def training_rates(count: int, batch_size: int, repeats: int) -> tuple[float, float, float]:
    """Images a second of the trainer and of a loop written by hand, on a GPU where there is one, both
    channels last: the medians of `repeats` epochs of `count` images each, taken in turns, and that of the
    ratios within turns."""
    module = import_source(EXAMPLE.read_bytes(), module_address(EXAMPLE, "0" * 64))
    recipe = Recipe(epochs=1, batch_size=batch_size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pixels = torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8)
    labels = torch.randint(10, (count,))
    mean, std = torch.full((3,), 128.0), torch.full((3,), 64.0)
    images = Images(pixels, mean, std, 32, torch.channels_last)
    data = TrainingData(images, labels, replace(images, pixels=pixels[:64]), 10)

    def ours() -> float:
        return count / train(lambda: module.ExquisiteNetV2(10), module.get_optimizer, data, recipe, 0).seconds

    def by_hand() -> float:
        torch.manual_seed(0)
        model = module.ExquisiteNetV2(10).to(device, memory_format=torch.channels_last)
        optimizer = fused(module.get_optimizer(model, 0.05, 1e-4))
        there = [one.to(device) for one in (pixels, labels, mean, std)]
        return count / hand_written(model, optimizer, *there, batch_size)

    ours(), by_hand()
    pairs = [(ours(), by_hand()) for _ in range(repeats)]
    rates = [statistics.median(column) for column in zip(*pairs, strict=True)]
    return rates[0], rates[1], statistics.median(mine / other for mine, other in pairs)


def fused(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer, before its first step, with one kernel for all parameters."""
    for group in optimizer.param_groups:
        group.update(fused=True, foreach=False)
    return optimizer


def hand_written(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    pixels: Tensor,
    labels: Tensor,
    mean: Tensor,
    std: Tensor,
    batch_size: int,
) -> float:
    """Seconds of one epoch of a plain loop without augmentation: images channels last, on a GPU in bfloat16
    as the trainer does there, and nothing that waits for it before the end."""
    images = pixels.permute(0, 3, 1, 2)  # channels last in memory, as the pixels lie
    mean, std = mean.view(3, 1, 1), std.view(3, 1, 1)
    on_gpu = pixels.is_cuda
    model.train()
    started = time.perf_counter()
    for picked in torch.randperm(len(images), device=pixels.device).split(batch_size):
        batch = (images[picked].float() - mean) / std
        with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
            logits = model(batch)
        loss = cross_entropy(logits.float(), labels[picked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def rate_of_input() -> None:
    from PIL import Image
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    count = 2048
    pixels = torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(pixels.numpy()):
            place = Path(folder, str(number % 10))
            place.mkdir(exist_ok=True)
            Image.fromarray(image).save(place / f"{number}.jpg")
        steps = [
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.2, 0.2),
            transforms.RandomAffine(0, (0.05, 0.05)),
            transforms.ToTensor(),
        ]
        dataset = ImageFolder(folder, transforms.Compose(steps))
        loader = DataLoader(dataset, batch_size=64, shuffle=True)
        theirs = per_core_second(lambda: sum(len(batch) for batch, _ in loader))
    data = Images(pixels, torch.full((3,), 128.0), torch.full((3,), 64.0), 32)
    augmentation = Augmentation(mirror=True, shift=True, jitter=0.2)
    labels, generator = torch.zeros(count, dtype=torch.long), torch.Generator().manual_seed(0)
    ours = per_core_second(
        lambda: sum(len(b) for b, _ in shuffled(data, labels, 64, augmentation, generator))
    )
    print(
        f"input: {ours:,.0f} images per core second, ImageFolder + PIL {theirs:,.0f}: "
        f"ratio {ours / theirs:.0f} (wanted: at least 20)"
    )


def per_core_second(epoch: Callable[[], int]) -> float:
    """Images for each second of processor time, which other programs on the machine do not change."""
    epoch()
    started = time.process_time()
    images = epoch() + epoch()
    return images / (time.process_time() - started)


def cost_of_timeouts(opened: TrainEvaluation, seed: Genome) -> None:
    def changed(number: int, code: str) -> Genome:
        text = seed.source.replace(b"x = self.features(x)", f"y{number} = 0\n        {code}".encode())
        return Seed.from_bytes(text, seed.seed.path).genome

    step = "x = self.features(x)"
    sleeper = changed(0, f"import time; time.sleep(25 if len(x) > 8 else 0); {step}")
    opened.probe(sleeper).result()
    seconds, outcomes = timed([opened.submit(Job("sleeper", sleeper, 0))])
    print(f"a 2 s limit on a 25 s sleeper: {seconds:.2f} s (wanted: at most 3); {kinds(outcomes)}")
    healthy = [changed(n, step) for n in range(1, 29)]
    hanging = [
        changed(n, f"import time; time.sleep(25 if len(x) > 8 else 0); {step}") for n in range(100, 108)
    ]
    dying = [changed(n, f"import os; len(x) > 8 and os._exit(9); {step}") for n in range(200, 204)]
    for probe in [opened.probe(one) for one in (*healthy, *hanging, *dying)]:
        probe.result()
    alone, _ = timed([opened.submit(Job(f"h{n}", one, 0)) for n, one in enumerate(healthy)])
    mixed = [one for group in zip(healthy[:4], hanging[:4], dying, hanging[4:], strict=True) for one in group]
    together, outcomes = timed(
        [opened.submit(Job(f"m{n}", g, 0)) for n, g in enumerate((*mixed, *healthy[4:]))]
    )
    print(
        f"{len(outcomes)} candidates, 8 hang and 4 die: {together:.1f} s; "
        f"the 28 healthy ones alone {alone:.1f} s (wanted: at most 25 s more); {kinds(outcomes)}"
    )


def timed(futures: list[Future[Outcome]]) -> tuple[float, list[Outcome]]:
    started = time.perf_counter()
    outcomes = [future.result() for future in futures]
    return time.perf_counter() - started, outcomes


def kinds(outcomes: list[Outcome]) -> str:
    names = [outcome.kind if isinstance(outcome, Failed) else "scored" for outcome in outcomes]
    return ", ".join(f"{name} {names.count(name)}" for name in sorted(set(names)))


def hostile_table() -> None:
    print("hostile candidates:")
    command = [sys.executable, "-m", "pytest", "tests/test_hostile.py", "-v", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=EXAMPLE.parent.parent, check=False)
    for test, case, result in VERDICT.findall(done.stdout):
        print(f"  {result.lower():8} {case or test}")
    print("  all contained" if done.returncode == 0 else f"  NOT all contained:\n{done.stdout[-2000:]}")


if __name__ == "__main__":
    main()
