"""Train one model file, or a model of several, over several processes.

On GPUs: `accelerate launch -m ge_engine.launch model.py`. On a CPU: `python -m torch.distributed.run
--standalone --nproc-per-node 2 -m ge_engine.launch model.py`.

For an exported genome, or any seed model; nothing is isolated. The first process prints one line of JSON:
accuracy on the held-out part, how many images that was, the number of processes, and the curve.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from ge_engine.config import load_config
from ge_engine.contracts import Dataset
from ge_engine.entry import resolve_entry
from ge_engine.entry_block import entry_of
from ge_engine.evaluation.data.candidate_files import Candidate, candidate_files, import_files
from ge_engine.evaluation.data.channels import in_channels
from ge_engine.evaluation.data.module_loader import module_address, namespace_of
from ge_engine.evaluation.sandbox.own_code import own_modules
from ge_engine.evaluation.setup import as_images, limited, task_facts, task_name
from ge_engine.evaluation.train.layout import layout, runs_channels_last
from ge_engine.evaluation.train.optimizers import optimizer_of
from ge_engine.evaluation.train.rung import TrainingData, TrainResult
from ge_engine.evaluation.train.trainer import train
from ge_engine.genome import Genome
from ge_engine.registry import choose, load_registry
from ge_engine.seed_files import load_seed
from ge_engine.source.language import PYTHON


def main(arguments: Sequence[str] | None = None) -> None:
    """Raises GeError as the command line does: unknown task, seed model without an entry, ..."""
    parser = argparse.ArgumentParser(prog="ge_engine.launch", description=__doc__)
    parser.add_argument("file", type=Path, help="the file that builds the model, or its package's folder")
    parser.add_argument("--also", action="append", default=[], metavar="FILE", help="this file, too; globs")
    parser.add_argument("--package", action="store_true", help="what the file imports of its package, too")
    parser.add_argument("--task", default="digits")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--entry", default="")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--random-seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    flags = {"task": asked.task, "training.epochs": asked.epochs, "training.batch_size": asked.batch_size}
    flags |= {"also": asked.also or None, "package": asked.package or None}
    config = load_config(
        asked.preset, asked.config, {**flags, "entry": asked.entry, "random_seed": asked.random_seed}
    )
    name, argument = task_name(config.task)
    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        data = choose(load_registry().tasks, name, "task").load(argument, config)
    report = train_file(asked.file, config, data, asked.split)
    state = PartialState()
    if state.is_main_process:
        print(json.dumps(report))
    state.wait_for_everyone()
    state.destroy_process_group()


def train_file(file: Path, config: Any, data: Dataset, split: str) -> Mapping[str, Any]:
    """Train the model of `file` by `config`, which names its further files, and score it on `split`."""
    seed = load_seed(file, config.entry, config.also, package=config.package).genome
    data = in_channels(data, config.recipe.channels)
    size = config.recipe.image_size or int(data.train.images.shape[2])
    entry = resolve_entry(seed, task_facts(data, size), entry_of(seed, config))
    sys.argv = [str(file)]
    module = import_files(_files_of(seed))
    part = limited(data.train, config.recipe.train_limit, config.random_seed)
    held_out = data.test if split == "test" else data.validation
    training_data = TrainingData(
        train=as_images(part, part, size),
        labels=part.labels,
        held_out=as_images(held_out, part, size),
        classes=len(data.names),
        mirror=data.mirror,
    )
    few = next(training_data.train.in_order(4))
    fast = layout(runs_channels_last(eval(entry, vars(module)), few, training_data.classes))
    trained: TrainResult = train(
        lambda: eval(entry, vars(module)),
        optimizer_of(module, config.recipe.optimizer),
        replace(
            training_data,
            train=replace(training_data.train, layout=fast),
            held_out=replace(training_data.held_out, layout=fast),
        ),
        config.recipe,
        config.random_seed,
    )
    right = int((trained.logits.argmax(1) == held_out.labels).sum())
    return {
        "accuracy": right / len(held_out.labels),
        "images": len(trained.logits),
        "processes": PartialState().num_processes,
        "curve": trained.curve,
    }


def _files_of(seed: Genome) -> Candidate:
    """Its files of code as the modules that they are. Those of values lie where the code opens them."""
    paths = {name: str(one.path) for name, one in seed.seed.files.items()}
    main = Path(next(iter(paths.values())))
    sources = {name: one.source for name, one in seed.files.items() if one.seed.language is PYTHON}
    address = module_address(main, seed.digest, namespace_of(main, seed.source))
    modules = own_modules(seed.source, address.root, address.name) if len(sources) > 1 else address.modules
    return candidate_files(sources, paths, seed.digest, modules)


if __name__ == "__main__":
    main()
    # gloo's threads may hold Python objects still, and abort when the interpreter is taken down under them:
    # https://github.com/pytorch/pytorch/pull/179291
    sys.stdout.flush()
    os._exit(0)
