"""Faults that only a browser shows: a script error, a click without effect, markup by a model, a slow start.

`make browser` installs what is missing and runs these; the default run leaves them out.
"""

from __future__ import annotations

import cProfile
import os
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic

from ge_engine.api import compare, comparison_page
from ge_engine.config import RunConfig
from ge_engine.genome import Seed
from ge_engine.ledger import ChildRecord, Ledger
from ge_engine.ledger.history import History
from ge_engine.population import SEED_ID, Individual
from ge_engine.report import RunData, build_page, draw, read_run
from ge_engine.report.images import write_figures
from ge_engine.report.serve import PageServer, ledger_stamp
from tests.patience import PATIENT

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent
TWO = ("accuracy", "parameters")
THREE = ("accuracy", "parameters", "flops")
MOST_BYTES = 20_000_000


def read(folder: Path) -> RunData:
    with History(folder) as history:
        return read_run(history, synthetic.STAGES)


def written(folder: Path) -> Path:
    run = read(folder)
    path = folder / "report.html"
    path.write_text(build_page(run, draw(run)), "utf-8", newline="")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = os.environ.get("BROWSER_PATH") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page; at the end no page may have said anything on its console, or asked for anything."""
    said: list[str] = []
    contexts = []

    def open_page(url: str, width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: said.append(request.url) if foreign(request.url, url) else None)
        page.goto(url)
        page.wait_for_selector("html[data-ready=yes]", timeout=30_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not said


def until(page: Any, expression: str, seconds: float = 30.0) -> None:
    """Wait until an expression holds. (Playwright's own waiting evaluates text, which the policy bars.)"""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def foreign(asked: str, url: str) -> bool:
    return not asked.startswith((url.partition("#")[0], "data:", "blob:"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "run"
    synthetic.write_run(folder, 200, size=40, objectives=TWO)
    return written(folder)


def point_of(page: Any, trace: str, at: int) -> tuple[float, float]:
    """Where a point of the front's plot is on the screen."""
    return page.evaluate(  # type: ignore[no-any-return]
        """([name, at]) => {
            const plot = document.getElementById('pareto');
            const trace = plot.data.find((one) => one.name === name);
            const { xaxis, yaxis } = plot._fullLayout;
            const box = plot.getBoundingClientRect();
            const [x, y] = [xaxis.d2p(trace.x[at]), yaxis.d2p(trace.y[at])];
            return [box.left + xaxis._offset + x, box.top + yaxis._offset + y];
        }""",
        [trace, at],
    )


def test_a_click_on_a_point_that_shows_nothing(visit: Callable[..., Any], small: Path) -> None:
    page = visit(small.as_uri())
    front = page.evaluate(
        "document.getElementById('pareto').data.find((t) => t.name === 'Pareto front').text"
    )
    chosen = next(
        name for name in front if name != "seed" and name != page.inner_text("#detail-title").split()[0]
    )
    x, y = point_of(page, "Pareto front", front.index(chosen))
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    until(page, f"document.getElementById('detail-title').textContent.startsWith('{chosen}')")
    assert page.url.endswith(f"#{chosen}")
    assert page.inner_text("tr[aria-current=true] button") == chosen
    gone, come = page.locator("#diff tr.minus"), page.locator("#diff tr.plus")
    assert gone.count() + come.count() > 0
    page.get_by_role("radio", name="the seed model").check()
    row = next(row for row in read(small.parent).rows if row.id == chosen)
    assert page.locator("#diff .block-name").count() == len(row.parts.replaced)  # type: ignore[union-attr]
    assert page.locator("#curve .main-svg").count() > 0
    assert "```python" in page.inner_text("details.reply pre")


def test_a_diff_that_is_not_between_the_two_codes(visit: Callable[..., Any], small: Path) -> None:
    run = read(small.parent)
    row = next(row for row in run.front if row.parts is not None and row.parts.replaced)
    page = visit(f"{small.as_uri()}#{row.id}")
    page.get_by_role("radio", name="the seed model").check()
    place, code = row.parts.replaced[0]  # type: ignore[union-attr]
    old, new = run.sources.lines(run.seed_segments[place][1]), run.sources.lines(code)
    table = page.locator("#diff .diff").first
    minus = table.locator("tr.minus td:last-child").all_text_contents()
    plus = table.locator("tr.plus td:last-child").all_text_contents()
    assert len(old) - len(minus) == len(new) - len(plus)
    assert [line for line in minus if line not in old] == []
    assert [line for line in plus if line not in new] == []
    same = table.locator("tr.same td:last-child").all_text_contents()
    assert all(line in old and line in new for line in same)


def test_a_hostile_reply_that_becomes_markup(visit: Callable[..., Any], small: Path) -> None:
    run = read(small.parent)
    hostile = [
        row.id
        for row in run.rows
        for exchange in row.exchanges
        if synthetic.HOSTILE.split("\u2028")[0] in "\n".join(run.sources.lines(exchange.reply))
    ]
    assert hostile
    page = visit(f"{small.as_uri()}#{hostile[0]}")
    assert "</script><img src=x onerror=" in page.text_content("details.reply pre")
    assert page.locator("main img, main b:not(.plot b), main script").count() == 0
    assert page.title() == "run · ge report"


def test_an_injected_script_that_the_policy_lets_run(browser: Any, small: Path) -> None:
    page = browser.new_page()
    page.goto(small.as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    page.evaluate(
        """() => {
            document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="document.title=1">');
            const script = document.createElement('script');
            script.textContent = 'document.title = 2';
            document.body.append(script);
        }"""
    )
    page.wait_for_timeout(300)
    assert page.title() == "run · ge report"
    page.close()


def test_a_button_that_sends_the_run_to_a_server(visit: Callable[..., Any], small: Path) -> None:
    page = visit(small.as_uri())
    buttons = page.evaluate("[...document.querySelectorAll('.modebar-btn')].map((one) => one.dataset.title)")
    assert "Zoom" in buttons
    assert not [name for name in buttons if "share" in name.lower() or "cloud" in name.lower()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_theme_that_does_not_change_or_follow_the_system(
    visit: Callable[..., Any], small: Path, scheme: str
) -> None:
    page = visit(small.as_uri(), scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    line = "document.querySelector('#pareto .xtick text').style.fill"
    assert page.get_attribute("html", "data-theme") == scheme
    before = page.evaluate(ground), page.evaluate(line)
    page.click("#theme")
    until(page, f"{line} !== '{before[1]}'")
    assert page.evaluate(ground) != before[0]
    assert page.get_attribute("html", "data-theme") != scheme
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")
    assert page.get_attribute("html", "data-theme") != scheme


def test_a_reader_without_a_mouse_who_gets_nowhere(visit: Callable[..., Any], small: Path) -> None:
    page = visit(small.as_uri())
    shown = page.inner_text("#detail-title")
    page.focus("#next")
    page.keyboard.press("Enter")
    assert page.inner_text("#detail-title") != shown
    page.focus("#go-id")
    page.keyboard.type("g2s3")
    page.keyboard.press("Enter")
    assert page.inner_text("#detail-title").startswith("g2s3")
    page.focus("#go-id")
    page.keyboard.press("Control+a")
    page.keyboard.type("nobody")
    page.keyboard.press("Enter")
    assert "no individual nobody" in page.inner_text("#status")
    button = page.locator("#front button").nth(1)
    button.focus()
    page.keyboard.press("Space")
    assert page.inner_text("#detail-title").startswith(button.inner_text())
    unnamed = page.evaluate(
        """() => {
            const label = (one) => one.getAttribute('aria-label') || one.closest('label');
            const named = (one) => label(one) || one.textContent.trim();
            const all = document.querySelectorAll('button, select, input, [role=img], [role=region]');
            return [...all].filter((one) => !named(one)).map((one) => one.outerHTML);
        }"""
    )
    assert unnamed == []


def test_a_page_wider_than_a_telephone(visit: Callable[..., Any], small: Path) -> None:
    page = visit(small.as_uri(), width=390)
    for top in range(0, page.evaluate("document.documentElement.scrollHeight"), 500):
        page.evaluate(f"scrollTo(0, {top})")
        page.wait_for_timeout(60)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    plots = page.locator(".plot").count()
    until(page, f"document.querySelectorAll('.plot .main-svg').length >= {plots}")


def test_a_column_that_a_telephone_cuts_off(visit: Callable[..., Any], small: Path) -> None:
    page = visit(small.as_uri(), width=390)
    cut = page.evaluate(
        """() => [...document.querySelectorAll('table.stacked td')].filter((cell) => {
            const { left, right } = cell.getBoundingClientRect();
            return right > innerWidth || left < 0 || cell.scrollWidth > cell.clientWidth + 1;
        }).map((cell) => cell.outerHTML)"""
    )
    assert cut == []
    cells = "document.querySelector('#front tbody tr').cells"
    heads = page.evaluate(f"[...{cells}].map((cell) => getComputedStyle(cell, '::before').content)")
    assert '"accuracy"' in heads
    assert '"made by"' in heads
    assert page.evaluate(
        f"{cells}[1].getBoundingClientRect().left <= {cells}[0].getBoundingClientRect().right"
    )


def test_runs_side_by_side_that_are_not_drawn(visit: Callable[..., Any], tmp_path: Path) -> None:
    for name, children in (("one", 40), ("<b>other</b>", 80)):
        synthetic.write_run(tmp_path / name, children, size=20, objectives=TWO)
    found = compare(tmp_path / "one", tmp_path / "<b>other</b>")
    page = visit(comparison_page(found, tmp_path / "both.html").as_uri())
    for plot in ("plot-fronts", "plot-hypervolumes"):
        page.locator(f"#{plot}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{plot} .main-svg")
    ends = page.evaluate("document.getElementById('plot-hypervolumes').data.map((trace) => trace.y.at(-1))")
    assert ends == pytest.approx([one.hypervolume for one in found.runs])
    assert page.locator("main b").count() == 0
    assert "<b>other</b>" in page.inner_text("#tables")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    narrow = visit((tmp_path / "both.html").as_uri(), width=390)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390


def test_axes_that_cannot_be_chosen(visit: Callable[..., Any], tmp_path: Path) -> None:
    synthetic.write_run(tmp_path / "run", 60, size=20, objectives=THREE)
    page = visit(written(tmp_path / "run").as_uri())
    title = "document.querySelector('#pareto .xtitle').textContent"
    assert "parameters" in page.evaluate(title)
    page.select_option("#axis-x", "flops")
    until(page, f"{title}.includes('FLOPs')")
    assert "lower is better" in page.evaluate(title)


def test_a_lineage_that_is_not_the_chosen_ones(visit: Callable[..., Any], small: Path) -> None:
    run = read(small.parent)
    row = next(row for row in reversed(run.front) if len(row.parents) > 0)
    page = visit(f"{small.as_uri()}#{row.id}")
    page.locator("#lineage").scroll_into_view_if_needed()
    page.wait_for_selector("#lineage .main-svg")
    shown = page.evaluate(
        "document.getElementById('lineage').data[2].text.map((text) => text.split('  ')[0])"
    )
    assert shown[0] == "seed"
    assert {row.id, *row.parents} <= set(shown)
    page.select_option("#lineage-of", "front")
    until(page, f"document.getElementById('lineage').data[2].x.length >= {len(run.front)}")


def test_five_thousand_children_that_do_not_open(visit: Callable[..., Any], tmp_path: Path) -> None:
    # How long it takes is told by `make bench-report`: seconds are the machine's.
    synthetic.write_run(tmp_path / "run", 5000)
    path = written(tmp_path / "run")
    assert path.stat().st_size <= MOST_BYTES
    page = visit(path.as_uri())
    assert page.evaluate("performance.getEntriesByName('first-plot').length") == 1
    page.click("#next")
    assert page.locator("#diff .diff").count() > 0


def test_a_page_whose_work_grows_faster_than_its_run(tmp_path: Path) -> None:
    few, many = (calls_to_write(tmp_path / str(children), children) for children in (200, 1000))
    assert many <= 6 * few


def calls_to_write(folder: Path, children: int) -> int:
    """Function calls that the page of a run takes: work that no other program on the machine adds to."""
    synthetic.write_run(folder, children)
    profile = cProfile.Profile()
    profile.runcall(written, folder)
    return sum(entry.callcount for entry in profile.getstats())


def test_a_page_that_does_not_follow_its_run(visit: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    writing = synthetic.generations(folder, 60, size=20)
    next(writing)

    def build(stamp: str) -> str:
        run = read(folder)
        return build_page(run, draw(run), stamp)

    with PageServer(build, lambda: ledger_stamp(folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            page = visit(server.url)
            tile = "document.querySelectorAll('#figures-line dd')[3].firstChild.textContent"
            assert page.evaluate(tile) == "20"
            with page.expect_navigation(timeout=30_000):
                next(writing)
            page.wait_for_selector("html[data-ready=yes]")
            assert page.evaluate(tile) == "40"
            page.close()
        finally:
            server.shutdown()
            thread.join()
    writing.close()


def test_figures_that_are_missing_or_empty(tmp_path: Path, small: Path) -> None:
    paths = write_figures(draw(read(small.parent)), tmp_path / "figures")
    assert len(paths) == 16
    for path in paths:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
            assert path.stat().st_size > 8000
        else:
            assert len(list(ElementTree.parse(path).getroot().iter())) > 30


def test_the_report_of_a_real_run(visit: Callable[..., Any], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ge_engine.cli"]
    seed, folder = str(ROOT / "examples" / "plain_cnn.py"), str(tmp_path / "run")
    settings = ["--llm", "uniform", "--generations", "2", "--population", "4", "--epochs", "1"]
    subprocess.run([*command, "evolve", seed, "--run", folder, *settings], check=True, timeout=PATIENT)
    subprocess.run([*command, "report", folder], check=True, timeout=PATIENT)
    page = visit((tmp_path / "run" / "report.html").as_uri())
    assert page.locator("#pareto .scatterlayer .point").count() > 0
    page.fill("#go-id", "g0s1")
    page.keyboard.press("Enter")
    assert page.inner_text("#detail-title").startswith("g0s1")
    assert page.locator("details.reply pre").count() > 0


def test_a_run_that_has_only_begun(visit: Callable[..., Any], tmp_path: Path) -> None:
    seed = Seed.load(synthetic.EXAMPLE)
    with Ledger.create(tmp_path / "run", seed, RunConfig()) as ledger:
        ledger.set_config(RunConfig(), {"accuracy": "max", "parameters": "min"})
        page = visit(written(tmp_path / "run").as_uri())
        assert "No individual" in page.inner_text("main")
        page.click("#theme")
        one = Individual(SEED_ID, 0, -1, (), (), seed.genome)
        ledger.record_children([ChildRecord(one, "", None)])
        page = visit(written(tmp_path / "run").as_uri())
        assert page.inner_text("#detail-title").startswith("seed")
        assert "not scored yet" in page.inner_text("#detail-title")
