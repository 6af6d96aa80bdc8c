"""`ge train` and `ge export --weights`: trained weights answer as the training did, without the engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Ge
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load, save
from test_foreign_runs import STORED, change, setting
from torch import nn

from ge_engine.api import evolve, open_run
from ge_engine.config import RunConfig, config_from_dict
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError, LedgerError, TrainingError
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.exit_status import Kills, report_of
from ge_engine.evaluation.full_training import FullTraining, FullyTrained, with_validation
from ge_engine.evaluation.protocol.messages import BEGUN, JobSpec, WorkerReport, pack_report
from ge_engine.evaluation.train.weights import packed_weights
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.evaluation.weights import BadWeights, KeptWeights, Preprocessing, checked_weights, kept_weights
from ge_engine.outcome import Failed
from ge_engine.runs import predict, training
from ge_engine.views.live import constants, line_of
from ge_plugins.pictures import pixels_of
from ge_plugins.tasks import Digits
from tests.evaluation import genome, outcome_of, shop
from tests.patience import PATIENT

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"
HERE = Path(__file__).resolve().parent
WITHOUT_ENGINE = """
import runpy, sys
sys.modules["ge_engine"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
KILLED = """
import os, signal, sys
from ge_engine.api import open_run

def observe(name, data):
    if name == "epochs":
        os.kill(os.getpid(), signal.SIGKILL)

open_run(sys.argv[1]).train("seed", sys.argv[2], epochs=3, observe=observe)
"""


STARTED: list[Mapping[str, Any]] = []
"""What the run of the fixture said at its start."""


def note_start(name: str, data: Mapping[str, Any]) -> None:
    if name == "run_started":
        STARTED.append(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of the real trainer, whose finalists have their scores on the test split."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    evolve(
        EXAMPLE,
        run=folder,
        llm="uniform",
        generations=1,
        population=2,
        rescore_seeds=0,
        observe=note_start,
        recipe={"epochs": 1, "train_limit": 256},
    )
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[str]]:
    """The test images of the task as files, with their classes."""
    test = Digits().load("", RunConfig()).test
    folder = tmp_path_factory.mktemp("digits")
    files = [folder / f"{number}.png" for number in range(len(test.labels))]
    for file, pixels in zip(files, test.images, strict=True):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file)
    return files, [str(label) for label in test.labels.tolist()]


def answers(script: Path, files: list[Path], cwd: Path) -> list[str]:
    """The classes that a folder's script gives, where no engine can be imported."""
    words = [sys.executable, "-c", WITHOUT_ENGINE, script, *files, "--json"]
    ended = subprocess.run(list(map(str, words)), capture_output=True, text=True, cwd=cwd, timeout=PATIENT)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line)["class"] for line in ended.stdout.splitlines()]


def share_right(told: list[str], labels: list[str]) -> float:
    assert len(told) == len(labels)
    return sum(one == other for one, other in zip(told, labels, strict=True)) / len(labels)


# --- a training in full ------------------------------------------------------------------------------


def test_a_folder_that_answers_otherwise_than_the_training_or_needs_the_engine(
    run: Path, tmp_path: Path, images: tuple[list[Path], list[str]], ge: Ge
) -> None:
    folder = tmp_path / "trained"
    code, out, err = ge("train", f"{run}:g0s0", "--epochs", 4, "--train-limit", 0, "-o", folder, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["epochs"], told["individual"], told["data"]) == (4, "g0s0", "train")
    assert "1,150/288/359 images" in err
    assert "epoch 4 of 4: loss" in err
    assert told["test"]["objectives"]["accuracy"] > 0.5
    files, labels = images
    right = share_right(answers(folder / "predict.py", files, tmp_path), labels)
    assert right == pytest.approx(told["test"]["objectives"]["accuracy"], abs=1e-9)
    names = {"model.py", "model.safetensors", "preprocessing.json", "predict.py", "training.json"}
    assert {one.name for one in folder.iterdir()} == names


