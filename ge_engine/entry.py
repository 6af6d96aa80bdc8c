"""Which expression builds the model of a seed."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ge_engine.blocks import Genome
from ge_engine.errors import SeedError

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "num_classes": (
        "num_classes", "n_classes", "class_num", "num_class", "nclass", "classes", "n_class", "num_labels",
        "out_features", "output_dim", "nb_classes", "class_count", "number_of_classes",
    ),
    "in_channels": (
        "in_channels", "img_channels", "in_chans", "channels", "input_channels", "n_channels", "num_channels",
        "in_ch", "image_channels", "in_dim", "c_in", "inchannels",
    ),
    "image_size": ("image_size", "img_size", "input_size", "resolution", "size", "imsize", "im_size"),
}  # fmt: skip


def resolve_entry(genome: Genome, facts: Mapping[str, int | float], override: str = "") -> str:
    """The expression that builds the model. Raises SeedError that lists the candidates."""
    if override:
        return override
    tree = ast.parse(genome.text)
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef)]
    used = {
        n.id
        for c in tree.body
        for n in ast.walk(c)
        if isinstance(n, ast.Name) and not (isinstance(c, ast.ClassDef) and c.name == n.id)
    }
    roots = [c for c in classes if c.name not in used]
    if len(roots) != 1:
        raise SeedError(
            f"The model to build is ambiguous: {', '.join(c.name for c in roots)}.", "Use --entry."
        )
    known = {
        spelling: facts[name] for name, group in SPELLINGS.items() for spelling in group if name in facts
    }
    init = next((f for f in roots[0].body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    names = [a.arg for a in init.args.args[1:]] if init else []
    filled = ", ".join(f"{name}={known[name]}" for name in names if name in known)
    return f"{roots[0].name}({filled})"
