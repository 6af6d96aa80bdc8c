"""One individual of a run trained in full, as a folder that answers images without the engine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ge_engine.atomic_file import write_whole
from ge_engine.blaming import blamed_objective, blamed_tasks
from ge_engine.config import RunConfig, with_settings
from ge_engine.contracts import Dataset
from ge_engine.errors import ConfigError, SeedError, TrainingError
from ge_engine.evaluation.full_training import FullTraining, FullyTrained, with_validation
from ge_engine.evaluation.setup import runs_beside
from ge_engine.evaluation.task_training import open_task_training
from ge_engine.evaluation.weights import KeptWeights
from ge_engine.ledger.foreign import confirmed
from ge_engine.ledger.history import History
from ge_engine.outcome import Failed, Scored
from ge_engine.population import Child
from ge_engine.registry import Registry
from ge_engine.runs.bundle import write_bundle
from ge_engine.runs.references import find_individual, require_genome
from ge_engine.runs.trained import Asked, TrainedModel
from ge_engine.runs.training_folder import is_begun, opened_for_training, require_same_code
from ge_engine.search.rescoring import OwnSettings, settings_with_own
from ge_engine.search.resolution import chosen_objectives

Told = Callable[[str, Mapping[str, Any]], None]
RESULT = "training.json"
PARTS: Mapping[str, Callable[[Dataset], Dataset]] = {"train": lambda data: data, "both": with_validation}
"""What is trained on by the word for it: the training part, or that and the validation part."""


def train(
    folder: Path, identity: str, output: Path, asked: Asked, registry: Registry, told: Told, own: OwnSettings
) -> TrainedModel:
    """As `Run.train`."""
    with History(folder) as history, _missing_files_named(history):
        stored = history.config
        one = find_individual(history, identity)
        genome = require_genome(one)
        config = _config(folder, identity, stored, asked, registry, own)
        with opened_for_training(output, _about(folder, one, config, asked)) as scratch:
            trained, kept = _trained(history, one, config, asked, registry, told, scratch)
            result = _result(output, one, asked, trained.score)
            write_bundle(output, one, history, trained.weights, kept.preprocessing, kept.code)
            record = {**result.as_data(), "digest": genome.digest, "recipe": asdict(config.recipe)}
            record |= {"curve": trained.score.details["curve"]}
            write_whole(output / RESULT, (json.dumps(record, indent=1) + "\n").encode())
    return result


@contextmanager
def _missing_files_named(history: History) -> Iterator[None]:
    """Confirm the seed model; where its files are not there and it does not run without, that is said."""
    stored = history.seed
    history.seed = confirmed(stored)
    try:
        yield
    except SeedError as error:
        if stored.path is None or history.seed.path is not None:
            raise
        raise SeedError(
            error.message,
            f"{stored.path} is not there as the run read it, nor are the modules that it imports found: put "
            "them back.",
        ) from error


def _trained(
    history: History,
    one: Child,
    config: RunConfig,
    asked: Asked,
    registry: Registry,
    told: Told,
    scratch: Path,
) -> tuple[FullyTrained, KeptWeights]:
    """What was trained, and what tells how it answers."""
    genome = require_genome(one)
    objectives = [blamed_objective(each, registry) for each in chosen_objectives(config, registry).values()]
    folder = history.folder
    private = [folder.resolve(), *runs_beside(folder.resolve())]
    going_on = is_begun(scratch)
    with open_task_training(
        history.seed.genome,
        config,
        objectives,
        scratch,
        blamed_tasks(registry),
        PARTS[asked.data],
        private,
    ) as evaluation:
        require_same_code(scratch, evaluation.weights.kept.code)
        heading = {"individual": one.id, "epochs": config.recipe.epochs, "data": evaluation.data}
        told("training", {**heading, "remarks": list(evaluation.remarks), "going_on": going_on})
        ended = FullTraining(
            evaluation, genome, config.random_seed, config.recipe.epochs, _without_seen(told, asked)
        ).run()
    if isinstance(ended, Failed):
        raise TrainingError(
            f"The training of {folder}:{one.id} failed ({ended.kind}): {ended.reason.rstrip('.')}.",
            "The same command goes on from its last checkpoint. --timeout gives it more time, --epochs less "
            "to do.",
        )
    return ended, evaluation.weights.kept


def _without_seen(told: Told, asked: Asked) -> Told:
    """`told`, without figures by images that were trained on."""
    if asked.data == "train":
        return told
    return lambda name, data: told(name, {**data, "scored": {}} if "scored" in data else data)


def _config(
    folder: Path, identity: str, stored: RunConfig, asked: Asked, registry: Registry, own: OwnSettings
) -> RunConfig:
    """The run's settings for one training of its own. A timeout that was meant for the run's epochs grows
    with their number, and twofold where more is trained on.

    Raises:
        ConfigError: something else than the built-in trainer scores the run, or a setting is out of range.
    """
    if stored.evaluator != OwnSettings().evaluator:
        evaluator = registry.evaluators.get(stored.evaluator)
        by = evaluator.described(stored.evaluator_argument)[0] if evaluator else f"{stored.evaluator!r}"
        raise ConfigError(
            f"Training in full needs the built-in trainer, and the run {folder} is scored by {by}.",
            export_instead(folder, identity),
        )
    if asked.data not in PARTS:
        raise ConfigError(f"--data wants {' or '.join(PARTS)} and got {asked.data!r}.")
    config = settings_with_own(folder, stored, own, registry)
    share = max(1.0, (asked.epochs or 1) / stored.recipe.epochs) * (1 if asked.data == "train" else 2)
    return with_settings(
        replace(
            config,
            constraints=(),
            max_slowdown=0.0,
            halving=False,
            budget_rule="none",
            inherit=False,
            screen=1,
            keep_weights="none",
        ),
        {
            "training.epochs": asked.epochs,
            "training.train_limit": asked.train_limit,
            "threads": asked.threads,
            "timeout": stored.timeout * share if asked.timeout is None else asked.timeout,
        },
    )


def export_instead(folder: Path, identity: str) -> str:
    """What to do with an individual of a run that the built-in trainer does not score."""
    export = shlex.join(["ge", "export", f"{folder}:{identity}", "-o", "model.py"])
    return f"Write the model, and train it as that does: {export}."


def _about(folder: Path, one: Child, config: RunConfig, asked: Asked) -> dict[str, Any]:
    """What makes one training the same as another."""
    return {
        "individual": one.id,
        "digest": require_genome(one).digest,
        "run": str(folder.resolve()),
        "data": asked.data,
        "task": config.task,
        "entry": config.entry,
        "random_seed": config.random_seed,
        "threads": config.threads,
        "recipe": asdict(config.recipe),
    }


def _result(output: Path, one: Child, asked: Asked, score: Scored) -> TrainedModel:
    seen = asked.data == "both"
    test = score.details["test"]
    epochs = len(score.details["curve"])
    return TrainedModel(output, one.id, epochs, asked.data, None if seen else score, test)
