"""The settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ge_engine.config.setting import TRAINING, Range, at_least, below_one, one_of, positive, setting

LEARNING_RATES: Mapping[str, float] = {"seed": 0.1, "sgd": 0.1, "adamw": 1e-3}
"""The learning rate by optimizer where none is given; AdamW's is that of torch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Training settings (the table `[training]` in TOML)."""

    epochs: int = setting(4, "Epochs that a candidate is trained.", TRAINING, at_least(1))
    batch_size: int = setting(64, "Images per step.", TRAINING, at_least(1))
    lr: float = setting(
        LEARNING_RATES["sgd"],
        f"Learning rate; {LEARNING_RATES['adamw']:g} with --optimizer adamw, unless given.",
        TRAINING,
        positive(),
    )
    optimizer: str = setting(
        "seed",
        "seed (the seed model's get_optimizer), sgd or adamw.",
        TRAINING,
        one_of("seed", "sgd", "adamw"),
        more='With "seed" that function gets `lr` and `weight_decay`; without one, SGD trains.',
    )
    weight_decay: float = setting(1e-4, "Weight decay.", TRAINING, at_least(0))
    lr_schedule: str = setting(
        "cosine", "cosine, plateau or constant.", TRAINING, one_of("cosine", "plateau", "constant")
    )
    augment: bool = setting(True, "Mirror, shift and jitter training images.", TRAINING)
    mirror: bool = setting(
        True,
        "With --augment, mirror images where the task allows it.",
        TRAINING,
        more="A mirrored letter, digit or arrow is another one: off for these. The task digits and MNIST are "
        "never mirrored.",
    )
    jitter: float = setting(0.0, "Strength of brightness and contrast.", TRAINING, below_one())
    label_smoothing: float = setting(0.0, "Smoothing of labels.", TRAINING, below_one())
    train_limit: int = setting(0, "At most N training images (0 = all).", TRAINING, at_least(0), metavar="N")
    image_size: int = setting(0, "Resize images to this many pixels; 0: no resizing.", TRAINING)
    channels: int = setting(
        0,
        "Channels of the images: auto, 1 (grey) or 3.",
        TRAINING,
        at_least(0, "auto"),
        metavar="auto|1|3",
        more="1 makes images grey, 3 gives grey ones three equal channels; 0 leaves the task's own, or "
        "what the seed model takes where grey images can be given as that.",
    )
    precision: str = setting(
        "auto", "auto, no, bf16 or fp16.", TRAINING, one_of("auto", "no", "bf16", "fp16")
    )
    ema: float = setting(
        0.0,
        "Decay of averaged weights, e.g. 0.999; 0 = off.",
        TRAINING,
        below_one("off"),
        more="The exponential moving average of the weights is scored in place of the last weights.",
    )
    norm_batches: int = setting(
        8,
        "Training batches that give batch normalisation its statistics after the last step.",
        TRAINING,
        at_least(0, "off"),
        more="0 keeps the running ones.",
        flag=False,
    )
    validation_share: float = setting(
        0.2,
        "Share of the training images that candidates are scored on, where the task has no such split.",
        TRAINING,
        Range(lambda share: 0 < share < 1, "must lie between 0 and 1"),
        flag=False,
    )
