"""`make gpu-headline ARGS="--data cifar10.zip"`: what one GPU does with the engine, within 25 minutes.

    python -m benchmarks.gpu_headline --data ZIP-OR-FOLDER [--out runs/gpu-headline] [--only STEP ...]
    python -m benchmarks.gpu_headline --dry-run [--out DIR]

The steps: `device` (does CUDA start in the sandbox), `tests` (those of `make gpu`), `rate` (the trainer
beside a loop written by hand: channels last, fused optimizer, bfloat16), `search` (evolves
examples/exquisitenet_v2.py on CIFAR-10 as an ImageFolder, several candidates at once on the GPU) and
`finalists` (each with three random seeds). No network is used. Each step is a process of its own with a time
budget; one that fails or is cut off is recorded, and the next one begins. OUT/report.jsonl gets a line and
OUT/report.md is written anew after every step, so that an hour that ends early has what came before.
`--dry-run` does all steps tiny, on the CPU and on the built-in digits. Ends with 1 where a step has failed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.searched import Search, smallest_as_good
from ge_engine.ledger import History
from ge_engine.ledger.replicates import spreads
from ge_engine.outcome import Failed
from ge_engine.population import SEED_ID

ROOT = Path(__file__).resolve().parent.parent
SEED = ROOT / "examples" / "exquisitenet_v2.py"
STEPS = ("device", "tests", "rate", "search", "finalists")
DONE, FAILED, CUT_OFF = "done", "failed", "cut off"
GRACE = 20.0
"""Seconds in which a step that is cut off may write what it has."""
SEARCH_SECONDS = 520
DRY_PATIENCE = 3600.0
"""Seconds for a step of a dry run, which nobody waits for a lent GPU with."""
LINES = 40
"""Of what a step printed, the last that the report keeps."""
PYTEST = ("-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider")
DEVICE = """\
import json, torch
from ge_engine.evaluation import gpu_check
from ge_engine.evaluation.on_machine import chosen_sandbox
from ge_engine.evaluation.sandbox import bubblewrap, landlock
modes = {chosen_sandbox("auto"), *["bwrap"] * (not bubblewrap.why_not())}
modes |= {"landlock"} if landlock.landlock_version() else set()
code = CODE or gpu_check.USE_GPU
found = {"torch": torch.__version__, "cuda": torch.version.cuda or "", "device": "cpu"}
if torch.cuda.is_available():
    found |= {"device": torch.cuda.get_device_name(), "bf16": torch.cuda.is_bf16_supported()}
    found["cudnn"] = torch.backends.cudnn.version()
refused = {f"refused by {mode}": gpu_check.why_not(mode, code) for mode in sorted(modes)}
print(json.dumps(found | refused))
raise SystemExit(any(refused.values()))
"""
RATE = """\
import json
from benchmarks.bench_train import training_rates
ours, by_hand, ratio = training_rates(*SIZES)
print(json.dumps({"images a second": round(ours), "by hand": round(by_hand), "ratio": round(ratio, 3)}))
"""


@dataclass(frozen=True, slots=True)
class Step:
    """`command` after Python's own name, and `figures` from what it printed."""

    name: str
    seconds: float
    command: tuple[str, ...]
    figures: Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Result:
    """How a step ended, its seconds, its figures, and the end of what it printed."""

    step: str
    state: str
    seconds: float
    figures: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""


def last_json(said: str) -> Mapping[str, Any]:
    """The figures in the last line that is a JSON object; none without one."""
    for line in reversed(said.splitlines()):
        if line.startswith("{"):
            found: Mapping[str, Any] = json.loads(line)
            return found
    return {}


def last_line(said: str) -> Mapping[str, Any]:
    lines = said.strip().splitlines()
    return {"result": lines[-1].strip("= ")} if lines else {}


def search_figures(run: Path) -> Mapping[str, Any]:
    """What a run holds, finished or not: the scores so far, how trainings failed, and what was found."""
    if not (run / "ledger.sqlite").is_file():
        return {}
    search = Search.of(run)
    with History(run) as history:
        outcomes = [one.outcome for one in history.individuals()]
    failed = Counter(f"{one.kind} ({one.fault})" for one in outcomes if isinstance(one, Failed))
    scored = {name: one for name, one in search.validation.items() if name != SEED_ID}
    found = smallest_as_good(search)
    return {
        "scored": len(scored),
        "failed": dict(failed),
        "seed model": search.validation.get(SEED_ID),
        "most accurate": max(scored.values(), default=None),
        "tested": len(search.test),
        "smallest as good as the seed model on both splits": found.in_words() if found else "",
    }


def finalist_figures(run: Path) -> Mapping[str, Any]:
    """The figures of individuals over their random seeds, the seed model's first."""
    if not (run / "ledger.sqlite").is_file():
        return {}
    with History(run) as history:
        return {name: one.told(history.notations) for name, one in spreads(history).items()}


