"""A reply in the shape of an edit -> the block after it. Each part of the edit must fit exactly once."""

from __future__ import annotations

from ge_engine.outcome import Rejected
from ge_engine.replies.answer import CUT_OFF, Answer, Extraction, Result
from ge_engine.replies.block_match import Matcher
from ge_engine.replies.fences import outside
from ge_engine.replies.hunks import (
    OVERLAP,
    added_lines,
    apply_hunks,
    has_search_marks,
    hunks,
    looks_like_edit,
)
from ge_engine.source.syntax import normalised


def edited(answer: Answer) -> Result:
    """The block after an edit (SEARCH/REPLACE, a diff), each part of which fits exactly once."""
    inner = [f.code for f in answer.found if f.info in ("diff", "patch") or looks_like_edit(f.code)]
    if not inner and not looks_like_edit(answer.text):
        return None
    bare = answer.matcher.usable(answer.text)
    if bare is not None and not bare.repair:
        return None
    split = has_search_marks(outside(answer.text, list(answer.found)))
    source = answer.text if split or not inner else "\n".join(inner)
    if answer.cut:
        return CUT_OFF
    matcher = answer.matcher
    added = matcher.usable(added_lines(source))
    if added is not None:
        return Extraction(added.code, ("took the added lines of a diff",))
    edits = hunks(source)
    if not edits:
        return Rejected("extract", "the reply is an edit that cannot be read: answer with the whole block.")
    block = matcher.code
    result = apply_hunks(block, edits, matcher.indent)
    if isinstance(result, str):
        if result == block:
            return Rejected("extract", "the edit changes nothing.")
        return Extraction(result, (f"applied {len(edits)} edits" if len(edits) > 1 else "applied an edit",))
    if result == OVERLAP:
        return Rejected("extract", "two parts of the edit overlap: replace each line once.")
    if result > 1:
        return Rejected("extract", f"the old text of an edit occurs {result} times in {matcher.address}.")
    return _edit_of_file(apply_hunks(normalised(matcher.genome.text), edits, ""), matcher)


def _edit_of_file(file: str | int, matcher: Matcher) -> Extraction | Rejected:
    """An edit whose context reaches beyond the block: applied to the file, of which the block is taken."""
    if isinstance(file, int):
        return Rejected(
            "extract", f"the old text of an edit does not occur in {matcher.address} as it stands."
        )
    usable = matcher.usable(file)
    if usable is None or not matcher.differs(usable):
        return Rejected("extract", f"the edit does not touch {matcher.address}, or leaves no valid file.")
    return Extraction(usable.code, ("applied an edit to the file and took the block",))
