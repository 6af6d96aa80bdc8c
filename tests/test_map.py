"""The map of rooms in CONTRIBUTING.md is the one that the architecture test holds the code to.

`python tests/test_map.py` draws it anew, from the order of rooms and the first line of each docstring.
"""

from __future__ import annotations

import ast
from pathlib import Path

from test_architecture import ENGINE, ROOT, ROWS

FILE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- rooms, by tests/test_map.py -->\n", "<!-- end of rooms -->\n"


def job_of(room: str) -> str:
    """The first line of the room's docstring."""
    file = ENGINE / f"{room}.py"
    tree = ast.parse((file if file.exists() else ENGINE / room / "__init__.py").read_text("utf-8"))
    return (ast.get_docstring(tree) or "").split("\n")[0]


def drawn() -> str:
    """A table of rooms, top to bottom."""
    rooms = [room for row in ROWS for room in row]
    rows = [f"| `{room}` | {job_of(room)} |" for room in rooms]
    return "\n".join(["| room | job |", "| --- | --- |", *rows]) + "\n"


def redrawn(text: str) -> str:
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + drawn() + END + rest.partition(END)[2]


def test_a_map_of_rooms_that_no_longer_holds() -> None:
    text = FILE.read_text("utf-8")
    assert BEGIN in text
    assert redrawn(text) == text, "Draw it anew with `python tests/test_map.py`."


def test_a_room_whose_docstring_does_not_say_its_job_in_one_line() -> None:
    for path in sorted(ENGINE.glob("*.py")):
        assert 10 < len(job_of(path.stem)) <= 110, path.name


if __name__ == "__main__":
    Path(FILE).write_text(redrawn(FILE.read_text("utf-8")), "utf-8")
    print(f"wrote {FILE}")
