"""Programs and functions as evaluators: exit status, time, stderr and answers become outcomes."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ge_engine.config import RunConfig, config_from_dict, evaluator_settings, load_config
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.evaluation.command import CommandEvaluation
from ge_engine.evaluation.figures import read_scores
from ge_engine.evaluation.sandbox import bubblewrap
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.registry import load_registry
from ge_engine.search.resolution import chosen_objectives, notations_of, objectives_of
from ge_plugins.evaluators import ge_evaluators
from tests.evaluation import genome
from tests.patience import PATIENT

EVALUATORS = {evaluator.name: evaluator for evaluator in ge_evaluators()}
SCRIPT = """\
import ast, json, os, sys, time
text = open(sys.argv[1]).read()
names = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
if "Sleeper" in names:
    with open(os.path.join(os.path.dirname(sys.argv[0]), f"sleeper {os.getpid()}"), "w"):
        time.sleep(3600)
if "Dying" in names:
    sys.exit("no such data: cifar")
if "Hidden" in names:
    assert not [k for k in os.environ if "KEY" in k]
print("epoch 1 done")
print(json.dumps({"accuracy": 0.5, "parameters": len(names), "feedback": f"{sys.argv[2]} {sys.argv[3]}"}))
"""


@contextmanager
def opened(
    tmp_path: Path,
    evaluator: str,
    argument: str,
    timeout: float = 20.0,
    sandbox: str = "auto",
    **settings: object,
) -> Iterator[CommandEvaluation]:
    config = config_from_dict(
        {
            "evaluator": evaluator,
            "evaluator_argument": argument,
            "timeout": timeout,
            "workers": 3,
            "sandbox": sandbox,
            **settings,
        }
    )
    objectives = list(chosen_objectives(config, load_registry()).values())
    with EVALUATORS[evaluator].open(genome(), config, objectives, tmp_path / "scratch") as evaluation:
        assert isinstance(evaluation, CommandEvaluation)
        yield evaluation


@pytest.fixture
def script(tmp_path: Path) -> str:
    (tmp_path / "job.py").write_text(SCRIPT)
    return f"python {tmp_path / 'job.py'} {{path}} {{split}} {{seed}}"


def with_class(name: str) -> Genome:
    return genome(top=f"class {name}:\n    pass")


def result(evaluation: CommandEvaluation, one: Genome) -> Outcome:
    return evaluation.submit(Job("x", one, 7, "test")).result(PATIENT)


def test_a_program_whose_answer_is_lost(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with opened(tmp_path, "command", script) as evaluation:
        assert result(evaluation, with_class("Hidden")) == Scored(
            {"accuracy": 0.5, "parameters": 3.0}, {"feedback": "test 7"}
        )
        dying = result(evaluation, with_class("Dying"))
        assert isinstance(dying, Failed)
        assert (dying.kind, dying.fault) == ("crash", "candidate")
        assert "no such data: cifar" in dying.reason
        assert list((tmp_path / "scratch" / "jobs").iterdir()) == []


def sleepers(tmp_path: Path) -> list[int]:
    """The processes that sleep, by what they left; those that are gone are left out."""
    numbers = [int(file.name.split()[1]) for file in tmp_path.glob("sleeper *")]
    return [number for number in numbers if Path(f"/proc/{number}").exists() or not Path("/proc").exists()]


def test_a_program_that_outlives_its_limit_or_the_evaluation(tmp_path: Path, script: str) -> None:
    with opened(tmp_path, "command", script, timeout=1.0) as evaluation:
        hanging = result(evaluation, with_class("Sleeper"))
        assert sleepers(tmp_path) == []
    with opened(tmp_path, "command", script, timeout=900.0) as evaluation:
        left = evaluation.submit(Job("y", with_class("Sleeper"), 0))
        while not sleepers(tmp_path):
            time.sleep(0.02)
    assert sleepers(tmp_path) == []
    assert isinstance(left.result(), Failed)
    assert isinstance(hanging, Failed)
    assert hanging.kind == "timeout"


def test_a_function_that_is_called_with_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_job.py").write_text(
        "def score(path, budget):\n"
        "    lines = open(path).read().count('\\n')\n"
        "    print('noise')\n"
        "    said = f\"{budget['split']} {budget['seed']}\"\n"
        "    errors = {'accuracy': 0.125}\n"
        "    return {'accuracy': budget['seconds'] / 100, 'parameters': lines, 'errors': errors}, said\n"
        "def broken(path, budget):\n    raise ValueError('no data')\n"
        "def huge(path, budget):\n    return {'accuracy': 10**400, 'parameters': 1}\n"
    )
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path, "function", "my_job:score") as evaluation:
        lines = genome().source.count(b"\n")
        assert result(evaluation, genome()) == Scored(
            {"accuracy": 0.2, "parameters": float(lines)}, {"feedback": "test 7"}, {"accuracy": 0.125}
        )
    with opened(tmp_path, "function", "my_job:broken") as evaluation:
        failed = result(evaluation, genome())
        assert isinstance(failed, Failed)
        assert "ValueError: no data" in failed.reason
    with opened(tmp_path, "function", "my_job:huge") as evaluation:
        assert result(evaluation, genome()) == Failed("command", "not finite", "accuracy is inf")


ENDLESS = ("inf", "-inf")
ANSWERS: dict[str, tuple[str, Callable[[Outcome], bool]]] = {
    "nothing": ("", lambda o: isinstance(o, Failed) and "no JSON object" in o.reason),
    "text": ("accuracy 0.9", lambda o: isinstance(o, Failed) and "accuracy 0.9" in o.reason),
    "a list": ("[0.9]", lambda o: isinstance(o, Failed)),
    "deep nesting": ("[" * 100_000, lambda o: isinstance(o, Failed)),
    "a missing objective": (
        '{"accuracy": 1}',
        lambda o: isinstance(o, Failed) and "'parameters'" in o.reason,
    ),
    "a truth value": ('{"accuracy": true, "parameters": 1}', lambda o: isinstance(o, Failed)),
    "NaN": ('{"accuracy": NaN, "parameters": 1}', lambda o: isinstance(o, Failed) and o.kind == "not finite"),
    **{
        name: (
            '{"accuracy": 1, "parameters": ' + number + "}",
            lambda o: (
                isinstance(o, Failed)
                and (o.kind, o.fault, o.reason)
                in [("not finite", "candidate", f"parameters is {v}") for v in ENDLESS]
            ),
        )
        for name, number in {
            "400 digits": "7" * 400,
            "5000 digits": "7" * 5000,
            "400 digits below zero": "-" + "7" * 400,
            "a huge exponent": "1e999",
            "infinity": "-Infinity",
        }.items()
    },
    **{
        f"{name} for a number": (
            '{"accuracy": 1, "parameters": ' + value + "}",
            lambda o: (
                isinstance(o, Failed) and o.kind == "error" and "no number for 'parameters'" in o.reason
            ),
        )
        for name, value in {
            "text": '"0.5"',
            "nothing": "null",
            "a nested object": '{"mean": 0.5}',
            "a list": "[0.5]",
            "false": "false",
        }.items()
    },
    "a whole number": (
        '{"accuracy": 1, "parameters": 518230}',
        lambda o: o == Scored({"accuracy": 1.0, "parameters": 518230.0}),
    ),
    "errors of some figures": (
        '{"accuracy": 1, "parameters": 5, "errors": {"accuracy": 0.5}}',
        lambda o: o == Scored({"accuracy": 1.0, "parameters": 5.0}, {}, {"accuracy": 0.5}),
    ),
    "errors that are no mapping": (
        '{"accuracy": 1, "parameters": 5, "errors": [0.5]}',
        lambda o: isinstance(o, Failed) and '"errors" is no JSON object' in o.reason,
    ),
    "half a character of feedback": (
        '{"accuracy": 1, "parameters": 1, "feedback": "a \\ud800"}',
        lambda o: isinstance(o, Scored) and o.details["feedback"] == "a ?",
    ),
    "feedback that is no text": (
        '{"accuracy": 1, "parameters": 1, "feedback": ["a"]}',
        lambda o: o == Scored({"accuracy": 1.0, "parameters": 1.0}),
    ),
    "figures besides the objectives": (
        '{"accuracy": 1, "parameters": 5, "f1": 0.5, "ok": true, "n": null, "inf": Infinity, "s": "x"}',
        lambda o: isinstance(o, Scored) and o.figures == {"f1": 0.5},
    ),
    "a score before the last line": (
        '{"accuracy": 1, "parameters": 1}\n{"accuracy": 0.5, "parameters": 2}\n\n',
        lambda o: o == Scored({"accuracy": 0.5, "parameters": 2.0}),
    ),
}


@pytest.mark.parametrize(("output", "right"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_misread(output: str, right: Callable[[Outcome], bool]) -> None:
    outcome = read_scores(output, ("accuracy", "parameters"))
    assert right(outcome), outcome


@pytest.mark.parametrize(
    ("evaluator", "argument", "part"),
    [
        ("command", "python train.py", "{path}"),
        ("command", "python 'train.py {path}", "cannot be read"),
        ("function", "my_job.score", "FILE.py:FUNCTION"),
        ("function", "no/such.py:score", "no file 'no/such.py'"),
    ],
)
def test_an_argument_that_cannot_work(evaluator: str, argument: str, part: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught, opened(tmp_path, evaluator, argument):
        pytest.fail("it was opened")
    assert part in f"{caught.value.message} {caught.value.hint}"


EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_worked_example_of_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    with opened(tmp_path, "function", "char_job:score", timeout=60) as evaluation:
        outcome = result(evaluation, Seed.load(EXAMPLES / "char_model.py").genome)
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["accuracy"] > 0.4
    assert 0 < outcome.errors["accuracy"] < 0.02
    assert "nats" in outcome.details["feedback"]


@pytest.mark.long
def test_the_worked_example_of_a_program(tmp_path: Path) -> None:
    command = f"python {EXAMPLES / 'own_script.py'} --model {{path}} --seed {{seed}}"
    with opened(tmp_path, "command", command, timeout=60) as evaluation:
        outcome = result(evaluation, Seed.load(EXAMPLES / "plain_cnn.py").genome)
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["accuracy"] > 0.4


def own(*objectives: str, evaluator: str = "command") -> RunConfig:
    settings = {"evaluator": evaluator, "evaluator_argument": "job {path}", "objectives": objectives}
    return config_from_dict(settings)


def test_a_figure_of_ones_own_that_is_refused_or_turned_round_or_taken_for_a_share() -> None:
    config, registry = own("rmse:min", "dice:max", "loss", "accuracy:min"), load_registry()
    wanted = {"rmse": "min", "dice": "max", "loss": "min", "accuracy": "min"}
    assert objectives_of(config, registry) == wanted
    shares = {name for name, one in notations_of(config, registry).items() if one.is_share}
    assert shares == {"accuracy"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (own("mse"), "small or a large 'mse'.*--objective mse:min"),
        (own("errors:min"), "cannot be called 'errors'"),
        (own("rmse:min", evaluator="train"), "no objective 'rmse'"),
    ],
    ids=["without a direction", "a word with a meaning", "a figure that no training measures"],
)
def test_an_objective_that_cannot_be_measured_is_refused_without_a_next_step(
    config: RunConfig, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        objectives_of(config, load_registry())
    assert re.search(words, f"{refused.value.message} {refused.value.hint}")


FUNCTION = """\
import neighbour
def score(path, budget):
    figures = {"rmse": neighbour.RMSE, "minutes": 1.5, "worst": float("inf")}
    return {**figures, "feedback": "large houses", "errors": {"rmse": 0.25}}
