"""The map of rooms in CONTRIBUTING.md is the one that the architecture test holds the code to.

`python tests/test_map.py` draws it anew, from the order of rooms and the first line of each docstring.
"""

from __future__ import annotations

import ast
from pathlib import Path

from test_architecture import ENGINE, HELPERS, ROOT, ROWS

FILE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- rooms, by tests/test_map.py -->\n", "<!-- end of rooms -->\n"


def job_of(room: str) -> str:
    """The first line of the room's docstring."""
    tree = ast.parse(file_of(room).read_text("utf-8"))
    return (ast.get_docstring(tree) or "").split("\n")[0]


def file_of(room: str) -> Path:
    """The room's module, at the top or among helpers, or its package."""
    folders = [ENGINE, *(ENGINE / helper for helper in sorted(HELPERS))]
    modules = [folder / f"{room}.py" for folder in folders if (folder / f"{room}.py").exists()]
    return modules[0] if modules else ENGINE / room / "__init__.py"


def name_of(room: str) -> str:
    """How the map calls it: `genome`, `code/syntax`."""
    file = file_of(room)
    return room if file.name == "__init__.py" else str(file.relative_to(ENGINE).with_suffix(""))


def drawn() -> str:
    """A table of rooms, top to bottom."""
    rooms = [room for row in ROWS for room in row]
    rows = [f"| `{name_of(room)}` | {job_of(room)} |" for room in rooms]
    return "\n".join(["| room | job |", "| --- | --- |", *rows]) + "\n"


def redrawn(text: str) -> str:
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + drawn() + END + rest.partition(END)[2]


def test_a_map_of_rooms_that_no_longer_holds() -> None:
    text = FILE.read_text("utf-8")
    assert BEGIN in text
    assert redrawn(text) == text, "Draw it anew with `python tests/test_map.py`."


def test_a_room_whose_docstring_does_not_say_its_job_in_one_line() -> None:
    for row in ROWS:
        for room in row:
            assert 10 < len(job_of(room)) <= 110, room


if __name__ == "__main__":
    Path(FILE).write_text(redrawn(FILE.read_text("utf-8")), "utf-8")
    print(f"wrote {FILE}")
