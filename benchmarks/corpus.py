"""Real files nobody here wrote: each, and each block rewritten as itself, must come back byte for byte.

python -m benchmarks.corpus                    all of torchvision/models, transformers/models and timm
python -m benchmarks.corpus --sample 20        a sample drawn by a fixed seed
python -m benchmarks.corpus DIRECTORY ...      other folders of Python files
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Rejected
from ge_engine.patch import apply, parse_patch
from ge_plugins.checks import FORBIDDEN
from ge_plugins.reaching import builtins_read, reached

SOURCES = (
    ("torchvision", "models/**/*.py"),
    ("transformers", "models/**/modeling_*.py"),
    ("timm", "**/*.py"),
)


@dataclass
class Report:
    """What one file gave. `faults` must stay empty: a byte lost, or an error that is not ours. `reaching` is
    what the check "names" would refuse in its classes and functions, were they answers for another file."""

    file: str
    top: int = 0
    methods: int = 0
    blocked: Counter[str] = field(default_factory=Counter)
    refused: str = ""
    faults: list[str] = field(default_factory=list)
    reaching: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def fetched_timm(folder: Path) -> list[Path]:
    """The files of timm's wheel, taken from the package index without its dependencies; none offline."""
    if importlib.util.find_spec("timm") is not None:
        return []
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), "timm"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        print("timm is not installed and cannot be fetched: left out")
        return []
    for wheel in folder.glob("timm-*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)
    return sorted((folder / "timm").rglob("*.py"))


def installed_files() -> list[Path]:
    """The files of the corpus that are installed here, sorted by package and path."""
    found: list[Path] = []
    for package, pattern in SOURCES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            found += sorted(Path(spec.origin).parent.glob(pattern))
    return found


def sample(files: list[Path], count: int) -> list[Path]:
    """`count` files, the same ones each time."""
    return sorted(random.Random(20241125).sample(files, min(count, len(files))))


def check_file(path: Path) -> Report:
    """Round trip and identity splice of every evolvable block of one file."""
    started = time.perf_counter()
    report = Report(str(path))
    data = path.read_bytes()
    try:
        seed = Seed.from_bytes(data, path)
    except SeedError as error:
        report.refused = error.message.replace(str(path), path.name)
        return report
    if seed.genome.source != data:
        report.faults.append("the file does not come back byte for byte")
    for address, block in seed.genome.blocks.items():
        if block.reason:
            report.blocked[_kind_of(block.reason)] += 1
            continue
        report.top += block.kind != "method"
        if block.kind != "method":
            report.reaching.update(_refused(seed.genome, block.code))
        report.methods += block.kind == "method"
        fault = _identity(seed.genome, address, block.code)
        report.faults += [f"{address}: {fault}"] if fault else []
    report.seconds = time.perf_counter() - started
    return report


def _identity(genome: Genome, address: str, code: str) -> str:
    patch = parse_patch(genome, address, code)
    if isinstance(patch, Rejected):
        return f"{patch.stage}: {patch.reason}"
    child = apply(genome, patch)
    if isinstance(child, Rejected):
        return f"{child.stage}: {child.reason}"
    return "" if child.source == genome.source else "its identity rewrite changes bytes"


def _refused(genome: Genome, code: str) -> frozenset[str]:
    modules = (name for name, meaning in genome.bound.items() if meaning.startswith("@"))
    return builtins_read([code], FORBIDDEN) | reached([code], modules)


def _kind_of(reason: str) -> str:
    words = [w for w in reason.split(" (")[0].split() if not w.rstrip(":").isdigit()]
    return " ".join(words)


def table(reports: list[Report]) -> str:
    """The figures of a corpus run, as lines of text."""
    refused = [r for r in reports if r.refused]
    faults = [(r.file, fault) for r in reports for fault in r.faults]
    blocked: Counter[str] = Counter()
    reaching: Counter[str] = Counter()
    for report in reports:
        blocked.update(report.blocked)
        reaching.update(report.reaching)
    lines = [
        f"{'files':<40}{len(reports):>8}",
        f"{'files refused':<40}{len(refused):>8}",
        f"{'top-level blocks, identity splice':<40}{sum(r.top for r in reports):>8}",
        f"{'methods, identity splice':<40}{sum(r.methods for r in reports):>8}",
        f"{'definitions that are not evolvable':<40}{sum(blocked.values()):>8}",
        *(f"    {reason:<60}{count:>6}" for reason, count in blocked.most_common()),
        f"{'what the check names would refuse':<40}{sum(reaching.values()):>8}",
        *(f"    {name:<60}{count:>6}" for name, count in reaching.most_common()),
        f"{'bytes lost, or patches that failed':<40}{len(faults):>8}",
        *(f"    {file}: {fault}" for file, fault in faults),
    ]
    lines += [f"    refused: {Path(r.file).parent.name}/{Path(r.file).name}: {r.refused}" for r in refused]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    files = [f for folder in options.folders for f in sorted(folder.rglob("*.py"))]
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor(options.jobs) as pool:
        files = files or [*installed_files(), *fetched_timm(Path(scratch))]
        files = sample(files, options.sample) if options.sample else files
        reports = list(pool.map(check_file, files, chunksize=4))
    print(table(reports))
    return 1 if any(r.faults for r in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
