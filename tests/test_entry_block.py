"""What `--entry` passes, as a block: evolved, diffed, exported, replayed and resumed like the file's code."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import doubles
import pytest
from conftest import Ge
from homes import git, set_path

from ge_engine import Run, api, loop
from ge_engine.config import config_from_dict
from ge_engine.contracts import Job
from ge_engine.entry_block import entry_of, with_entry_block
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Scored
from ge_engine.patch import Patch, apply, parse_patch
from ge_engine.runs.references import require_genome
from tests.evaluation import shop
from tests.patience import PATIENT
from tests.test_resuming import GIVEN, children, evolved

TEXT = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, widths, num_classes):
        super().__init__()
        parts, last = [], 3
        for width in widths:
            parts += [nn.Conv2d(last, width, 3, padding=1), nn.ReLU()]
            last = width
        self.parts, self.head = nn.Sequential(*parts), nn.Linear(last, num_classes)

    def forward(self, x):
        return self.head(self.parts(x).mean((2, 3)))
"""
ENTRY = "Net([4, 8], num_classes=4)"
PLAIN = doubles.registry()
REGISTRY = dataclasses.replace(PLAIN, language_models={**PLAIN.language_models, "replay": doubles.Replay()})
BUILT: dict[str, Any] = {"entry": "Net(num_classes=10)", "entry_block": True, "blocks": ("build_model",)}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n# end\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"# coding: latin-1\n# \xe9\n"])
def test_a_file_that_its_entry_changes(newline: str, end: str, start: bytes) -> None:
    """What was there stays, byte for byte; what comes is one block of the file's own style."""
    text = start + (TEXT.replace("    ", "\t").rstrip("\n") + end).encode()
    seed = Seed.from_bytes(text.replace(b"\n", newline.encode()), Path("net.py"))
    wider = with_entry_block(seed, f" {ENTRY}\n")
    assert wider.source.startswith(seed.source)
    assert wider.genome.blocks["build_model"].code.rstrip() == f"def build_model():\n\treturn {ENTRY}"
    assert set(wider.genome.evolvable) == {*seed.genome.evolvable, "build_model"}
    assert wider.source.count(b"\n") == wider.source.count(newline.encode())
    assert wider.path == seed.path


@pytest.mark.parametrize(
    ("entry", "text", "reason"),
    [
        ("", TEXT, "there is no --entry"),
        ("Net", TEXT, "is no call"),
        ("Net(", TEXT, "is no Python expression"),
        (ENTRY, TEXT + "\nbuild_model = Net\n", "has a build_model of its own"),
    ],
)
def test_an_entry_of_which_no_block_can_be_made(entry: str, text: str, reason: str) -> None:
    with pytest.raises(SeedError, match=reason):
        with_entry_block(Seed.from_bytes(text.encode()), entry)


def test_a_changed_entry_that_builds_the_seeds_model(tmp_path: Path) -> None:
    seed = with_entry_block(Seed.from_bytes(TEXT.encode(), tmp_path / "net.py"), ENTRY).genome
    patch = parse_patch(seed, "build_model", f"def build_model():\n    return {ENTRY.replace('8', '16')}\n")
    assert isinstance(patch, Patch)
    child = apply(seed, patch)
    assert isinstance(child, Genome)
    with shop(tmp_path / "scratch", seed, entry=ENTRY, entry_block=True) as evaluation:
        assert "build_model" in evaluation.probe(seed).result(PATIENT).executed
        jobs = [evaluation.submit(Job(key, one, 0)) for key, one in (("a", seed), ("b", child))]
        outcomes = [job.result(PATIENT) for job in jobs]
    assert all(isinstance(one, Scored) for one in outcomes), outcomes
    counted = [one.objectives["parameters"] for one in outcomes if isinstance(one, Scored)]
    assert counted == [4 * 27 + 4 + last * 36 + last + 4 * last + 4 for last in (8, 16)]


