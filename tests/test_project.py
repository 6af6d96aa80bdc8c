"""Programs that run unchanged in a tree of their own repository (`--project`)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_project_tree import state_of

from ge_engine import evolve
from ge_engine.cli.options import chosen_settings
from ge_engine.config import config_from_dict, load_config
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError, SeedError
from ge_engine.evaluation import project_tree
from ge_engine.evaluation.command import CommandEvaluation
from ge_engine.evaluation.sandbox import bubblewrap
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.patch import JointPatch, Patch, apply, parse_patch
from ge_engine.registry import load_registry
from ge_engine.search.rescoring import OwnSettings, settings_with_own
from ge_engine.search.resolution import chosen_objectives
from ge_engine.seed_files import load_seed
from tests.patience import PATIENT
from tests.test_command import EVALUATORS

MODEL = "class Net:\n    def parameters(self):\n        return [4, 4]\n"
CHANGED = MODEL.replace("[4, 4]", "[4, 4, 3]")
TELL = "import json\nprint(json.dumps({'parameters': sum(Net().parameters())}))\n"
SANDBOXES = ["none", *["bwrap"] * (not bubblewrap.why_not())]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository whose model is a module of a package that exports it again, and two scripts."""
    folder = tmp_path.resolve() / "my pröject"
    (folder / "nets").mkdir(parents=True)
    (folder / "nets" / "__init__.py").write_text("from nets.small import Net\nfrom . import small\n")
    (folder / "nets" / "small.py").write_text(MODEL)
    (folder / "train.py").write_text(f"from nets import Net\n{TELL}")
    (folder / "config.json").write_text("{}")
    return folder


@contextmanager
def opened(place: Path, command: str, /, **settings: object) -> Iterator[CommandEvaluation]:
    values: dict[str, object] = {"objectives": ["parameters"], "timeout": 60.0, "project": str(place)}
    values |= {"evaluator": "command", "evaluator_argument": command, **settings}
    config = config_from_dict(values)
    objectives = list(chosen_objectives(config, load_registry()).values())
    seed = Seed.load(place / "nets" / "small.py").genome
    scratch = place.parent / "run" / "scratch"
    with EVALUATORS["command"].open(seed, config, objectives, scratch) as evaluation:
        assert isinstance(evaluation, CommandEvaluation)
        yield evaluation
    assert not (scratch / "jobs").exists()


def genome(text: str = CHANGED) -> Genome:
    return Seed.from_bytes(text.encode(), Path("small.py")).genome


def outcome_in(project: Path, command: str = "python train.py", **settings: object) -> Outcome:
    """Of a candidate with 11 parameters, in place of a seed model with 8; the project is as it was."""
    before = state_of(project)
    with opened(project, command, **settings) as evaluation:
        outcome = evaluation.submit(Job("x", genome(), 7)).result(PATIENT)
    assert state_of(project) == before
    return outcome


def test_a_file_of_several_that_is_the_original_or_counts_as_unused(project: Path) -> None:
    (project / "nets" / "sizes.py").write_text(
        "WIDTHS = [4, 4]\nIDLE = 3\n\n\ndef spare():\n    return IDLE\n"
    )
    main = MODEL.replace("[4, 4]", "sizes.WIDTHS + wide.more()")
    (project / "nets" / "small.py").write_text(f"from . import sizes, wide\n\n\n{main}")
    (project / "nets" / "wide.py").write_text("def more():\n    return []\n\n\ndef spare():\n    return 1\n")
    seed = load_seed(project / "nets" / "small.py", package=True).genome
    assert seed.files.keys() == {"small.py", "sizes.py", "wide.py"}
    values = {"objectives": ["parameters"], "timeout": 60.0, "project": str(project), "evaluator": "command"}
    config = config_from_dict({**values, "evaluator_argument": "python train.py"})
    objectives = list(chosen_objectives(config, load_registry()).values())
    wide = parse_patch(seed, "wide.py::more", "def more():\n    return [3]\n")
    widths = parse_patch(seed, "sizes.py::WIDTHS", "WIDTHS = [5, 5]\n")
    assert isinstance(wide, Patch)
    assert isinstance(widths, Patch)
    child = apply(seed, JointPatch((wide, widths)))
    assert isinstance(child, Genome)
    with EVALUATORS["command"].open(seed, config, objectives, project.parent / "scratch") as evaluation:
        scores = [
            evaluation.submit(Job(str(at), one, 0)).result(PATIENT) for at, one in enumerate((seed, child))
        ]
        executed = evaluation.probe(seed).result(PATIENT).executed
    assert [one.objectives["parameters"] for one in scores if isinstance(one, Scored)] == [8, 13]
    assert {"small.py::Net.parameters", "sizes.py::WIDTHS", "wide.py::more"} <= executed
    assert not executed & {"sizes.py::IDLE", "sizes.py::spare", "wide.py::spare"}


