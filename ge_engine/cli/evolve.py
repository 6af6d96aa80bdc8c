"""`ge evolve`: a new run, or an old one that goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ge_engine import evolve as engine
from ge_engine.blocks import Seed
from ge_engine.cli.options import BlockedPlugins, PluginModules
from ge_engine.cli.summary import print_summary
from ge_engine.cli.view import open_view
from ge_engine.config import PRESETS, load_config
from ge_engine.errors import ConfigError
from ge_engine.registry import load_registry

MODEL = "Model and task"
SEARCH = "Search"
TRAINING = "Training"
RUN = "Run"


def evolve(
    seed_file: Annotated[Path, typer.Argument(metavar="SEED", help="The PyTorch model file to evolve.")],
    task: Annotated[
        str | None,
        typer.Option(metavar="NAME[:ARG]", help="digits, folder:PATH, cifar10, ...", rich_help_panel=MODEL),
    ] = None,
    entry: Annotated[
        str | None,
        typer.Option(help='What builds the model, e.g. "Net(num_classes=10)".', rich_help_panel=MODEL),
    ] = None,
    blocks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only these blocks; globs, ! excludes (repeatable).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    dead_blocks: Annotated[
        bool | None,
        typer.Option("--dead-blocks", help="Also blocks that training never runs.", rich_help_panel=MODEL),
    ] = None,
    llm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:ARG]",
            help="smollm2, hf:PATH, openai:MODEL, replay:RUN, uniform.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help=f"One of {', '.join(PRESETS)}.", rich_help_panel=SEARCH)
    ] = "demo",
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings in TOML; flags win over it.", rich_help_panel=SEARCH),
    ] = None,
    generations: Annotated[
        int | None, typer.Option(help="Generations, the initial one included.", rich_help_panel=SEARCH)
    ] = None,
    population: Annotated[
        int | None, typer.Option(help="Children in each generation.", rich_help_panel=SEARCH)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of every random choice.", rich_help_panel=SEARCH)
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="What to optimise (repeatable).", rich_help_panel=SEARCH),
    ] = None,
    operators: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Use these operators (repeatable).", rich_help_panel=SEARCH),
    ] = None,
    grammar: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="One form of answer for all prompts.", rich_help_panel=SEARCH),
    ] = None,
    repairs: Annotated[
        int | None, typer.Option(help="Send a rejected reply back so often.", rich_help_panel=SEARCH)
    ] = None,
    no_eot: Annotated[
        bool, typer.Option("--no-eot", help="Without Evolution of Thought.", rich_help_panel=SEARCH)
    ] = False,
    no_personas: Annotated[
        bool, typer.Option("--no-personas", help="Without personas.", rich_help_panel=SEARCH)
    ] = False,
    no_mating: Annotated[
        bool, typer.Option("--no-mating", help="Without mating.", rich_help_panel=SEARCH)
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs a candidate is trained.", rich_help_panel=TRAINING)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.", rich_help_panel=TRAINING)] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", rich_help_panel=TRAINING)] = None,
    train_limit: Annotated[
        int | None, typer.Option(help="Train on so many images only.", rich_help_panel=TRAINING)
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Resize images to this many pixels.", rich_help_panel=TRAINING)
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, no, bf16 or fp16.", rich_help_panel=TRAINING)
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds a candidate may take.", rich_help_panel=TRAINING)
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help='What every individual keeps to, e.g. "parameters<=518230" (repeatable).',
            rich_help_panel=SEARCH,
        ),
    ] = None,
    evaluator: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Score by a function of yours (or the name of a registered evaluator).",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            help='Score by a program of yours: "python train.py --model {path}".', rich_help_panel=TRAINING
        ),
    ] = None,
    sandbox: Annotated[
        str | None, typer.Option(help="auto, landlock or none.", rich_help_panel=TRAINING)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Trainings at once; 0 = one a core.", rich_help_panel=RUN)
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run's folder; an existing run goes on.", rich_help_panel=RUN),
    ] = None,
    plugin: PluginModules = None,
    no_plugin: BlockedPlugins = None,
) -> None:
    """Evolve the blocks of a model file and print the Pareto front.

    Examples:

      ge evolve examples/plain_cnn.py

      ge evolve model.py --task folder:images.zip --generations 5 --population 12 --run runs/mine
    """
    flags: dict[str, Any] = {
        "task": task,
        "entry": entry,
        "blocks": blocks,
        "dead_blocks": dead_blocks,
        "llm": llm,
        "generations": generations,
        "population": population,
        "random_seed": seed,
        "objectives": objective,
        "operators": operators,
        "grammar": grammar,
        "repairs": repairs,
        "workers": workers,
        "timeout": timeout,
        "constraints": constraint,
        "sandbox": sandbox,
        **_evaluator_flags(evaluator, command),
        "p_eot": 0.0 if no_eot else None,
        "p_mating": 0.0 if no_mating else None,
        "personas": ["none"] if no_personas else None,
        "recipe.epochs": epochs,
        "recipe.batch_size": batch_size,
        "recipe.lr": lr,
        "recipe.train_limit": train_limit,
        "recipe.image_size": image_size,
        "recipe.precision": precision,
    }
    settings = load_config(preset, config, flags)
    registry = load_registry(plugin or (), no_plugin or ())
    folder = run or Path("runs") / f"{seed_file.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    if folder.is_file():
        raise ConfigError(f"{folder} is a file.", "Name a folder with --run.")
    with open_view(folder, settings) as view:
        engine.run(Seed.load(seed_file), settings, registry, folder, view.observe)
    print_summary(folder, registry)


def _evaluator_flags(evaluator: str | None, command: str | None) -> dict[str, str]:
    if evaluator and command:
        raise ConfigError("Both --evaluator and --command are given.", "Give one of them.")
    if command:
        return {"evaluator": "command", "evaluator_argument": command}
    if evaluator and ":" in evaluator:
        return {"evaluator": "function", "evaluator_argument": evaluator}
    return {"evaluator": evaluator} if evaluator else {}
