"""Model files as they are found: at import, among neighbours, and what is said where they do not run."""

# ruff: noqa: E501

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Ge

from ge_engine import load
from ge_engine.contracts import Probe
from ge_engine.errors import SeedError
from ge_engine.evaluation.command import exception_first, hides_library
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.evaluation.seed_check import ChannelsError, require_usable
from ge_engine.genome import Seed
from ge_engine.outcome import Scored
from tests.evaluation import outcome_of, shop, source
from tests.sampled import everyday

LAYERS = "from torch import nn\n\ndef act():\n    return nn.ReLU()\n"
NEIGHBOURS = {
    "arguments read at import": (
        "net.py",
        "import argparse\nWIDTH = argparse.ArgumentParser().parse_args()\n",
        {},
    ),
    "a package without __init__ at the root of a repository": (
        "models/deep/net.py",
        "from models.parts.layers import act\nact()\n",
        {"models/parts/layers.py": LAYERS, ".git/config": ""},
    ),
    "relative imports without __init__": (
        "models/net.py",
        "from .layers import act\nfrom .deep.inner import one\nact()\n",
        {"models/layers.py": LAYERS, "models/deep/inner.py": "one = 1\n"},
    ),
    "files with names of the library": (
        "net.py",
        "import random, types\nfrom tabnanny import mine\nassert random.random() < 1 and types.ModuleType\n",
        {"random.py": "", "types.py": "", "tabnanny.py": "mine = 1\n", "queue.py": "raise ImportError\n"},
    ),
    "postponed annotations of a dataclass": (
        "net.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass, KW_ONLY\n@dataclass\nclass C:\n"
        "    _: KW_ONLY\n    width: int = 1\nC(width=2)\n",
        {},
    ),
}


def laid(folder: Path, name: str, head: str, files: dict[str, str]) -> Path:
    """The seed `name` in `folder`, with `head` after its first line, among `files`."""
    future, code = "from __future__ import annotations\n", source()
    text = future + code + head.removeprefix(future) if head.startswith(future) else code + head
    for path, content in {**files, name: text}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder / name


@pytest.mark.parametrize(
    "kind", everyday(NEIGHBOURS, "a package without __init__ at the root of a repository")
)
def test_a_file_that_runs_for_its_user_and_not_here(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = laid(tmp_path / "repo", *NEIGHBOURS[kind])
    monkeypatch.chdir(tmp_path)
    genome = Seed.load(seed).genome
    with shop(tmp_path / "scratch", genome) as evaluation:
        assert isinstance(outcome_of(evaluation, genome), Scored)


@pytest.mark.long
def test_imports_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = laid(
        tmp_path / "repo",
        "nets/net.py",
        "from shared.layers import act\nact()\n",
        {"shared/layers.py": LAYERS},
    )
    monkeypatch.chdir(tmp_path / "repo")
    genome = Seed.load(seed).genome
    with shop(tmp_path / "scratch", genome) as evaluation:
        assert isinstance(outcome_of(evaluation, genome), Scored)


@pytest.mark.long
def test_a_link_into_a_store_of_files(tmp_path: Path) -> None:
    """As Hugging Face's cache: snapshots of links into blobs without names."""
    blobs = tmp_path / "blobs"
    snapshot = tmp_path / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, (name, text) in enumerate(
        {"net.py": source() + "from layers import act\nact()\n", "layers.py": LAYERS}.items()
    ):
        (blobs / f"{number}a").write_text(text)
        (snapshot / name).symlink_to(Path("..", "..", "blobs", f"{number}a"))
    genome = Seed.load(snapshot / "net.py").genome
    with shop(tmp_path / "scratch", genome) as evaluation:
        assert isinstance(outcome_of(evaluation, genome), Scored)


def test_a_relative_path_of_python_that_means_another_folder_in_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("src", "", "/opt/x")))
    assert clean_environment()["PYTHONPATH"] == os.pathsep.join((str(tmp_path / "src"), "/opt/x"))


def test_a_folder_on_the_path_of_programs_that_replaces_the_library(tmp_path: Path) -> None:
    (tmp_path / "test.py").write_text("")
    (tmp_path / "net.py").write_text("")
    assert not hides_library(str(tmp_path))
    (tmp_path / "types.py").write_text("")
    assert hides_library(str(tmp_path))
    assert not hides_library(str(tmp_path / "none"))


LOADED = """\
from __future__ import annotations
from dataclasses import dataclass, KW_ONLY
from .layers import act
from . import layers

@dataclass
class Config:
    _: KW_ONLY
    width: int = 3
"""


@pytest.mark.parametrize("package", [True, False], ids=["a package", "no __init__"])
def test_a_candidate_that_an_evaluator_cannot_load(tmp_path: Path, package: bool) -> None:
    folder = tmp_path / "nets"
    folder.mkdir()
    (folder / "layers.py").write_text(LAYERS)
    (folder / "net.py").write_text("raise ImportError('the seed in place of the candidate')\n")
    if package:
        (folder / "__init__.py").write_text("")
    candidate = tmp_path / "jobs" / "net.py"
    candidate.parent.mkdir()
    candidate.write_text(LOADED)
    lines = (
        "import sys, pickle\nfrom ge_engine import load\nmodule = load(sys.argv[1])\n"
        "print(module.__name__, module.Config(width=4).width, pickle.loads(pickle.dumps(module.Config())).width)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", lines, str(candidate)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GE_SEED": str(folder / "net.py")},
    )
    assert done.stdout.split() == ["nets.net", "4", "3"], done.stderr


def test_a_file_that_is_loaded_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GE_SEED", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    (tmp_path / "by_itself.py").write_text("one = 1\n")
    assert load(tmp_path / "by_itself.py").one == 1