"""
CANNOT = """\
import ge_engine
def score(path, budget):
    return {"rmse": 1}
ge_engine.evolve("seed.py", evaluator=score, objectives="rmse:min")
"""


def test_a_function_of_a_file_whose_figures_or_neighbours_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "train.py").write_text(FUNCTION)
    (tmp_path / "job" / "neighbour.py").write_text("RMSE = 2.5")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    given = {"workdir": "elsewhere", "objectives": ["rmse:min"]}
    with opened(tmp_path, "function", "job/train.py:score", **given) as evaluation:
        outcome = result(evaluation, genome())
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives == {"rmse": 2.5}
    assert outcome.errors == {"rmse": 0.25}
    assert outcome.figures == {"minutes": 1.5}
    assert outcome.details["feedback"] == "large houses"


def test_a_file_that_begins_a_run_for_each_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text(CANNOT)
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path, "function", "train.py:score", objectives=["rmse:min"]) as evaluation:
        outcome = result(evaluation, genome())
    assert isinstance(outcome, Failed), outcome
    assert "begins a run when it is loaded" in outcome.reason
    assert not (tmp_path / "runs").exists()


def test_a_function_that_another_process_cannot_find() -> None:
    here = {"evaluator": "function", "evaluator_argument": "tests/evaluation.py:genome"}
    assert evaluator_settings(genome) in (here, here | {"evaluator_argument": "tests.evaluation:genome"})
    for nowhere in (lambda *_: {"rmse": 1.0}, opened(Path(), "train", "").__enter__, dict):
        with pytest.raises(ConfigError, match="no function of a file"):
            load_config("demo", None, {"evaluator": nowhere})


TOLD = """\
import json, os, sys
seen = {"cwd": os.getcwd(), "names": sorted(os.environ), "folder": sys.argv[2]}
print(json.dumps({"accuracy": 1, "parameters": 1, "feedback": json.dumps(seen)}))
"""


@pytest.mark.parametrize("sandbox", ["none", "bwrap"])
def test_a_program_in_another_folder_or_without_what_it_was_to_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: str
) -> None:
    (tmp_path / "job.py").write_text(TOLD)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("WANDB_DIR", "x")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    command = f"python {tmp_path / 'job.py'} {{path}} {{folder}}"

    def seen(**settings: object) -> dict[str, object]:
        with opened(tmp_path, "command", command, sandbox=sandbox, **settings) as evaluation:
            outcome = result(evaluation, genome())
            assert isinstance(outcome, Scored), outcome
            return dict(json.loads(outcome.details["feedback"]))

    plain = seen()
    assert plain["cwd"] == os.getcwd()
    assert "WANDB_DIR" not in plain["names"]  # type: ignore[operator]
    chosen = seen(workdir=str(tmp_path / "data"), pass_env=["WANDB_DIR", "NOT_SET"])
    assert chosen["cwd"] == str(tmp_path / "data")
    assert {"WANDB_DIR", "GE_SEED"} <= set(chosen["names"])  # type: ignore[call-overload]
    assert not {"OPENAI_API_KEY", "NOT_SET"} & set(chosen["names"])  # type: ignore[call-overload]
    own = seen(workdir="{folder}")
    assert own["cwd"] == own["folder"]


TRAINED_IN_PLACE = """\
import json, pathlib, sys
kept = pathlib.Path("checkpoint")
before = kept.read_text() if kept.exists() else "nothing"
kept.write_text("First" if "First" in pathlib.Path(sys.argv[1]).read_text() else "Second")
print(json.dumps({"accuracy": 0.5, "parameters": 1, "feedback": before}))
"""


@pytest.mark.parametrize("sandbox", ["none", *["bwrap"] * (not bubblewrap.why_not())])
def test_a_training_that_goes_on_from_the_checkpoint_of_another(tmp_path: Path, sandbox: str) -> None:
    """Each has a folder of its own by `--workdir {folder}`, which is gone when it is scored. In a folder of
    the user's it finds what the one before has left there, unless bubblewrap keeps it from writing."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_text(TRAINED_IN_PLACE)
    command = f"python {project}/train.py {{path}}"
    genomes = [with_class("First"), with_class("Second")]

    def outcomes(workdir: str) -> list[Outcome]:
        with opened(tmp_path, "command", command, sandbox=sandbox, workdir=workdir) as evaluation:
            found = [result(evaluation, one) for one in genomes]
            assert list((tmp_path / "scratch" / "jobs").iterdir()) == []
            return found

    apart = [one.details["feedback"] for one in outcomes("{folder}") if isinstance(one, Scored)]
    assert apart == ["nothing"] * 2
    assert sorted(file.name for file in project.iterdir()) == ["train.py"]
    together = outcomes(str(project))
    if sandbox == "bwrap":
        assert all(isinstance(one, Failed) and "Read-only file system" in one.reason for one in together)
        return
    assert [one.details["feedback"] for one in together if isinstance(one, Scored)] == ["nothing", "First"]
    assert (project / "checkpoint").read_text() == "Second"


def test_a_folder_to_run_in_that_is_not_there(tmp_path: Path, script: str) -> None:
    with (
        pytest.raises(ConfigError, match="no folder '/no/such'"),
        opened(tmp_path, "command", script, workdir="/no/such"),
    ):
        pass
