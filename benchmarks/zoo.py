"""Model files that nobody here wrote, each evolved for one generation by the real command, without a network.

python -m benchmarks.zoo                    all: 20 and more of torchvision, 5 and more of transformers
python -m benchmarks.zoo resnet18 levit     only these

Each is tried without --entry first; the entry of the table is given where that is refused. Leaves with 1
when a model does not complete its generation.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ge_engine.entry import resolve_entry
from ge_engine.errors import SeedError
from ge_engine.genome import Seed
from ge_engine.ledger import History
from ge_engine.outcome import Failed, Rejected, Scored
from ge_engine.population import SEED_ID, Individual
from ge_plugins.tasks import DIGIT_SIZE

TIMEOUT_SECONDS = 400
SETTINGS = "--llm uniform --generations 1 --population 2 --epochs 1 --train-limit 64 --lr 0.01 --workers 1"
CLASSES, CHANNELS = 10, 3
REFUSAL_SHOWN = 90
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


@dataclass(frozen=True, slots=True)
class Model:
    """A model of an installed package: its file there, the entry to give where none is found, and the
    least size of images in pixels (0: the task's own)."""

    name: str
    file: str
    entry: str
    size: int = 0

    @property
    def path(self) -> Path:
        package, _, rest = self.file.partition("/")
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{package} is not installed: install it with pip install {package}")
        return Path(spec.origin).parent / rest


def torchvision(name: str, file: str, arguments: str = "", size: int = 0) -> Model:
    """A model that the factory `name` builds."""
    given = f"{name}({', '.join(filter(None, ('num_classes=10', arguments)))})"
    return Model(name, f"torchvision/models/{file}.py", given, size)


def transformers(name: str, prefix: str, settings: str, size: int = 0) -> Model:
    """A model for image classification with a small configuration."""
    given = f"{prefix}ForImageClassification({prefix}Config(num_labels=10, {settings}))"
    return Model(f"{name} (transformers)", f"transformers/models/{name}/modeling_{name}.py", given, size)


MODELS = (
    torchvision("alexnet", "alexnet", size=64),
    torchvision("vgg11", "vgg"),
    torchvision("resnet18", "resnet"),
    torchvision("squeezenet1_1", "squeezenet"),
    torchvision("densenet121", "densenet"),
    torchvision("googlenet", "googlenet", "init_weights=False"),
    torchvision("inception_v3", "inception", "aux_logits=False, init_weights=False", size=75),
    torchvision("shufflenet_v2_x0_5", "shufflenetv2"),
    torchvision("mobilenet_v2", "mobilenetv2"),
    torchvision("mobilenet_v3_small", "mobilenetv3"),
    torchvision("mnasnet0_5", "mnasnet"),
    torchvision("efficientnet_b0", "efficientnet"),
    torchvision("regnet_y_400mf", "regnet"),
    torchvision("convnext_tiny", "convnext"),
    Model(
        "swin, small",
        "torchvision/models/swin_transformer.py",
        "SwinTransformer([4, 4], 24, [1, 1, 1, 1], [1, 2, 4, 8], [2, 2], num_classes=10)",
    ),
    Model(
        "swin_v2, small",
        "torchvision/models/swin_transformer.py",
        "SwinTransformer([4, 4], 24, [1, 1, 1, 1], [1, 2, 4, 8], [2, 2], num_classes=10, "
        "block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2)",
    ),
    Model(
        "vit, small",
        "torchvision/models/vision_transformer.py",
        "VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, "
        "mlp_dim=64, num_classes=10)",
    ),
    Model(
        "maxvit, small",
        "torchvision/models/maxvit.py",
        "MaxVit((64, 64), 16, 2, [16, 32], [1, 1], 8, 0.1, num_classes=10)",
        size=64,
    ),
    torchvision("resnext50_32x4d", "resnet"),
    torchvision("efficientnet_v2_s", "efficientnet"),
    torchvision("regnet_x_400mf", "regnet"),
    transformers(
        "vit",
        "ViT",
        "image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, "
        "intermediate_size=64",
    ),
    transformers("resnet", "ResNet", "embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1]"),
    transformers("convnext", "ConvNext", "hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 2, 1]"),
    transformers("mobilenet_v2", "MobileNetV2", "depth_multiplier=0.35"),
    transformers(
        "levit",
        "Levit",
        "image_size=64, hidden_sizes=[16, 32, 48], num_attention_heads=[2, 2, 2], depths=[1, 1, 1], "
        "key_dim=[8, 8, 8]",
        size=64,
    ),
    transformers("poolformer", "PoolFormer", "hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1]"),
    transformers(
        "dinov2",
        "Dinov2",
        "image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2",
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a model. `refused` is why the entry had to be given, "" where it was found; `reasons`
    are those of children that were not scored; `fault` says why there is no whole generation."""

    name: str
    entry: str
    refused: str
    outcomes: str
    reasons: tuple[str, ...]
    seconds: float
    fault: str


def evolve(model: Model, entry: str, folder: Path) -> str:
    """Run the command for one generation in `folder`. Returns "" or the end of what it printed in vain."""
    command = [sys.executable, "-m", "ge_engine.cli", "evolve", str(model.path), *SETTINGS.split()]
    command += ["--run", str(folder)]
    command += ["--entry", entry] if entry else []
    command += ["--image-size", str(model.size)] if model.size else []
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            env=os.environ | OFFLINE,
        )
    except subprocess.TimeoutExpired:
        return f"error: not done after {TIMEOUT_SECONDS} s"
    return "" if done.returncode == 0 else done.stderr[-3000:] or f"exit code {done.returncode}"


def reason_in(text: str) -> str:
    """The sentence after "error:" in what a command printed."""
    lines = [line.partition("error: ")[2] for line in text.splitlines() if "error: " in line]
    return lines[0] if lines else text.strip().splitlines()[-1]


def found_entry(model: Model) -> str:
    """The entry that the command finds in the file for the task digits; "" where it finds none."""
    facts = {"num_classes": CLASSES, "in_channels": CHANNELS, "image_size": model.size or DIGIT_SIZE}
    try:
        return resolve_entry(Seed.load(model.path).genome, facts)
    except SeedError:
        return ""


def children_in(folder: Path) -> tuple[list[Individual], bool]:
    """The children of a run, and whether its generation is complete."""
    with History(folder) as history:
        children = [one for one in history.individuals() if one.id != SEED_ID]
        finished = sum(record.finished for record in history.generations())
    return children, finished == 1 and all(child.outcome for child in children)


def told(child: Individual) -> tuple[str, str]:
    """What became of a child, and why it was not scored."""
    match child.outcome:
        case Scored():
            return "scored", ""
        case Rejected(stage=stage, reason=reason):
            return f"rejected at {stage}", reason
        case Failed(stage=stage, kind=kind, reason=reason):
            return f"failed in {stage} ({kind})", reason
    return "open", ""


def tried(model: Model, scratch: Path) -> Row:
    """Evolve a model, without and where need be with an entry."""
    began = time.monotonic()
    entry, refused = found_entry(model), ""
    fault = evolve(model, "", scratch / "run")
    if fault:
        entry, refused = model.entry, reason_in(fault)
        fault = evolve(model, entry, scratch / "run")
    children: list[Individual] = []
    if not fault:
        children, complete = children_in(scratch / "run")
        fault = "" if complete else "error: the generation is not complete"
    ends = [told(child) for child in children]
    return Row(
        name=model.name,
        entry=entry,
        refused=refused,
        outcomes=", ".join(f"{count} {end}" for end, count in Counter(end for end, _ in ends).items()),
        reasons=tuple(reason for _, reason in ends if reason),
        seconds=time.monotonic() - began,
        fault=reason_in(fault) if fault else "",
    )


def lines(row: Row, with_reasons: bool) -> Iterator[str]:
    """A row of the table; an entry that had to be given, and reasons, stand below it."""
    how = "given" if row.refused else "found"
    yield f"{row.name:<28}{how:<8}{row.fault or row.outcomes:<62}{row.seconds:>5.0f} s"
    yield f"    {row.entry}"
    if row.refused:
        yield f"    not found: {row.refused[:REFUSAL_SHOWN]}"
    if with_reasons:
        yield from (f"    {reason}" for reason in row.reasons)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="first words of rows of the table")
    parser.add_argument("--reasons", action="store_true", help="why children were not scored")
    options = parser.parse_args()
    names = options.names
    models = [m for m in MODELS if not names or m.name in names or m.name.partition(" ")[0] in names]
    os.nice(10)
    rows = []
    for model in models:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(tried(model, Path(scratch)))
        print(*lines(rows[-1], options.reasons), sep="\n", flush=True)
    found = sum(not row.refused for row in rows)
    faults = [row.name for row in rows if row.fault]
    print(f"{len(rows)} models, {found} without --entry, {len(faults)} failed: {', '.join(faults) or 'none'}")
    return 1 if faults or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
