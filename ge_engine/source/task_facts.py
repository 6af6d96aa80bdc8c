"""What a task knows of a model's arguments: number of classes, channels and size of its images."""

from __future__ import annotations

from collections.abc import Mapping

from ge_engine.source.parameters import Parameter

Facts = Mapping[str, int | float]

SPELLINGS: Mapping[str, frozenset[str]] = {
    "num_classes": frozenset(
        {"numclasses", "nclasses", "classnum", "numclass", "nclass", "nbclasses", "classcount", "numlabels"}
        | {"numberofclasses", "classes", "nclasses", "numoutputs", "noutputs", "outputclasses", "nlabels"}
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


_ELSEWHERE = frozenset[str]().union(*SPELLINGS.values()) | frozenset(
    {"classes", "classnames", "labels", "labelnames", "names", "vocabulary", "vocab", "vocabsize", "ntokens"}
    | {"alphabet", "characters", "chars", "tokens", "mean", "std", "data", "dataset", "path", "device"}
    | {"columns", "ncolumns", "numcolumns", "numfeatures", "nfeatures", "inputdim", "length", "maxlength"}
    | {"seqlen", "sequencelength", "contextlength", "epochs", "numepochs", "nepochs", "steps", "maxsteps"}
    | {"batchsize", "seed", "randomseed", "numworkers"}
)
"""Spellings of what the task, the training or the machine decides, and no model."""


def decided_elsewhere(name: str) -> bool:
    """A constant of this name is no choice of the model's: NUM_CLASSES, VOCABULARY, EPOCHS."""
    return name.lower().replace("_", "") in _ELSEWHERE


def written(parameter: Parameter, fact: int | float) -> str:
    """The fact as an argument: twice where the parameter wants two numbers."""
    return f"({fact!r}, {fact!r})" if parameter.pair else repr(fact)


def fact_of(parameter: Parameter, facts: Facts) -> int | float | None:
    """What the task knows of a parameter, by its name."""
    spelled = parameter.name.lower().replace("_", "")
    for name, value in facts.items():
        if spelled == name.replace("_", "") or spelled in SPELLINGS.get(name, ()):
            return value
        if parameter.required and spelled in LOOSE.get(name, ()):
            return value
    return None


def counts_classes(filled: Mapping[str, str]) -> bool:
    """The configuration has its own word for the number of classes."""
    return any(key.lower().replace("_", "") in SPELLINGS["num_classes"] for key in filled)