def test_several_files_that_no_project_places(project: Path) -> None:
    (project / "nets" / "wide.py").write_text("def more():\n    return []\n")
    seed = load_seed(project / "nets" / "small.py", also=[str(project / "nets" / "wide.py")])
    config = config_from_dict({"evaluator": "command", "evaluator_argument": "true {path}"})
    opening = EVALUATORS["command"].open(seed.genome, config, [], project.parent / "scratch")
    with (
        pytest.raises(ConfigError, match="several files is scored by a program in a tree") as raised,
        opening,
    ):
        pass
    assert "--project DIR" in raised.value.hint


SCRIPTS = {
    "beside the package": ("train.py", f"from nets import Net\n{TELL}", "python train.py"),
    "of the module itself": ("train.py", f"from nets.small import Net\n{TELL}", "python train.py"),
    "in a folder, by PYTHONPATH": (
        "tools/train.py",
        f"from nets import Net\n{TELL}",
        "python tools/train.py",
    ),
    "in a folder, by its own place": (
        "tools/train.py",
        "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))\n"
        f"from nets import Net\n{TELL}",
        "python tools/train.py",
    ),
    "beside the model": ("nets/train.py", f"from small import Net\n{TELL}", "python nets/train.py"),
    "as a module": ("nets/train.py", f"from .small import Net\n{TELL}", "python -m nets.train"),
    "that changes its folder": (
        "train.py",
        f"import os\nos.chdir('/')\nfrom nets import Net\n{TELL}",
        "python train.py",
    ),
    "that is told the path": (
        "train.py",
        f"import runpy, sys\nNet = runpy.run_path(sys.argv[1])['Net']\n{TELL}",
        "python train.py {path}",
    ),
    "a program of its own": (
        "run.sh",
        f'#!/bin/sh\nexec "{sys.executable}" -c "import nets; print(\'{{\\"parameters\\":\', sum(nets.Net()'
        ".parameters()), '}')\"\n",
        "./run.sh",
    ),
}


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_script_that_trains_the_model_as_it_was(project: Path, kind: str, sandbox: str) -> None:
    name, text, command = SCRIPTS[kind]
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(text)
    (project / name).chmod(0o755)
    assert outcome_in(project, command, sandbox=sandbox) == Scored({"parameters": 11.0})


def test_a_script_by_a_link_that_trains_the_model_as_it_was(project: Path) -> None:
    """Python puts the folder that a script's link leads to first on its path."""
    (project / "link.py").symlink_to("train.py")
    assert outcome_in(project, "python link.py") == Scored({"parameters": 11.0})


