"""What may stand in place of what: families of layers and functions that take and give tensors alike.

Data only. Each entry is (name, {keyword: values worth trying}); a keyword is always optional. Every name is
checked against the installed torch before it is offered.
"""

from __future__ import annotations

from collections.abc import Mapping

Options = Mapping[str, tuple[str, ...]]

ACTIVATION_LAYERS: Mapping[str, Options] = {
    "ReLU": {},
    "ReLU6": {},
    "SiLU": {},
    "GELU": {"approximate": ('"tanh"',)},
    "Mish": {},
    "Hardswish": {},
    "ELU": {"alpha": ("0.5", "0.8", "1.5")},
    "CELU": {"alpha": ("0.5", "0.8", "1.5")},
    "SELU": {},
    "LeakyReLU": {"negative_slope": ("0.05", "0.1", "0.2", "0.3")},
    "PReLU": {"init": ("0.1", "0.3")},
    "Softplus": {"beta": ("2", "4")},
    "Tanh": {},
    "Softsign": {},
    "LogSigmoid": {},
    "Tanhshrink": {},
}

ACTIVATION_FUNCTIONS: Mapping[str, Options] = {
    "relu": {},
    "relu6": {},
    "silu": {},
    "gelu": {"approximate": ('"tanh"',)},
    "mish": {},
    "hardswish": {},
    "elu": {"alpha": ("0.5", "0.8", "1.5")},
    "celu": {"alpha": ("0.5", "0.8", "1.5")},
    "selu": {},
    "leaky_relu": {"negative_slope": ("0.05", "0.1", "0.2", "0.3")},
    "softplus": {"beta": ("2", "4")},
    "softsign": {},
    "tanhshrink": {},
}

GATES: tuple[tuple[str, str], ...] = (
    ("torch", "sigmoid"),
    ("torch", "tanh"),
    ("F", "hardsigmoid"),
    ("F", "softsign"),
    ("F", "softplus"),
    ("F", "silu"),
)

SHARES = ("0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.4", "0.5")
DROPOUTS = ("Dropout", "AlphaDropout", "Dropout1d", "Dropout2d", "FeatureAlphaDropout")
EPSILONS = ("1e-3", "1e-4", "1e-6")
MOMENTA = ("0.01", "0.05", "0.2", "0.3")
SCALES = ("0.25", "0.5", "0.7", "0.8", "0.9", "1.1", "1.2", "1.5", "2.0")

OPTIMIZERS: Mapping[str, Options] = {
    "SGD": {"momentum": ("0.8", "0.85", "0.95"), "nesterov": ("True",)},
    "Adam": {"betas": ("(0.9, 0.99)", "(0.95, 0.999)"), "amsgrad": ("True",)},
    "AdamW": {"betas": ("(0.9, 0.99)", "(0.95, 0.999)"), "amsgrad": ("True",)},
    "NAdam": {"betas": ("(0.9, 0.99)", "(0.95, 0.999)")},
    "RAdam": {"betas": ("(0.9, 0.99)", "(0.95, 0.999)")},
    "Adamax": {"betas": ("(0.9, 0.99)", "(0.95, 0.999)")},
    "RMSprop": {"momentum": ("0.5", "0.8", "0.9"), "alpha": ("0.9", "0.95")},
    "Adagrad": {"lr_decay": ("1e-3", "1e-4")},
}

FLOATS: Mapping[str, tuple[str, ...]] = {
    "momentum": ("0.8", "0.85", "0.9", "0.93", "0.95", "0.97"),
    "p": SHARES,
    "dropout": SHARES,
    "eps": EPSILONS,
    "negative_slope": ("0.01", "0.05", "0.1", "0.2", "0.3"),
    "alpha": ("0.5", "0.8", "1.0", "1.5"),
}

RATIO_NAMES = frozenset(
    ("reduction", "ratio", "expansion", "expand", "expand_ratio", "squeeze", "squeeze_factor", "mlp_ratio",
     "hidden")
)  # fmt: skip
CHANNEL_ARGUMENTS = frozenset(
    ("in_channels", "out_channels", "num_features", "in_features", "out_features", "normalized_shape",
     "num_channels", "embed_dim", "groups")
)  # fmt: skip
"""Arguments that hold a width: changed together or not at all."""

SHAPE_CALLS = frozenset(
    ("size", "shape", "dim", "numel", "len", "int", "range", "list", "tuple", "chunk", "split", "unbind")
)
"""Calls that give no tensor, but sizes or several of them."""

SHAPES = frozenset(("shape", "ndim"))
SIZE_CALLS = frozenset(("size", "dim", "numel", "len", "int", "range", "round", "floor", "ceil", "sqrt"))
"""Attributes and calls that give sizes."""
INDEX_CALLS = frozenset(
    ("long", "arange", "argmax", "argmin", "argsort", "bincount", "bucketize", "multinomial", "randint",
     "randperm", "searchsorted")
)  # fmt: skip
CASTS = frozenset(("to", "type"))
INTEGERS = frozenset(("long", "int", "short", "uint8", "int8", "int16", "int32", "int64"))
"""Calls that give whole numbers, such as tokens and places; calls that do with a type of these."""

OF_LOSSES = ("loss", "criterion", "cross_entropy")
"""Parts of the names of what a training's loss is made with."""
OF_MODULES = frozenset(
    ("forward", "train", "eval", "to", "parameters", "named_parameters", "modules", "children", "apply",
     "requires_grad_", "register_forward_hook", "float", "half", "state_dict", "load_state_dict")
)  # fmt: skip
"""What every module has: whoever calls it of a layer does not rely on the layer's kind."""
