"""A run's settings: frozen, from a preset, a TOML file and flags, in that order of weakness."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ge_engine.errors import ConfigError
from ge_engine.places import shown

CHECKS = (
    *("unchanged", "names", "duplicate"),
    *("build", "shape", "finite", "gradient", "registered", "intent", "same function"),
)
"""The checks that are built in. In a run's settings, "built-in" stands for them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a candidate is trained. `image_size` 0 keeps the task's own size (pixels);
    `train_limit` 0 uses all training images. `channels` 1 makes images grey and 3 gives grey ones three equal
    channels; 0 leaves the task's own, or what the seed model takes where grey images can be given as that.
    `optimizer` "seed" is the seed's `get_optimizer`, which gets
    `lr` and `weight_decay`, or "sgd" where it has none; "sgd" and "adamw" are used in its place.
    `norm_batches` is how many training batches give batch normalisation its statistics after the last step
    (0 keeps the running ones); `ema` is the decay of an exponential moving average of the weights, which is
    what is scored then (0: the last weights are)."""

    epochs: int = 4
    batch_size: int = 64
    optimizer: str = "seed"
    lr: float = 0.1
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    augment: bool = True
    jitter: float = 0.0
    label_smoothing: float = 0.0
    image_size: int = 0
    precision: str = "auto"
    train_limit: int = 0
    channels: int = 0
    norm_batches: int = 8
    ema: float = 0.0
    validation_share: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Island:
    """What one of several populations has of its own (a table `[[island]]` in TOML): language models and
    personas. What is empty is the run's."""

    llm: tuple[str, ...] = ()
    personas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that decides a run, besides the seed's bytes. Rates are probabilities a slot.

    Budgets are off at 0: evaluations (trainings on the validation split), seconds (of one session), tokens
    (prompts and replies together), cost (with prices for a million tokens each way). `stop_when` is a
    condition on objectives ("accuracy>=0.95 and parameters<300000"); `stall` stops after so many generations
    without more hypervolume. `constraints` are conditions on objectives and on the figures "parameters",
    "flops" and "size_on_disk", which are known before training. `evaluator_argument` is for evaluators that
    take one: a program for "command", module:function for "function". `sandbox` confines candidates:
    "auto" by the strongest there is, "bwrap" (bubblewrap, and Landlock in it), "landlock", "none".
    `start_method` begins a candidate's process: "fork" from a warm one, "spawn" anew, "auto" by the system.
    `adaptive` draws what worked more often. `trackers` are accelerate's, which get curves and figures
    besides the ledger. `checks` are those in force, of which "built-in" names all that come with the engine.
    `max_slowdown` ends a training whose quickest step takes more than so many times the seed's (0: none
    does). `halving` trains children in stages, of which each time the better of `halving_rate` go on.
    `rescore_seeds` trains the finalists again with so many further seeds each.
    `islands` populations breed apart and share `population`, `elites` and `eot_elites` evenly; every
    `migrate_every` generations each sends copies of its `migrants` best to the next one in a ring. `island`
    holds one entry for each, where they shall differ.
    `thought_tokens` bound a reply in prose (Evolution of Thought) besides `max_tokens`. `think` lets a model
    think in free text of at most so many tokens before it answers with code (0: it answers at once); they
    come on top of `max_tokens`.
    `repairs` sends a rejected reply back so often. Of an error in a candidate's process the model is told the
    type, the line and known messages; with `repair_texts` the error's own text, which may hold what was read
    from files.
    `skip_broken` leaves images out that are damaged, instead of refusing the data.
    `threads` are the cores that one training uses on a CPU; sums in another order give other last
    digits, so the number does not follow from the machine.
    Without a GPU, `processes_per_candidate` processes train one candidate together (gloo); with GPUs, one
    process on each of its `gpus_per_candidate` does (nccl). A batch of the recipe is split among them, so
    that steps and learning rates stay the same; `threads` and `memory_gib` are for each process.
    """

    task: str = "digits"
    skip_broken: bool = False
    llm: tuple[str, ...] = ("smollm2",)
    evaluator: str = "train"
    evaluator_argument: str = ""
    constraints: tuple[str, ...] = ()
    sandbox: str = "auto"
    start_method: str = "auto"
    objectives: tuple[str, ...] = ("accuracy", "parameters")
    generations: int = 2
    population: int = 8
    elites: int = 8
    eot_elites: int = 4
    p_mating: float = 0.35
    p_mutation: float = 0.8
    p_eot: float = 0.25
    random_seed: int = 0
    workers: int = 0
    threads: int = 1
    processes_per_candidate: int = 1
    gpus_per_candidate: int = 1
    timeout: float = 120.0
    memory_gib: float = 8.0
    entry: str = ""
    blocks: tuple[str, ...] = ()
    dead_blocks: bool = False
    operators: tuple[str, ...] = ("purposeful", "redesign", "mating", "eot")
    personas: tuple[str, ...] = ("none", "expert", "eccentric", "innovator")
    parent_selector: str = "nsga2"
    elite_selector: str = "spea2"
    checks: tuple[str, ...] = CHECKS
    grammar: str = ""
    temperature: tuple[float, float] = (0.05, 0.4)
    max_tokens: tuple[int, int] = (600, 1400)
    thought_tokens: int = 160
    think: int = 0
    repairs: int = 0
    repair_texts: bool = False
    max_evaluations: int = 0
    max_seconds: float = 0.0
    token_budget: int = 0
    cost_budget: float = 0.0
    price_in: float = 0.0
    price_out: float = 0.0
    stop_when: str = ""
    stall: int = 0
    max_slowdown: float = 0.0
    halving: bool = False
    halving_rate: int = 2
    rescore_seeds: int = 0
    schedule: str = "generational"
    adaptive: bool = False
    trackers: tuple[str, ...] = ()
    islands: int = 1
    migrate_every: int = 5
    migrants: int = 2
    island: tuple[Island, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def processes_together(self) -> int:
        """How many processes train one candidate, on whichever device it is."""
        return max(self.processes_per_candidate, self.gpus_per_candidate)

    @property
    def objective_names(self) -> tuple[str, ...]:
        """`objectives` without their directions: "latency:min" is named "latency"."""
        return tuple(spec.partition(":")[0] for spec in self.objectives)

    @property
    def models(self) -> tuple[str, ...]:
        """The language models that are asked on any island, each once."""
        return tuple(dict.fromkeys(name for n in range(self.islands) for name in self.on_island(n).llm))

    def on_island(self, number: int) -> Island:
        """The language models and personas of an island: its own, or the run's."""
        own = self.island[number] if self.island else Island()
        return Island(llm=own.llm or self.llm, personas=own.personas or self.personas)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "demo": {"generations": 2, "population": 8, "elites": 8, "eot_elites": 4, "temperature": (0.6, 1.0)},
    "paper": {
        "operators": ("mutation", "mating", "eot"),
        "checks": tuple(name for name in CHECKS if name != "intent"),
        "generations": 30,
        "population": 44,
        "elites": 44,
        "eot_elites": 10,
        "p_mating": 0.35,
        "p_mutation": 0.8,
        "p_eot": 0.25,
        "temperature": (0.05, 0.4),
        "max_tokens": (600, 1400),
        "thought_tokens": 1400,
        "recipe": {
            "epochs": 500,
            "batch_size": 216,
            "lr": 0.1,
            "weight_decay": 1e-4,
            "schedule": "plateau",
            "image_size": 224,
            "jitter": 0.2,
            "norm_batches": 0,
        },
    },
}


