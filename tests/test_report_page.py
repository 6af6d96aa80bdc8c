"""Faults of the file that `ge report` writes: markup from a model, something fetched, wrong data."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import synthetic
from typer.testing import CliRunner

from ge_engine.cli.app import app
from ge_engine.ledger.history import History
from ge_engine.report import RunData, build_page, draw, read_run
from ge_engine.report.page import LIBRARY
from ge_engine.report.theme import COLOURS

# Of npm's plotly.js-basic-dist-min 4.1.1.
LIBRARY_SHA256 = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    folder = tmp_path_factory.mktemp("page") / "run <b>&"
    synthetic.write_run(folder, 120, size=30, objectives=("accuracy", "parameters", "flops"))
    with History(folder) as history:
        return read_run(history, synthetic.STAGES)


@pytest.fixture(scope="module")
def page(run: RunData) -> str:
    return build_page(run, draw(run))


class Reader(HTMLParser):
    """Tags with their attributes, and the text of every script by its id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = (dict(attrs).get("id") or "main") if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.scripts[self._open] = self.scripts.get(self._open, "") + data


def unpacked(reader: Reader, name: str) -> bytes:
    return gzip.decompress(base64.b64decode(reader.scripts[f"data-{name}"]))


def test_hostile_text_anywhere_in_the_file(run: RunData, page: str) -> None:
    details = json.loads(unpacked(Reader(page), "details"))
    assert any(synthetic.HOSTILE.split("\u2028")[0] in line for line in details["sources"]["lines"])
    assert "onerror" not in page.replace(
        resources.files("ge_engine.report").joinpath("assets", LIBRARY).read_text(), ""
    )
    assert "<b>&" not in page
    assert "<title>run &lt;b&gt;&amp; · ge report</title>" in page


def test_a_tag_that_the_template_does_not_have(page: str) -> None:
    allowed = {
        tag
        for tag, _ in Reader(
            resources.files("ge_engine.report").joinpath("assets", "report.html").read_text()
        ).tags
    }
    assert {tag for tag, _ in Reader(page).tags} == allowed
    assert not any(name.startswith("on") for _, attributes in Reader(page).tags for name in attributes)


def test_a_file_that_fetches_something(page: str) -> None:
    for tag, attributes in Reader(page).tags:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith("#"), tag
    assert "connect-src 'none'" in page_policy(page)
    assert "default-src 'none'" in page_policy(page)
    assert "url(" not in page
    assert "@import" not in page


def page_policy(page: str) -> str:
    content = next(a["content"] for t, a in Reader(page).tags if t == "meta" and "http-equiv" in a)
    assert content is not None
    return html.unescape(content)


def test_a_policy_that_lets_no_script_or_every_script_run(page: str) -> None:
    reader = Reader(page)
    for script in (reader.scripts["main"], unpacked(reader, "library").decode()):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page_policy(page)
    scripts = re.search(r"script-src ([^;]*)", page_policy(page))
    assert scripts is not None
    assert len(scripts[1].split()) == 2


def test_a_library_that_is_not_the_published_one() -> None:
    data = resources.files("ge_engine.report").joinpath("assets", LIBRARY).read_bytes()
    assert hashlib.sha256(data).hexdigest() == LIBRARY_SHA256
    assert b"new Function" not in data


def test_the_same_run_with_another_file(run: RunData, page: str) -> None:
    assert build_page(run, draw(run)) == page


def test_an_index_that_is_not_the_runs(run: RunData, page: str) -> None:
    index: dict[str, Any] = json.loads(unpacked(Reader(page), "index"))
    rows = index["rows"]
    assert rows["id"] == [row.id for row in run.rows]
    assert [rows["id"][at] for at in rows["front"]] == [row.id for row in run.front]
    assert sorted(rows["order"]) == list(range(len(run.rows)))
    for at, row in enumerate(run.rows):
        assert [rows["id"][parent] for parent in rows["parents"][at]] == list(row.parents)
        assert {name: rows["scores"][name][at] for name in run.directions if row.objectives} == row.objectives
    assert [one["name"] for one in index["objectives"]] == ["accuracy", "parameters", "flops"]
    assert "higher is better" in index["objectives"][0]["title"]
    assert "lower is better" in index["objectives"][1]["title"]


def test_a_figure_without_words_axis_titles_or_points(run: RunData) -> None:
    drawings = draw(run)
    assert len(drawings) == 8
    for name, drawing in drawings.items():
        assert drawing.title, name
        assert drawing.summary.endswith("."), name
        assert drawing.figure.layout.height >= 150, name
    pareto = drawings["pareto"].figure
    assert "accuracy (higher is better)" in pareto.layout.yaxis.title.text
    shown = sorted(at for trace in pareto.data if trace.customdata is not None for at in trace.customdata)
    assert set(shown) == {at for at, row in enumerate(run.rows) if row.state == "scored"}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_below_the_contrast_of_aa(theme: str) -> None:
    style = resources.files("ge_engine.report").joinpath("assets", "report.css").read_text()
    found = re.search(r":root \{(.*?)\}" if theme == "light" else r'"dark"\] \{(.*?)\}', style, re.DOTALL)
    assert found is not None
    names = dict(re.findall(r"--([\w-]+): (#\w{6})", found[1]))
    for ground in ("page", "card", "code"):
        for text in ("ink", "faint", "accent", "link"):
            assert contrast(names[text], names[ground]) >= 4.5, (text, ground)
    for name in (name for name in names if name.startswith("t-")):
        for ground in ("code", "plus", "minus", "plus-strong", "minus-strong"):
            assert contrast(names[name], names[ground]) >= 4.5, (name, ground)
    at = theme == "dark"
    for name in ("front", "seed", "better", "trained", "failed", "other"):
        assert contrast(COLOURS[name][at], names["card"]) >= 3.0, name


def test_the_command_without_a_file_or_with_half_of_one(tmp_path: Path) -> None:
    synthetic.write_run(tmp_path / "run", 20, size=10)
    result = CliRunner().invoke(app, ["report", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "report.html").read_text("utf-8").rstrip().endswith("</html>")
    other = tmp_path / "other.html"
    assert CliRunner().invoke(app, ["report", str(tmp_path / "run"), "-o", str(other)]).exit_code == 0
    assert other.stat().st_size > 400_000


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    from ge_engine.errors import LedgerError

    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(result.exception, LedgerError)
    assert not (tmp_path / "report.html").exists()