def test_a_project_that_python_is_told_of_already_and_finds_first(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of sources on PYTHONPATH or in an installation that can be edited."""
    (project / "src").mkdir()
    (project / "nets").rename(project / "src" / "nets")
    seed = project / "src" / "nets" / "small.py"
    for inherited in (str(project / "src"), ""):
        monkeypatch.setenv("PYTHONPATH", inherited)
        values: dict[str, object] = {"project": str(project), "objectives": ["parameters"], "timeout": 60.0}
        config = config_from_dict(values | {"evaluator": "command", "evaluator_argument": "python train.py"})
        objectives = list(chosen_objectives(config, load_registry()).values())
        scratch = project.parent / "scratch"
        with EVALUATORS["command"].open(Seed.load(seed).genome, config, objectives, scratch) as evaluation:
            outcome = evaluation.submit(Job("x", genome(), 7)).result(PATIENT)
        assert outcome == Scored({"parameters": 11.0})


WRITES = """\
import os, pathlib, shutil, sys
from nets import Net
def change(act):
    try:
        act()
    except OSError as error:
        print(type(error).__name__, error)
pathlib.Path("config.json").write_text("changed")
pathlib.Path("out/log.txt").open("a").write("more")
pathlib.Path("out/new.txt").write_text("new")
pathlib.Path("nets/small.py").write_text("changed")
change(lambda: pathlib.Path("weights.bin").open("wb").write(b"new"))
change(lambda: pathlib.Path("data/0").write_text("new"))
change(lambda: pathlib.Path("data/new").write_text("new"))
change(lambda: os.truncate(os.path.realpath("weights.bin"), 0))
change(lambda: os.remove(os.path.realpath("weights.bin")))
change(lambda: shutil.rmtree(os.path.realpath("data")))
change(lambda: os.rename(sys.argv[1], sys.argv[1] + " gone"))
os.remove("weights.bin")
"""
DELETES = "import os, shutil\nfrom nets import Net\nshutil.rmtree(os.getcwd())\n"


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_program_whose_writing_is_found_in_the_project(
    project: Path, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over small files and modules, into folders that are there, through links to large ones, and to the
    project by its own path. Linux keeps it from what is linked."""
    monkeypatch.setattr(project_tree, "FOLDER_ENTRIES", 10)
    for name in ("out", "data"):
        (project / name).mkdir()
    for number in range(20):
        (project / "data" / str(number)).write_text("x")
    (project / "out" / "log.txt").write_text("begun")
    (project / "out" / "log.txt").chmod(0o444)
    (project / "weights.bin").write_bytes(b"0" * 2**20 + b"1")
    writes = WRITES if landlock_version() or sandbox == "bwrap" else WRITES.split("change(lambda")[0]
    (project / "train.py").write_text(writes + TELL)
    command = f"python train.py '{project}'"
    assert outcome_in(project, command, sandbox=sandbox) == Scored({"parameters": 11.0})


def test_a_run_within_the_project_whose_trees_hold_trees(project: Path) -> None:
    (project / "train.py").write_text(
        "import os\nfrom nets import Net\n"
        f"assert sum(len(files) for _, _, files in os.walk('.')) == 4\n{TELL}"
    )
    config = {"objectives": ["parameters"], "project": str(project), "evaluator": "command", "timeout": 60.0}
    made = config_from_dict({**config, "evaluator_argument": "python train.py"})
    objectives = list(chosen_objectives(made, load_registry()).values())
    seed = Seed.load(project / "nets" / "small.py").genome
    with EVALUATORS["command"].open(seed, made, objectives, project / "runs" / "scratch") as evaluation:
        for _ in range(2):
            outcome = evaluation.submit(Job("x", genome(), 7)).result(PATIENT)
            assert outcome == Scored({"parameters": 11.0})


def test_a_program_that_deletes_its_tree(project: Path) -> None:
    (project / "train.py").write_text(DELETES + TELL)
    assert outcome_in(project) == Scored({"parameters": 11.0})


def test_two_candidates_at_once_that_see_each_other(project: Path) -> None:
    """Each waits until the other has written its file at the same relative path."""
    met = project.parent / "met"
    met.mkdir()
    (project / "train.py").write_text(
        "import os, pathlib, time\nfrom nets import Net\n"
        "mine = str(sum(Net().parameters()))\n"
        "pathlib.Path('checkpoint').write_text(mine)\n"
        f"met = pathlib.Path({str(met)!r})\n"
        "(met / f'met {mine}').write_text('')\n"
        "while len(list(met.glob('met *'))) < 2:\n    time.sleep(0.02)\n"
        "assert pathlib.Path('checkpoint').read_text() == mine\n" + TELL
    )
    with opened(project, "python train.py", workers=2) as evaluation:
        jobs = [
            evaluation.submit(Job(text, genome(text), 7)) for text in (CHANGED, CHANGED.replace("3", "9"))
        ]
        assert [job.result(PATIENT) for job in jobs] == [
            Scored({"parameters": number}) for number in (11.0, 17.0)
        ]


def test_blocks_of_the_model_that_run_in_the_tree_and_are_not_told(project: Path) -> None:
    """The seed model is scored by a file that tells what runs."""
    text = MODEL + "    def unused(self):\n        return 1\n"
    (project / "nets" / "small.py").write_text(text)
    (project / "train.py").write_text("import os\nos.mkdir('out')\n" + (project / "train.py").read_text())
    with opened(project, "python train.py") as evaluation:
        seed = Seed.load(project / "nets" / "small.py").genome
        assert isinstance(evaluation.submit(Job("seed", seed, 0)).result(PATIENT), Scored)
        assert set(evaluation.probe(seed).result().executed) == {"Net", "Net.parameters"}


def test_a_program_in_a_folder_of_the_project_and_what_it_is_told(project: Path) -> None:
    (project / "tools").mkdir()
    (project / "tools" / "train.py").write_text(
        "import json, os, sys\nfrom nets import Net\nsplit, seed, folder = sys.argv[1:]\n"
        "assert os.path.basename(os.getcwd()) == 'tools' and os.getcwd().startswith(folder)\n"
        "assert os.path.samefile(os.environ['GE_SEED'], '../nets/small.py')\n"
        "print(json.dumps({'parameters': sum(Net().parameters()), 'feedback': f'{split} {seed}'}))\n"
    )
    outcome = outcome_in(project, "python train.py {split} {seed} {folder}", workdir="tools")
    assert outcome == Scored({"parameters": 11.0}, {"feedback": "validation 7"})


def test_a_program_of_its_repository_that_does_not_use_the_file_and_is_believed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "copy.py").write_text(MODEL)
    (project / "train.py").write_text(f"from copy import Net\n{TELL}")
    monkeypatch.chdir(project.parent)
    with pytest.raises(SeedError, match="does not use the file") as refused:
        evolved(project, command="python train.py")
    assert "--project" in str(refused.value.hint)


