"""What plugins exchange with the engine: data classes, and an abstract class for each kind of part.

A plugin author reads the page of a kind here and `hookspecs.py`. A part inherits from its abstract class,
sets `name`, writes the abstract methods, and overrides of the rest what it does differently.
"""

from ge_engine.contracts.check import Candidate, Check
from ge_engine.contracts.deprecation import DeprecatedHook, inheriting
from ge_engine.contracts.evaluation import Evaluation, Evaluator, Job, Probe
from ge_engine.contracts.executor import AgentExecutor, AgentOrder, AgentPool, Executor, PoolState
from ge_engine.contracts.goal import Goal, Size, SizedMove
from ge_engine.contracts.grammar import Constraint, Grammar, Target
from ge_engine.contracts.language_model import LanguageModel, LanguageModelFactory, Request
from ge_engine.contracts.objective import Measurement, Objective
from ge_engine.contracts.operator import (
    Attempt,
    Context,
    Memory,
    Operator,
    OperatorStats,
    Proposal,
    RunFacts,
    evenly,
)
from ge_engine.contracts.persona import Persona
from ge_engine.contracts.prompt import BACKGROUND, Prompt, Reply, Sampling, Section, fenced
from ge_engine.contracts.selection import Selector
from ge_engine.contracts.task import Dataset, Split, Task
from ge_engine.population import Direction, Individual
from ge_engine.profile import ModuleProfile
from ge_engine.source.source_text import Edit
from ge_engine.structure.change import Change, MoveSource

__all__ = [
    "BACKGROUND",
    "AgentExecutor",
    "AgentOrder",
    "AgentPool",
    "Attempt",
    "Candidate",
    "Change",
    "Check",
    "Constraint",
    "Context",
    "Dataset",
    "DeprecatedHook",
    "Direction",
    "Edit",
    "Evaluation",
    "Evaluator",
    "Executor",
    "Goal",
    "Grammar",
    "Individual",
    "Job",
    "LanguageModel",
    "LanguageModelFactory",
    "Measurement",
    "Memory",
    "ModuleProfile",
    "MoveSource",
    "Objective",
    "Operator",
    "OperatorStats",
    "Persona",
    "PoolState",
    "Probe",
    "Prompt",
    "Proposal",
    "Reply",
    "Request",
    "RunFacts",
    "Sampling",
    "Section",
    "Selector",
    "Size",
    "SizedMove",
    "Split",
    "Target",
    "Task",
    "evenly",
    "fenced",
    "inheriting",
]
