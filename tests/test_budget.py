"""Budgets of tokens and money: what calls in flight may take is set aside, and nothing is charged twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import doubles
import pytest
from servers import Script, misbehaving, model_of

from ge_engine import loop
from ge_engine.contracts import Prompt, Request, Sampling
from ge_engine.ledger.history import History
from ge_engine.llm.endpoint import Endpoint
from ge_engine.llm.forms import FORMS
from ge_engine.llm.server import ServerLimits
from ge_engine.llm.uniform import UniformModel
from ge_engine.registry import load_registry
from ge_engine.runs.audit import check
from ge_engine.search.budget import Budget
from ge_plugins.replay import ReplayModel

PRICES = {"price_in": 1.0, "price_out": 5.0}


# The doubles in place of everything but the language models.
REGISTRY = load_registry(["doubles"], blocked=[name for name in doubles.REPLACED if name != "models"])


def run(folder: Path, **settings: Any) -> loop.Result:
    config = doubles.config(
        **{"llm": "scripted:good", "generations": 4, "population": 6, "reply_tokens": (100, 200), **settings}
    )
    return loop.run(doubles.seed(), config, REGISTRY, folder, lambda *_: None)


def used(folder: Path) -> tuple[int, int, int]:
    """Calls, tokens read and tokens written."""
    with History(folder) as history:
        return len(list(history.replies())), *history.tokens()


def content(folder: Path) -> dict[str, list[tuple[str, ...]]]:
    with History(folder) as history:
        return {name: [tuple(map(str, row)) for row in rows] for name, rows in history.content().items()}


@contextmanager
def asking(script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server for the loop; check and capability probe have been answered."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    script.behaviours = ["good"] * (1 + len(FORMS)) + script.behaviours
    with misbehaving(script) as url:
        yield f"openai:m@{url}"


@pytest.mark.parametrize("budget", [{"token_budget": 4000}, {"cost_budget": 0.009, **PRICES}], ids=["t", "c"])
@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_budget_that_is_passed_by_what_was_in_flight(
    tmp_path: Path, budget: dict[str, Any], schedule: str
) -> None:
    result = run(tmp_path / "run", schedule=schedule, workers=2, **budget)
    calls, read, written = used(tmp_path / "run")
    assert "; a call may " in result.stopped_because
    assert calls > 1
    assert read + written <= budget.get("token_budget", 10**9)
    assert (read + 5 * written) / 1e6 <= budget.get("cost_budget", 10**9)
    assert check(tmp_path / "run") == []


@pytest.mark.long
def test_a_run_stopped_within_a_round_again_and_again_that_ends_as_another(tmp_path: Path) -> None:
    """Each session has a little more: it goes on in the middle of a round, and nothing is asked twice."""
    run(tmp_path / "whole")
    total = sum(used(tmp_path / "whole")[1:])
    stops = set()
    for budget in range(2000, total, 900):
        stops.add(run(tmp_path / "run", token_budget=budget).stopped_because)
        assert sum(used(tmp_path / "run")[1:]) <= budget
    run(tmp_path / "run")
    assert len(stops) >= 3
    left, right = content(tmp_path / "run"), content(tmp_path / "whole")
    for table in ("calls", "individuals", "generations", "survivors", "fronts"):
        assert left[table] == right[table], table


def test_a_server_whose_concurrent_replies_pass_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reply takes all that it may: what is not set aside would be overspent."""
    script = Script("wordy")
    with asking(script, monkeypatch) as llm:
        spent = run(tmp_path / "run", llm=llm, population=12, cost_budget=0.02, **PRICES)
        calls, read, written = used(tmp_path / "run")
        assert "of 0.02 are spent; a call may cost" in spent.stopped_because
        assert (read + 5 * written) / 1e6 <= 0.02
        assert script.most_at_once > 1
        assert len(script.bodies) - (1 + len(FORMS)) == calls
        script.behaviours = ["good"] * len(FORMS) + ["wordy"]
        more = run(tmp_path / "run", llm=llm, population=12, cost_budget=0.04, **PRICES)
    again, *_ = used(tmp_path / "run")
    assert "of 0.04 are spent" in more.stopped_because
    assert again > calls
    assert len(script.bodies) - (1 + 2 * len(FORMS)) == again, "a prompt was sent, and paid, twice"


def test_a_try_that_failed_and_is_charged_beside_its_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script("status 503 retry-after=0.01", "half", "status 429 retry-after=0.01", "good")
    with asking(script, monkeypatch) as llm:
        run(tmp_path / "run", llm=llm, generations=1, population=3, token_budget=10**6)
    assert len(script.bodies) - (1 + len(FORMS)) == 3 + 3
    assert used(tmp_path / "run") == (3, 33, 21)


def request(user: str = "häl", tokens: int = 50) -> Request:
    return Request("g0s0/0", Prompt("sys", user), Sampling(0.5, tokens, 0), doubles.Free())


def test_what_a_call_may_take_is_less_than_what_it_takes() -> None:
    (_, reply), *_ = UniformModel().generate([Request("k", Prompt("s", "ü"), Sampling(1.0, 3, 0))])
    most = UniformModel().most_tokens(Request("k", Prompt("s", "ü"), Sampling(1.0, 3, 0)))
    assert (reply.prompt_tokens, reply.completion_tokens) <= most
    assert ReplayModel("r", {"g0s0/0": reply}).most_tokens(request())[0] == reply.prompt_tokens
    endpoint = Endpoint("m", None)
    plain = model_of(endpoint, ServerLimits()).most_tokens(request())
    told = {form.name: model_of(endpoint, ServerLimits(), form).most_tokens(request()) for form in FORMS}
    assert plain[0] >= len("syshäl".encode())
    assert plain[1] == 50
    assert told["grammar"] == plain
    assert told["custom_tool"][0] == plain[0] + len(doubles.Free().whole())


def test_a_budget_that_holds_some_of_the_prompts(tmp_path: Path) -> None:
    run(tmp_path / "run", generations=1)
    _, read, written = used(tmp_path / "run")
    with History(tmp_path / "run") as history:
        for room, fits in ((0, 0), (99, 0), (100, 1), (250, 2), (300, 3), (10**6, 3)):
            budget = Budget(doubles.config(token_budget=read + written + room), history)
            count, reason = budget.fitting([request()] * 3, lambda _: (60, 40))
            assert count == fits
            assert bool(reason) == (fits < 3)
        assert Budget(doubles.config(), history).fitting([request()] * 3, lambda _: (60, 40)) == (3, "")
        assert Budget(doubles.config(token_budget=read + written), history).spent()