def load_config(preset: str, file: Path | None, flags: Mapping[str, Any]) -> RunConfig:
    """Merge preset, TOML file and flags (later wins). `flags` uses RunConfig's names, with the
    recipe's as "recipe.epochs"; a value of None means not given.

    Raises:
        ConfigError: unknown preset or key, unreadable file, value of a wrong type or range.
    """
    if preset not in PRESETS:
        raise ConfigError(f"There is no preset {preset!r}.", f"Presets are: {', '.join(sorted(PRESETS))}.")
    merged = _merge({}, PRESETS[preset])
    if file is not None:
        merged = _merge(merged, _read_toml(file))
    nested: dict[str, Any] = {}
    for name, value in flags.items():
        if value is not None:
            where, _, leaf = name.rpartition(".")
            (nested.setdefault(where, {}) if where else nested)[leaf] = value
    return config_from_dict(_merge(merged, nested))


def config_from_dict(data: Mapping[str, Any]) -> RunConfig:
    """Build and validate a RunConfig from plain data, e.g. a ledger's JSON.

    Raises:
        ConfigError: an unknown key, or a value of a wrong type or out of range.
    """
    values = dict(data)
    recipe = Recipe(**_typed(Recipe, values.pop("recipe", {}), "recipe."))
    island = _islands(values.pop("island", ()))
    if island:
        values.setdefault("islands", len(island))
    typed = _typed(RunConfig, values, "")
    if "checks" in typed:
        named = (CHECKS if name == "built-in" else (name,) for name in typed["checks"])
        typed["checks"] = tuple(dict.fromkeys(name for several in named for name in several))
    config = RunConfig(**typed, recipe=recipe, island=island)
    _check_ranges(config)
    return config


