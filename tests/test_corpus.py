"""Real model files that nobody here wrote: a sample drawn by a fixed seed (`make corpus` takes all)."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks_here import benchmark

from tests.sampled import everyday

ROOT = Path(__file__).resolve().parent.parent
SAMPLE, EVERYDAY = 14, 5


corpus = benchmark("corpus")
FILES = corpus.sample(corpus.installed_files(), SAMPLE)


def test_the_sample_is_drawn_from_several_hundred_files() -> None:
    assert len(corpus.installed_files()) > 300
    assert len(FILES) == SAMPLE


@pytest.mark.parametrize(
    "path",
    everyday(FILES, *FILES[:EVERYDAY]),
    ids=lambda p: p.name,
)
def test_a_real_file_comes_back_byte_for_byte_with_every_block_rewritten_as_itself(path: Path) -> None:
    report = corpus.check_file(path)
    assert report.faults == []
    assert not report.reaching, "an honest model would be refused"
    assert report.top + report.methods > 0 or "no class and no function" in report.refused


def test_the_table_names_what_was_refused_and_why(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_bytes(b"def f(x):\n    return (\n")
    good = tmp_path / "good.py"
    good.write_bytes(b"def f(x):\r\n    return x\r\nif x:\n\tdef g():\n\t\tpass\n")
    table = corpus.table([corpus.check_file(bad), corpus.check_file(good)])
    assert "bad.py is not valid Python: line 2: '(' was never closed." in table
    assert "it is defined conditionally" in table
    assert table.split("\n")[-2].split()[-1] == "0"
