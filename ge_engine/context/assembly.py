"""The sections of a prompt, by a budget of tokens.

Sections have forms, a short one first. They are taken in the order of `LADDER`: each entry adds a section or
puts a longer form in the place of a shorter one. The first entry that does not fit ends it, so that more room
never tells less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ge_engine.context.attempts import attempts
from ge_engine.context.feedback import feedback
from ge_engine.context.figures import figures
from ge_engine.context.file import file
from ge_engine.context.goal import goal
from ge_engine.context.instructions import instructions
from ge_engine.context.profile import profile
from ge_engine.context.task import task
from ge_engine.contracts import BACKGROUND, Context, Prompt, Section

BYTES_A_TOKEN = 3
"""Code and figures have at least about as many bytes in a token of today's vocabularies."""
SECTIONS: Mapping[Section, Callable[[Context, Prompt], Sequence[str]]] = {
    "task": task,
    "instructions": instructions,
    "figures": figures,
    "feedback": feedback,
    "profile": profile,
    "file": file,
    "attempts": attempts,
    "goal": goal,
}
"""What each section says: its forms, the shortest first; none where there is nothing to say."""
LADDER: tuple[tuple[Section, int], ...] = (
    ("goal", 0),
    ("instructions", 0),
    ("figures", 0),
    ("feedback", 0),
    ("task", 0),
    ("profile", 0),
    ("attempts", 0),
    ("file", 0),
    ("figures", 1),
    ("feedback", 1),
    ("file", 1),
    ("attempts", 1),
    ("profile", 1),
    ("figures", 2),
    ("file", 2),
    ("attempts", 2),
)
"""What is told first: a section and which of its forms."""


def background(context: Context, prompt: Prompt) -> str:
    """The sections that the prompt wants, as far as they fit beside its own words; "" for none."""
    room = context.prompt_tokens - tokens(f"{prompt.system}\n\n{prompt.user}\n\n")
    if room <= 0:
        return ""
    return fitted({name: SECTIONS[name](context, prompt) for name in prompt.background}, room)


def fitted(sections: Mapping[Section, Sequence[str]], room: int) -> str:
    """As many forms of `sections` as `room` tokens hold, in the order of `BACKGROUND`."""
    taken: dict[Section, str] = {}
    for name, form in LADDER:
        forms = sections.get(name, ())
        if form < len(forms):
            more = taken | {name: forms[form]}
            if tokens(_joined(more)) > room:
                break
            taken = more
    return _joined(taken)


def tokens(text: str) -> int:
    """The tokens that `text` counts as: one for each three bytes of UTF-8."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN)


def _joined(taken: Mapping[Section, str]) -> str:
    return "\n\n".join(taken[name] for name in BACKGROUND if name in taken)
