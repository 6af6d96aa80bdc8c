"""The `blocks` form: whole definitions of as many blocks of the file as have to change, in one fence."""

from __future__ import annotations

from dataclasses import dataclass

from ge_engine.contracts import Constraint, Target
from ge_engine.grammar.lark_builder import Parts, template
from ge_engine.source.language import YAML

INSTRUCTIONS = (
    "Answer with one fenced block of Python that holds each class and function that changes, written in "
    "full, and leaves out those that stay. New classes and functions that they use come along."
)
WITH_VALUES = (
    " Of a YAML file give a fenced block of YAML that holds each entry that changes, written in full."
)


def instructions(target: Target) -> str:
    """What the prompt says about the answer."""
    languages = {one.seed.language for one in target.genome.files.values()}
    return INSTRUCTIONS + (WITH_VALUES if YAML in languages else "")


@dataclass(frozen=True, slots=True)
class Fenced(Parts):
    """Free text in a fence, of at most so many characters where it is whole."""

    longest: int = 0


def constraint(target: Target) -> Constraint:
    """Free text, for which there is room to write the file twice."""
    return Fenced((template("blocks"),), 2 * len(target.genome.text))