def test_a_reason_whose_end_hides_the_exception() -> None:
    trace = "Traceback (most recent call last):\n  File 'a.py', line 3\nmy.own.DataError: no data at /x\n"
    said = exception_first(trace + "cleaning up\n" * 100)
    assert said.startswith("my.own.DataError: no data at /x ... ")
    assert said.endswith("cleaning up")
    assert len(said) < 420
    assert exception_first(trace) == " ".join(trace.split())


@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError: Expected tensor for argument #1 'indices' to have one of the following scalar types: Long",
        "TypeError: Net.forward() missing 1 required positional argument: 'mask'",
        "ValueError: LSTM: Expected input to be 2D or 3D, got 4D instead",
        "ValueError: too many values to unpack (expected 2) (line 53, in GPT.forward)",
        "RuntimeError: batch1 must be a 3D tensor",
        "ValueError: expected 2D or 3D input (got 4D input)",
    ],
)
def test_a_model_that_takes_no_images_and_is_to_be_fixed(error: str) -> None:
    with pytest.raises(SeedError, match=r"built by Tagger\(tags=3\), stops at forward") as refused:
        require_usable(Probe(stage="forward", error=error), 10, "3x32x32", "Tagger(tags=3)")
    assert "to take something else: score it by a program of yours with --command" in str(refused.value.hint)


def test_a_hint_that_names_an_argument_which_the_model_has_not(tmp_path: Path, ge: Ge) -> None:
    net = tmp_path / "net.py"
    net.write_text(
        "from torch import nn\n\n\nclass Small(nn.Module):\n    def __init__(self, out=5):\n"
        "        super().__init__()\n        self.head = nn.Linear(3072, out)\n\n"
        "    def forward(self, x):\n        return self.head(x.flatten(1))\n"
    )
    code, _, error = ge("evolve", net, "--llm", "uniform", "--run", tmp_path / "run")
    assert code == 2
    said = " ".join(error.split())
    assert "by an argument in --entry; it is Small(out=5)" in said
    assert "num_classes" not in said


@pytest.mark.long
def test_an_error_over_the_right_list_of_a_model_for_text(tmp_path: Path, ge: Ge) -> None:
    net = tmp_path / "net.py"
    net.write_text(
        "from torch import nn\n\n\nclass Tagger(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.embed = nn.Embedding(9, 4)\n\n"
        "    def forward(self, tokens):\n        return self.embed(tokens).mean(1)\n"
    )
    code, listed, error = ge("blocks", net)
    assert code == 0
    assert "Tagger" in listed
    assert "live and dead are unknown. The task gives images" in error
    assert "Tensor" not in error
    assert "error:" not in error


@pytest.mark.parametrize("shape", [(8, 10, 32, 32), (8, 3, 32, 32), (8, 1), (8,)])
def test_a_model_that_answers_masks_images_or_a_number_and_is_to_count_classes(
    shape: tuple[int, ...],
) -> None:
    with pytest.raises(SeedError, match="the task wants") as refused:
        require_usable(Probe(output_shape=shape), 10, "3x32x32", "UNet()")
    assert "scored by a program or a function of yours: --command or --evaluator" in str(refused.value.hint)


def test_a_model_of_several_outputs_that_is_only_to_be_fixed() -> None:
    error = "ValueError: the model returned a tuple without a tensor of shape (n, 10)"
    with pytest.raises(SeedError) as refused:
        require_usable(Probe(stage="forward", error=error), 10, "3x32x32", "VAE()")
    assert "The task wants 10 numbers for each image. A model that answers something else" in str(
        refused.value.hint
    )


@pytest.mark.parametrize(
    "probe",
    [
        Probe(
            stage="forward",
            error="RuntimeError: mat1 and mat2 shapes cannot be multiplied (8x2352 and 784x64)",
        ),
        Probe(output_shape=(24, 10)),
    ],
    ids=["an image as numbers", "channels as images"],
)
def test_a_flat_model_of_grey_images_that_gets_three_channels(probe: Probe) -> None:
    with pytest.raises(ChannelsError, match="it takes images of 1 channel, and the task") as refused:
        require_usable(probe, 10, "3x28x28", "Net()", 8)
    assert refused.value.wanted == 1


def test_answers_of_another_number_than_the_images_that_fail_only_in_training() -> None:
    with pytest.raises(SeedError, match=r"of shape \(16, 10\); the task wants \(8, 10\)"):
        require_usable(Probe(output_shape=(16, 10)), 10, "3x28x28", "Net()", 8)


def test_a_missing_module_of_the_users_own_that_is_to_be_installed() -> None:
    error = "ModuleNotFoundError: No module named 'blocks.deep'"
    with pytest.raises(SeedError) as refused:
        require_usable(Probe(stage="import", error=error), 10, "3x32x32", "Net()")
    assert "in the working folder, up to the root of its repository, and in PYTHONPATH" in str(
        refused.value.hint
    )


@pytest.mark.long
def test_a_model_that_lies_partly_elsewhere_and_does_not_say_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    layers = LAYERS + "\nclass Squeeze(nn.Module):\n    def forward(self, x):\n        return x\n"
    text = source(init="self.squeeze = Squeeze()").replace(
        "import torch\n", "import torch\nfrom layers import Squeeze\n", 1
    )
    (tmp_path / "layers.py").write_text(layers)
    (tmp_path / "net.py").write_text(text)
    with shop(tmp_path / "scratch", Seed.load(tmp_path / "net.py").genome):
        said = capfd.readouterr().err
    assert "The model also runs code of layers.py (Squeeze), which stays as it is." in said
    assert "--package" in said
    assert "--also FILE" in said
