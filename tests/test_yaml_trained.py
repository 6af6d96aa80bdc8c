# ruff: noqa: E501
"""A YAML file beside a model that the built-in trainer scores: the network follows the candidate's values."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from conftest import Ge
from several_files import rewritten
from test_full_training import images, share_right
from test_model_code import answers, gone, lay, written

from ge_engine import Run
from ge_engine.api import evolve
from ge_engine.config import config_from_dict
from ge_engine.contracts import Probe
from ge_engine.errors import SeedError
from ge_engine.evaluation.data.candidate_files import candidate_files
from ge_engine.evaluation.model_code import ModelCode, model_code
from ge_engine.evaluation.probe.entries import entries_taken
from ge_engine.evaluation.seed_check import require_usable
from ge_engine.evaluation.setup import set_up
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.evaluation.unopened import require_opened
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Scored
from ge_engine.seed_files import load_seed
from tests.evaluation import data, outcome_of, shop
from tests.patience import PATIENT

__all__ = ["images"]

NET = """\
import yaml
from pathlib import Path
from torch import nn
from figures import HIDDEN

CONF = yaml.safe_load((Path(__file__).parent / "conf.yaml").read_text())


class Net(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        width = CONF["model"]["width"]
        self.conv = nn.Conv2d(3, width, 3)
        self.hidden = nn.Linear(width, HIDDEN)
        self.head = nn.Linear(HIDDEN, num_classes)

    def forward(self, x):
        return self.head(self.hidden(self.conv(x).mean((2, 3))))
"""
FIGURES = """\
import os
import yaml

with open(os.path.join(os.path.dirname(__file__), "more", "head.yml"), "rb") as file:
    HIDDEN = yaml.safe_load(file)["hidden"]
"""
CONF = "# The network.\nmodel:\n  width: 8   # channels\nlr: 0.1\nepochs: 3\n"
FILES = {"net.py": NET, "figures.py": FIGURES, "conf.yaml": CONF, "more/head.yml": "hidden: 6\n"}
ALSO = ("conf.yaml", "more/head.yml")
WIDTH, HIDDEN = {"conf.yaml::model": "model:\n  width: 16"}, {"more/head.yml::hidden": "hidden: 9"}


def parameters(width: int = 8, hidden: int = 6, classes: int = 4) -> int:
    return 27 * width + width + (width + 1) * hidden + (hidden + 1) * classes


VARIANTS: list[tuple[Mapping[str, str], int]] = [
    ({}, parameters()),
    (WIDTH, parameters(16)),
    (HIDDEN, parameters(hidden=9)),
    ({**WIDTH, **HIDDEN}, parameters(16, 9)),
]


def seed_in(folder: Path, files: Mapping[str, str] = FILES, also: tuple[str, ...] = ALSO) -> Genome:
    lay(folder, files)
    return load_seed(folder / "net.py", also=[str(folder / one) for one in also]).genome


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return seed_in(tmp_path_factory.mktemp("code"))


@pytest.fixture(scope="module")
def evaluation(seed: Genome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    with shop(tmp_path_factory.mktemp("scratch"), seed, timeout=60.0) as opened:
        yield opened


def test_a_network_that_does_not_follow_its_values(evaluation: TrainEvaluation, seed: Genome) -> None:
    for codes, expected in VARIANTS:
        probe = evaluation.probe(rewritten(seed, **codes)).result(PATIENT)
        assert probe.facts["parameters"] == expected, (codes, probe.error)


def test_variants_of_one_job_that_get_one_anothers_values(evaluation: TrainEvaluation, seed: Genome) -> None:
    """Also where a neighbour that is not evolved has read them."""
    both = [*VARIANTS, *VARIANTS[::-1]]
    sizes = evaluation.sizes([rewritten(seed, **codes) for codes, _ in both]).result(PATIENT)
    assert [one and one.parameters for one in sizes] == [expected for _, expected in both]


def test_a_training_of_the_original_values(evaluation: TrainEvaluation, seed: Genome) -> None:
    for split in ("validation", "test"):
        outcome = outcome_of(evaluation, rewritten(seed, **WIDTH), split)
        assert isinstance(outcome, Scored), outcome
        assert outcome.objectives["parameters"] == parameters(16)


def test_entries_that_count_as_executed(evaluation: TrainEvaluation, seed: Genome) -> None:
    """Nothing in the code asks for `lr`: the training settings have it."""
    executed = evaluation.probe(seed).result(PATIENT).executed
    found = {address for address in executed if "::" in address and "net.py" not in address}
    assert found == {"conf.yaml::model", "more/head.yml::hidden"}


@pytest.mark.parametrize(
    ("method", "sandbox"),
    [
        pytest.param("fork", "none", marks=pytest.mark.long),
        pytest.param("fork", "landlock", marks=pytest.mark.long),
        pytest.param("spawn", "auto", marks=pytest.mark.long),
        pytest.param("spawn", "none", marks=pytest.mark.long),
    ],
)
def test_a_kind_of_process_that_opens_the_original(
    seed: Genome, tmp_path: Path, method: str, sandbox: str
) -> None:
    with shop(tmp_path, seed, timeout=120.0, start_method=method, sandbox=sandbox) as opened:
        probe = opened.probe(rewritten(seed, **WIDTH, **HIDDEN)).result(PATIENT)
        assert probe.facts["parameters"] == parameters(16, 9), probe.error
        sizes = opened.sizes([rewritten(seed, **HIDDEN), seed]).result(PATIENT)
    assert [one and one.parameters for one in sizes] == [parameters(hidden=9), parameters()]


@pytest.mark.long
def test_a_second_process_of_a_candidate_that_opens_the_original(seed: Genome, tmp_path: Path) -> None:
    """The two would not agree on the shapes of what they exchange."""
    with shop(tmp_path, seed, timeout=120.0, processes_per_candidate=2, workers=1) as opened:
        outcome = outcome_of(opened, rewritten(seed, **WIDTH))
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["parameters"] == parameters(16)


@pytest.mark.long
def test_a_file_that_is_evolved_to_no_effect(tmp_path: Path) -> None:
    alone = NET.replace("from figures import HIDDEN", "HIDDEN = 6")
    lay(tmp_path, {"spare.yaml": "width: 4\n"})
    genome = seed_in(tmp_path, {**FILES, "net.py": alone}, ("conf.yaml", "spare.yaml"))
    with pytest.raises(SeedError) as refused, shop(tmp_path / "scratch", genome, timeout=60.0):
        pass
    assert "spare.yaml is not opened while net.py is imported, builds its model" in refused.value.message
    assert "open(Path(__file__).parent / 'spare.yaml')" in (refused.value.hint or "")


def test_a_place_that_a_hint_gives_and_that_is_not_beside_the_code(tmp_path: Path) -> None:
    lay(tmp_path, {"code/net.py": NET, "conf/conf.yaml": CONF})
    genome = load_seed(tmp_path / "code" / "net.py", also=[str(tmp_path / "conf" / "conf.yaml")]).genome
    with pytest.raises(SeedError, match=r"conf/conf.yaml is not opened while code/net.py is") as refused:
        require_opened(genome, Probe())
    assert "'../conf/conf.yaml'" in (refused.value.hint or "")


def test_settings_of_the_training_that_are_offered_as_values(tmp_path: Path) -> None:
    """Where no code asks for them by their names."""
    assert taken(tmp_path, "CONF = 1\n") == {"conf.yaml::width"}
    assert taken(tmp_path, "CONF = 1\nRATE = CONF['lr']\n") == {"conf.yaml::lr", "conf.yaml::width"}
    assert taken(tmp_path, "import beside\n") == {"conf.yaml::weight-decay", "conf.yaml::width"}
    lay(tmp_path, {"conf.yaml": "lr: 0.1\noptimizer: sgd\n", "net.py": NET})
    genome = load_seed(tmp_path / "net.py", also=[str(tmp_path / "conf.yaml")]).genome
    with pytest.raises(
        SeedError, match=r"takes nothing from conf.yaml but what the training .*: lr, optimizer"
    ):
        require_opened(genome, Probe())


def taken(folder: Path, code: str) -> set[str]:
    beside = (
        lay(folder, {"beside.py": "def rate(conf):\n    return conf.get('weight-decay')\n"}) / "beside.py"
    )
    conf = b"\xef\xbb\xbfwidth: 4\nlr: 0.1\nweight-decay: 0.1\nepochs: 3\n5: 6\n"
    sources = {"net.py": code.encode(), "conf.yaml": conf, "unopened.yaml": b"a: 1\n"}
    modules = {"beside": str(beside)} if "beside" in code else {}
    candidate = candidate_files(sources, {name: str(folder / name) for name in sources}, "d" * 16, modules)
    return entries_taken(candidate, {"conf.yaml"}, modules)


def test_a_file_that_is_not_found_where_candidates_run() -> None:
    seen = Probe(stage="import", error="FileNotFoundError: No such file or directory: 'conf.yaml' (line 3)")
    with pytest.raises(SeedError) as refused:
        require_usable(seen, 4, "3x16x16", "Net()")
    assert "by its place beside the module, as Path(__file__).parent / 'conf.yaml'" in (
        refused.value.hint or ""
    )


# --- a folder that answers without the originals -----------------------------------------------------


@pytest.mark.parametrize(
    ("files", "main", "also", "expected"),
    [
        (("net.py", "conf.yaml"), "net.py", "conf.yaml", ("net", "", "conf.yaml")),
        (("pkg/__init__.py", "pkg/net.py", "pkg/c.yaml"), "pkg/net.py", "pkg/c.yaml", ("pkg.net", "", "pkg/c.yaml")),
        (("pkg/__init__.py", "pkg/net.py", "c.yaml"), "pkg/net.py", "c.yaml", ("pkg.net", "", "c.yaml")),
        (("a/src/net.py", "a/conf/c.yaml"), "a/src/net.py", "a/conf/c.yaml", ("net", "src", "conf/c.yaml")),
        (("a/b/net.py", "c.yaml"), "a/b/net.py", "c.yaml", ("net", "a/b", "c.yaml")),
    ],
)  # fmt: skip
def test_a_place_in_which_the_code_does_not_look(
    tmp_path: Path, files: tuple[str, ...], main: str, also: str, expected: tuple[str, str, str]
) -> None:
    lay(tmp_path / "mine", dict.fromkeys(files, "class Net:\n    pass\n") | {also: "width: 4\n"})
    code, sources = model_code_of(tmp_path / "mine", main, also)
    module, folder, place = expected
    name = next(one for one in sources if one.endswith("yaml"))
    assert (code.module, code.folder, code.places[name]) == (module, folder, (place,))
    net = next(iter(code.places.values()))[0]
    assert (Path(net).parent.as_posix() + "/").startswith(f"{folder}/" if folder else "")
    assert ModelCode.from_json(code.as_json()) == code
    assert set(code.files(sources)) >= {place, net}


def model_code_of(folder: Path, main: str, also: str) -> tuple[ModelCode, Mapping[str, bytes]]:
    seed = load_seed(folder / main, also=[str(folder / also)]).genome
    session, _ = set_up(seed, config_from_dict({"entry": "Net()"}), data(8, 8, 8), folder / "scratch")
    return model_code(session), seed.sources


@pytest.fixture(scope="module", autouse=True)
def modules_of_other_tests() -> Iterator[None]:
    """A file whose module's name is taken in this process is a module of another name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "net", raising=False)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the real trainer beside a folder "mine" with the originals, whose values lie above the code."""
    folder = tmp_path_factory.mktemp("values")
    above = NET.replace("parent /", "parents[1] /")
    lay(folder / "mine", {"code/net.py": above, "code/figures.py": "HIDDEN = 6\n", "conf.yaml": CONF})
    evolve(
        folder / "mine" / "code" / "net.py",
        run=folder / "run",
        also=[str(folder / "mine" / "conf.yaml")],
        blocks=["conf.yaml::*"],
        llm="uniform",
        generations=1,
        population=2,
        rescore_seeds=0,
        keep_weights="all",
        recipe={"epochs": 1, "train_limit": 256},
    )
    return folder / "run"


def test_a_run_whose_children_have_other_figures_than_their_values_say(run: Path) -> None:
    found = [one for one in Run(run).individuals if one.objectives]
    held = {one.id: yaml.safe_load(one.genome.sources["conf.yaml"]) for one in found if one.genome}
    assert len({json.dumps(one) for one in held.values()}) > 1
    for one in found:
        wanted = parameters(held[one.id]["model"]["width"], classes=10)
        assert one.objectives["parameters"] == wanted, one.id
        assert held[one.id]["lr"] == 0.1


def test_weights_whose_code_looks_for_values_that_are_not_there(
    run: Path, tmp_path: Path, images: tuple[list[Path], list[str]], ge: Ge
) -> None:
    name, tested = next((name, one) for name, one in Run(run).tests.items() if name != "seed")
    assert not isinstance(tested, Failed)
    with gone(run.parent / "mine"):
        code, _, err = ge("export", f"{run}:{name}", "--weights", "-o", tmp_path / "new")
        assert code == 0, err
        files, labels = images
        right = share_right(answers(tmp_path / "new" / "predict.py", files, tmp_path), labels)
    assert right == pytest.approx(tested.objectives["accuracy"], abs=1e-9)  # type: ignore[union-attr]
    assert written(tmp_path / "new" / "src") == {"code/net.py", "code/figures.py", "conf.yaml"}


@pytest.mark.long
def test_an_individual_of_values_that_is_not_trained_in_full(run: Path, tmp_path: Path, ge: Ge) -> None:
    scored = {one.id: one.genome for one in Run(run).individuals if one.objectives and one.genome}
    name = next(name for name in scored if name != "seed")
    code, _, err = ge("train", f"{run}:{name}", "--epochs", "1", "-o", tmp_path / "full")
    assert code == 0, err
    exported = (tmp_path / "full" / "src" / "conf.yaml").read_bytes()
    assert exported.endswith(scored[name].sources["conf.yaml"])


@pytest.mark.long
def test_a_run_of_the_trainer_whose_commands_do_not_know_its_values(
    run: Path, tmp_path: Path, ge: Ge
) -> None:
    name = next(
        one.id
        for one in Run(run).individuals
        if one.genome and one.objectives and one.genome.sources["conf.yaml"] != CONF.encode()
    )
    for command, differs in (("diff", 1), ("blame", 0), ("show", 0)):
        code, out, err = ge(command, f"{run}:{name}")
        assert code == differs, err
        assert "conf.yaml" in out
    again = ("evolve", run.parent / "mine" / "code" / "net.py", "--also", run.parent / "mine" / "conf.yaml",
             "--blocks", "conf.yaml::*", "--llm", f"replay:{run}", "--generations", "1", "--population", "2",
             "--epochs", "1", "--train-limit", "256", "--rescore-seeds", "0", "--run", tmp_path / "again")  # fmt: skip
    code, _, err = ge(*again)
    assert code == 0, err
    assert _scored(tmp_path / "again") == _scored(run)
    code, _, err = ge("resume", tmp_path / "again", "--llm", "uniform", "--generations", "2")
    assert code == 0, err
    lay(tmp_path / "hand", {"conf.yaml": CONF.replace("8", "37")})
    code, _, err = ge("add", tmp_path / "again", tmp_path / "hand" / "conf.yaml")
    assert code == 0, err
    assert parameters(37, classes=10) in {one["parameters"] for one in _scored(tmp_path / "again").values()}


def _scored(run: Path) -> dict[str, dict[str, float]]:
    return {one.id: dict(one.objectives) for one in Run(run).individuals if one.objectives}
