# ruff: noqa: E501
"""The files of a candidate of several: whoever imports one gets the candidate's, in every kind of process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from several_files import FILES, package, parameters, rewritten, seed_in

from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.genome import Genome
from ge_engine.outcome import Scored
from ge_engine.seed_files import load_seed
from tests.evaluation import outcome_of, shop
from tests.patience import PATIENT

CONV = {
    "blocks.py::Conv.__init__": "def __init__(self, inputs, outputs):\n    super().__init__()\n"
    '    self.conv = nn.Conv2d(inputs, outputs, 5, padding="same")'
}
WIDTH, HIDDEN = {"config.py::WIDTH": "WIDTH = 16"}, {"config.py::HIDDEN": "HIDDEN = 9"}
NORM = {
    "blocks.py::Norm.__init__": "def __init__(self, channels):\n    super().__init__()\n"
    "    self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.BatchNorm2d(channels))"
}
HEAD = {
    "heads/linear.py::Head.__init__": "def __init__(self, channels, classes):\n    super().__init__()\n"
    "    self.hidden = nn.Linear(channels, 20)\n    self.out = nn.Linear(20, classes)"
}
VARIANTS = [
    ({}, parameters()),
    (WIDTH, parameters(width=16)),
    (CONV, parameters(kernel=5)),
    (HIDDEN, parameters(hidden=9)),
    (NORM, parameters() + 2 * 8),
    (HEAD, parameters(hidden=20)),
    ({**WIDTH, **CONV, **NORM, **HEAD}, parameters(16, 5, 20) + 2 * 16),
]
"""Changes, and what the network then holds. A file of the original anywhere gives another number: `WIDTH` is
read through a module under another name, `HIDDEN` by an absolute import, `KERNEL` by a star, `Norm` by a
neighbour that is not evolved, `Head` through an `__init__` with a star import."""
EVERYWHERE, OF_ALL = VARIANTS[-1]


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return seed_in(tmp_path_factory.mktemp("code")).genome


@pytest.fixture(scope="module")
def evaluation(seed: Genome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    with shop(tmp_path_factory.mktemp("scratch"), seed, timeout=60.0) as opened:
        yield opened


def held(evaluation: TrainEvaluation, candidate: Genome) -> float:
    probe = evaluation.probe(candidate).result(PATIENT)
    assert not probe.error, probe
    return probe.facts["parameters"]


def test_an_import_that_gives_the_original_file(evaluation: TrainEvaluation, seed: Genome) -> None:
    for codes, expected in VARIANTS:
        assert held(evaluation, rewritten(seed, **codes)) == expected, codes


def test_variants_of_one_job_that_get_one_anothers_files(evaluation: TrainEvaluation, seed: Genome) -> None:
    genomes = [rewritten(seed, **codes) for codes, _ in (*VARIANTS, *VARIANTS[::-1])]
    sizes = [one and one.parameters for one in evaluation.sizes(genomes).result(PATIENT)]
    assert sizes == [expected for _, expected in (*VARIANTS, *VARIANTS[::-1])]


def test_a_training_of_the_original_files(evaluation: TrainEvaluation, seed: Genome) -> None:
    outcome = outcome_of(evaluation, rewritten(seed, **EVERYWHERE))
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["parameters"] == OF_ALL


@pytest.mark.parametrize(
    ("method", "sandbox"),
    [
        ("fork", "none"),
        pytest.param("spawn", "auto", marks=pytest.mark.long),
        pytest.param("spawn", "none", marks=pytest.mark.long),
    ],
)
def test_a_kind_of_process_in_which_the_original_file_is_imported(
    seed: Genome, tmp_path: Path, method: str, sandbox: str
) -> None:
    with shop(tmp_path, seed, timeout=120.0, start_method=method, sandbox=sandbox) as opened:
        assert held(opened, rewritten(seed, **EVERYWHERE)) == OF_ALL
        sizes = opened.sizes([rewritten(seed, **WIDTH), rewritten(seed, **HIDDEN)]).result(PATIENT)
        assert [one and one.parameters for one in sizes] == [parameters(16), parameters(hidden=9)]


@pytest.mark.long
def test_a_second_process_of_a_candidate_that_builds_the_original(seed: Genome, tmp_path: Path) -> None:
    """The two would not agree on the shapes of what they exchange."""
    places = {"processes_per_candidate": 2, "workers": 1}
    plain = {**EVERYWHERE, "blocks.py::Norm.__init__": "def __init__(self, channels):\n    super().__init__()\n"
             "    self.norm = nn.Identity()"}  # fmt: skip
    with shop(tmp_path, seed, timeout=120.0, **places) as opened:
        outcome = outcome_of(opened, rewritten(seed, **plain))
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["parameters"] == parameters(16, 5, 20) - 2 * 16


def test_blocks_of_several_files_that_count_as_unused(evaluation: TrainEvaluation, seed: Genome) -> None:
    """`Spare` is built by nobody, `NOBODYS` is read by nobody; other files read the values of `config.py`."""
    probe = evaluation.probe(seed).result(PATIENT)
    unused = {address for address, block in seed.blocks.items() if block.kind != "values"}
    assert unused - probe.executed == {"blocks.py::Spare", "blocks.py::Spare.forward"}
    assert {address for address in probe.executed if address.startswith("config.py")} == {
        "config.py::WIDTH", "config.py::KERNEL", "config.py::HIDDEN",
    }  # fmt: skip
    told = {module.path: module.block for module in probe.modules}
    assert told[""] == "net.py::Net"
    assert (told["body"], told["norm"], told["head"]) == (
        "blocks.py::Conv", "blocks.py::Norm", "heads/linear.py::Head",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "code", "told"),
    [
        ("blocks.py::Conv.forward", "def forward(self, x):\n    return self.mine(x)",
         "(line 21, in Conv.forward of blocks.py)"),
        ("heads/linear.py::Head.__init__", "def __init__(self, channels, classes):\n    raise ValueError('mine')",
         "(line 12, in Head.__init__ of heads/linear.py)"),
        ("net.py::Net.forward", "def forward(self, x):\n    return self.mine(x)", "(line 20, in Net.forward of net.py)"),
    ],
)  # fmt: skip
def test_an_error_whose_file_is_not_told(
    evaluation: TrainEvaluation, seed: Genome, address: str, code: str, told: str
) -> None:
    probe = evaluation.probe(rewritten(seed, **{address: code})).result(PATIENT)
    assert "mine" in probe.error
    assert told in probe.error


# --- other ways in which files lie and are imported --------------------------------------------------

FLAT = {
    "net.py": "from torch import nn\nfrom between import made\n\n\nclass Net(nn.Module):\n"
    "    def __init__(self, num_classes=4):\n        super().__init__()\n        self.layer = made(num_classes)\n\n"
    "    def forward(self, x):\n        return self.layer(x.mean((2, 3)))\n",
    "between.py": "from parts import Layer\n\n\ndef made(classes):\n    return Layer(3, classes)\n",
    "parts.py": "from torch import nn\n\n\nclass Layer(nn.Linear):\n    pass\n",
}
WIDER = (
    "class Layer(nn.Sequential):\n    def __init__(self, inputs, outputs):\n"
    "        super().__init__(nn.Linear(inputs, 7), nn.Linear(7, outputs))"
)


def test_files_beside_one_another_of_which_a_later_variant_gets_the_original(tmp_path: Path) -> None:
    """No package: a neighbour that is not evolved holds what it took from a file that is."""
    for name, text in FLAT.items():
        (tmp_path / name).write_text(text)
    flat = load_seed(tmp_path / "net.py", also=[str(tmp_path / "parts.py")]).genome
    wider = rewritten(flat, **{"parts.py::Layer": WIDER})
    with shop(tmp_path / "scratch", flat, timeout=60.0) as opened:
        sizes = opened.sizes([flat, wider, flat, wider]).result(PATIENT)
    assert [one and one.parameters for one in sizes] == [16, 60, 16, 60]


def test_a_file_that_nobody_imports_by_name(tmp_path: Path) -> None:
    """A registry imports all modules of a folder; what such a file imports beside it can be read as well."""
    root = package(tmp_path)
    (root / "heads" / "__init__.py").write_text(
        "import importlib\n\nHead = importlib.import_module('.'.join(['pkg', 'heads', 'linear'])).Head\n"
    )
    (root / "heads" / "linear.py").write_bytes(
        FILES["heads/linear.py"].replace(b"from pkg.config import HIDDEN", b"from pkg.figures import HIDDEN")
    )
    (root / "figures.py").write_text("HIDDEN = 6\n")
    genome = load_seed(root / "net.py", also=[str(root / "heads" / "*.py")]).genome
    with shop(tmp_path / "scratch", genome, timeout=60.0) as opened:
        assert held(opened, rewritten(genome, **HEAD)) == parameters(hidden=20)
        assert held(opened, genome) == parameters()


@pytest.mark.long
def test_a_package_whose_own_file_is_one_of_those_that_are_evolved(tmp_path: Path) -> None:
    """`from . import Base` of another file gets the candidate's `__init__.py`."""
    root = tmp_path / "zoo"
    root.mkdir()
    (root / "__init__.py").write_text(
        "from torch import nn\n\n\nclass Base(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = nn.Linear(3, 4)\n\n    def forward(self, x):\n        return self.layer(x.mean((2, 3)))\n"
    )
    (root / "net.py").write_text("from . import Base\n\n\nclass Net(Base):\n    pass\n")
    genome = load_seed(root, entry="zoo.net:Net").genome
    assert list(genome.files) == ["net.py", "__init__.py"]
    child = rewritten(genome, **{"__init__.py::Base.__init__": "def __init__(self):\n    super().__init__()\n"
                                 "    self.layer = nn.Sequential(nn.Linear(3, 7), nn.Linear(7, 4))"})  # fmt: skip
    with shop(tmp_path / "scratch", genome, timeout=60.0, entry="zoo.net:Net()") as opened:
        assert held(opened, child) == 60
        assert [one and one.parameters for one in opened.sizes([genome, child]).result(PATIENT)] == [16, 60]


