"""The options that commands share, and what setting each one gives (RunConfig's names)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ge_engine.config import PRESETS, RunConfig, load_config
from ge_engine.errors import ConfigError

MODEL, SEARCH, TRAINING = "Model and task", "Search", "Training"
BUDGET, LANGUAGE, RUN = "Budgets", "Language model", "Run"


def _option(panel: str, text: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)


SeedFile = Annotated[Path, typer.Argument(metavar="SEED", help="The PyTorch model file to evolve.")]
PluginModules = Annotated[
    list[str] | None,
    _option(RUN, "Also load this importable module as a plugin (repeatable).", "--plugin", metavar="MODULE"),
]
BlockedPlugins = Annotated[
    list[str] | None, _option(RUN, "Leave this plugin out (repeatable).", "--no-plugin", metavar="NAME")
]
AllowChanges = Annotated[
    bool,
    _option(RUN, "Go on with other versions or checks than the run was made with.", "--allow-changes"),
]
Preset = Annotated[str, _option(SEARCH, f"Sets the defaults: {' or '.join(PRESETS)}.", "--preset")]
ConfigFile = Annotated[
    Path | None, _option(SEARCH, "Settings in TOML; flags win over it.", "--config", metavar="FILE")
]

Task = Annotated[
    str | None, _option(MODEL, "digits, folder:PATH, cifar10, ...", "--task", metavar="NAME[:ARG]")
]
Entry = Annotated[str | None, _option(MODEL, 'What builds the model, e.g. "Net(depth=3)".', "--entry")]
Blocks = Annotated[
    list[str] | None,
    _option(MODEL, "Only these blocks; globs, ! excludes (repeatable).", "--blocks", metavar="PATTERN"),
]
DeadBlocks = Annotated[bool | None, _option(MODEL, "Also blocks that training never runs.", "--dead-blocks")]
EvaluatorName = Annotated[
    str | None,
    _option(MODEL, "train, or a Python function as MODULE:FUNCTION.", "--evaluator", metavar="NAME"),
]
Command = Annotated[
    str | None,
    _option(MODEL, 'Score with a program: "python train.py --model {path}".', "--command", metavar="CMD"),
]
Objectives = Annotated[
    list[str] | None,
    _option(MODEL, "What to optimise (repeatable).", "--objective", metavar="NAME[:min|max]"),
]
Constraints = Annotated[
    list[str] | None,
    _option(MODEL, 'What must hold, e.g. "parameters<=518230" (repeatable).', "--constraint", metavar="EXPR"),
]

Llm = Annotated[
    list[str] | None,
    _option(
        LANGUAGE,
        "smollm2, hf:PATH, openai:MODEL, replay:RUN, uniform; several share by weight.",
        "--llm",
        metavar="NAME[:ARG][:WEIGHT]",
    ),
]
LlmUrl = Annotated[str | None, _option(LANGUAGE, "Server for openai:MODEL.", "--llm-url", metavar="URL")]
Grammar = Annotated[str | None, _option(LANGUAGE, "One form of answer for all prompts.", "--grammar")]
Repairs = Annotated[int | None, _option(LANGUAGE, "Send a rejected reply back so often.", "--repairs")]
RepairTexts = Annotated[
    bool | None,
    _option(LANGUAGE, "With --repairs, also send the texts of a candidate's errors.", "--repair-texts"),
]
Think = Annotated[
    int | None, _option(LANGUAGE, "Tokens of free text that may come before the code.", "--think")
]
PriceIn = Annotated[float | None, _option(LANGUAGE, "Price of a million tokens read.", "--price-in")]
PriceOut = Annotated[float | None, _option(LANGUAGE, "Price of a million tokens written.", "--price-out")]

Generations = Annotated[
    int | None, _option(SEARCH, "Generations, the initial one included.", "--generations")
]
PopulationSize = Annotated[int | None, _option(SEARCH, "Children in each generation.", "--population")]
RandomSeed = Annotated[int | None, _option(SEARCH, "Seed of every random choice.", "--seed")]
Operators = Annotated[
    list[str] | None, _option(SEARCH, "Use these operators (repeatable).", "--operators", metavar="NAME")
]
Checks = Annotated[
    list[str] | None,
    _option(
        SEARCH,
        "Checks in force; built-in stands for the engine's own (repeatable).",
        "--checks",
        metavar="NAME",
    ),
]
NoEot = Annotated[bool, _option(SEARCH, "Without Evolution of Thought.", "--no-eot")]
NoPersonas = Annotated[bool, _option(SEARCH, "Without personas.", "--no-personas")]
NoMating = Annotated[bool, _option(SEARCH, "Without mating.", "--no-mating")]
Schedule = Annotated[str | None, _option(SEARCH, "generational or steady.", "--schedule")]
Islands = Annotated[int | None, _option(SEARCH, "Populations that breed apart.", "--islands")]
MigrateEvery = Annotated[
    int | None, _option(SEARCH, "Elites travel between islands every so many generations.", "--migrate-every")
]
Trackers = Annotated[
    list[str] | None,
    _option(RUN, "Also write curves for tensorboard, ... (repeatable).", "--tracker", metavar="NAME"),
]
Adaptive = Annotated[bool | None, _option(SEARCH, "Draw more often what has worked.", "--adaptive")]

Epochs = Annotated[int | None, _option(TRAINING, "Epochs a candidate is trained.", "--epochs")]
BatchSize = Annotated[int | None, _option(TRAINING, "Images a step.", "--batch-size")]
LearningRate = Annotated[float | None, _option(TRAINING, "Learning rate.", "--lr")]
TrainLimit = Annotated[int | None, _option(TRAINING, "Train on so many images only.", "--train-limit")]
ImageSize = Annotated[int | None, _option(TRAINING, "Resize images to so many pixels.", "--image-size")]
Channels = Annotated[
    str | None,
    _option(TRAINING, "Channels of the images: auto, 1 (grey) or 3.", "--channels", metavar="auto|1|3"),
]
SkipBroken = Annotated[
    bool | None, _option(MODEL, "Leave damaged images out instead of stopping.", "--skip-broken")
]
Precision = Annotated[str | None, _option(TRAINING, "auto, no, bf16 or fp16.", "--precision")]
Optimizer = Annotated[str | None, _option(TRAINING, "seed (its get_optimizer), sgd or adamw.", "--optimizer")]
WeightDecay = Annotated[float | None, _option(TRAINING, "Decay of weights.", "--weight-decay")]
LrSchedule = Annotated[str | None, _option(TRAINING, "cosine, plateau or constant.", "--lr-schedule")]
Augment = Annotated[bool | None, _option(TRAINING, "Flip, shift and jitter.", "--augment/--no-augment")]
Jitter = Annotated[float | None, _option(TRAINING, "Strength of brightness and contrast.", "--jitter")]
LabelSmoothing = Annotated[float | None, _option(TRAINING, "Smoothing of labels.", "--label-smoothing")]
Ema = Annotated[float | None, _option(TRAINING, "Decay of averaged weights, e.g. 0.999; 0 = off.", "--ema")]
MaxSlowdown = Annotated[
    float | None,
    _option(
        TRAINING,
        "Give up a training whose steps take more than this many times the seed's (0: never).",
        "--max-slowdown",
    ),
]
Halving = Annotated[
    bool | None, _option(TRAINING, "Train in stages; the better part goes on.", "--halving/--no-halving")
]
HalvingRate = Annotated[
    int | None, _option(TRAINING, "One in so many goes on from a stage.", "--halving-rate")
]
RescoreSeeds = Annotated[
    int | None, _option(TRAINING, "Train finalists with so many more seeds.", "--rescore-seeds")
]
Timeout = Annotated[float | None, _option(TRAINING, "Seconds a candidate may take.", "--timeout")]
Sandbox = Annotated[str | None, _option(TRAINING, "auto, bwrap, landlock or none.", "--sandbox")]
StartMethod = Annotated[
    str | None, _option(TRAINING, "How its process begins: auto, fork or spawn.", "--start-method")
]
Threads = Annotated[int | None, _option(TRAINING, "Cores that one training uses.", "--threads")]
Workers = Annotated[
    int | None, _option(TRAINING, "Trainings at once; 0: as cores or GPUs allow.", "--workers")
]

ProcessesPerCandidate = Annotated[
    int | None, _option(TRAINING, "CPU processes that train one candidate.", "--processes-per-candidate")
]
GpusPerCandidate = Annotated[
    int | None, _option(TRAINING, "GPUs that train one candidate.", "--gpus-per-candidate")
]

MaxEvaluations = Annotated[int | None, _option(BUDGET, "Stop after so many trainings.", "--max-evaluations")]
MaxSeconds = Annotated[float | None, _option(BUDGET, "Stop after so much time.", "--max-seconds")]
MaxTokens = Annotated[int | None, _option(BUDGET, "Stop after so many tokens.", "--max-tokens")]
MaxCost = Annotated[float | None, _option(BUDGET, "Stop after so much money.", "--max-cost")]
StopWhen = Annotated[
    str | None,
    _option(BUDGET, 'e.g. "accuracy>=0.95 and parameters<300000".', "--stop-when", metavar="EXPR"),
]
Stall = Annotated[int | None, _option(BUDGET, "Stop after so many generations of no gain.", "--stall")]

SETTINGS: Mapping[str, str] = {
    **dict.fromkeys(("task", "entry", "blocks", "dead_blocks", "llm", "generations", "population"), ""),
    **dict.fromkeys(
        ("operators", "checks", "grammar", "repairs", "think", "workers", "timeout", "sandbox", "schedule"),
        "",
    ),
    **dict.fromkeys(("threads", "adaptive", "max_evaluations", "max_seconds", "price_in", "price_out"), ""),
    **dict.fromkeys(("stop_when", "stall", "max_slowdown", "halving", "halving_rate", "rescore_seeds"), ""),
    **dict.fromkeys(("islands", "migrate_every", "start_method"), ""),
    **dict.fromkeys(("processes_per_candidate", "gpus_per_candidate"), ""),
    "repair_texts": "",
    "skip_broken": "",
    "seed": "random_seed",
    "objective": "objectives",
    "constraint": "constraints",
    "tracker": "trackers",
    "max_tokens": "token_budget",
    "max_cost": "cost_budget",
    "epochs": "recipe.epochs",
    "batch_size": "recipe.batch_size",
    "lr": "recipe.lr",
    "optimizer": "recipe.optimizer",
    "weight_decay": "recipe.weight_decay",
    "lr_schedule": "recipe.schedule",
    "augment": "recipe.augment",
    "jitter": "recipe.jitter",
    "label_smoothing": "recipe.label_smoothing",
    "train_limit": "recipe.train_limit",
    "image_size": "recipe.image_size",
    "channels": "recipe.channels",
    "precision": "recipe.precision",
    "ema": "recipe.ema",
}


def settings_of(options: Mapping[str, Any]) -> RunConfig:
    """The run's settings from a command's parameters by name; parameters of other purposes are ignored.

    Raises:
        ConfigError: as `load_config`.
    """
    given = {name: value for name, value in options.items() if value not in ([], ())}
    flags = {setting or name: given.get(name) for name, setting in SETTINGS.items()}
    for listed in ("operators", "checks"):
        if given.get(listed):
            flags[listed] = [name.strip() for several in given[listed] for name in several.split(",")]
    if options.get("no_eot"):
        flags["p_eot"] = 0.0
    if options.get("no_mating"):
        flags["p_mating"] = 0.0
    if options.get("no_personas"):
        flags["personas"] = ["none"]
    if given.get("channels"):
        flags["recipe.channels"] = channels_of(given["channels"])
    name, argument = evaluator_of(options.get("evaluator"), options.get("command"))
    flags |= {"evaluator": name, "evaluator_argument": argument or None}
    if options.get("llm_url"):
        flags["llm"] = [_with_url(spec, options["llm_url"]) for spec in flags.get("llm") or ()] or None
    return load_config(options["preset"], options["config"], flags)


def channels_of(asked: str) -> int:
    """The setting of `--channels`. Raises ConfigError on anything but auto and whole numbers."""
    if asked == "auto":
        return 0
    if not asked.isascii() or not asked.isdigit() or int(asked) == 0:
        raise ConfigError(
            f"--channels wants auto, 1 or 3 and got {asked!r}.", "For example --channels 1 for a grey model."
        )
    return int(asked)


def evaluator_of(evaluator: str | None, command: str | None) -> tuple[str | None, str]:
    """The evaluator that --evaluator or --command names, None for neither, and its argument."""
    if command:
        return "command", command
    if ":" in (evaluator or ""):
        return "function", evaluator or ""
    return evaluator, ""


def _with_url(spec: str, url: str) -> str:
    return f"{spec}@{url}" if spec.startswith("openai:") and "@" not in spec else spec
