"""The `diff` form: SEARCH/REPLACE within one block, for models that are large enough to quote exactly.

<<<<<<< SEARCH
old lines
=======
new lines
>>>>>>> REPLACE
"""

from __future__ import annotations

import itertools
import json
import re

from ge_engine.contracts import Constraint, Target
from ge_engine.grammar.making import Parts, make
from ge_engine.outcome import Rejected

INSTRUCTIONS = (
    "Answer with one or more replacements and nothing else, each in this form:\n"
    "<<<<<<< SEARCH\nlines of the code, exactly as they are\n=======\nthe new lines\n>>>>>>> REPLACE\n"
    "The lines to search must occur exactly once in the code."
)
HUNK = re.compile(
    r"^[ \t]*<{5,9} ?SEARCH[ \t]*\n(.*?)^[ \t]*={5,9}[ \t]*\n(.*?)^[ \t]*>{5,9} ?REPLACE[ \t]*$",
    re.MULTILINE | re.DOTALL,
)


def constraint(target: Target) -> Constraint | Rejected:
    """Searches are whole lines of the block that occur once; replacements are up to 12 free lines."""
    lines = target.genome.blocks[target.address].code.split("\n")
    unique = [line for line in lines if line.strip() and lines.count(line) == 1]
    if not unique:
        return Rejected("grammar", f"the block {target.address} has no line that occurs only once")
    search = "(" + " | ".join(json.dumps(line, ensure_ascii=False) for line in unique) + ")"
    return Parts((make("diff", {"SEARCH": search}),))


def rewritten(text: str, target: Target) -> str | Rejected:
    """The block's code after all replacements of a reply, each of which must match exactly once."""
    code = f"\n{target.genome.blocks[target.address].code}\n"
    hunks = HUNK.findall(text.replace("\r\n", "\n"))
    if not hunks:
        return Rejected("extract", "the reply holds no SEARCH/REPLACE")
    places: list[tuple[int, int, str]] = []
    for search, replace in hunks:
        if not search.strip():
            return Rejected("extract", "a SEARCH is empty")
        times = code.count("\n" + search)
        if times != 1:
            return Rejected("extract", f"a SEARCH matches {times} times, not once: {search.strip()[:80]!r}")
        start = code.index("\n" + search) + 1
        places.append((start, start + len(search), replace))
    places.sort(reverse=True)
    if any(after[0] < before[1] for after, before in itertools.pairwise(places)):
        return Rejected("extract", "two replacements overlap")
    for start, end, replace in places:
        code = code[:start] + replace + code[end:]
    return code[1:-1]
