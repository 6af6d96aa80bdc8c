"""A notebook in a real kernel: progress in one place, results as tables, nothing as markup."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import marked
import nbformat
import pytest
from nbclient import NotebookClient

from ge_engine.api import Run, blocks, open_run
from ge_engine.config import RunConfig
from ge_engine.population import pareto_front
from ge_engine.views.notebook import NotebookView
from tests.patience import PATIENT

TESTS = Path(__file__).resolve().parent
PLAIN = TESTS.parent / "examples" / "plain_cnn.py"
REPLACED = ("checks", "objectives", "tasks", "evaluators", "models", "grammars", "probe_checks")
SETTINGS = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
import marked
from ge_engine import blocks, diff, evolve
settings = dict(
    llm="scripted:mixed,0.1", evaluator="marked", operators=("mutation", "mating", "eot"),
    checks=("seen", "seen-function"), objectives=("accuracy", marked.NAME),
    generations=2, population=8,
    plugins=["doubles", "marked"], no_plugins={REPLACED!r},
)
"""
CELLS = {
    "settings": SETTINGS,
    "evolve": f"run = evolve({str(PLAIN)!r}, run='run', **settings)",
    "run": "run",
    "repr": "print(repr(run))",
    "diff": "child = next(one.id for one in run.front if one.id != 'seed')\nrun.diff(child)",
    "same": "run.diff('seed')",
    "blocks": f"blocks({str(PLAIN)!r}, 'Head*')",
    "again": f"evolve({str(PLAIN)!r}, run='run', **settings)",
    "refused": f"evolve({str(PLAIN)!r}, run='other', **{{**settings, 'generations': -1}})",
    "broken": f"evolve({str(PLAIN)!r}, run='broken', **{{**settings, 'llm': 'scripted:refuse'}})",
}


class Watched(NotebookClient):
    """Keeps every message of the kernel by the cell that it belongs to."""

    messages: list[tuple[int, dict[str, Any]]]

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        self.messages.append((cell_index, msg))
        return super().process_message(msg, cell, cell_index)


