"""What a task knows of a model's arguments: number of classes, channels and size of its images."""

from __future__ import annotations

from collections.abc import Mapping

from ge_engine.source.parameters import Parameter

Facts = Mapping[str, int | float]

SPELLINGS: Mapping[str, frozenset[str]] = {
    "num_classes": frozenset(
        {"numclasses", "nclasses", "classnum", "numclass", "nclass", "nbclasses", "classcount", "numlabels"}
        | {
            "numberofclasses",
            "classes",
            "nclasses",
            "numoutputs",
            "noutputs",
            "outputclasses",
            "outclasses",
            "nlabels",
        }
    ),
    "in_channels": frozenset(
        {"inchannels", "imgchannels", "inchans", "inputchannels", "nchannels", "numchannels", "inch", "cin"}
        | {"imagechannels", "inchannel", "imgchannel", "inputchannel", "numinputchannels"}
    ),
    "image_size": frozenset(
        {"imagesize", "imgsize", "inputsize", "resolution", "imsize", "inputresolution", "imgresolution"}
        | {"imagesz", "imgsz", "inputimagesize"}
    ),
}
"""Spellings of what a task knows, in lower case and without underscores."""
LOOSE: Mapping[str, frozenset[str]] = {
    "num_classes": frozenset(
        {"outfeatures", "outputdim", "outdim", "outputsize", "nout", "numout", "outputs", "dimout"}
    ),
    "in_channels": frozenset(
        {"channels", "inputdim", "indim", "infeatures", "dimin", "nin", "chin", "imagechannel"}
    ),
    "image_size": frozenset({"size", "side"}),
}
"""Spellings that mean the same only where the argument is required."""


_NUMBERS = SPELLINGS["image_size"] | LOOSE["in_channels"] | LOOSE["image_size"]
_FLAT = frozenset(channels * side**2 for channels in (1, 3) for side in (28, 32, 64, 96, 224))
"""Numbers in an image of the common data sets."""
_PLAUSIBLE = {"in_channels": range(1, 5), "image_size": range(4, 2049)}


def _numbers_in(facts: Facts) -> int | float | None:
    known = "in_channels" in facts and "image_size" in facts
    return facts["in_channels"] * facts["image_size"] ** 2 if known else None


_ELSEWHERE = frozenset[str]().union(*SPELLINGS.values()) | frozenset(
    {"classes", "classnames", "labels", "labelnames", "names", "vocabulary", "vocab", "vocabsize", "ntokens"}
    | {"alphabet", "characters", "chars", "tokens", "mean", "std", "data", "dataset", "path", "device"}
    | {"columns", "ncolumns", "numcolumns", "numfeatures", "nfeatures", "inputdim", "length", "maxlength"}
    | {"seqlen", "sequencelength", "contextlength", "epochs", "numepochs", "nepochs", "steps", "maxsteps"}
    | {"batchsize", "seed", "randomseed", "numworkers"}
)
"""Spellings of what the task, the training or the machine decides, and no model."""


_OF_TRAININGS = frozenset(
    {"lr", "learningrate", "baselr", "initiallr", "initlr", "maxlr", "minlr", "weightdecay", "wd", "momentum"}
    | {"betas", "optimizer", "optim", "scheduler", "lrscheduler", "lrschedule", "warmup", "warmupepochs"}
    | {"warmupsteps", "labelsmoothing", "augment", "augmentation", "augmentations", "gradclip", "clipgrad"}
    | {"train", "training", "trainer", "trainlimit", "validationshare", "patience"}
)
"""Spellings of what the built-in trainer's settings decide, unless the model's code asks for it itself."""


def decided_by_training(name: str) -> bool:
    """Whether a value of this name is one of a training by the engine: lr, weight_decay, optimizer."""
    return decided_elsewhere(name) or _plain(name) in _OF_TRAININGS


def decided_elsewhere(name: str) -> bool:
    """A constant of this name is no choice of the model's: NUM_CLASSES, VOCABULARY, EPOCHS."""
    return _plain(name) in _ELSEWHERE


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def written(parameter: Parameter, fact: int | float) -> str:
    """The fact as an argument: twice where the parameter wants two numbers."""
    return f"({fact!r}, {fact!r})" if parameter.pair else repr(fact)


def fact_of(parameter: Parameter, facts: Facts) -> int | float | None:
    """What the task knows of a parameter, by its name, where its default does not say that it means something
    else: 64 "channels" are a width, and an "input size" of 784 counts the numbers of an image."""
    spelled = parameter.name.lower().replace("_", "")
    if spelled in _NUMBERS and parameter.default in _FLAT:
        return _numbers_in(facts)
    for name, value in facts.items():
        if parameter.default is not None and not _PLAUSIBLE.get(name, range(1, 10**9)).count(
            parameter.default
        ):
            continue
        if spelled == name.replace("_", "") or spelled in SPELLINGS.get(name, ()):
            return value
        if parameter.required and spelled in LOOSE.get(name, ()):
            return value
    return None


def counts_classes(filled: Mapping[str, str]) -> bool:
    """The configuration has its own word for the number of classes."""
    return any(key.lower().replace("_", "") in SPELLINGS["num_classes"] for key in filled)
