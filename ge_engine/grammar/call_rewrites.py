"""Rewrites of one call that keep the shape of what it gives: each function turns a call's arguments into
a `Part` of alternatives.
"""

from __future__ import annotations

from collections.abc import Mapping

from ge_engine.grammar.catalog import (
    ACTIVATION_FUNCTIONS,
    ACTIVATION_LAYERS,
    DROPOUTS,
    EPSILONS,
    GATES,
    MOMENTA,
    OPTIMIZERS,
    SHARES,
    Options,
)
from ge_engine.grammar.choices import Part, either
from ge_engine.grammar.offer import FACTORS, Arguments, Offer, divides, keyword_choices


def activation_layer(offer: Offer, _name: str, _arguments: Arguments) -> Part | None:
    return _family(offer, "nn", ACTIVATION_LAYERS, "")


def activation_function(offer: Offer, _name: str, arguments: Arguments) -> Part | None:
    return _family(offer, "F", ACTIVATION_FUNCTIONS, arguments.get("input", ""))


def gate(offer: Offer, _name: str, arguments: Arguments) -> Part | None:
    subject = arguments.get("input", "")
    options = [f"{text}({subject})" for module, name in GATES if (text := offer.write(module, name))]
    return either(offer.some(options)) if options else None


def dropout(offer: Offer, name: str, _arguments: Arguments) -> Part | None:
    names = [n for n in DROPOUTS if n == name or n[-2:] not in ("1d", "2d")] if name in DROPOUTS else [name]
    options: list[Part] = []
    for one in names:
        if (text := offer.write("nn", one)) is not None:
            options.append((text, "(", either(offer.some(SHARES)), ")"))
    if (identity := offer.write("nn", "Identity")) is not None:
        options.append(f"{identity}()")
    return either(options)


def batch_norm(offer: Offer, name: str, arguments: Arguments) -> Part | None:
    width = arguments.get("num_features", "")
    options: list[Part] = []
    if own := offer.write("nn", name):
        options.append((f"{own}({width}", keyword_choices({"eps": EPSILONS, "momentum": MOMENTA}), ")"))
    if group := offer.write("nn", "GroupNorm"):
        counts = ["1", *(str(f) for f in FACTORS if divides(offer, f, width))]
        options.append((f"{group}(", either(counts), f", {width}", keyword_choices({"eps": EPSILONS}), ")"))
    if identity := offer.write("nn", "Identity"):
        options.append(f"{identity}()")
    return either(options) if options else None


def layer_norm(offer: Offer, _name: str, arguments: Arguments) -> Part | None:
    shape = arguments.get("normalized_shape", "")
    options: list[Part] = []
    for name, extra in (("LayerNorm", {"eps": EPSILONS, "bias": ("False",)}), ("RMSNorm", {"eps": EPSILONS})):
        if text := offer.write("nn", name):
            options.append((f"{text}({shape}", keyword_choices(extra), ")"))
    if (linear := offer.write("nn", "Linear")) and shape.isidentifier():
        options.append((f"{linear}({shape}, {shape}", keyword_choices({"bias": ("False",)}), ")"))
    if identity := offer.write("nn", "Identity"):
        options.append(f"{identity}()")
    return either(options) if options else None


def linear(offer: Offer, _name: str, arguments: Arguments) -> Part | None:
    text, stack = offer.write("nn", "Linear"), offer.write("nn", "Sequential")
    source, target = arguments.get("in_features", ""), arguments.get("out_features", "")
    if text is None or not source or not target:
        return None
    options: list[Part] = [(f"{text}({source}, {target}", either(["", ", bias=False"]), ")")]
    between = activation(offer)
    if stack is not None and between is not None:
        for size in offer.some(["16", "24", "32", "48", "64", "96", "128"], 3):
            options.append(
                (f"{stack}({text}({source}, ", size, "), ", between, f", {text}(", size, f", {target}))")
            )
    if stack is not None:
        if drop := offer.write("nn", "Dropout"):
            options.append(
                (f"{stack}({drop}(", either(offer.some(SHARES)), f"), {text}({source}, {target}))")
            )
        if norm := offer.write("nn", "LayerNorm"):
            options.append(f"{stack}({norm}({source}), {text}({source}, {target}))")
    return either(options)


def optimizer(offer: Offer, name: str, arguments: Arguments) -> Part | None:
    """The same parameters under another optimizer; learning rate scaled, other keywords as they fit."""
    subject, rate = arguments.get("params", ""), arguments.get("lr", "")
    options: list[Part] = []
    for other, keywords in OPTIMIZERS.items():
        text = offer.write("optim", other)
        if text is None or not subject:
            continue
        calm = "Adam" in other or other == "RMSprop"
        factors = (
            ("0.01", "0.02", "0.05", "0.1")
            if calm and name == "SGD"
            else ("0.5", "0.8", "1.25", "1.5", "2.0")
        )
        scaled = either(([rate] if other == name else []) + [f"{rate} * {f}" for f in offer.some(factors)])
        decay = arguments.get("weight_decay")
        kept = f", weight_decay={decay}" if decay else ""
        head = (f"{text}({subject}, lr=", scaled, kept) if rate else (f"{text}({subject}{kept}",)
        if other == "SGD":
            momentum = either(
                [f", momentum={m}, nesterov=True" for m in ("0.8", "0.85", "0.9", "0.95")]
                + [", momentum=0.9"]
            )
            options.append((*head, momentum, ")"))
        else:
            options.append((*head, keyword_choices(keywords), ")"))
    return either(options) if options else None


def _family(offer: Offer, module: str, family: Mapping[str, Options], subject: str) -> Part | None:
    options: list[Part] = []
    for name, keywords in family.items():
        if (text := offer.write(module, name)) is not None:
            lead = ", " if subject else ""
            extras = [f"{lead}{key}={value}" for key, values in keywords.items() for value in values]
            options.append((f"{text}({subject}", either(["", *extras]), ")"))
    return either(offer.some(options)) if options else None


def activation(offer: Offer) -> Part | None:
    """Any few activation layers, for a place where there was none."""
    return _family(offer, "nn", ACTIVATION_LAYERS, "")


def activated(offer: Offer, subject: str) -> Part | None:
    """`subject` inside any few activation functions."""
    return _family(offer, "F", ACTIVATION_FUNCTIONS, subject)


def extras(offer: Offer, width: str, dimension: str) -> list[Part]:
    """Layers that may follow one whose output has `width` channels ("" when unknown) and keep its shape."""
    found: list[Part] = []
    if (acts := activation(offer)) is not None:
        found.append(acts)
    drop = offer.write("nn", f"Dropout{dimension}" if dimension else "Dropout")
    if drop is not None:
        found.append((f"{drop}(", either(offer.some(SHARES)), ")"))
    if width and dimension == "2d":
        if norm := offer.write("nn", "BatchNorm2d"):
            found.append((f"{norm}({width}", keyword_choices({"momentum": MOMENTA}), ")"))
        if group := offer.write("nn", "GroupNorm"):
            found.append(f"{group}(1, {width})")
        if conv := offer.write("nn", "Conv2d"):
            sizes = either(
                [
                    "kernel_size=3, padding=1",
                    "kernel_size=5, padding=2",
                    "kernel_size=3, padding=2, dilation=2",
                ]
            )
            found.append(
                (f"{conv}({width}, {width}, ", sizes, f", groups={width}", either(["", ", bias=False"]), ")")
            )
    return found