class Executed:
    """The notebook after its cells have run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()]
        )
        client = Watched(
            self.notebook,
            timeout=PATIENT,
            kernel_name="python3",
            allow_errors=True,
            resources={"metadata": {"path": str(folder)}},
        )
        client.messages = self.messages = []
        client.execute()

    def outputs(self, cell: str) -> list[Any]:
        return list(self.notebook.cells[list(CELLS).index(cell)].outputs)

    def html(self, cell: str) -> str:
        (output,) = self.outputs(cell)
        return str(output["data"]["text/html"])

    def sent(self, cell: str, kind: str) -> list[dict[str, Any]]:
        at = list(CELLS).index(cell)
        return [m["content"] for index, m in self.messages if index == at and m["msg_type"] == kind]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    return Executed(tmp_path_factory.mktemp("notebook"))


@pytest.fixture(scope="module")
def run(executed: Executed) -> Run:
    return open_run(executed.folder / "run")


def cells_of(table: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]


def test_progress_that_fills_a_notebook_with_lines(executed: Executed) -> None:
    assert not executed.outputs("settings"), executed.outputs("settings")
    (output,) = executed.outputs("evolve")
    assert output["output_type"] == "display_data"
    (opened,) = executed.sent("evolve", "display_data")
    updates = executed.sent("evolve", "update_display_data")
    assert len(updates) >= 3, "the display did not follow the run"
    assert {one["transient"]["display_id"] for one in updates} == {opened["transient"]["display_id"]}
    stages = [one["data"]["text/plain"] for one in (opened, *updates)]
    assert "(starting)" in stages[0]
    assert any("(generating children)" in stage for stage in stages)
    shares = [float(re.findall(r'value="([\d.]+)"', one["data"]["text/html"])[0]) for one in updates]
    assert shares == sorted(shares)
    assert any(0 < share < 1 for share in shares)


def test_a_display_that_ends_otherwise_than_the_run(executed: Executed, run: Run) -> None:
    shown = executed.html("evolve")
    assert "2 of 2 (finished)" in shown
    assert f"The run ended: {run.stopped_because}." in shown
    front = shown[shown.index("<caption") : shown.rindex("</table>")]
    assert [row[0] for row in cells_of(front) if row] == [one.id for one in run.front]
    plain = executed.outputs("evolve")[0]["data"]["text/plain"]
    assert all(one.id in plain for one in run.front)


def test_a_front_that_is_not_the_run_s(executed: Executed, run: Run) -> None:
    best = pareto_front(run.individuals, {"accuracy": "max", marked.NAME: "min"})
    assert len(best) > 1
    rows = [row for row in cells_of(executed.html("run")) if row]
    assert rows == [
        [one.id, f"{100 * one.objectives['accuracy']:.2f} %", f"{int(one.objectives[marked.NAME]):,}"]
        for one in best
    ]
    (printed,) = executed.outputs("repr")
    assert printed["text"].splitlines()[0].startswith("<run run, Pareto front:")
    assert all(one.id in printed["text"] for one in best)


@pytest.mark.parametrize("cell", ["evolve", "run", "again"])
def test_a_name_or_a_reason_that_becomes_markup(executed: Executed, cell: str) -> None:
    shown = [
        one["data"] for kind in ("display_data", "update_display_data") for one in executed.sent(cell, kind)
    ]
    shown += [output["data"] for output in executed.outputs(cell) if "data" in output]
    pages = [data["text/html"] for data in shown]
    assert pages
    for page in pages:
        assert "<img" not in page
        assert "<script" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in pages[-1]


def test_a_reason_that_becomes_markup_or_cannot_be_sent(tmp_path: Path) -> None:
    view = NotebookView(tmp_path, RunConfig())
    view.observe("rejected", {"individual": "g0s0", "stage": "seen", "reason": f"{marked.REASON} \ud800"})
    shown = view.bundle()
    assert "&lt;/pre&gt;&lt;script&gt;alert(&#x27;no &amp; more&#x27;)" in shown["text/html"]
    assert shown["text/html"].count("<pre") == shown["text/html"].count("</pre") == 1
    json.dumps(shown, ensure_ascii=False).encode()


def test_a_diff_and_blocks_that_read_as_objects(executed: Executed, run: Run) -> None:
    changed = executed.html("diff")
    child = next(one for one in run.front if one.id != "seed")
    (change,) = run.diff(child.id)
    assert f"<summary>{change.kind} <code>{change.address}</code> +1 -1</summary>" in changed
    assert changed.count("<span ") == 2
    assert executed.outputs("diff")[0]["data"]["text/plain"].startswith(f"<Changes: {change.kind} ")
    assert executed.html("same") == "<p>No block differs.</p>"
    rows = [row for row in cells_of(executed.html("blocks")) if row]
    assert [row[:2] for row in rows] == [[name, one.kind] for name, one in blocks(PLAIN, "Head*").items()]
    assert len(rows) == 3


def test_a_finished_run_that_is_shown_as_a_new_one(executed: Executed) -> None:
    display, result = executed.outputs("again")
    assert "(finished)" in display["data"]["text/html"]
    assert result["output_type"] == "execute_result"
    assert result["data"]["text/html"] == executed.html("run")


def test_a_mistake_that_opens_a_display(executed: Executed) -> None:
    (error,) = executed.outputs("refused")
    assert error["output_type"] == "error"
    assert error["ename"] == "ConfigError"


def test_a_run_that_broke_off_and_seems_to_go_on(executed: Executed) -> None:
    display, error = executed.outputs("broken")
    assert error["ename"] == "ModelError"
    assert "(cut off)" in display["data"]["text/html"]


def test_a_run_that_is_gone_whose_repr_raises(run: Run, tmp_path: Path) -> None:
    assert repr(Run(tmp_path / "gone")).startswith(f"<run {tmp_path / 'gone'}: There is no run")


@pytest.mark.parametrize("how", [("-c",), ("-m", "IPython", "--simple-prompt", "--no-banner", "-c")])
def test_a_terminal_that_is_taken_for_a_notebook(how: tuple[str, ...]) -> None:
    code = (
        "import sys; from ge_engine.views.notebook import in_notebook; "
        "print(in_notebook(), 'IPython' in sys.modules)"
    )
    done = subprocess.run([sys.executable, *how, code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"False {len(how) > 1}"
