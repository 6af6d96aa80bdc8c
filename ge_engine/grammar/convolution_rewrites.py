"""Rewrites of convolutions and pools that keep the size of what they give.

Geometry follows the size rule of torch's convolutions,
out = floor((in + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1.
"""

from __future__ import annotations

from collections.abc import Iterable

from ge_engine.grammar.choices import Part, either
from ge_engine.grammar.offer import FACTORS, Arguments, Offer, call_text, divides

KERNELS = range(1, 8)
DILATIONS = (1, 2, 3)


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
        fits = [f for f in FACTORS if divides(offer, f, source) and divides(offer, f, target)]
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
