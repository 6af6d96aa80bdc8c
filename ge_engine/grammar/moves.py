"""The `moves` form: one to three structural changes of a block, each by the line that says what it does.

    drop DFSEB(192), ME(192, 384); width 384 becomes 192
    width 48 becomes 64

What is offered was built before, and does what the prompt's goal asks for, but where a program or function
of the user's own scores: nothing can be built there without a training.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence

from ge_engine.contracts import Constraint, Goal, SizedMove, Target
from ge_engine.grammar.choices import Part, either, to_lark
from ge_engine.grammar.lark_builder import Parts, make, rng_of
from ge_engine.outcome import Rejected
from ge_engine.replies.answer import CUT_OFF, Answer, Extraction, Form, Result
from ge_engine.structure.moves import by_text, module_classes, moves_of, together

OFFERED = 8
"""Answers that a prompt leaves open."""
OCTAVES = 0.35
"""Two moves whose sizes differ by less than this factor of two are alike; one of them is offered."""
MOST_LINES = 3
KNOWN = "These changes of the code are known to run."
UNTRIED = (
    "These changes of the code were not tried: one that changes the shape of what goes into or comes out of "
    "the network, or of one part alone where another has to fit, does not run."
)

_LINE = re.compile(r"^[ \t>*`-]*(?:\d{1,2}[.)][ \t]+)?(.*?)(?::[ \t]+parameters [-+][\d.,]+ %.*)?[ \t`]*$")


def offered(target: Target) -> list[SizedMove]:
    """What the prompt leaves open, drawn by `target.seed`: moves that do what the goal asks and were not
    tried, of different kinds and sizes, smallest network first."""
    rng = rng_of(target, "moves")
    survey = [m for m in target.survey() if reaches(m, target.goal) and m.text not in target.tried]
    chosen = _spread(survey, rng)
    return sorted(chosen, key=lambda move: (move.parameters, move.text))


def reaches(move: SizedMove, goal: Goal | None) -> bool:
    """Whether the move is of a kind that the goal names and changes the figures as it asks. Figures that
    nobody knows (NaN) are not held against a move."""
    if goal is None:
        return True
    if goal.kinds and not set(move.kinds) <= set(goal.kinds):
        return False
    return goal.broken(move.parameters, move.flops) == ""


def constraint(target: Target) -> Constraint | Rejected:
    """One of the moves that are offered, word for word."""
    moves = offered(target)
    if not moves:
        return Rejected("grammar", f"no structural change of {target.address} does what is asked for")
    answers: Part = either([move.text for move in moves])
    return Parts((make("moves", {"ANSWER": to_lark(answers)}),))


def instructions(target: Target) -> str:
    """The moves that are offered, with what each does to the network."""
    moves = offered(target)
    if not moves:
        return ""
    built = not any(math.isnan(move.parameters) for move in moves)
    head = f"{KNOWN if built else UNTRIED} Answer with one of them, word for word, up to the colon:"
    return "\n\n".join([head, *map(_told, moves)])


def form(target: Target) -> Form:
    """What reads an answer in this form, for `reply.extract`."""

    def read(answer: Answer) -> Result:
        if answer.cut:
            return CUT_OFF
        code = rewritten(answer.text, target)
        return code if isinstance(code, Rejected) else Extraction(code, ("made the changes that it names",))

    return read


def rewritten(text: str, target: Target) -> str | Rejected:
    """The block's code after the moves that `text` names, a line each, at most three."""
    block = target.genome.blocks[target.address]
    classes = module_classes(target.genome, target.address)
    lines = answers(text)
    if not lines:
        return Rejected("extract", "the reply names no change")
    if len(lines) > MOST_LINES:
        return Rejected(
            "extract", f"the reply names {len(lines)} changes; at most {MOST_LINES} are made at once"
        )
    moves = by_text(moves_of(block.code, classes, target.sources, block.language), lines)
    if isinstance(moves, str):
        return Rejected("extract", f"the reply asks for {moves[:80]!r}, which is no change that was offered")
    made = together(block.code, moves, block.language)
    return made or Rejected("extract", "the changes that the reply names touch the same place")


def answers(text: str) -> list[str]:
    """The lines of a reply without list marks, figures and blank ones."""
    found = (_LINE.match(line) for line in text.replace("\r\n", "\n").split("\n"))
    return [match[1] for match in found if match is not None and match[1]]


def canonical(text: str) -> str:
    """The lines in the order of the alphabet."""
    return "\n".join(sorted(answers(text)))


def _spread(moves: Sequence[SizedMove], rng: random.Random) -> list[SizedMove]:
    """At most `OFFERED` moves: kinds in turn, and of a kind first those whose sizes are not there yet."""
    waiting: dict[tuple[str, ...], list[SizedMove]] = {}
    for move in rng.sample(list(moves), len(moves)):
        waiting.setdefault(move.kinds, []).append(move)
    kinds = rng.sample(sorted(waiting), len(waiting))
    chosen: list[SizedMove] = []
    while len(chosen) < OFFERED and any(waiting.values()):
        for kind in kinds:
            if waiting[kind] and len(chosen) < OFFERED:
                fresh = [m for m in waiting[kind] if not any(_alike(m, other) for other in chosen)]
                move = (fresh or waiting[kind])[0]
                waiting[kind].remove(move)
                chosen.append(move)
    return chosen


def _alike(one: SizedMove, other: SizedMove) -> bool:
    if not (one.parameters > 0 and other.parameters > 0):
        return False
    return abs(math.log2(one.parameters / other.parameters)) < OCTAVES


def _told(move: SizedMove) -> str:
    if math.isnan(move.parameters):
        return move.text
    return f"{move.text}: parameters {move.parameters - 1:+.1%}, FLOPs {move.flops - 1:+.1%}".replace(
        "%", " %"
    )