@pytest.mark.long
def test_a_killed_training_that_ends_otherwise_than_one_in_one_go(run: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    events: list[tuple[str, Mapping[str, Any]]] = []
    open_run(run).train("seed", whole, epochs=3, observe=lambda *event: events.append(event))
    assert [data["epoch"] for name, data in events if name == "epochs"][-1] == 3
    words = [sys.executable, "-c", KILLED, str(run), str(cut)]
    assert subprocess.run(words, timeout=PATIENT, check=False).returncode == -signal.SIGKILL
    assert [one.name for one in cut.iterdir()] == [".training"]
    again: list[tuple[str, Mapping[str, Any]]] = []
    trained = open_run(run).train("seed", cut, epochs=3, observe=lambda *event: again.append(event))
    assert dict(again)["training"]["going_on"]
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
    record = json.loads((cut / "training.json").read_text())
    assert len(record["curve"]) == trained.epochs == 3
    assert record["curve"] == json.loads((whole / "training.json").read_text())["curve"]


class Cut(Exception):
    pass


@pytest.mark.long
def test_a_checkpoint_that_a_training_does_not_go_on_from(tmp_path: Path) -> None:
    epochs: list[int] = []

    def told(_: str, data: Mapping[str, Any]) -> None:
        epochs.append(data["epoch"])
        if epochs == [1, 2]:
            raise Cut

    def ended(opened: TrainEvaluation, seconds: float) -> FullyTrained | Failed:
        return FullTraining(opened, genome(), 0, 4, told, seconds).run()

    with shop(tmp_path, recipe={"epochs": 4}) as opened:
        with pytest.raises(Cut):
            ended(opened, 0.0)
        cut = ended(opened, 0.0)
        assert epochs == [1, 2, 2, 3, 4]
        opened.discard(genome())
        whole = ended(opened, 1e9)
    assert isinstance(cut, FullyTrained)
    assert isinstance(whole, FullyTrained)
    assert cut.weights == whole.weights
    assert cut.score.details["curve"] == whole.score.details["curve"]


@pytest.mark.long
def test_a_training_of_another_kind_that_takes_over_a_folder(run: Path, tmp_path: Path, ge: Ge) -> None:
    cut = tmp_path / "cut"
    words = [sys.executable, "-c", KILLED, str(run), str(cut)]
    subprocess.run(words, timeout=PATIENT, check=False)
    before = sorted(one.relative_to(cut) for one in cut.rglob("*") if "jobs" not in one.parts)
    for other in (["--epochs", 4], ["--epochs", 3, "--data", "both"]):
        code, _, err = ge("train", f"{run}:seed", *other, "-o", cut)
        assert code == 2
        assert "holds another training" in err
    code, _, err = ge("train", f"{run}:g0s0", "--epochs", 3, "-o", cut)
    assert code == 2
    assert "other individual" in err
    with FileLock(cut / ".training" / "lock"):
        code, _, err = ge("train", f"{run}:seed", "--epochs", 3, "-o", cut)
    assert code == 2
    assert "Another process trains into" in err
    assert sorted(one.relative_to(cut) for one in cut.rglob("*") if "jobs" not in one.parts) == before


def test_a_folder_of_somebody_else_that_is_written_into(run: Path, tmp_path: Path, ge: Ge) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.py").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".training").symlink_to(tmp_path / "elsewhere")
    for name in ("mine", "file", "linked"):
        for words in (["train", f"{run}:seed"], ["export", f"{run}:seed", "--weights"]):
            code, _, err = ge(*words, "-o", tmp_path / name)
            assert code == 2, err
            assert "Traceback" not in err
    assert (tmp_path / "mine" / "model.py").read_text() == "mine"
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.long
def test_a_training_on_both_parts_that_tells_figures_of_what_it_saw(
    run: Path, tmp_path: Path, ge: Ge
) -> None:
    code, out, err = ge(
        *("train", f"{run}:seed", "--data", "both", "--train-limit", 0, "--epochs", 1),
        *("-o", tmp_path / "both", "--json"),
    )
    assert code == 0, err
    assert "1,438/288/359 images" in err
    assert "in validation" not in err
    assert json.loads(out)["validation"] is None
    assert json.loads(out)["test"]["objectives"]["accuracy"] > 0
    data = Digits().load("", RunConfig())
    joined = with_validation(data)
    assert torch.equal(joined.train.images, torch.cat([data.train.images, data.validation.images]))
    assert torch.equal(joined.train.labels, torch.cat([data.train.labels, data.validation.labels]))
    assert joined.test is data.test


def test_a_setting_of_a_training_that_ends_in_a_traceback_or_leaves_a_folder(
    run: Path, tmp_path: Path, ge: Ge
) -> None:
    for words, said in (
        ([f"{run}:seed", "--data", "all"], "train or both"),
        ([f"{run}:g7s7"], "no individual"),
        ([f"{run}"], "Write RUN:ID"),
        ([f"{run}:seed", "--timeout", -1], "timeout must be more than 0"),
    ):
        code, _, err = ge("train", *words, "-o", tmp_path / "new")
        assert code == 2, err
        assert said in err
        assert not (tmp_path / "new").exists()


@pytest.mark.long
def test_a_candidate_that_does_not_train_and_ends_in_a_traceback(
    copied: Path, tmp_path: Path, ge: Ge
) -> None:
    file = tmp_path / "broken.py"
    first = "    def forward(self, x):\n        return self.head("
    broken = first.replace("return", "assert not self.training or len(x) < 9\n        return")
    file.write_text(EXAMPLE.read_text().replace(first, broken))
    (child,) = open_run(copied).add(file)
    assert child is not None
    assert not child.scored
    code, _, err = ge("train", f"{copied}:{child.id}", "-o", tmp_path / "new")
    assert code == 2
    assert f"The training of {copied}:{child.id} failed (error): AssertionError" in err
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists()
    with pytest.raises(TrainingError):
        open_run(copied).train(child.id, tmp_path / "new", epochs=3)


# --- what a run says of its data at its start -------------------------------------------------------


def test_a_run_that_does_not_say_what_it_trains_on(run: Path) -> None:
    assert STARTED[0]["data"] == "10 classes, 256/288/359 images (training/validation/test) of 3x32x32"
    assert STARTED[0]["remarks"] == [], "digits are not mirrored"
    line = line_of("run_started", {**STARTED[0], "remarks": ["Heed this."]})
    assert line is not None
    assert line.plain.splitlines()[1:] == [f"  data: {STARTED[0]['data']}", "  Heed this."]


@pytest.mark.long
@pytest.mark.parametrize(
    ("recipe", "said"), [({}, True), ({"mirror": False}, False), ({"augment": False}, False)]
)
def test_letters_that_are_mirrored_and_nobody_says_so(
    recipe: dict[str, Any], said: bool, tmp_path: Path
) -> None:
    with shop(tmp_path, recipe=recipe) as opened:
        assert bool(opened.remarks) == said
        assert ("mirrored" in opened.description) == said
    assert all("harms letters" in remark and "--no-mirror" in remark for remark in opened.remarks)


def test_a_heading_without_optimizer_rate_or_augmentation() -> None:
    told = constants(config_from_dict({"recipe": {"optimizer": "adamw", "jitter": 0.2}}))
    assert "adamw, lr 0.001" in told
    assert "augmented by shift, mirror where the task allows it, jitter 0.2" in told
    told = constants(config_from_dict({"recipe": {"mirror": False}}))
    assert "the file's optimizer or SGD, lr 0.1" in told
    assert told.endswith("augmented by shift, no resizing")
    assert "no augmentation" in constants(config_from_dict({"recipe": {"augment": False}}))


# --- weights that a run keeps ------------------------------------------------------------------------


def test_kept_weights_that_answer_otherwise_than_the_run(
    run: Path, tmp_path: Path, images: tuple[list[Path], list[str]], ge: Ge
) -> None:
    files, labels = images
    opened = open_run(run)
    for one in opened.front:
        code, _, err = ge("export", f"{run}:{one.id}", "--weights", "-o", tmp_path / one.id)
        assert code == 0, err
        tested = opened.tests[one.id]
        assert not isinstance(tested, Failed)
        right = share_right(answers(tmp_path / one.id / "predict.py", files, tmp_path), labels)
        assert right == pytest.approx(tested.objectives["accuracy"], abs=1e-9)  # type: ignore[union-attr]


def test_weights_that_a_run_did_not_keep(run: Path, tmp_path: Path, ge: Ge) -> None:
    beaten = next(one.id for one in open_run(run).individuals if one.id not in open_run(run).tests)
    code, _, err = ge("export", f"{run}:{beaten}", "--weights", "-o", tmp_path / "new")
    assert code == 2
    assert f"ge train {run}:{beaten} -o {tmp_path / 'new'}" in err
    assert not (tmp_path / "new").exists()


PREPROCESSING = Preprocessing("Net()", 3, 8, 9, 10, (1.5, 2.0, 3.0), (4.0, 5.0, 6.0), ("a", "b \u00e9"))


def test_a_preprocessing_that_comes_back_changed_or_from_anything() -> None:
    assert Preprocessing.from_json(PREPROCESSING.as_json()) == PREPROCESSING
    for other in (b"[]", b"{}", b"x", PREPROCESSING.as_json().replace(b'"a"', b"7")):
        with pytest.raises((ValueError, TypeError)):
            Preprocessing.from_json(other)


def test_weights_that_a_folder_does_not_hold_as_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "preprocessing.json").write_bytes(PREPROCESSING.as_json())
    assert kept_weights(tmp_path, "d") is None
    file = folder / "d.safetensors"
    file.write_bytes(b"no weights")
    with pytest.raises(LedgerError, match="cannot be read"):
        kept_weights(tmp_path, "d")
    good = save({"w": torch.ones(2)})
    (tmp_path / "elsewhere").write_bytes(good)
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError):
        kept_weights(tmp_path, "d")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(LedgerError):
        kept_weights(tmp_path, "d")
    file.unlink()
    file.write_bytes(good)
    assert kept_weights(tmp_path, "d") == (good, PREPROCESSING)