def evolved(place: Path, /, command: str = "python train.py", **settings: object) -> None:
    given: dict[str, object] = {"evaluator": "command", "evaluator_argument": command, "llm": "uniform"}
    given |= {"objectives": ["parameters"], "project": str(place), "generations": 1, "population": 1}
    run = place.parent / "run"
    evolve(place / "nets" / "small.py", run=run, observe=lambda *_: None, **{**given, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"project": "no such"}, "no folder 'no such'.*--project DIR"),
        ({"project": "elsewhere"}, "small.py does not lie in the project 'elsewhere'.*folder above"),
        ({"workdir": "no such"}, "no folder 'no such' in the project"),
        ({"workdir": "../elsewhere"}, "no folder '../elsewhere' in the project"),
        ({"command": "./no-such.sh"}, "no program './no-such.sh'"),
        ({"command": ""}, "does not say where"),
        ({"metrics": ["loss=(x"]}, "cannot be read: missing"),
        ({"metrics_file": "../results.json"}, "does not lie in the program's own folder"),
    ],
)
def test_a_project_that_cannot_be_used_and_leaves_a_run(
    project: Path, settings: dict[str, object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.parent)
    (project.parent / "elsewhere").mkdir()
    with pytest.raises(ConfigError) as refused:
        evolved(project, **settings)  # type: ignore[arg-type]
    assert re.search(words, f"{refused.value.message} {refused.value.hint}")
    assert not (project.parent / "run").exists()


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"project": "."}, "--project is"),
        ({"metrics": ["a=(b)"], "metrics_file": "c"}, "--metrics, --metrics-file are"),
    ],
)
def test_what_is_for_a_program_and_is_taken_without_one(settings: dict[str, object], flag: str) -> None:
    for evaluator in ("train", "job.py:score"):
        with pytest.raises(ConfigError, match=flag) as refused:
            load_config("demo", None, {**settings, "evaluator": evaluator})
        assert "--command" in refused.value.hint


def test_a_project_in_a_file_of_settings_that_is_another_than_by_flags(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("project = '.'\nmetrics = ['a=(x)']\nmetrics_file = 'r.json'\ntimeout = 300")
    program = {"evaluator": "command", "evaluator_argument": "python train.py"}
    flags = {"project": ".", "metrics": ["a=(x)"], "metrics_file": "r.json", "timeout": "5m"}
    by_flags = load_config("demo", None, chosen_settings({**flags, "command": "python train.py"}))
    assert load_config("demo", file, program) == by_flags


def test_a_folder_of_somebody_else_that_names_the_project_of_a_program(tmp_path: Path) -> None:
    program = {"evaluator": "command", "evaluator_argument": "python train.py"}
    stored, registry = config_from_dict({**program, "project": "my project"}), load_registry()
    own = OwnSettings(**program)
    with pytest.raises(ConfigError, match="unless you say so") as refused:
        settings_with_own(tmp_path, stored, own, registry)
    assert "--project 'my project'" in refused.value.hint
    told = OwnSettings(**program, project="here")
    assert settings_with_own(tmp_path, stored, told, registry).project == "here"
    with pytest.raises(ConfigError, match="runs in no project"):
        settings_with_own(tmp_path, config_from_dict(program), told, registry)


def test_a_worktree_in_whose_repository_a_program_commits(project: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C"]
    main = project.parent / "main"
    for words in (
        ["init", "-q", str(main)],
        [str(main), "commit", "-q", "--allow-empty", "-m", "first"],
        [str(main), "worktree", "add", "-q", str(project.parent / "tree")],
    ):
        subprocess.run(["git", *words] if words[0] == "init" else [*git, *words], check=True)
    (project.parent / "tree" / ".git").rename(project / ".git")
    (project / "train.py").write_text(
        "import subprocess\nfrom nets import Net\nsubprocess.run(['git', 'add', '-A'])\n"
        f"subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qam', 'x'])\n{TELL}"
    )
    assert outcome_in(project) == Scored({"parameters": 11.0})
    log = subprocess.run([*git, str(project), "log", "--oneline"], capture_output=True, text=True, check=True)
    assert log.stdout.count("\n") == 1


def test_a_failure_in_the_tree_that_is_not_told(project: Path) -> None:
    (project / "train.py").write_text("import nets\nopen('no such config')\n")
    outcome = outcome_in(project)
    assert isinstance(outcome, Failed)
    assert outcome.kind == "crash"
    assert "no such config" in outcome.reason


def test_a_tree_that_a_killed_session_left(project: Path) -> None:
    jobs = project.parent / "run" / "scratch" / "jobs" / "1" / "project"
    jobs.mkdir(parents=True)
    (jobs / "data").symlink_to(project)
    assert outcome_in(project) == Scored({"parameters": 11.0})
    assert json.loads((project / "config.json").read_text()) == {}
    assert os.listdir(project.parent / "run" / "scratch") == ["programs"]
