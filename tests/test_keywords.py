"""Type checkers see the settings as keywords of `evolve`: `python tests/test_keywords.py` writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ge_engine.config import Island, Recipe, RunConfig, keywords

TABLES = {"RecipeSettings": Recipe, "IslandSettings": Island, "Settings": RunConfig}
WIDER = {"evaluator": "str | Score"}
CURRENT = {"recipe": "training"}
"""Keywords by another name than their field's, which is taken, too."""
"""Settings that may be given as more than they are stored as."""
NESTED = {Recipe: "RecipeSettings", tuple[Island, ...]: "Sequence[IslandSettings]"}
FILE = Path(keywords.__file__)
HEAD = '''"""The settings as keywords of `evolve`. Made by `python tests/test_keywords.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from ge_engine.config.scoring_function import Score
'''


def keyword_type(kind: Any) -> str:
    """What a caller may give: a list may be one word, a table is a mapping."""
    if kind in NESTED:
        return NESTED[kind]
    if get_origin(kind) is not tuple:
        return str(kind.__name__)
    inner = get_args(kind)
    names = ", ".join(one.__name__ for one in inner if one is not ...)
    return f"{names} | Sequence[{names}]" if ... in inner else f"tuple[{names}]"


def lines() -> Iterator[str]:
    yield HEAD
    for name, cls in TABLES.items():
        yield f"\nclass {name}(TypedDict, total=False):"
        yield f'    """The fields of `ge_engine.config.{cls.__name__}`."""\n'
        hints = get_type_hints(cls)
        kinds = {one.name: keyword_type(hints[one.name]) for one in dataclasses.fields(cls)}
        yield from (f"    {CURRENT.get(name, name)}: {WIDER.get(name, kind)}" for name, kind in kinds.items())
        yield from (f"    {name}: {kinds[name]}" for name in CURRENT if name in kinds)
        yield ""


def text() -> str:
    return "\n".join(lines())


def test_a_setting_that_a_type_checker_does_not_know() -> None:
    assert FILE.read_text("utf-8") == text(), "Run `python tests/test_keywords.py`."


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    print(f"wrote {FILE}")
