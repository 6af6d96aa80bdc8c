"""Whether a seed model can be evolved: it goes through a step and answers as the task wants."""

from __future__ import annotations

import re

from ge_engine.contracts import Probe
from ge_engine.errors import OtherInputError, SeedError

_NO_IMAGES = re.compile(
    r"argument #1 'indices'|forward\(\) (missing|takes) \d|LSTM: Expected|GRU: Expected|RNN: Expected|"
    r"input\.dim\(\)|must be 2-D or 3-D|(too many|not enough) values to unpack|"
    r"batch1 must be a 3D tensor|Expected 2D \(unbatched\) or 3D|expected 2D or 3D input|"
    r"self must be a matrix|mat1 must be a matrix"
)
"""In errors of networks for tokens, sequences or several inputs."""

_OTHER_ANSWERS = (
    "A model that answers something else than classes, such as masks, images or one number, is scored by a "
    "program or a function of yours: --command or --evaluator."
)


class ChannelsError(SeedError):
    """The seed model takes images of `wanted` channels, and the task gives others."""

    def __init__(self, message: str, hint: str, wanted: int) -> None:
        super().__init__(message, hint)
        self.wanted = wanted


def require_usable(
    probe: Probe, classes: int, image: str, entry: str, batch: int = 0, signature: str = ""
) -> None:
    """The `probe` of the seed model, built by `entry`, on `batch` images such as "3x32x32" (0: any number).
    `signature` is that of what the entry calls.

    Raises:
        ChannelsError: it takes another number of channels.
        SeedError: it does not go through one training step, or answers in another shape.
    """
    wanted = batch or (probe.output_shape[:1] or (0,))[0], classes
    channels = _other_channels(probe, image, batch)
    if channels:
        counted = "1 channel" if channels == 1 else f"{channels} channels"
        raise ChannelsError(
            f"The seed model, built by {entry}, stops at {probe.stage or 'forward'}: it takes images of "
            f"{counted}, and the task gives images of {image}.",
            f"Give --channels {channels} where the images can be given so, or let the model take its "
            "number of channels as an argument: in_channels.",
            channels,
        )
    if probe.stage and _NO_IMAGES.search(probe.error):
        raise OtherInputError(
            f"The seed model, built by {entry}, stops at {probe.stage}: {probe.error}.",
            f"The task gives images of {image}, and this model seems to take something else: score it by a "
            "program of yours with --command.",
        )
    if probe.stage:
        raise SeedError(
            f"The seed model, built by {entry}, stops at {probe.stage}: {probe.error}.",
            _advice(probe.error, classes, image),
        )
    if probe.output_shape != wanted:
        raise SeedError(
            f"The seed model, built by {entry}, returns a tensor of shape {probe.output_shape}; "
            f"the task wants {wanted}.",
            f"Let its last layer give {classes} numbers for each image, in the file or by an argument in "
            f"--entry; it is {signature or entry}. {_OTHER_ANSWERS}",
        )
    if not probe.finite:
        raise SeedError("The seed model returns NaN or infinity before any training.")


def _other_channels(probe: Probe, image: str, batch: int) -> int:
    """The number of channels that a first convolution takes instead of the task's, or 1 where the channels of
    an image are read as numbers or as images of their own; 0 where neither is to be seen."""
    said = re.search(r"expected input\[.*?\] to have (\d+) channels, but got (\d+) channels", probe.error)
    if said and image.startswith(f"{said[2]}x"):
        return int(said[1])
    channels, height, width = map(int, image.split("x"))
    if channels == 1 or not batch:
        return 0
    flat = f"({batch}x{channels * height * width} and {height * width}x"
    return int(flat in probe.error or probe.output_shape[:1] == (channels * batch,))


def _advice(error: str, classes: int, image: str) -> str:
    missing = re.match(r"ModuleNotFoundError: No module named '([\w.]+)'", error)
    if missing:
        return (
            f"Install {missing[1].partition('.')[0]} where ge runs, or fix the file. Its own modules are "
            "looked for beside it, in the working folder, up to the root of its repository, and in "
            "PYTHONPATH."
        )
    if error.startswith(("FileNotFoundError", "PermissionError")):
        return (
            "Candidates run in a folder of their own, and see of the user's files code alone and what --also "
            "names: open a file by its place beside the module, as Path(__file__).parent / 'conf.yaml'."
        )
    if "without a tensor of shape" in error:
        return f"The task wants {classes} numbers for each image. {_OTHER_ANSWERS}"
    return (
        f"Fix the file, or choose what fits it: the task gives images of {image} and wants "
        f"{classes} numbers for each. --task, --image-size, --channels and --entry choose others; a training "
        "of your own goes with --command."
    )
