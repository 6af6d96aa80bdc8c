"""`gpu_headline`: what stands in its report when steps fail, are cut off, or cannot be read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from benchmarks_here import FOLDER

sys.path.insert(0, str(FOLDER.parent))
from benchmarks import gpu_headline
from benchmarks.gpu_headline import STEPS, Step, carry_out, last_json, last_line, main, steps


def python(code: str, seconds: float = 60.0) -> Step:
    return Step("step", seconds, ("-c", code), last_json)


def lines(folder: Path) -> list[Mapping[str, object]]:
    return [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]


def test_figures_that_a_step_printed_before_its_last_words() -> None:
    result = carry_out(python("print('{\"a\": 1}'); print('bye')"), os.environ)
    assert (result.state, result.figures, result.said) == ("done", {"a": 1}, '{"a": 1}\nbye')
    assert last_line("3 passed\n\n==== 5 passed in 2 s ====\n") == {"result": "5 passed in 2 s"}


@pytest.mark.long
def test_a_step_that_is_cut_off_and_takes_what_it_found_along() -> None:
    code = "import time\nprint('{\"a\": 1}', flush=True)\ntime.sleep(600)"
    result = carry_out(python(code, 8.0), os.environ)
    assert (result.state, result.figures) == ("cut off", {"a": 1})


def test_a_step_that_fails_and_stops_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose figures cannot be read: the hour goes on, and the report says which."""

    def unreadable(_: str) -> Mapping[str, object]:
        raise ValueError("no table of that name")

    three = [
        Step("device", 60.0, ("-c", "1/0"), last_json),
        Step("tests", 60.0, ("-c", ""), unreadable),
        Step("rate", 60.0, ("-c", "print('{\"b\": 2}')"), last_json),
    ]
    monkeypatch.setattr(gpu_headline, "steps", lambda *_: three)
    assert main(["--dry-run", "--out", str(tmp_path)]) == 1
    states = [(one["state"], one["figures"]) for one in lines(tmp_path)]
    assert states == [
        ("failed", {}),
        ("failed", {"unreadable": "ValueError: no table of that name"}),
        ("done", {"b": 2}),
    ]
    text = (tmp_path / "report.md").read_text()
    assert "ZeroDivisionError" in text
    assert "| rate | done |" in text
    assert "dry run on the CPU" in text


def test_budgets_that_are_longer_than_the_hour_that_is_lent(tmp_path: Path) -> None:
    """25 minutes, the time in which steps that are cut off end among them."""
    options = gpu_headline.parsed(["--data", str(tmp_path)])
    planned = steps(tmp_path, tmp_path, options)
    assert [one.name for one in planned] == list(STEPS)
    assert sum(one.seconds + gpu_headline.GRACE for one in planned) <= 25 * 60


@pytest.mark.parametrize("given", [[], ["--dry-run", "--data", "."], ["--data", "nowhere.zip"]])
def test_a_mistake_that_costs_the_first_minutes(given: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 2


@pytest.mark.long
def test_a_step_that_does_not_go_through_where_there_is_no_gpu(tmp_path: Path) -> None:
    assert main(["--dry-run", "--out", str(tmp_path)]) == 0
    told = {str(one["step"]): one for one in lines(tmp_path)}
    assert tuple(told) == STEPS
    assert told["search"]["figures"]["scored"] >= 1  # type: ignore[index]
    assert "seed" in told["finalists"]["figures"]  # type: ignore[operator]
