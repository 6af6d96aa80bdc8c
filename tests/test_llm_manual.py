"""The model that waits for files: prompts and answers meet by name, in any order, across interruptions."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ge_engine.config import RunConfig
from ge_engine.contracts import LanguageModel, Prompt, Reply, Request, Sampling
from ge_engine.errors import ModelError
from ge_engine.registry import load_registry
from ge_engine.testing import LanguageModelContract
from ge_plugins.manual import LONGEST_REPLY, NOTHING, WAITING, ManualModel


def request(key: str = "g0s0/0", user: str = "Why?") -> Request:
    return Request(key, Prompt("You answer.", user), Sampling(0.3, 64, 7))


def stems(folder: Path) -> list[str]:
    return sorted(file.name.removesuffix(".prompt.md") for file in folder.glob("*.prompt.md"))


class Answering:
    """Answers each prompt of a folder as soon as its file is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Answering:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(0.01):
            for stem in stems(self._folder):
                reply = self._folder / f"{stem}.reply.md"
                if not reply.exists():
                    reply.write_text(f"answer to {stem}")


class TestManual(LanguageModelContract):
    @pytest.fixture
    def model(self, tmp_path: Path) -> Iterator[LanguageModel]:
        with Answering(tmp_path / "ask"):
            yield ManualModel("manual:ask", tmp_path / "ask", poll=0.02)


def test_an_answer_that_meets_another_prompt(tmp_path: Path) -> None:
    model = ManualModel("m", tmp_path, poll=0.01)
    asked = [request("g0s0/0", "One?"), request("g0s1/0", "Two?")]
    found: dict[int, Reply] = {}
    with Answering(tmp_path):
        found.update(model.generate(asked))
        ((_, found[9]),) = model.generate([request("g0s0/0", "Another?")])
    names = {at: reply.text.removeprefix("answer to ") for at, reply in found.items()}
    assert names[0].startswith("g0s0-0-")
    assert names[1].startswith("g0s1-0-")
    assert names[9].startswith("g0s0-0-")
    assert names[9] != names[0]
    assert "Another?" in (tmp_path / f"{names[9]}.prompt.md").read_text()


def test_an_answer_of_an_earlier_session_that_is_not_taken(tmp_path: Path) -> None:
    with Answering(tmp_path):
        first = list(ManualModel("m", tmp_path, poll=0.01).generate([request()]))
    again = list(ManualModel("m", tmp_path, poll=0.01).generate([request()]))
    assert [reply.text for _, reply in again] == [reply.text for _, reply in first]


def test_a_reply_that_is_read_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ManualModel("m", tmp_path, poll=0.001)
    with Answering(tmp_path):
        list(model.generate([request()]))
    seen: list[int] = []
    growing = iter([0, 0, 4, 9, 12, 12])

    def size(stem: str) -> int:
        seen.append(next(growing))
        return seen[-1]

    monkeypatch.setattr(model, "_size", size)
    assert len(list(model.generate([request()]))) == 1
    assert seen == [0, 0, 4, 9, 12, 12]


def test_what_waits_that_is_not_listed(tmp_path: Path) -> None:
    model = ManualModel("m", tmp_path, poll=0.01)
    assert (tmp_path / WAITING).read_text() == NOTHING
    thread = threading.Thread(target=lambda: list(model.generate([request(), request("g0s1/0")])))
    thread.start()
    while len(stems(tmp_path)) < 2 or NOTHING in (tmp_path / WAITING).read_text():
        pass
    listed = (tmp_path / WAITING).read_text()
    assert listed.startswith("2 prompts wait")
    for stem in stems(tmp_path):
        assert f"{stem}.prompt.md is answered by {stem}.reply.md" in listed
        (tmp_path / f"{stem}.reply.md").write_text("yes")
    thread.join()
    assert (tmp_path / WAITING).read_text() == NOTHING


def test_a_run_that_is_closed_and_waits_for_ever(tmp_path: Path) -> None:
    model = ManualModel("m", tmp_path, poll=30)
    threading.Timer(0.05, model.close).start()
    ((_, reply),) = model.generate([request()])
    assert reply.finish == "error"
    assert "closed" in reply.error


def test_a_prompt_that_nobody_answers_and_that_is_waited_for_all_the_same(tmp_path: Path) -> None:
    factory = load_registry().language_models["manual"]
    model = factory.open(str(tmp_path), RunConfig(manual_timeout=0.01))
    ((_, reply),) = model.generate([request()])
    assert (reply.finish, reply.error) == ("error", "no answer came within 0.01 s (--manual-timeout)")
    assert (tmp_path / WAITING).read_text() == NOTHING


def test_a_reply_of_any_size_or_without_text_that_ends_the_run(tmp_path: Path) -> None:
    model = ManualModel("m", tmp_path, poll=0.01)
    with Answering(tmp_path):
        list(model.generate([request(), request("g0s1/0")]))
    first, second = stems(tmp_path)
    (tmp_path / f"{first}.reply.md").write_bytes(b"x" * (LONGEST_REPLY + 1))
    (tmp_path / f"{second}.reply.md").write_bytes(b"\xff\xfe is no UTF-8")
    found = dict(model.generate([request(), request("g0s1/0")]))
    assert found[0].finish == "error"
    assert found[1].finish == "stop"


@pytest.mark.parametrize("argument", ["", "{file}/below", "{file}"])
def test_a_folder_that_cannot_be_made_and_is_no_mistake(argument: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    factory = load_registry().language_models["manual"]
    with pytest.raises(ModelError) as mistake:
        factory.open(argument.replace("{file}", str(file)), RunConfig())
    assert mistake.value.hint


def test_files_that_are_left_half_written(tmp_path: Path) -> None:
    ManualModel("m", tmp_path)
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == []
