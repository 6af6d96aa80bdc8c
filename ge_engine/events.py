"""What a run tells its observers: the caller's `observe` and every plugin's `ge_event`.

run_started          folder, resumed (bool), generation (the next one), generations, population,
                     objectives (name -> min/max), notations (name -> unit and format), changes (in words, the
                     versions and checks that changed since the last session; "" where none did), data (in a
                     line, what is trained on; "" where nothing is), remarks (on that, a sentence each)
seed_scored          objectives (name -> value), errors (name -> standard error), chance (name -> what guesses
                     reach, of shares that are to be large, where the number of classes is known)
generation_started   generation, size (children), parents (ids of the mating pool)
asked                generation, count (prompts sent as one batch), answered (in the run database), keys
remark               model, message: what a language model tells, such as that its server is tried again; of
                     the model "schedule", that a generation has few children for so many workers
reply                key, individual, finish, prompt_tokens, completion_tokens, seconds, model
left                 reason: somebody else works on the run, with whom children that were made by hand are
left;
                     told to the caller's `observe` alone
rejected             individual, stage, reason, parents, operators, personas, intents, address
admitted             individual, parents, operators, personas, intents, address
submitted            individual, split: handed to the evaluator to be trained and scored
retried              individual, attempt, reason: a fault that was not the candidate's
outcome              individual, split, kind ("scored", or the failure's), objectives, errors, reason, details
                     split: "validation", "test"; with further random seeds "validation/seed 1",
                     "test/seed 1"; after a stage of a training "validation/1 epoch"
survivors            generation, ids
migrated             generation, moves: (id, island that it leaves a copy from, island that it goes to)
generation_finished  generation, admitted, scored, rejected (stage -> count), front (id and objectives),
                     errors (id -> standard errors of its objectives)
interrupted          running, waiting (counts): trainings that still end, and those that are left for later
stopping             reason: no new work is begun, what is in flight ends
finalists            ids: trained once more and scored on the test split; has_test_split: false where a
                     program takes no {split} and scores them as before
run_finished         stopped_because, message (the verdict), front, errors, rejected (stage -> count)
observer_failed      reason: a plugin's `ge_event` raised; told once per plugin
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ge_engine.registry import Registry

EVENTS = (
    "run_started",
    "seed_scored",
    "generation_started",
    "asked",
    "remark",
    "reply",
    "left",
    "rejected",
    "admitted",
    "submitted",
    "retried",
    "outcome",
    "survivors",
    "migrated",
    "generation_finished",
    "interrupted",
    "stopping",
    "finalists",
    "run_finished",
    "observer_failed",
)
Observe = Callable[[str, Mapping[str, Any]], None]


class Announcer:
    """Tells `observe` and the plugins. A plugin's own error is told once and ends nothing."""

    def __init__(self, observe: Observe, registry: Registry) -> None:
        self._observe = observe
        self._registry = registry
        self._failed: set[str] = set()

    def __call__(self, name: str, **data: Any) -> None:
        assert name in EVENTS, name
        self._observe(name, data)
        for error in self._registry.event(name, data):
            if error.hint not in self._failed:
                self._failed.add(error.hint)
                self._observe("observer_failed", {"reason": f"{error.message} {error.hint}"})