def config_to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain data for JSON; `config_from_dict` gives the same configuration back, but for the passwords and
    keys in addresses of servers: they are not stored."""
    data = dataclasses.asdict(config)
    for part in (data, *data["island"]):
        part["llm"] = tuple(map(shown, part["llm"]))
    return data


def _islands(tables: Any) -> tuple[Island, ...]:
    if not isinstance(tables, (list, tuple)) or not all(isinstance(one, Mapping) for one in tables):
        raise ConfigError(
            f"The setting 'island' wants tables and got {tables!r}.", "Write [[island]] for each in the TOML."
        )
    return tuple(Island(**_typed(Island, table, "island.")) for table in tables)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"The configuration {file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {file} is not valid TOML: {error}.") from error


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _typed(cls: type, values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    hints = {k: v for k, v in get_type_hints(cls).items() if k not in ("recipe", "island")}
    typed = {}
    for key, value in values.items():
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            hint = (
                f"Did you mean {prefix}{close[0]}?" if close else f"Known keys: {', '.join(sorted(hints))}."
            )
            raise ConfigError(f"There is no setting {prefix + key!r}.", hint)
        typed[key] = _convert(prefix + key, value, hints[key])
    return typed


_LISTS = {"max_tokens": "It bounds a reply, from and to; the budget of --max-tokens is token_budget."}


def _convert(name: str, value: Any, kind: Any) -> Any:
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if not isinstance(value, (str, list, tuple)):
            raise ConfigError(f"The setting {name!r} wants a list and got {value!r}.", _LISTS.get(name, ""))
        items = [value] if isinstance(value, str) else list(value)
        if inner[-1] is not Ellipsis and len(items) != len(inner):
            raise ConfigError(f"The setting {name!r} wants {len(inner)} values and got {len(items)}.")
        return tuple(_convert(name, item, inner[0]) for item in items)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ConfigError(
            f"The setting {name!r} wants {'an' if kind is int else 'a'} {kind.__name__} and got {value!r}."
        )
    return value


def range_of(setting: str) -> str:
    """A setting's range as "1 or more", "" where no sentence of its own tells it ("recipe.epochs", ...)."""
    told = (sentence.partition(" must be ") for _, sentence in _ranges(RunConfig()))
    return next((limits for name, _, limits in told if name == setting), "")


def _check_ranges(config: RunConfig) -> None:
    for holds, sentence in _ranges(config):
        if not holds:
            raise ConfigError(f"A setting is out of range: {sentence}.", _defaults_of(sentence))