def test_a_block_that_a_run_without_the_flag_calls() -> None:
    """A file that has such a function by chance, or a run that did not ask for it, is built as before."""
    named = Seed.from_bytes((TEXT + "\n\ndef build_model():\n    return 1\n").encode()).genome
    assert entry_of(named, config_from_dict({"entry": ENTRY})) == ENTRY
    asked = config_from_dict({"entry": ENTRY, "entry_block": True})
    assert entry_of(Seed.from_bytes(TEXT.encode()).genome, asked) == ENTRY


def test_a_child_of_the_entry_that_is_not_diffed_or_exported(tmp_path: Path, ge: Ge) -> None:
    run = evolved(tmp_path / "run", generations=1, operators=("mutation",), **BUILT)
    out = tmp_path / "better.py"
    code, _, error = ge("export", f"{run}:g0s0", "-o", out, "--no-header")
    assert code == 0, error
    exported = out.read_bytes()
    assert exported.startswith(doubles.SEED)
    [line] = exported[len(doubles.SEED) :].decode().strip().splitlines()[1:]
    code, shown, _ = ge("diff", f"{run}:g0s0")
    assert code == 1, "they differ"
    assert "build_model" in shown
    assert "-    return Net(num_classes=10)" in shown
    assert f"+{line}" in shown
    code, blamed, _ = ge("blame", f"{run}:g0s0", "--json")
    assert code == 0
    assert [json.loads(row)["text"].strip() for row in blamed.splitlines()] == [line.strip()]


def test_a_child_of_the_entry_whose_patch_does_not_fit_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ge: Ge
) -> None:
    """The run read the file without the block, and the child's file has it."""
    run = evolved(tmp_path / "run", generations=1, operators=("mutation",), **BUILT)
    wanted = require_genome(Run(run).individual("g0s0")).source
    project = tmp_path / "project"
    project.mkdir()
    file = project / "seed.py"
    file.write_bytes(doubles.SEED)
    set_path(run, str(file))
    monkeypatch.chdir(project)
    code, _, error = ge("export", f"{run}:g0s0", "--patch", "-o", tmp_path / "better.patch")
    assert code == 0, error
    git(project, "apply", str(tmp_path / "better.patch"))
    assert file.read_bytes() == wanted
    file.write_bytes(doubles.SEED)
    code, _, error = ge("export", f"{run}:g0s0", "--into", project)
    assert code == 0, error
    assert file.read_bytes() == wanted


def test_a_run_with_an_entry_block_that_cannot_go_on(tmp_path: Path, ge: Ge) -> None:
    """By its folder, without the file; and by the same command."""
    whole = evolved(tmp_path / "whole", generations=3, **BUILT)
    cut = evolved(tmp_path / "cut", generations=1, **BUILT)
    evolved(cut, generations=2, **BUILT)
    (tmp_path / "seed.py").unlink()
    code, _, error = ge("resume", cut, "--generations", 3, *GIVEN)
    assert code == 0, error
    assert children(cut) == children(whole)
    assert len({digest for _, digest in children(cut)}) > 3


def test_a_replay_of_other_entries(tmp_path: Path) -> None:
    seed, config = with_entry_block(doubles.seed(), BUILT["entry"]), doubles.config(generations=2, **BUILT)
    loop.run(seed, config, REGISTRY, tmp_path / "first", lambda *_: None)
    again = dataclasses.replace(config, llm=(f"replay:{tmp_path / 'first'}",))
    loop.run(seed, again, REGISTRY, tmp_path / "again", lambda *_: None)
    assert children(tmp_path / "again") == children(tmp_path / "first")


def test_a_flag_that_the_command_does_not_take(tmp_path: Path, ge: Ge) -> None:
    (tmp_path / "net.py").write_text(TEXT)
    code, _, error = ge("evolve", tmp_path / "net.py", "--entry-block", "--llm", "uniform")
    assert code == 2
    assert "there is no --entry" in error
    assert api.blocks(tmp_path / "net.py").keys() == {"Net", "Net.__init__", "Net.forward"}
