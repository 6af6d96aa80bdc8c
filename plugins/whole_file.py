"""Requests for whichever blocks of a file have to change together, of a model that can read it all."""

from __future__ import annotations

from ge_engine.contracts import BACKGROUND, Context, Prompt, Proposal, fenced
from ge_engine.genome import Genome
from ge_plugins.intents import Intent
from ge_plugins.wording import SYSTEM, paragraphs

ROOM = 4000
"""Tokens of a prompt from which on a language model is shown the whole file."""
CHARACTERS = 2
"""Of code, a token has at least this number."""
TOLD = tuple(section for section in BACKGROUND if section != "file")
"""Of the run; the file is part of the request."""
SEVERAL = "Begin the code of each file with a comment that is its name, as # heads/conv.py."
RULES = (
    "Rules: each class and function keeps its name and the parameters that it has; new parameters have "
    "defaults. The network is built with the same arguments, and its input and output keep their shapes; "
    "within it, shapes may change. Write the code without placeholders; it must work as it stands."
)


def has_room(context: Context) -> bool:
    """Whether a prompt can show the whole file."""
    return context.prompt_tokens >= max(ROOM, len(context.genome.text) // CHARACTERS)


def _files(genome: Genome) -> list[str]:
    """The file; of several each under its name."""
    if len(genome.files) == 1:
        return [fenced(genome.text)]
    files = genome.files.items()
    return [f"The file {name}:\n" + fenced(one.text, one.seed.language.name) for name, one in files]


def of_file(context: Context, intent: Intent) -> Proposal:
    """The blocks of the file that have to change for the mutation type, as one change."""
    addresses = context.addresses
    known = context.genome.blocks
    blocks = [a for a in addresses if known[a].owner == a or known[a].owner not in addresses]
    text = paragraphs(
        intent.text,
        *_files(context.genome),
        "Change whichever of these have to change together: " + ", ".join(blocks) + ".",
        *([SEVERAL] if len(context.genome.files) > 1 else []),
        RULES,
    )
    prompt = Prompt(
        SYSTEM,
        text,
        grammar="blocks",
        intent=intent.name,
        goal=intent.goal,
        addresses=addresses,
        background=TOLD,
    )
    reply = yield prompt
    return context.read(prompt, reply)
