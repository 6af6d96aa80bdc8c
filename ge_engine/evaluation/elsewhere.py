"""Code of a model that lies in other files than its seed model, which no child can change."""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ge_engine.profile import ModuleProfile


def running_elsewhere(modules: Iterable[ModuleProfile], files: Mapping[str, str]) -> dict[str, list[str]]:
    """By the name of a file of the user's own, the classes in it that the model is made of. `files` are the
    paths of the modules that its seed model imports."""
    kinds = {module.kind for module in modules if not module.block}
    found: dict[str, list[str]] = {}
    for path in dict.fromkeys(files.values()):
        if classes := sorted(_classes_in(path, kinds)):
            found[os.path.basename(path)] = classes
    return found


def sentence(found: Mapping[str, list[str]]) -> str:
    """What `running_elsewhere` found, and what to do to have it rewritten."""
    files = ", ".join(f"{file} ({', '.join(classes)})" for file, classes in found.items())
    return (
        f"The model also runs code of {files}, which stays as it is. To evolve that as well, give --package, "
        "or the file as --also FILE."
    )


def _classes_in(path: str, names: Collection[str]) -> set[str]:
    """Those of the names that are classes of a file. It is parsed where it may have one: a package that is
    installed can have thousands of files."""
    try:
        source = Path(path).read_bytes()
        if not any(b"class " + name.encode() in source for name in names):
            return set()
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name in names}