def steps(data: Path | None, out: Path, options: argparse.Namespace) -> list[Step]:
    """All steps; tiny ones on the built-in digits without `data`."""
    dry, run = data is None, out / "run"
    rate = f"SIZES = {(128, 64, 1) if dry else (20_000, 256, 3)}\n{RATE}"
    tests = (*PYTEST, "--collect-only", "tests/test_gpu.py") if dry else PYTEST
    device = DEVICE.replace("CODE", repr("pass" if dry else ""))
    rescore = ("-m", "ge_engine.cli", "rescore", str(run), "--seeds", "2", "--workers", str(options.workers))
    planned = [
        Step("device", 150, ("-c", device), last_json),
        Step("tests", 270, tests, last_line),
        Step("rate", 120, ("-c", rate), last_json),
        Step("search", SEARCH_SECONDS + 60, evolving(data, run, options), lambda _: search_figures(run)),
        Step("finalists", 270, rescore, lambda _: finalist_figures(run)),
    ]
    return [replace(one, seconds=DRY_PATIENCE) for one in planned] if dry else planned


def evolving(data: Path | None, run: Path, options: argparse.Namespace) -> tuple[str, ...]:
    """The search as Python's arguments; it ends by itself before its time is over."""
    tiny = {"--generations": 1, "--population": 2, "--epochs": 1, "--train-limit": 64, "--batch-size": 64}
    full = {
        "--generations": options.generations,
        "--population": options.population,
        "--epochs": options.epochs,
        "--train-limit": options.images,
        "--batch-size": 256,
        "--max-seconds": SEARCH_SECONDS,
    }
    options_of_both = {
        "--task": f"folder:{data}" if data else "digits",
        "--llm": "uniform",
        "--workers": options.workers,
        "--rescore-seeds": 0,
        "--random-seed": 1,
        "--timeout": 300,
        "--run": run,
    }
    pairs = {**options_of_both, **(full if data else tiny)}.items()
    return ("-m", "ge_engine.cli", "evolve", str(SEED), *(str(word) for pair in pairs for word in pair))


def carry_out(step: Step, environment: Mapping[str, str]) -> Result:
    """Run a step for as long as its budget allows; whatever becomes of it is in the result."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *step.command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, state = process.communicate(timeout=step.seconds)[0], ""
    except subprocess.TimeoutExpired:
        said, state = _cut_off(process), CUT_OFF
    seconds = round(time.monotonic() - started, 1)
    state = state or (FAILED if process.returncode else DONE)
    try:
        figures = step.figures(said)
    except Exception as error:  # what it has left cannot be read: the report says so
        figures, state = (
            {"unreadable": f"{type(error).__name__}: {error}"},
            state if state == CUT_OFF else FAILED,
        )
    return Result(step.name, state, seconds, figures, "\n".join(said.strip().splitlines()[-LINES:]))


def _cut_off(process: subprocess.Popen[str]) -> str:
    """End a step by Ctrl-C, which a search resumes after, and by force where that is not enough."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=GRACE)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


def markdown(results: Sequence[Result], title: str) -> str:
    """The report: a table of the steps, then the figures and the last words of each."""
    lines = [f"# {title}", "", "| step | state | seconds |", "| --- | --- | --- |"]
    lines += [f"| {one.step} | {one.state} | {one.seconds:g} |" for one in results]
    for one in results:
        lines += ["", f"## {one.step}", ""]
        lines += [f"* {name}: {value}" for name, value in one.figures.items()]
        lines += ["", "```text", one.said, "```"]
    return "\n".join(lines) + "\n"


def report(results: Sequence[Result], out: Path, title: str) -> None:
    """Write all that is known: the last result as a further line, and the Markdown anew."""
    with (out / "report.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(results[-1])) + "\n")
    part = out / "report.md.part"
    part.write_text(markdown(results, title), encoding="utf-8")
    part.replace(out / "report.md")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, checked: a mistake costs none of the time that a GPU is lent for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="CIFAR-10 as an ImageFolder, packed or not")
    parser.add_argument("--dry-run", action="store_true", help="all steps, tiny, on the CPU")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu-headline"))
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    for name, default in (("workers", 6), ("generations", 4), ("population", 12), ("epochs", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--images", type=int, default=20_000)
    options = parser.parse_args(arguments)
    if options.dry_run == (options.data is not None):
        parser.error("give either --data or --dry-run")
    if options.data is not None and not options.data.exists():
        parser.error(f"there is no {options.data}")
    return options


def main(arguments: Sequence[str]) -> int:
    options = parsed(arguments)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    data = options.data.resolve() if options.data else None
    options.workers = min(options.workers, 2) if data is None else options.workers
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    environment |= {"CUDA_VISIBLE_DEVICES": ""} if options.dry_run else {}
    title = "GPU headline, dry run on the CPU: no figure of a GPU" if options.dry_run else "GPU headline"
    results: list[Result] = []
    for step in steps(data, out, options):
        if step.name not in options.only:
            continue
        print(f"{step.name}: at most {step.seconds:g} s", flush=True)
        results.append(carry_out(step, environment))
        report(results, out, title)
        last = results[-1]
        print(f"{last.step}: {last.state} after {last.seconds:g} s {dict(last.figures)}", flush=True)
    print(out / "report.md")
    return 0 if all(one.state == DONE for one in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