@given(st.binary(max_size=80))
def test_bytes_of_a_worker_that_are_taken_for_weights(data: bytes) -> None:
    try:
        assert load(checked_weights(data)) == load(data)
    except BadWeights:
        return


def test_weights_that_bring_more_than_tensors() -> None:
    tensors = {"w": torch.arange(3.0)}
    assert checked_weights(save(tensors, {"note": "import os"})) == save(tensors)


JOB = Job("g0s1", genome(), 5)


@pytest.mark.parametrize(
    ("keep", "job", "wanted"),
    [
        ("finalists", replace(JOB, split="test"), True),
        ("finalists", replace(JOB, split="test", rng_seed=6), False),
        ("finalists", JOB, False),
        ("all", JOB, True),
        ("all", replace(JOB, epochs=2), False),
        ("all", replace(JOB, split="both", rng_seed=6), False),
        ("none", replace(JOB, split="test"), False),
    ],
)
def test_weights_of_a_training_that_nobody_wants_or_of_another_seed(
    keep: str, job: Job, wanted: bool, tmp_path: Path
) -> None:
    assert KeptWeights(tmp_path, keep, 5, PREPROCESSING).wants(job) == wanted


def test_weights_that_fill_the_disk_or_cost_a_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = save({"w": torch.ones(100)})
    store = KeptWeights(tmp_path / "weights", "all", 0, PREPROCESSING, limit=len(one) + 10)
    store.put("g0s0", "a", one)
    store.put("g0s1", "b", one)
    store.put("g0s2", "c", b"junk")
    store.put("g0s0", "a", one)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(" are not kept")[0] for line in said] == [
        "The weights of g0s1",
        "The weights of g0s2",
    ]
    assert [file.name for file in (tmp_path / "weights").glob("*.safetensors")] == ["a.safetensors"]


