"""Rewrites of one call that keep the shape of what it gives: each function turns a call's arguments into
a `Part` of alternatives. Geometry follows the size rule of torch's convolutions,
out = floor((in + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable, Mapping

from ge_engine.grammar import signatures
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
from ge_engine.grammar.scope import Scope

Arguments = Mapping[str, str]
Rewrite = Callable[["Offer", str, Arguments], Part | None]
KERNELS = range(1, 8)
DILATIONS = (1, 2, 3)
FACTORS = (2, 3, 4, 6, 8)


class Offer:
    """What a rewrite may use: the scope, and a draw of which alternatives are open this time."""

    def __init__(self, scope: Scope, rng: random.Random, breadth: int) -> None:
        self.scope = scope
        self.rng = rng
        self.breadth = breadth

    def some(self, options: Iterable[Part], share: int = 0) -> list[Part]:
        """A random few of `options`, `breadth` of them unless `share` says how many."""
        pool = list(options)
        wanted = min(share or self.breadth, len(pool))
        return [pool[i] for i in sorted(self.rng.sample(range(len(pool)), wanted))]

    def write(self, module: str, name: str) -> str | None:
        """The spelling of a member that exists and is in reach, else None."""
        return self.scope.spelling.write(module, name) if signatures.exists(module, name) else None


def call_text(function: str, module: str, name: str, arguments: Arguments) -> str:
    """The call: positional arguments for what has no default, keywords for what differs from its default."""
    positional: list[str] = []
    keywords: list[str] = []
    for parameter, value in signatures.parameters(module, name):
        text = arguments.get(parameter)
        if value is inspect.Parameter.empty and text is not None and not keywords:
            positional.append(text)
        elif text is not None and text != repr(value):
            keywords.append(f"{parameter}={text}")
    return f"{function}({', '.join(positional + keywords)})"


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
        counts = ["1", *(str(f) for f in FACTORS if _divides(offer, f, width))]
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


def convolution(offer: Offer, name: str, arguments: Arguments) -> Part | None:
    text = offer.write("nn", name)
    source, target = arguments.get("in_channels", ""), arguments.get("out_channels", "")
    if text is None or not source or not target:
        return None
    geometry = _geometries(offer, arguments, most_padding=None, dilations=DILATIONS)
    options: list[Part] = [
        (
            f"{text}({source}, {target}, ",
            geometry,
            _groups(offer, arguments),
            _bias(arguments),
            _edge(arguments),
            ")",
        )
    ]
    if arguments.get("groups", "1") == "1" and (stack := offer.write("nn", "Sequential")):
        options.append(_factored(offer, text, stack, arguments))
    return either(options)


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


def pool(offer: Offer, name: str, arguments: Arguments) -> Part | None:
    dimension = name[-2:]
    geometry = _geometries(offer, arguments, most_padding=2, dilations=(1,))
    options: list[Part] = []
    for other in ("MaxPool", "AvgPool"):
        if text := offer.write("nn", other + dimension):
            options.append((f"{text}(", geometry, ")"))
    return either(options) if options else None


def pool_function(offer: Offer, name: str, arguments: Arguments) -> Part | None:
    dimension, subject = name[-2:], arguments.get("input", "")
    geometry = _geometries(offer, arguments, most_padding=2, dilations=(1,), default_stride=True)
    options: list[Part] = []
    for other in ("max_pool", "avg_pool"):
        if text := offer.write("F", other + dimension):
            options.append((f"{text}({subject}, ", geometry, ")"))
    return either(options) if options else None


def adaptive_pool(offer: Offer, name: str, arguments: Arguments) -> Part | None:
    size = arguments.get("output_size", "1")
    names = [f"Adaptive{kind}Pool{name[-2:]}" for kind in ("Avg", "Max")]
    options: list[Part] = [f"{text}({size})" for n in names if (text := offer.write("nn", n))]
    return either(options) if options else None


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


def keyword_choices(keywords: Options) -> tuple[Part, ...]:
    """Each keyword at most once, in a fixed order, each left out or given a value."""
    return tuple(either(["", *(f", {key}={value}" for value in values)]) for key, values in keywords.items())


def _geometries(
    offer: Offer,
    arguments: Arguments,
    most_padding: int | None,
    dilations: Iterable[int],
    default_stride: bool = False,
) -> Part:
    """All (kernel, padding, dilation) that give the size that `arguments` give, whatever the input's size.

    An odd kernel stays odd: a dilated even one would see nothing but padding of an image of one pixel.
    """
    kernel, stride = arguments.get("kernel_size", ""), arguments.get("stride", "")
    padding, dilation = arguments.get("padding", "0"), arguments.get("dilation", "1")
    kept = _joined(kernel_size=kernel, stride=stride, padding=padding, dilation=dilation)
    if not (kernel.isdigit() and padding.isdigit() and dilation.isdigit()):
        return kept
    shrink = 2 * int(padding) - int(dilation) * (int(kernel) - 1)
    pooled = most_padding is not None
    step = stride or (kernel if pooled or default_stride else "")
    found: list[Part] = []
    for d in dilations:
        for k in KERNELS:
            p, odd = divmod(shrink + d * (k - 1), 2)
            centred = k % 2 == 1 or int(kernel) % 2 == 0
            if odd or p < 0 or not centred or (k == 1 and d > 1) or p > 3 * int(kernel) + 3:
                continue
            if pooled and (p > k // 2 or p > (most_padding or 0)):
                continue
            if step.isdigit() and int(step) > d * (k - 1) + 1 and k < int(kernel):
                continue
            shown = "" if step == str(k) and pooled else step
            found.append(_joined(kernel_size=str(k), stride=shown, padding=str(p), dilation=str(d)))
    own = _joined(
        kernel_size=kernel,
        stride="" if step == kernel and pooled else step,
        padding=padding,
        dilation=dilation,
    )
    return either([own, *offer.some([f for f in found if f != own])])


def _joined(kernel_size: str, stride: str, padding: str, dilation: str) -> str:
    pairs = (
        ("kernel_size", kernel_size, ""),
        ("stride", stride, "1"),
        ("padding", padding, "0"),
        ("dilation", dilation, "1"),
    )
    return ", ".join(f"{name}={text}" for name, text, usual in pairs if text not in ("", usual))


def _groups(offer: Offer, arguments: Arguments) -> Part:
    groups, source, target = arguments.get("groups", "1"), arguments["in_channels"], arguments["out_channels"]
    own = "" if groups == "1" else f", groups={groups}"
    options = [own]
    if groups == "1":
        fits = [f for f in FACTORS if _divides(offer, f, source) and _divides(offer, f, target)]
        options += [f", groups={f}" for f in fits]
        if source == target and arguments.get("kernel_size", "1") != "1":
            options.append(f", groups={source}")
    return either(options)


def _bias(arguments: Arguments) -> Part:
    own = arguments.get("bias", "True")
    return either(["", ", bias=False"]) if own in ("True", "False") else f", bias={own}"


def _edge(arguments: Arguments) -> Part:
    own = arguments.get("padding_mode")
    return f", padding_mode={own}" if own else ""


def _factored(offer: Offer, text: str, stack: str, arguments: Arguments) -> Part:
    """Two thinner convolutions in place of one: a pointwise one to fewer channels, then the rest."""
    source, target = arguments["in_channels"], arguments["out_channels"]
    name = text.rpartition(".")[2]
    options: list[Part] = []
    for divisor in offer.some(["2", "3", "4", "6", "8"], 2):
        thin = f"max(1, {target} // {divisor})"
        rest = call_text(text, "nn", name, {**arguments, "in_channels": thin})
        options.append(f"{stack}({text}({source}, {thin}, kernel_size=1, bias=False), {rest})")
    return either(options)


def _divides(offer: Offer, factor: int, expression: str) -> bool:
    widths = offer.scope.width(expression)
    return bool(widths) and all(width % factor == 0 for width in widths)
