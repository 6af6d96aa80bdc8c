"""Several language models share the prompts by weight, repeatably."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import doubles
import pytest

from ge_engine import loop
from ge_engine.contracts import Prompt, Reply, Request, Sampling
from ge_engine.errors import ConfigError, ModelError
from ge_engine.search.experience import Experience
from ge_engine.search.models import Models, split_weights
from ge_engine.store.history import History

EVEN = Experience().odds


class Named:
    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for index in reversed(range(len(requests))):
            yield index, Reply(f"{self.name} {requests[index].key}", "stop", 0, 0, 0.0, self.name)

    def close(self) -> None:
        self.closed = True


class Broken(Named):
    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        raise ModelError("the socket is gone")
        yield


def mixed(*models: Named, weights: Sequence[float]) -> Models:
    names = [model.name for model in models]
    return Models(dict(zip(names, models)), [list(zip(names, weights))])


def requests(models: Models, count: int) -> list[Request]:
    return [
        Request(
            f"g0s{n}/0", Prompt("", ""), Sampling(0.5, 100, n), None, models.chosen(0, f"g0s{n}/0", n, EVEN)
        )
        for n in range(count)
    ]


def test_a_mixture_that_mixes_up_answers() -> None:
    mixture = mixed(Named("a"), Named("b"), weights=(0.8, 0.2))
    asked = requests(mixture, 500)
    first = dict(mixture.generate(asked))
    assert sorted(first) == list(range(500))
    assert all(reply.text == f"{reply.model} {asked[index].key}" for index, reply in first.items())
    counts = Counter(reply.model for reply in first.values())
    assert 350 < counts["a"] < 450
    assert dict(mixture.generate(asked)) == first
    alone = dict(mixture.generate(asked[7:8]))
    assert alone[0] == first[7]


def test_a_broken_model_that_hangs_the_batch() -> None:
    mixture = mixed(Named("a"), Broken("b"), weights=(0.5, 0.5))
    with pytest.raises(ModelError, match="the socket is gone"):
        list(mixture.generate(requests(mixture, 20)))


@pytest.mark.parametrize(
    ("specs", "pairs"),
    [
        (("openai:gpt:0.5",), [("openai:gpt:0.5", 1.0)]),
        (("smollm2:0.8", "openai:m:0.2"), [("smollm2", 0.8), ("openai:m", 0.2)]),
        (("smollm2", "openai:llama3:8b"), [("smollm2", 1.0), ("openai:llama3:8b", 1.0)]),
        (("a:1", "b:.5"), [("a", 1.0), ("b", 0.5)]),
    ],
)
def test_a_weight_taken_for_a_name(specs: tuple[str, ...], pairs: list[tuple[str, float]]) -> None:
    assert split_weights(specs) == pairs


def test_weights_of_nothing() -> None:
    with pytest.raises(ConfigError, match="all 0"):
        split_weights(("a:0", "b:0"))


def test_a_second_model_that_is_never_asked(tmp_path: Path) -> None:
    config = doubles.config(llm=("scripted:good:0.5", "scripted:mixed:0.5"), generations=2, population=12)
    loop.run(doubles.seed(), config, doubles.registry(), tmp_path / "run", lambda *_: None)
    with History(tmp_path / "run") as history:
        models = Counter(reply.model for _, reply in history.replies())
    assert set(models) == {"scripted:good", "scripted:mixed"}
    assert doubles.SCRIPTED.opened[-1].asked[-1] == doubles.SCRIPTED.opened[-2].asked[-1] == "closed"
