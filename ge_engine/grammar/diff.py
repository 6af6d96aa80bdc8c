"""The `diff` form: SEARCH/REPLACE within one block, for models that are large enough to quote exactly.

<<<<<<< SEARCH
old lines
=======
new lines
>>>>>>> REPLACE
"""

from __future__ import annotations

import json

from ge_engine.contracts import Constraint, Target
from ge_engine.grammar.lark_builder import Parts, make
from ge_engine.outcome import Rejected

INSTRUCTIONS = (
    "Answer with one or more replacements and nothing else, each in this form:\n"
    "<<<<<<< SEARCH\nlines of the code, exactly as they are\n=======\nthe new lines\n>>>>>>> REPLACE\n"
    "The lines to search must occur exactly once in the code."
)


def constraint(target: Target) -> Constraint | Rejected:
    """Searches are whole lines of the block that occur once; replacements are up to 12 free lines."""
    lines = target.genome.blocks[target.address].code.split("\n")
    unique = [line for line in lines if line.strip() and lines.count(line) == 1]
    if not unique:
        return Rejected("grammar", f"the block {target.address} has no line that occurs only once")
    search = "(" + " | ".join(json.dumps(line, ensure_ascii=False) for line in unique) + ")"
    return Parts((make("diff", {"SEARCH": search}),))
