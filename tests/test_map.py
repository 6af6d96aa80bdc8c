"""The map of rooms in CONTRIBUTING.md is the one that the architecture test holds the code to.

`python tests/test_map.py` draws it anew, from the floors and the first line of each docstring.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from test_architecture import ENGINE, FILES, FLOORS, ROOT

FILE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- rooms, by tests/test_map.py -->\n", "<!-- end of rooms -->\n"


@cache
def job_of(file: Path) -> str:
    """The first line of a module's docstring."""
    tree = ast.parse(file.read_text("utf-8"))
    return (ast.get_docstring(tree) or "").split("\n")[0]


def drawn() -> str:
    """The floors as a picture, the uppermost first, then a table of the folders and modules on them."""
    floors = [" ".join(f"{room}/" if folder(room) else room for room in floor) for floor in FLOORS[::-1]]
    rooms = [room for floor in FLOORS[::-1] for room in floor]
    rows = [f"| `{room}{'/' if folder(room) else ''}` | {job_of(file_of(room))} |" for room in rooms]
    picture = ["```text", *floors, "```", ""]
    return "\n".join([*picture, "| room | job |", "| --- | --- |", *rows]) + "\n"


def folder(room: str) -> bool:
    return (ENGINE / room).is_dir()


def file_of(room: str) -> Path:
    return ENGINE / room / "__init__.py" if folder(room) else ENGINE / f"{room}.py"


def redrawn(text: str) -> str:
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + drawn() + END + rest.partition(END)[2]


def test_a_map_of_rooms_that_no_longer_holds() -> None:
    text = FILE.read_text("utf-8")
    assert BEGIN in text
    assert redrawn(text) == text, "Draw it anew with `python tests/test_map.py`."


def test_a_module_whose_docstring_does_not_say_its_job_in_one_line() -> None:
    assert not [str(file.relative_to(ENGINE)) for file in FILES if not 10 < len(job_of(file)) <= 110]


if __name__ == "__main__":
    Path(FILE).write_text(redrawn(FILE.read_text("utf-8")), "utf-8")
    print(f"wrote {FILE}")
