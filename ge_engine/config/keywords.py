"""The settings as keywords of `evolve`. Made by `python tests/test_keywords.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from ge_engine.config.scoring_function import Score


class RecipeSettings(TypedDict, total=False):
    """The fields of `ge_engine.config.Recipe`."""

    epochs: int
    batch_size: int
    lr: float
    optimizer: str
    weight_decay: float
    lr_schedule: str
    augment: bool
    mirror: bool
    jitter: float
    label_smoothing: float
    train_limit: int
    image_size: int
    channels: int
    precision: str
    ema: float
    norm_batches: int
    validation_share: float


class IslandSettings(TypedDict, total=False):
    """The fields of `ge_engine.config.Island`."""

    llm: str | Sequence[str]
    personas: str | Sequence[str]


class Settings(TypedDict, total=False):
    """The fields of `ge_engine.config.RunConfig`."""

    task: str
    skip_broken: bool
    entry: str
    also: str | Sequence[str]
    package: bool
    entry_block: bool
    blocks: str | Sequence[str]
    unused_blocks: bool
    long_class: int
    evaluator: str | Score
    evaluator_argument: str
    project: str
    metrics: str | Sequence[str]
    metrics_file: str
    workdir: str
    pass_env: str | Sequence[str]
    canary: bool
    objectives: str | Sequence[str]
    constraints: str | Sequence[str]
    llm: str | Sequence[str]
    llm_backend: str
    llm_key_env: str | Sequence[str]
    llm_extra: str | Sequence[str]
    llm_timeout: float
    llm_deadline: float
    manual_timeout: float
    executor_llm: str
    llm_parallel: int
    instructions: str
    grammar: str
    context: int
    repairs: int
    repair_texts: bool
    think: int
    thought_tokens: int
    reply_tokens: tuple[int, int]
    temperature: tuple[float, float]
    price_in: float
    price_out: float
    generations: int
    population: int
    start: str | Sequence[str]
    random_seed: int
    operators: str | Sequence[str]
    moves: str | Sequence[str]
    checks: str | Sequence[str]
    schedule: str
    adaptive: bool
    islands: int
    migrate_every: int
    migrants: int
    ties: float
    tolerance: str | Sequence[str]
    elites: int
    eot_elites: int
    p_mating: float
    p_mutation: float
    p_eot: float
    personas: str | Sequence[str]
    parent_selector: str
    elite_selector: str
    max_slowdown: float
    halving: bool
    halving_rate: int
    budget_rule: str
    screen: int
    inherit: bool
    rescore_seeds: int
    keep_weights: str
    timeout: float
    sandbox: str
    start_method: str
    workers: int
    executor: str
    threads: int
    processes_per_candidate: int
    gpus_per_candidate: int
    memory_gib: float
    trackers: str | Sequence[str]
    max_evaluations: int
    max_seconds: float
    token_budget: int
    cost_budget: float
    stop_when: str
    stall: int
    island: Sequence[IslandSettings]
    training: RecipeSettings
    recipe: RecipeSettings
