"""What goes into one training and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from ge_engine.evaluation.data.batches import Images


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The data of one training. `labels` (n,) int64 belong to `train`; those of `held_out` are not here."""

    train: Images
    labels: Tensor
    held_out: Images
    classes: int
    mirror: bool = True


@dataclass(frozen=True, slots=True)
class Rung:
    """The part of a training that one call does: from `checkpoint` (b"": from the start) until `epochs` are
    trained (0: all that the training settings say). `keep` asks for a checkpoint at its end. A quickest step
    of more than `step_seconds` ends it (0: never); it ends after `steps` steps without a meaningful score (0:
    never). `parent` are the trained weights that the network begins with, as safetensors (b"": they are lost;
    None: it begins with its own)."""

    epochs: int = 0
    checkpoint: bytes = b""
    keep: bool = False
    step_seconds: float = 0.0
    steps: int = 0
    parent: bytes | None = None


WHOLE = Rung()


@dataclass(slots=True)
class TrainResult:
    """What a training gave: `logits` (m, classes) float32 on the CPU, the curve and the clock in seconds.

    `step_seconds` is the quickest step (`StepTimer`), `checkpoint` what a later call continues from (b""
    unless asked for), and `facts` are the network's costs where a `Witness` watched it, and the share of its
    parameters that was "inherited" where it had a parent.
    """

    model: nn.Module
    logits: Tensor
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    step_seconds: float = 0.0
    checkpoint: bytes = b""
    facts: dict[str, float] = field(default_factory=dict)