@pytest.mark.long
def test_a_candidate_whose_weights_cannot_be_had_that_loses_its_score(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = genome(init="self.register_buffer('odd', torch.zeros(2, dtype=torch.complex128).conj())")
    with shop(tmp_path, keep_weights="all") as opened:
        assert not isinstance(outcome_of(opened, odd, "odd"), Failed)
        assert not isinstance(outcome_of(opened, genome(), "plain"), Failed)
    assert (tmp_path / "weights" / f"{genome().digest}.safetensors").is_file()
    assert "The weights of odd are not kept" in capfd.readouterr().err


def test_weights_in_a_report_that_nobody_asked_for() -> None:
    token = bytes(16)
    spec = JobSpec("a", "train", {"": ""}, "d", 0, "validation", 5.0, token.hex(), weights=3)
    facts = dict.fromkeys(
        ("registered", "latency", "peak_memory", "size_on_disk", "train_seconds", "steps", "start_seconds"),
        1.0,
    )

    def ended(weights: bytes, asked: JobSpec) -> WorkerReport | Failed:
        packed = pack_report(WorkerReport(facts=facts, weights=weights), token)
        return report_of(WorkerExit(0, "", BEGUN + packed, ""), asked, Kills())

    assert isinstance(ended(b"abc", spec), WorkerReport)
    for weights, asked in ((b"abcd", spec), (b"a", replace(spec, weights=0))):
        failed = ended(weights, asked)
        assert isinstance(failed, Failed)
        assert "weights that nobody asked for" in failed.reason


# --- what is packed, and what predict.py makes of it ---------------------------------------------------

SHARING = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.LazyLinear(4)
        self.norm = nn.BatchNorm1d(4)
        self.again = self.norm
        self.head = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.head.weight
        self.register_buffer("hidden", torch.ones(4), persistent=False)
        self.register_buffer("same", self.hidden)

    def forward(self, x):
        x = self.again(self.norm(self.body(x.flatten(1))))
        return {"logits": self.tied(self.head(x)) + self.hidden + self.same}
"""


def test_weights_that_are_shared_hidden_or_without_a_size_and_are_lost(tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    exec(SHARING, scope)
    torch.manual_seed(3)
    network: nn.Module = scope["Net"]()
    pixels = torch.randint(0, 256, (5, 4, 6, 3), dtype=torch.uint8)
    how = {
        "entry": "Net()",
        "channels": 3,
        "height": 4,
        "width": 6,
        "size": 5,
        "classes": list("abcd"),
        "mean": [100.0, 110.0, 120.0],
        "std": [50.0, 60.0, 70.0],
    }
    network.train()(predict.normalised(pixels, how))
    with torch.no_grad():
        network.get_buffer("hidden").copy_(torch.arange(4.0))
    (tmp_path / "model.py").write_text(SHARING)
    (tmp_path / "model.safetensors").write_bytes(packed_weights(network))
    loaded = predict.load_model(tmp_path, how)
    wanted = predict.predict(network.eval(), pixels, how)
    assert torch.equal(predict.predict(loaded, pixels, how), wanted)
    assert wanted.shape == (5, 4)
    assert wanted.sum(1).tolist() == pytest.approx([1.0] * 5)


def picture(kind: str, width: int, height: int) -> Image.Image:
    generator = torch.Generator().manual_seed(width)
    channels = {"RGB": 3, "L": 1, "RGBA": 4, "CMYK": 4, "LA": 2}[kind]
    pixels = torch.randint(0, 256, (height, width, channels), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.squeeze(-1).numpy(), kind)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("RGB", "a.png"), ("RGB", "a.jpg"), ("RGB", "a.bmp"), ("L", "a.png"), ("L", "a.jpg")),
        *(("RGBA", "a.png"), ("RGBA", "a.webp"), ("LA", "a.png"), ("CMYK", "a.jpg"), ("RGB", "a.tiff")),
    ],
)
@pytest.mark.parametrize("turned", [1, 6, 7])
def test_an_image_that_predict_reads_otherwise_than_the_training(
    kind: str, name: str, turned: int, tmp_path: Path
) -> None:
    file = tmp_path / name
    exif = Image.Exif()
    exif[0x0112] = turned
    picture(kind, 70, 41).save(file, exif=exif)
    for width, height in ((16, 16), (20, 12), (70, 41)):
        how = {"width": width, "height": height, "channels": 3}
        wanted = pixels_of(file.read_bytes(), name, (width, height), 3, {})
        assert torch.equal(predict.read_image(file, how), torch.from_numpy(wanted.copy()))
        grey = predict.read_image(file, {**how, "channels": 1})
        luma = Image.fromarray(wanted).convert("L")
        assert grey.squeeze(-1).numpy().tobytes() == luma.tobytes()


def test_a_file_that_predict_cannot_read_and_ends_in_a_traceback(tmp_path: Path) -> None:
    how = {"width": 8, "height": 8, "channels": 3}
    (tmp_path / "text.png").write_text("no image")
    Image.new("I;16", (8, 8)).save(tmp_path / "deep.png")
    (tmp_path / "odd.npy").write_bytes(b"\x93NUMPY")
    for name in ("text.png", "deep.png", "odd.npy", "none.png"):
        with pytest.raises(predict.Unreadable, match=name):
            predict.read_image(tmp_path / name, how)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with a model that was not trained, for colours of 8x8."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    (folder / "model.py").write_text(
        "from torch import nn\n\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))\n"
    )
    (folder / "model.safetensors").write_bytes(packed_weights(network))
    how = Preprocessing("net()", 3, 8, 8, 8, (0.0,) * 3, (255.0,) * 3, ("a", "b", "c"))
    (folder / "preprocessing.json").write_bytes(how.as_json())
    shutil.copy(predict.__file__, folder / "predict.py")
    return folder


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_an_image_that_cannot_be_read_and_takes_the_answers_of_the_others_with_it(
    bundle: Path, tmp_path: Path, flag: tuple[str, ...]
) -> None:
    for name in ("first.png", "last.png"):
        picture("RGB", 8, 8).save(tmp_path / name)
    Image.new("I;16", (8, 8)).save(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.npy").touch()
    names = ["first.png", "deep.png", "text.png", "empty.npy", "none.png", "last.png"]
    words = [sys.executable, "-c", WITHOUT_ENGINE, bundle / "predict.py", *names, *flag]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENT)
    assert ended.returncode == 1
    told, refused = ended.stdout.splitlines(), ended.stderr.splitlines()
    assert ["first.png" in told[0], "last.png" in told[1], len(told)] == [True, True, 2]
    assert len(refused) == 4
    for name, line in zip(names[1:5], refused, strict=True):
        assert line.startswith(f"error: {name} ")
        assert line.endswith(".")


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """A run's folder as somebody else may give it."""
    return shutil.copytree(run, tmp_path / "copied")


def test_a_run_that_something_else_scores_and_is_trained(copied: Path, tmp_path: Path, ge: Ge) -> None:
    mark = str(tmp_path / "mark")
    for stored in STORED.values():
        setting(copied, **{name: value.replace("{mark}", mark) for name, value in stored.items()})
        code, _, err = ge("train", f"{copied}:seed", "-o", tmp_path / "new")
        assert code == 2, err
        assert "Training in full needs the built-in trainer" in err
        assert "Traceback" not in err
    assert not (tmp_path / "mark").exists()
    assert not (tmp_path / "new").exists()


def test_weights_that_no_trainer_of_ours_made_and_a_hint_that_is_refused(copied: Path, ge: Ge) -> None:
    shutil.rmtree(copied / "scratch")
    setting(copied, **STORED["function"])
    hints = []
    for words in (("train", f"{copied}:seed"), ("export", f"{copied}:seed", "--weights")):
        code, _, err = ge(*words, "-o", copied / "new")
        assert code == 2, err
        hints.append(" ".join(err.split("try: ")[1].split()))
    assert hints[0] == hints[1]
    assert "ge export" in hints[0]


def test_a_folder_of_a_run_that_chooses_the_sandbox_or_a_path_of_a_training(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(copied, sandbox="none", trackers=["tensorboard"])
    change(copied, f"UPDATE seed SET path = '{tmp_path}/secret/seed.py'")
    opened: list[tuple[Any, ...]] = []

    def refuse(*given: Any) -> Any:
        opened.append(given)
        raise ConfigError("That is all.")

    monkeypatch.setattr(training, "open_task_training", refuse)
    with pytest.raises(ConfigError, match="That is all"):
        open_run(copied).train("seed", tmp_path / "new")
    ((seed, config, _, scratch, _, _, private),) = opened
    assert seed.seed.path is None
    assert (config.sandbox, config.trackers, config.keep_weights) == ("auto", (), "none")
    assert scratch == tmp_path / "new" / ".training" / "scratch"
    assert copied.resolve() in private
    assert not (tmp_path / "new").exists(), "nothing was trained"
