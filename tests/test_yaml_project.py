"""A YAML file beside a model that a program trains: from the command line to a patch that git applies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Ge

from ge_engine import Run
from ge_engine.config import config_from_dict
from ge_engine.contracts import Job
from ge_engine.evaluation.command import open_command
from ge_engine.launch import _files_of
from ge_engine.outcome import Failed, Scored
from ge_engine.patch import Patch, apply, parse_patch
from ge_engine.seed_files import load_seed
from tests.patience import PATIENT

NET = """\
class Net:
    def __init__(self, widths):
        self.widths = widths

    def loss(self):
        return sum(abs(width - 50) for width in self.widths)
"""
TRAIN = """\
import json
import sys

import yaml
from net import Net

with open(sys.argv[1]) as file:
    conf = yaml.safe_load(file)
net = Net(conf["model"]["widths"])
print(json.dumps({"loss": net.loss() + conf["lr"], "size": sum(net.widths)}))
"""
CONF = """\
# Figures of the network.
lr: 0.01   # the step
model:
    widths: [8, 16]  # both layers
    act: "relu"
""".replace("\n", "\r\n")
WORDS = ("--project", ".", "--command", "python train.py conf/conf.yaml")
OBJECTIVES = ("--objectives", "loss:min", "--objectives", "size:min")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, which is the working folder."""
    folder = tmp_path / "project"
    (folder / "conf").mkdir(parents=True)
    (folder / "net.py").write_text(NET)
    (folder / "train.py").write_text(TRAIN)
    (folder / "conf" / "conf.yaml").write_bytes(CONF.encode())
    (folder / ".gitignore").write_text("runs\n")
    monkeypatch.chdir(folder)
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
    return folder


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def evolved(ge: Ge, run: str, *more: str) -> str:
    words = ("--also", "conf/conf.yaml", *WORDS, *OBJECTIVES, "--population", "4", "--run", run, *more)
    code, out, err = ge("evolve", "net.py", "--blocks", "conf/conf.yaml::*", *words)
    assert code == 0, err
    return out


def children(run: str) -> dict[str, tuple[str, dict[str, float]]]:
    """The scored children of a run: their configuration, and their figures."""
    return {
        one.id: (one.genome.sources["conf/conf.yaml"].decode(), dict(one.objectives))
        for one in Run(Path(run)).individuals
        if one.genome is not None and one.objectives
    }


def test_a_run_whose_patch_git_refuses_or_whose_figures_nobody_gets_again(project: Path, ge: Ge) -> None:
    evolved(ge, "runs/a", "--llm", "uniform", "--generations", "1")
    made = children("runs/a")
    changed = {name: found for name, found in made.items() if found[0] != CONF}
    assert len(changed) > 1
    name, (text, figures) = next(iter(changed.items()))
    assert ge("export", f"runs/a:{name}", "--patch", "-o", "better.patch")[0] == 0
    git("apply", "--check", "better.patch")
    git("apply", "--whitespace=nowarn", "better.patch")
    assert (project / "conf" / "conf.yaml").read_bytes() == text.encode()
    told = subprocess.run(
        [sys.executable, "train.py", "conf/conf.yaml"], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout) == figures
    git("checkout", "-q", "conf")
    for command, differs in (("diff", 1), ("blame", 0), ("show", 0)):
        code, out, err = ge(command, f"runs/a:{name}")
        assert code == differs, err
        assert "conf/conf.yaml" in out
    assert ge("export", f"runs/a:{name}", "-o", "better")[0] == 0
    assert ge("diff", ".", "better")[1].count("conf/conf.yaml::") >= 1
    assert (project / "better" / "conf" / "conf.yaml").read_bytes().endswith(text.encode())
    assert ge("report", "runs/a")[0] == 0


@pytest.mark.long
def test_a_run_that_is_replayed_or_resumed_otherwise(project: Path, ge: Ge) -> None:
    evolved(ge, "runs/a", "--llm", "uniform", "--generations", "1")
    evolved(ge, "runs/b", "--llm", "replay:runs/a", "--generations", "1")
    assert children("runs/b") == children("runs/a")
    code, _, err = ge("resume", "runs/b", *WORDS, "--llm", "uniform", "--generations", "2")
    assert code == 0, err
    evolved(ge, "runs/c", "--llm", "uniform", "--generations", "2")
    assert children("runs/b") == children("runs/c")
    mine = project / "mine" / "conf"
    mine.mkdir(parents=True)
    (mine / "conf.yaml").write_bytes(CONF.replace("[8, 16]", "[49, 50, 50]").encode())
    code, _, err = ge("add", "runs/b", "mine", *WORDS)
    assert code == 0, err
    assert (CONF.replace("[8, 16]", "[49, 50, 50]"), {"loss": 1.01, "size": 149}) in children(
        "runs/b"
    ).values()


