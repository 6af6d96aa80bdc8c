"""What every executor of agents promises: they run once, are replaced when they end, and end with the run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ge_engine.config import config_from_dict
from ge_engine.contracts import AgentExecutor, AgentOrder, AgentPool, Evaluation, Executor, Job
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Scored
from ge_engine.registry import load_registry
from ge_engine.testing.material import PLAIN, changed
from ge_engine.testing.watching import assert_is_a_name

DEADLINE = 300.0
"""Seconds within which an agent runs, ends, or is replaced."""
STAYS = "import time\nwhile True:\n    open(__file__ + '.told', 'a').write('.')\n    time.sleep(0.1)\n"
ENDS = "open(__file__ + '.told', 'a').write('.')\n"


class ExecutorContract:
    """Override `executor` with a fixture of scope "class" on a classmethod, and `argument` where it needs one
    that starts one agent on this machine."""

    argument: str = ""
    settings: dict[str, Any] = {  # noqa: RUF012 (overridden as a whole)
        "workers": 1,
        "timeout": 120.0,
        "training": {"epochs": 1, "train_limit": 128},
    }

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> AgentExecutor:
        raise NotImplementedError("give the fixture `executor`, with scope='class'")

    @pytest.fixture(scope="class")
    @classmethod
    def evaluation(
        cls, executor: AgentExecutor, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Evaluation]:
        """A training whose jobs run in this executor's agents."""
        yield from cls._opened(tmp_path_factory.mktemp("there"), executor)

    @pytest.fixture
    def start(self, executor: AgentExecutor, tmp_path: Path) -> Callable[[str], Any]:
        """Opens a pool whose agents run a program."""

        @contextmanager
        def started(program: str) -> Iterator[AgentPool]:
            (tmp_path / "agent.py").write_text(program)
            (tmp_path / "agents.json").write_text("{}")
            command = (sys.executable, str(tmp_path / "agent.py"), str(tmp_path / "agents.json"))
            pool = executor.open(self.argument, AgentOrder(command, tmp_path, 1, 0, 60.0))
            try:
                yield pool
            finally:
                pool.close()

        return started

    def test_it_has_a_name(self, executor: AgentExecutor) -> None:
        assert_is_a_name(executor.name)

    def test_its_argument_is_taken(self, executor: AgentExecutor) -> None:
        executor.check(self.argument)

    def test_it_waits_for_a_sign_of_life(self, executor: AgentExecutor) -> None:
        assert executor.patience > 0

    def test_agents_that_run_are_not_started_again(self, start: Any) -> None:
        with start(STAYS) as pool:
            states = [pool.keep(()) for _ in range(5)]
        assert {state.started for state in states} == {states[0].expected}
        assert states[0].expected > 0

    def test_an_agent_that_ended_is_replaced(self, start: Any) -> None:
        with start(ENDS) as pool:
            first = pool.keep(()).started
            assert _within(lambda: pool.keep(()).started > first), "nothing took its place"

    def test_no_agent_outlives_its_pool(self, start: Any, tmp_path: Path) -> None:
        with start(STAYS) as pool:
            pool.keep(())
            assert _within(lambda: self._told(tmp_path)), "the agent did not begin"
        assert _within(lambda: self._silent(tmp_path)), "the agent goes on"

    def test_a_closed_pool_can_be_closed_again(self, start: Any) -> None:
        with start(ENDS) as pool:
            pool.close()

    def test_a_training_there_gives_the_figures_of_one_here(
        self, evaluation: Evaluation, tmp_path: Path
    ) -> None:
        opened = self._opened(tmp_path, load_registry().executors["local"])
        here = next(opened)
        figures = [self._figures(one, self.seed()) for one in (evaluation, here)]
        opened.close()
        assert figures[0] == figures[1]

    def test_jobs_at_once_all_end(self, evaluation: Evaluation) -> None:
        names = ("SiLU", "GELU", "Tanh")
        genomes = [changed(self.seed(), "nn.ReLU()", f"nn.{name}()")[0] for name in names]
        futures = [evaluation.submit(Job(str(n), one, 0)) for n, one in enumerate(genomes)]
        assert all(isinstance(future.result(DEADLINE), Scored) for future in futures)

    @staticmethod
    def seed() -> Genome:
        return Seed.from_bytes(PLAIN).genome

    @staticmethod
    def _figures(evaluation: Evaluation, genome: Genome) -> Any:
        outcome = evaluation.submit(Job("x", genome, 0)).result(DEADLINE)
        assert isinstance(outcome, Scored), outcome
        return dict(outcome.objectives)

    @classmethod
    def _opened(cls, folder: Path, executor: Executor) -> Any:
        registry = load_registry()
        config = config_from_dict({**cls.settings, "executor": f"{executor.name}:{cls.argument}"})
        objectives = [registry.objectives[name] for name in config.objectives]
        training = registry.evaluators["train"].on(executor)
        with training.open(cls.seed(), config, objectives, folder, registry.tasks) as evaluation:
            yield evaluation

    @staticmethod
    def _told(folder: Path) -> int:
        told = folder / "agent.py.told"  # beside itself: an agent may be given its address elsewhere
        return told.stat().st_size if told.exists() else 0

    def _silent(self, folder: Path) -> bool:
        before = self._told(folder)
        time.sleep(1.0)
        return self._told(folder) == before


def _within(met: Callable[[], object]) -> bool:
    """Whether it is met before the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if met():
            return True
        time.sleep(0.1)
    return False
