"""The six mutation types of LLM Guided Evolution, in our own words.

Morris, Jurado and Zutty, "LLM Guided Evolution: The Automation of Models Advancing Models",
GECCO 2024, section 3: with no persona or one of three, they make 24 prompts.
"""

from __future__ import annotations

from dataclasses import dataclass

from ge_engine.contracts import Goal
from ge_engine.genome import Block


@dataclass(frozen=True, slots=True)
class Intent:
    """`text` is what the model is asked to do; `grammar` the form of answer that suits it; `goal` what the
    child's figures must show, None where nothing is held against it."""

    name: str
    text: str
    grammar: str
    goal: Goal | None = None


INTENTS = (
    Intent(
        "hyperparameters",
        "Change one or more hyperparameters of this code so that the trained model becomes more accurate.",
        "edits",
    ),
    Intent(
        "uncommon-hyperparameters",
        "Change hyperparameters of this code to values that practitioners rarely try, "
        "where you expect them to help.",
        "edits",
    ),
    Intent(
        "complex",
        "Make this code more capable: add a component of some complexity whose extra cost pays for itself.",
        "block",
    ),
    Intent(
        "reduce",
        "Make the model smaller: cut parameters in this code while keeping its accuracy.",
        "edits",
    ),
    Intent(
        "uncommon",
        "Rework this code in a way that is seldom seen in practice and that you expect to help.",
        "block",
    ),
    Intent(
        "significant",
        "Change this code significantly. You may add small helper functions or classes above it "
        "and use them in it.",
        "block",
    ),
)

RULES = (
    "Rules: keep the name and the signature; keep the shapes of the tensors that go in and come out; "
    "write the code in full, without placeholders; it must work as it stands, with its default arguments."
)
VALUE_RULES = (
    "Rules: this is an entry of a YAML file that the model is built by. Keep its key, the keys within it "
    "and each value's type; write plain values, without anchors and tags, and the entry in full."
)


def rules(block: Block) -> str:
    """What a rewrite of the block must keep."""
    return VALUE_RULES if block.language == "yaml" else RULES