def test_a_prompt_that_calls_an_entry_python(project: Path, ge: Ge) -> None:
    evolved(ge, "runs/a", "--llm", "uniform", "--generations", "1")
    shown = [ge("show", f"runs/a:{name}")[1] for name in children("runs/a") if name != "seed"]
    assert shown
    for told in shown:
        assert "```yaml" in told
        assert "python" not in told.lower().replace("train.py", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("--also", "conf/conf.yaml", "--command", "python train.py {path}"),
            "is scored by a program in a tree of their project",
        ),
        (("--also", "spare.yaml", *WORDS), "the program does not read spare.yaml of its tree of the project"),
        (
            ("--also", "idle.yml", *WORDS),
            "Nothing in idle.yml can be evolved (--also): epochs, because the task",
        ),
        (("--also", "broken.yaml", *WORDS), "broken.yaml cannot be one of a seed model's files: line 1: "),
        (
            ("--also", "twice.yaml", *WORDS),
            "twice.yaml cannot be one of a seed model's files: line 2: the key a",
        ),
        (("--also", "list.yaml", *WORDS), "its outermost level is no mapping of keys to values"),
        (("--also", "empty.yaml", *WORDS), "empty.yaml cannot be one of a seed model's files: it is empty"),
        (("--also", "gone.yaml", *WORDS), "No Python or YAML file matches 'gone.yaml' (--also)"),
    ],
)
def test_a_file_that_is_no_use_to_a_run_and_what_is_said(
    project: Path, ge: Ge, words: tuple[str, ...], told: str
) -> None:
    files = {"spare": "a: 1\n", "broken": "a: [", "twice": "a: 1\na: 2\n", "list": "- 1\n", "empty": "# x\n"}
    for name, text in files.items():
        (project / f"{name}.yaml").write_text(text)
    (project / "idle.yml").write_text("epochs: 3\n")
    figures = OBJECTIVES if "--command" in words else ()
    code, _, err = ge("evolve", "net.py", *words, *figures, "--llm", "uniform", "--run", "runs/a")
    assert code == 2, err
    assert told in " ".join(err.split())
    assert "Traceback" not in err


def test_a_file_of_values_that_is_imported_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "conf.yaml").write_text("model:\n  widths: [1, 2]\n")
    seed = load_seed(tmp_path / "net.py", also=[str(tmp_path / "conf.yaml")]).genome
    assert [one.name for one in _files_of(seed).code] == ["net.py"]


def test_a_file_of_values_that_is_taken_for_the_model(project: Path, ge: Ge) -> None:
    code, _, err = ge("evolve", "conf/conf.yaml")
    assert code == 2
    assert "conf/conf.yaml is a file of values, and no Python file that builds a model." in err
    assert "--also conf/conf.yaml" in err
    assert ge("diff", "HEAD:conf/conf.yaml", "conf/conf.yaml")[0] == 0


def test_a_program_that_reads_the_original_and_a_tree_that_holds_it(project: Path) -> None:
    """The seed model's run tells whether the file is read; each candidate's tree has the candidate's."""
    config = config_from_dict(
        {"objectives": ["loss"], "timeout": 60.0, "project": ".", "evaluator": "command"}
        | {"evaluator_argument": "python train.py conf/conf.yaml"}
    )
    seed = load_seed("net.py", also=["conf/conf.yaml"]).genome
    patch = parse_patch(seed, "conf/conf.yaml::model", "model: {widths: [50, 51], act: relu}")
    assert isinstance(patch, Patch)
    child = apply(seed, patch)
    assert not isinstance(child, type(None))
    original = ["python", "train.py", str(project / "conf" / "conf.yaml")]
    for words, failed in ((["python", "train.py", "conf/conf.yaml"], False), (original, True)):
        with open_command(seed, config, words, ["loss"], project.parent / "scratch") as evaluation:
            first = evaluation.submit(Job("seed", seed, 0)).result(PATIENT)
            assert isinstance(first, Failed if failed else Scored), first
            if not failed:
                second = evaluation.submit(Job("child", child, 0)).result(PATIENT)
                assert isinstance(second, Scored)
                assert second.objectives["loss"] == 1.01
                ran = evaluation.probe(seed).result(PATIENT).executed
                assert {"conf/conf.yaml::lr", "conf/conf.yaml::model"} <= ran