def test_a_package_that_does_not_run_without_the_engine(tmp_path: Path) -> None:
    """What the tests here take for the originals."""
    package(tmp_path)
    program = "import pkg, torch; net = pkg.Network(); net(torch.zeros(2, 3, 8, 8)); print(sum(p.numel() for p in net.parameters()))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == str(parameters()), done.stderr


@pytest.mark.long
def test_a_later_variant_that_is_another_module(tmp_path: Path) -> None:
    """The name under which the model was built decides what a cycle of imports gives."""
    (tmp_path / "net.py").write_text(
        "from torch import nn\nimport parts\n\n\nSIZE = 4\n\n\nclass Net(nn.Linear):\n"
        "    def __init__(self):\n        super().__init__(3, parts.size())\n\n"
        "    def forward(self, x):\n        return super().forward(x.mean((2, 3)))[:, :4]\n"
    )
    (tmp_path / "parts.py").write_text("def size():\n    import net\n    return net.SIZE\n")
    flat = load_seed(tmp_path / "net.py", also=[str(tmp_path / "parts.py")]).genome
    wide = rewritten(flat, **{"net.py::SIZE": "SIZE = 9"})
    with shop(tmp_path / "scratch", flat, timeout=60.0) as opened:
        sizes = opened.sizes([flat, wide, flat]).result(PATIENT)
    assert [one and one.parameters for one in sizes] == [16, 36, 16]