def _ranges(config: RunConfig) -> list[tuple[bool, str]]:
    """Whether each range holds, and the sentence that tells it."""
    recipe = config.recipe
    return [
        (config.generations >= 0, "generations must be 0 or more"),
        (config.population >= 1, "population must be 1 or more"),
        (config.elites >= 1, "elites must be 1 or more"),
        (config.workers >= 0, "workers must be 0 (one for each core) or more"),
        (config.threads >= 1, "threads must be 1 or more"),
        (config.processes_per_candidate >= 1, "processes_per_candidate must be 1 or more"),
        (config.gpus_per_candidate >= 1, "gpus_per_candidate must be 1 or more"),
        (
            recipe.batch_size >= 2 * config.processes_together or config.processes_together == 1,
            "recipe.batch_size is split over the processes of a candidate and must give each 2 images",
        ),
        (config.timeout > 0, "timeout must be more than 0 seconds"),
        (config.memory_gib > 0, "memory_gib must be more than 0"),
        (config.repairs >= 0, "repairs must be 0 or more"),
        (
            all(0 <= p <= 1 for p in (config.p_mating, config.p_mutation, config.p_eot)),
            "the rates p_mating, p_mutation and p_eot must lie in 0..1",
        ),
        (config.p_mating + config.p_mutation > 0, "p_mating and p_mutation cannot both be 0"),
        (0 <= config.temperature[0] <= config.temperature[1], "temperature must be a rising pair"),
        (1 <= config.max_tokens[0] <= config.max_tokens[1], "max_tokens must be a rising pair"),
        (config.max_evaluations >= 0, "max_evaluations must be 0 (no limit) or more"),
        (config.max_seconds >= 0, "max_seconds must be 0 (no limit) or more"),
        (config.token_budget >= 0, "token_budget must be 0 (no limit) or more"),
        (
            min(config.cost_budget, config.price_in, config.price_out) >= 0,
            "cost_budget, price_in and price_out must be 0 or more",
        ),
        (
            not config.cost_budget or config.price_in + config.price_out > 0,
            "cost_budget needs price_in or price_out",
        ),
        (config.stall >= 0, "stall must be 0 (never) or more"),
        (config.max_slowdown >= 0, "max_slowdown must be 0 (no limit) or more"),
        (config.halving_rate >= 2, "halving_rate must be 2 or more"),
        (config.rescore_seeds >= 0, "rescore_seeds must be 0 (not at all) or more"),
        (config.schedule in ("generational", "steady"), "schedule is generational or steady"),
        (config.islands >= 1, "islands must be 1 or more"),
        (config.migrate_every >= 1, "migrate_every must be 1 or more"),
        (config.migrants >= 0, "migrants must be 0 (none travel) or more"),
        (
            config.islands <= min(config.population, config.elites),
            "each island needs a child and an elite: islands must not exceed population and elites",
        ),
        (
            not config.island or len(config.island) == config.islands,
            "islands must be the number of [[island]] tables",
        ),
        (config.thought_tokens >= 1, "thought_tokens must be 1 or more"),
        (config.think >= 0, "think must be 0 (answer at once) or more"),
        (bool(config.objectives), "objectives must name one or more"),
        (len(set(config.objective_names)) == len(config.objectives), "objectives may name each only once"),
        (
            all(spec.partition(":")[2] in ("", "min", "max") for spec in config.objectives),
            "objectives are NAME, NAME:min or NAME:max each",
        ),
        (bool(config.llm), "llm must name one or more language models"),
        (recipe.epochs >= 1, "recipe.epochs must be 1 or more"),
        (recipe.batch_size >= 1, "recipe.batch_size must be 1 or more"),
        (recipe.lr > 0, "recipe.lr must be more than 0"),
        (recipe.train_limit >= 0, "recipe.train_limit must be 0 (all) or more"),
        (recipe.channels >= 0, "recipe.channels must be 0 (auto) or more"),
        (0 < recipe.validation_share < 1, "recipe.validation_share must lie between 0 and 1"),
        (
            recipe.schedule in ("cosine", "plateau", "constant"),
            "recipe.schedule is cosine, plateau or constant",
        ),
        (config.start_method in ("auto", "fork", "spawn"), "start_method is auto, fork or spawn"),
        (config.sandbox in ("auto", "bwrap", "landlock", "none"), "sandbox is auto, bwrap, landlock or none"),
        (recipe.norm_batches >= 0, "recipe.norm_batches must be 0 (off) or more"),
        (0 <= recipe.jitter < 1, "recipe.jitter must be 0 or more and less than 1"),
        (recipe.optimizer in ("seed", "sgd", "adamw"), "recipe.optimizer is seed, sgd or adamw"),
        (recipe.weight_decay >= 0, "recipe.weight_decay must be 0 or more"),
        (0 <= recipe.label_smoothing < 1, "recipe.label_smoothing must be 0 or more and less than 1"),
        (0 <= recipe.ema < 1, "recipe.ema must be 0 (off) or more and less than 1"),
        (recipe.precision in ("auto", "no", "bf16", "fp16"), "recipe.precision is auto, no, bf16 or fp16"),
    ]


def _defaults_of(sentence: str) -> str:
    """The defaults of the settings that a sentence names, as the next step."""
    names = [word.strip(",:") for word in sentence.split()]
    held = {field.name: field.default for field in dataclasses.fields(RunConfig)}
    held |= {f"recipe.{field.name}": field.default for field in dataclasses.fields(Recipe)}
    told = dict.fromkeys(f"{name} = {held[name]!r}" for name in names if name in held)
    return f"The default is {', '.join(told)}. `ge evolve --help` lists the settings."
