"""`ge evolve`: a new run, or an old one that goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ge_engine import loop as engine
from ge_engine.cli import options as o
from ge_engine.cli.console import err
from ge_engine.cli.summary import print_summary
from ge_engine.cli.view import open_view
from ge_engine.errors import ConfigError
from ge_engine.genome import Seed
from ge_engine.registry import load_registry
from ge_engine.search.termination import INTERRUPTED

RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="DIR", help="The run's folder; an existing run goes on.", rich_help_panel=o.RUN
    ),
]


def evolve(
    context: typer.Context,
    seed_file: o.SeedFile,
    task: o.Task = None,
    skip_broken: o.SkipBroken = None,
    entry: o.Entry = None,
    blocks: o.Blocks = None,
    dead_blocks: o.DeadBlocks = None,
    evaluator: o.EvaluatorName = None,
    command: o.Command = None,
    objective: o.Objectives = None,
    constraint: o.Constraints = None,
    llm: o.Llm = None,
    llm_url: o.LlmUrl = None,
    grammar: o.Grammar = None,
    repairs: o.Repairs = None,
    repair_texts: o.RepairTexts = None,
    think: o.Think = None,
    price_in: o.PriceIn = None,
    price_out: o.PriceOut = None,
    preset: o.Preset = "demo",
    config: o.ConfigFile = None,
    generations: o.Generations = None,
    population: o.PopulationSize = None,
    seed: o.RandomSeed = None,
    operators: o.Operators = None,
    checks: o.Checks = None,
    no_eot: o.NoEot = False,
    no_personas: o.NoPersonas = False,
    no_mating: o.NoMating = False,
    schedule: o.Schedule = None,
    adaptive: o.Adaptive = None,
    islands: o.Islands = None,
    migrate_every: o.MigrateEvery = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    lr: o.LearningRate = None,
    optimizer: o.Optimizer = None,
    weight_decay: o.WeightDecay = None,
    lr_schedule: o.LrSchedule = None,
    augment: o.Augment = None,
    jitter: o.Jitter = None,
    label_smoothing: o.LabelSmoothing = None,
    train_limit: o.TrainLimit = None,
    image_size: o.ImageSize = None,
    channels: o.Channels = None,
    precision: o.Precision = None,
    ema: o.Ema = None,
    max_slowdown: o.MaxSlowdown = None,
    halving: o.Halving = None,
    halving_rate: o.HalvingRate = None,
    rescore_seeds: o.RescoreSeeds = None,
    tracker: o.Trackers = None,
    timeout: o.Timeout = None,
    sandbox: o.Sandbox = None,
    start_method: o.StartMethod = None,
    workers: o.Workers = None,
    threads: o.Threads = None,
    processes_per_candidate: o.ProcessesPerCandidate = None,
    gpus_per_candidate: o.GpusPerCandidate = None,
    max_evaluations: o.MaxEvaluations = None,
    max_seconds: o.MaxSeconds = None,
    max_tokens: o.MaxTokens = None,
    max_cost: o.MaxCost = None,
    stop_when: o.StopWhen = None,
    stall: o.Stall = None,
    run: RunFolder = None,
    plugin: o.PluginModules = None,
    no_plugin: o.BlockedPlugins = None,
    allow_changes: o.AllowChanges = False,
) -> None:
    """Evolve the blocks of a model file and print the Pareto front.

    Examples:

      ge evolve examples/plain_cnn.py

      ge evolve model.py --task folder:images.zip --generations 5 --population 12 --run runs/mine
    """
    settings = o.settings_of(context.params)
    registry = load_registry(plugin or (), no_plugin or ())
    folder = run or Path("runs") / f"{seed_file.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    if folder.is_file():
        raise ConfigError(f"{folder} is a file.", "Name a folder with --run.")
    parsed = Seed.load(seed_file)
    again = f"The same command goes on with it{'' if run else f', given --run {folder}'}."
    try:
        with open_view(folder, settings) as view:
            result = engine.run(parsed, settings, registry, folder, view.observe, allow_changes=allow_changes)
    except KeyboardInterrupt:
        err.print(f"The run was ended at once. {again}")
        raise typer.Exit(130) from None
    print_summary(folder)
    if result.stopped_because.startswith(INTERRUPTED):
        err.print(again)
        raise typer.Exit(130)
