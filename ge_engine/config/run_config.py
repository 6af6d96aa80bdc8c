"""The settings of a run, each once: whatever reads, checks or shows them is made from here."""

from __future__ import annotations

from dataclasses import dataclass, field

from ge_engine.config.per_model import are_request_fields, are_variables
from ge_engine.config.recipe import Recipe
from ge_engine.config.setting import (
    BUDGET,
    LANGUAGE,
    MODEL,
    RUN,
    SEARCH,
    TRAINING,
    Range,
    at_least,
    one_of,
    positive,
    rising,
    setting,
)

CHECKS = (
    *("unchanged", "names", "duplicate"),
    *("build", "shape", "finite", "gradient", "registered", "intent", "same function"),
)
"""The checks that are built in. In a run's settings, "built-in" stands for them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Island:
    """What one of several populations has of its own (a table `[[island]]` in TOML). What is empty is the
    run's."""

    llm: tuple[str, ...] = setting((), "Its language models.", LANGUAGE, flag=False)
    personas: tuple[str, ...] = setting((), "Its personas.", SEARCH, flag=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that decides a run, besides the seed model's bytes."""

    task: str = setting("digits", "digits, folder:PATH, cifar10, ...", MODEL, metavar="NAME[:ARG]")
    skip_broken: bool = setting(False, "Leave damaged images out instead of stopping.", MODEL)
    entry: str = setting(
        "",
        'What builds the model, e.g. "Net(depth=3)".',
        MODEL,
        more="In a folder with its module, as pkg.net:Net.",
    )
    also: tuple[str, ...] = setting((), "Evolve this file, too; globs (repeatable).", MODEL, metavar="FILE")
    package: bool = setting(False, "Evolve what the file imports of its package, too.", MODEL)
    entry_block: bool = setting(False, "Evolve what --entry passes, too, as a function of the file.", MODEL)
    blocks: tuple[str, ...] = setting(
        (), "Only these blocks; globs, ! excludes (repeatable).", MODEL, metavar="PATTERN"
    )
    unused_blocks: bool = setting(False, "Also blocks that training never executes.", MODEL)
    long_class: int = setting(
        60, "Draw single methods only of classes with more lines than this (0: of all).", MODEL, at_least(0)
    )
    evaluator: str = setting(
        "train", "train, or a Python function as FILE.py:FUNCTION.", MODEL, metavar="NAME"
    )
    evaluator_argument: str = setting(
        "",
        'What the evaluator takes: a program for "command", FILE.py:FUNCTION for "function".',
        MODEL,
        flag=False,
    )
    project: str = setting(
        "",
        "Repository that the --command runs in; each candidate gets a tree of it.",
        MODEL,
        metavar="DIR",
        more="The program runs in that tree, as it is, with the candidate at the seed model's place; "
        "`workdir` is a folder of it. What it writes there is deleted with it.",
        changeable=True,
    )
    metrics: tuple[str, ...] = setting(
        (),
        "How a figure is found in what the --command prints (repeatable).",
        MODEL,
        metavar="NAME=REGEX",
        more="The last match counts, of its one group, in stdout or else in stderr. Without it figures stand "
        "in the last line, as JSON.",
    )
    metrics_file: str = setting(
        "",
        "JSON file of figures that the --command leaves.",
        MODEL,
        metavar="FILE",
        more="A path in the project's tree; without `project`, in {folder}.",
    )
    workdir: str = setting(
        ".",
        "Folder that the program runs in; {folder} is one of its own.",
        MODEL,
        metavar="DIR",
        more="With --command or --evaluator.",
        changeable=True,
    )
    pass_env: tuple[str, ...] = setting(
        (),
        "Let the program have this environment variable (repeatable).",
        MODEL,
        metavar="NAME",
        more="With --command or --evaluator, which get no others but those of the system, of Python and of "
        "OpenMP: no keys.",
        changeable=True,
    )
    canary: bool = setting(
        True,
        "First let the program fail on a file that cannot be imported.",
        MODEL,
        more="With --command or --evaluator: one that scores it does not use the file, and is refused.",
        changeable=True,
    )
    objectives: tuple[str, ...] = setting(
        ("accuracy", "parameters"),
        "What to optimise (repeatable).",
        MODEL,
        Range(bool, "must name one or more"),
        metavar="NAME[:min|max]",
        more='With --command or --evaluator also figures of your own, as "rmse:min".',
    )
    constraints: tuple[str, ...] = setting(
        (),
        'What must hold, e.g. "parameters<=518230" (repeatable).',
        MODEL,
        metavar="EXPR",
        more='Conditions on objectives, and on "parameters", "flops" and "size_on_disk", known before '
        "training.",
    )
    llm: tuple[str, ...] = setting(
        ("smollm2",),
        "smollm2, hf:PATH, openai:MODEL, manual:DIR, replay:RUN, uniform; several share by weight.",
        LANGUAGE,
        Range(bool, "must name one or more language models"),
        metavar="NAME[:ARG][:WEIGHT]",
        changeable=True,
    )
    llm_backend: str = setting(
        "auto",
        "What computes a local model on a CPU: auto, torch or openvino.",
        LANGUAGE,
        one_of("auto", "torch", "openvino"),
        more='"auto" is OpenVINO where the extra `openvino` is installed, agrees with float32 and is faster.',
        changeable=True,
    )
    llm_key_env: tuple[str, ...] = setting(
        (),
        "Variable that holds a server's key (repeatable); OPENAI_API_KEY.",
        LANGUAGE,
        Range(are_variables, "takes names of environment variables, NAME or MODEL=NAME, never keys"),
        metavar="[MODEL=]NAME",
        changeable=True,
    )
    llm_extra: tuple[str, ...] = setting(
        (),
        'Fields added to a server\'s requests, e.g. {"top_p": 0.9} (repeatable).',
        LANGUAGE,
        Range(are_request_fields, 'takes JSON objects such as {"top_p": 0.9}, without model, messages or n'),
        metavar="[MODEL=]JSON",
        more="A field of null is left out of the requests.",
        changeable=True,
    )
    llm_timeout: float = setting(
        120.0,
        "Seconds in which a server must answer one try.",
        LANGUAGE,
        positive("seconds"),
        changeable=True,
    )
    llm_deadline: float = setting(
        300.0, "Seconds for one prompt, all tries.", LANGUAGE, positive("seconds"), changeable=True
    )
    manual_timeout: float = setting(
        0.0,
        "Seconds in which manual:DIR must have an answer to what it asks.",
        LANGUAGE,
        at_least(0, "as long as it takes"),
        changeable=True,
    )
    executor_llm: str = setting(
        "local",
        "Where a local model decodes: local, nodes, ...; as --executor.",
        LANGUAGE,
        metavar="NAME[:ARG]",
        more="Of smollm2 and hf: on another machine, one model in each of the executor's agents.",
        changeable=True,
    )
    llm_parallel: int = setting(8, "Requests to a server at once.", LANGUAGE, at_least(1), changeable=True)
    instructions: str = setting(
        "",
        "Your problem in words, or a file of them, for prompts.",
        LANGUAGE,
        metavar="TEXT|FILE",
        more="A section of each prompt, within its room; the run keeps the text.",
        changeable=True,
    )
    grammar: str = setting("", "One form of answer for all prompts about one block.", LANGUAGE)
    context: int = setting(
        -1,
        "Tokens of a prompt that what the run knows is told in.",
        LANGUAGE,
        at_least(-1, "as many as the language model says"),
        more="0 sends the request alone.",
        changeable=True,
    )
    repairs: int = setting(0, "Times a rejected reply is sent back.", LANGUAGE, at_least(0))
    repair_texts: bool = setting(
        False,
        "With --repairs, also send the texts of a candidate's errors.",
        LANGUAGE,
        more="Without it the model is told the type, the line and known messages; a text may hold what was "
        "read from files.",
    )
    think: int = setting(
        0,
        "Tokens of free text that may come before the code.",
        LANGUAGE,
        at_least(0, "answer at once"),
        more="They come on top of `reply_tokens`.",
    )
    thought_tokens: int = setting(
        160,
        "Tokens of a reply in prose (Evolution of Thought), besides `reply_tokens`.",
        LANGUAGE,
        at_least(1),
        flag=False,
    )
    reply_tokens: tuple[int, int] = setting(
        (600, 1400),
        "Tokens of a reply at most: a limit is drawn from the first to the second for each.",
        LANGUAGE,
        rising(1),
        flag=False,
    )
    temperature: tuple[float, float] = setting(
        (0.05, 0.4),
        "Sampling temperature: drawn from the first to the second for each reply.",
        LANGUAGE,
        rising(0),
        flag=False,
    )
    price_in: float = setting(0.0, "Price of a million input tokens.", LANGUAGE, changeable=True)
    price_out: float = setting(0.0, "Price of a million output tokens.", LANGUAGE, changeable=True)

    generations: int = setting(
        2, "Generations, the initial one included.", SEARCH, at_least(0), changeable=True
    )
    population: int = setting(8, "Children in each generation.", SEARCH, at_least(1))
    start: tuple[str, ...] = setting(
        (),
        "Begin with these, too: a changed copy of FILE, a RUN's front, or RUN:ID (repeatable).",
        SEARCH,
        metavar="FILE|RUN",
    )
    random_seed: int = setting(0, "Random seed of all random choices.", SEARCH)
    operators: tuple[str, ...] = setting(
        ("purposeful", "redesign", "mating", "eot"),
        "Use these operators (repeatable).",
        SEARCH,
        metavar="NAME",
    )
    moves: tuple[str, ...] = setting(
        (),
        "Structural moves of plugins, besides the built-in ones (repeatable).",
        SEARCH,
        metavar="NAME",
    )
    checks: tuple[str, ...] = setting(
        CHECKS,
        "Checks in force; built-in stands for the engine's own (repeatable).",
        SEARCH,
        metavar="NAME",
        changeable=True,
    )
    schedule: str = setting(
        "generational", "generational or steady.", SEARCH, one_of("generational", "steady")
    )
    adaptive: bool = setting(False, "Draw more often what has worked.", SEARCH)
    islands: int = setting(
        1,
        "Populations that evolve separately.",
        SEARCH,
        at_least(1),
        more="They share `population`, `elites` and `eot_elites` evenly. A table `[[island]]` for each says "
        "where they differ.",
    )
    migrate_every: int = setting(
        5, "Generations between two migrations of elites among islands.", SEARCH, at_least(1)
    )
    migrants: int = setting(
        2,
        "Elites of which each island sends copies to the next one in a ring.",
        SEARCH,
        at_least(0, "none travel"),
        flag=False,
    )
    ties: float = setting(
        1.0,
        "Differences within this many standard errors are ties when the run selects; 0: none is.",
        SEARCH,
        at_least(0, "none is"),
        more="Selection sees figures on a grid of that width, the seed model's in the middle of a cell. "
        "Objectives whose error is not known are compared as they are.",
    )
    tolerance: tuple[str, ...] = setting(
        (),
        "Smaller differences do not count, e.g. parameters=1% (repeatable).",
        SEARCH,
        metavar="NAME=SHARE%",
        more="In verdict, tables and report, besides those that chance explains; 1% is a share of the figure "
        "that is compared with, a number without % is in the objective's unit. By itself 1 % of a count and "
        "0.05 % of another exact figure do not count.",
        changeable=True,
    )
    elites: int = setting(8, "Individuals that survive a generation.", SEARCH, at_least(1), flag=False)
    eot_elites: int = setting(4, "Elites that Evolution of Thought learns from.", SEARCH, flag=False)
    p_mating: float = setting(0.35, "Probability of mating (crossover), per child.", SEARCH, flag=False)
    p_mutation: float = setting(0.8, "Probability of mutation, per child.", SEARCH, flag=False)
    p_eot: float = setting(
        0.25, "Probability that a mutation is one by Evolution of Thought.", SEARCH, flag=False
    )
    personas: tuple[str, ...] = setting(
        ("none", "expert", "eccentric", "innovator"),
        "Personas that prompts are drawn from.",
        SEARCH,
        flag=False,
    )
    parent_selector: str = setting("nsga2", "Selects the parents.", SEARCH, flag=False)
    elite_selector: str = setting("spea2", "Selects the survivors.", SEARCH, flag=False)

    max_slowdown: float = setting(
        0.0,
        "Give up a training whose steps take more than this many times the seed model's (0: never).",
        TRAINING,
        at_least(0, "no limit"),
    )
    halving: bool = setting(
        False, "Successive halving: only the better part of each rung trains on.", TRAINING
    )
    halving_rate: int = setting(2, "One in this many trains on after a rung.", TRAINING, at_least(2))
    budget_rule: str = setting(
        "none",
        "Stop trainings early by their learning curves: none, front or median.",
        TRAINING,
        one_of("none", "front", "median"),
        more='After each quarter of the epochs: "front" stops what somebody on the front was clearly better '
        'than by then, with no more parameters, "median" what is behind most others that are no larger.',
    )
    screen: int = setting(
        1,
        "Make N children for each that is trained, which is chosen before training (1: no choice).",
        TRAINING,
        at_least(1, "no choice"),
        metavar="N",
        more="The one with the best synflow and jacob_cov at initialisation, on one batch, is trained.",
    )
    inherit: bool = setting(
        False,
        "Start a child from its parent's trained weights, with fewer epochs.",
        TRAINING,
        more="A quarter of the epochs where all of its weights are its parent's, more the more is new. "
        "Finalists are trained from scratch.",
    )
    rescore_seeds: int = setting(
        -1,
        "Further random seeds that each finalist is trained with; -1: two for the best, where that is cheap.",
        TRAINING,
        at_least(-1, "two for the best, where that is cheap"),
        more="Cheap: at most half as many trainings as the run's, three children and no `max_seconds`.",
        changeable=True,
    )
    keep_weights: str = setting(
        "finalists",
        "Whose trained weights are kept for `ge export --weights`: finalists, all or none.",
        TRAINING,
        one_of("finalists", "all", "none"),
        more="They lie in the run's folder, as safetensors.",
        changeable=True,
    )
    timeout: float = setting(
        120.0, "Seconds a candidate may take, or 5m, 2h.", TRAINING, positive("seconds"), metavar="SECONDS"
    )
    sandbox: str = setting(
        "auto",
        "auto, bwrap, landlock or none.",
        TRAINING,
        one_of("auto", "bwrap", "landlock", "none"),
        more='What confines candidates: "auto" is the strongest that works here, "bwrap" is bubblewrap with '
        "Landlock in it.",
        changeable=True,
    )
    start_method: str = setting(
        "auto",
        "How its process begins: auto, fork or spawn.",
        TRAINING,
        one_of("auto", "fork", "spawn"),
        more='"fork" from a warm process, "spawn" anew, "auto" by the system.',
        changeable=True,
    )
    workers: int = setting(
        0,
        "Trainings at once; 0: as cores or GPUs allow.",
        TRAINING,
        at_least(0, "one for each core"),
        changeable=True,
    )
    executor: str = setting(
        "local",
        "Where trainings run: local, nodes, ...; see ge plugins.",
        TRAINING,
        metavar="NAME[:ARG]",
        changeable=True,
    )
    threads: int = setting(
        1,
        "Cores that one training uses.",
        TRAINING,
        at_least(1),
        more="On a CPU. Sums in another order give other last digits, so the number does not follow from the "
        "machine.",
    )
    processes_per_candidate: int = setting(
        1,
        "CPU processes that train one candidate.",
        TRAINING,
        at_least(1),
        more="Together (gloo), where there is no GPU. A batch is split among them, so that steps and "
        "learning rates stay the same; `threads` and `memory_gib` are per process.",
    )
    gpus_per_candidate: int = setting(
        1, "GPUs that train one candidate.", TRAINING, at_least(1), more="One process on each (nccl)."
    )
    memory_gib: float = setting(
        8.0, "GiB of memory a candidate may take.", TRAINING, positive(), changeable=True, flag=False
    )

    trackers: tuple[str, ...] = setting(
        (),
        "Also write curves for tensorboard, ... (repeatable).",
        RUN,
        metavar="NAME",
        more="Any of accelerate's trackers, besides the run database.",
        changeable=True,
    )

    max_evaluations: int = setting(
        0, "Stop after this many trainings.", BUDGET, at_least(0, "no limit"), changeable=True
    )
    max_seconds: float = setting(
        0.0, "Stop after this much time, per session.", BUDGET, at_least(0, "no limit"), changeable=True
    )
    token_budget: int = setting(
        0,
        "Stop after this many tokens, prompts and replies together.",
        BUDGET,
        at_least(0, "no limit"),
        changeable=True,
    )
    cost_budget: float = setting(0.0, "Stop after this much money.", BUDGET, changeable=True)
    stop_when: str = setting(
        "", 'e.g. "accuracy>=0.95 and parameters<300000".', BUDGET, metavar="EXPR", changeable=True
    )
    stall: int = setting(
        0,
        "Stop after this many generations without improvement.",
        BUDGET,
        at_least(0, "never"),
        more="An improvement is more hypervolume.",
        changeable=True,
    )

    island: tuple[Island, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def processes_together(self) -> int:
        """How many processes train one candidate, on whichever device it is."""
        return max(self.processes_per_candidate, self.gpus_per_candidate)

    @property
    def in_stages(self) -> bool:
        """Whether trainings pause, where it is decided which of them go on."""
        return self.halving or self.budget_rule != "none"

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
