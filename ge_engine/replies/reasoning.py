"""Removes what a model thought, and the marks of its chat template, from a reply."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

from ge_engine.replies.fences import fences
from ge_engine.source.syntax import parse

_NAMES = "think|thinking|thoughts?|reason|reasoning|reflection|scratchpad|analysis|inner_monologue|seed:think"
_TAG = re.compile(
    rf"(?P<bracket>[<\[◁])(?P<slash>/?)(?P<name>{_NAMES})(?:\s[^<>\[\]\n]{{0,200}})?[>\]▷]", re.IGNORECASE
)
_FINAL = re.compile(
    r"(?:\A\s*+|<\|end\|>\s*+|<\|start\|>assistant)<\|channel\|>\s*+final\b[^<]*+<\|message\|>"
)
_OTHER = re.compile(
    r"(?:\A\s*|^)(?:<\|start\|>assistant)?<\|channel\|>\s*(?:analysis|commentary)\b.*?(?:<\|end\|>|\Z)",
    re.DOTALL | re.MULTILINE,
)
_THOUGHT = re.compile(r"\A\s*<\|begin_of_thought\|>.*?<\|end_of_thought\|>", re.DOTALL)
_MARK = (
    r"(?:<\|(?!channel\||begin_of_thought)\w{1,40}\|>|<(?:end_of_turn|start_of_turn|eos|bos|pad)>|</?s>"
    r"|<｜[^｜\n]{1,40}｜>)"
)
_ROLE = rf"{_MARK}(?:assistant|model)(?:[ \t]*(?=\n)|{_MARK})"
_LEADING = re.compile(rf"(?:\s*+(?:{_ROLE}|{_MARK}|\[/INST\](?=\s)|\[INST\](?=\n)))++", re.IGNORECASE)
_TRAILING = re.compile(rf"(?:{_MARK}|(?<=\n)\[/?INST\]|\s)*\Z", re.IGNORECASE)
_GLUED = re.compile(rf"^([ \t]*(?:`{{3,}}|~{{3,}})){_MARK}+[ \t]*$", re.MULTILINE)
_BEFORE_FENCE = re.compile(rf"^{_MARK}+[ \t]*(?=```|~~~)", re.MULTILINE)
_TURN = re.compile(r"<\|(?:im_end|endoftext|end_of_text|eot_id|eom_id|end|return)\|>|<end_of_turn>|</s>")
_ASKS = re.compile(
    r"(?:<\|(?:im_start|start|start_header_id|start_of_role)\|>|<start_of_turn>)user\b|<\|user\|>|<｜User｜>"
    r"|(?<=</s>)\s*\[INST\]|^\[INST\]|^(?:\*\*|\#{1,4} )?(?:User|Human)(?:\*\*)?:"
    r"|^\#{1,4} (?:User|Human|Instructions?):?[ \t]*$",
    re.MULTILINE,
)
_INVISIBLE = re.compile(
    "\\A[\u200b\u200c\u200d\u2060\ufeff]+|^[\u200b\u200c\u200d\u2060\ufeff]+(?=```|~~~)", re.MULTILINE
)
_CODE = re.compile(r"^[ \t]{0,12}(?:```|~~~|class\s|def\s|@\w|\d+[ \t]*[:|]|<<<<<)", re.MULTILINE)
_QUOTES = ("`", '"', "'")
MAX_TAGS = 200
"""How many tags of a reply are looked at."""
MAX_TURNS = 4
_MARKS_AT_END = 4000
"""Characters of a reply's end in which marks are looked for."""


class _Tags:
    """What tells the tags of a text from mentions of them. `whole` are the stretches of fences that hold
    Python as it should be: what stands there is no tag."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.all = list(islice(_TAG.finditer(text), MAX_TAGS))
        self.whole = _stretches(text)
        self.ends: dict[str, list[int]] = {}
        for tag in self.all:
            if tag["slash"]:
                self.ends.setdefault(tag["name"].lower(), []).append(tag.start())

    def fenced(self, at: int) -> bool:
        found = bisect_right(self.whole, (at, len(self.text))) - 1
        return found >= 0 and at < self.whole[found][1]

    def opens(self, tag: re.Match[str]) -> bool:
        """It stands at the start of a line, or its end stands on the same line. In brackets without an
        end it is a heading, or code."""
        before, after = self._around(tag)
        ends = [at for at in self.ends.get(tag["name"].lower(), ()) if at > tag.start()]
        if before.strip(" \t"):
            return not before.endswith(_QUOTES) and bool(ends) and ends[0] < tag.end() + len(after)
        return bool(ends) or tag["bracket"] != "[" or tag["name"].lower() == "think"

    def closes(self, tag: re.Match[str]) -> bool:
        """It stands alone, at the end of a line, before a fence, or unquoted before all code."""
        before, after = self._around(tag)
        after = after.strip(" \t")
        if not before.strip(" \t") or not after or after.startswith(("```", "~~~", "<", "[")):
            return not before.endswith("`")
        mentioned = before.endswith(_QUOTES) or after.startswith(_QUOTES)
        return not mentioned and _CODE.search(self.text, 0, tag.start()) is None

    def stray(self, tag: re.Match[str]) -> bool:
        """It follows a fence that holds code, and no other code follows it."""
        ends = [after for _, after in self.whole if after <= tag.start()]
        if not ends:
            return False
        if not self.text[tag.end() :].strip():
            return True
        directly = not self.text[ends[-1] : tag.start()].strip()
        return directly and _CODE.search(self.text, tag.end()) is None

    def _around(self, tag: re.Match[str]) -> tuple[str, str]:
        """What stands before and after the tag on its line."""
        end = self.text.find("\n", tag.end())
        start = self.text.rfind("\n", 0, tag.start()) + 1
        return self.text[start : tag.start()], self.text[tag.end() : len(self.text) if end < 0 else end]


def without_reasoning(text: str) -> tuple[str, list[str], bool]:
    """The reply less its reasoning, what was done, and whether the reasoning never ended.

    Tags and marks count outside code alone: in a string, a comment, a docstring or a fence they are part of
    what the model wrote, as they are in a sentence that speaks of them.
    """
    steps: list[str] = []
    text = _note(_INVISIBLE.sub("", text), text, steps, "dropped invisible characters")
    text = _without_channels(text, steps)
    text = _note(_THOUGHT.sub("", text), text, steps, "dropped the reasoning")
    text = _note(_without_marks(text), text.rstrip(), steps, "dropped chat template marks")
    text, unfinished = _without_thoughts(text, steps)
    text = _note(_without_marks(text), text.rstrip(), steps, "dropped chat template marks")
    return text, list(dict.fromkeys(steps)), unfinished


def turns(text: str) -> Iterator[str]:
    """The text before each of the first marks that end a turn."""
    for mark in islice(_TURN.finditer(text), MAX_TURNS):
        yield text[: mark.start()]


def before_next_question(text: str) -> str | None:
    """What stands before the first place outside code where the model goes on as the one who asks; None where
    it does not."""
    asks = next(_ASKS.finditer(text), None)
    if asks is None or _is_code(text.strip()):
        return None
    whole = _stretches(text)
    outside = (m.start() for m in _ASKS.finditer(text) if not any(a <= m.start() < b for a, b in whole))
    at = next(outside, 0)
    return text[:at] if text[:at].strip() else None


def _without_channels(text: str, steps: list[str]) -> str:
    if "<|channel|>" not in text or _is_code(text.strip()):
        return text
    final = list(_FINAL.finditer(text))
    if final:
        steps.append("took the final channel")
        return text[final[-1].end() :]
    return _note(_OTHER.sub("", text), text, steps, "dropped another channel")


def _without_marks(text: str) -> str:
    """Marks at the start and the end of the text, and those glued to the marks of a fence."""
    text = text.rstrip()
    if re.search(rf"{_MARK}|INST\]", text) is None or _is_code(text):
        return text
    leading = _LEADING.match(text)
    text = text[leading.end() :] if leading else text
    trailing = _TRAILING.search(text, max(0, len(text) - _MARKS_AT_END))
    if trailing is not None and trailing[0].strip():
        text = text[: trailing.start()]
    return _BEFORE_FENCE.sub("", _GLUED.sub(r"\1", text))


def _without_thoughts(text: str, steps: list[str]) -> tuple[str, bool]:
    """The text less its thoughts; true when one of them never ends."""
    thoughts = 0
    while (opening := _TAG.match(text, len(text) - len(text.lstrip()))) and _begins(opening, text):
        closing = _end_of(opening, text)
        if closing < 0:
            steps.append("dropped reasoning that never ends")
            return "", True
        text, thoughts = text[closing:], thoughts + 1
    if thoughts:
        steps.append("dropped the reasoning")
    if _TAG.search(text) is None or _is_code(text.strip("\n")):
        return text, False
    return _without_later(text, steps)


def _without_later(text: str, steps: list[str]) -> tuple[str, bool]:
    tags = _Tags(text)
    kept: list[str] = []
    at = 0
    opened: re.Match[str] | None = None
    for tag in tags.all:
        if opened is not None:
            if tag["slash"] and tag["name"].lower() == opened["name"].lower():
                kept.append(text[at : opened.start()])
                at, opened = tag.end(), None
                steps.append("dropped the reasoning")
        elif tags.fenced(tag.start()):
            continue
        elif not tag["slash"]:
            opened = tag if tags.opens(tag) else None
        elif tags.closes(tag):
            kept = [*kept, text[at : tag.start()]] if tags.stray(tag) else []
            at = tag.end()
            steps.append(
                "dropped what stands before a closing reasoning tag" if not kept else "dropped a stray tag"
            )
    if opened is not None:
        steps.append("dropped reasoning that never ends")
    return "".join([*kept, text[at : opened.start() if opened else len(text)]]), opened is not None


def _begins(opening: re.Match[str], text: str) -> bool:
    """The tag at the start of a text begins a thought. In brackets it may be a heading, or code."""
    if opening["slash"]:
        return False
    return opening["bracket"] != "[" or opening["name"].lower() == "think" or _end_of(opening, text) >= 0


def _end_of(opening: re.Match[str], text: str) -> int:
    closing = re.compile(rf"[<\[◁]/{re.escape(opening['name'])}[>\]▷]", re.IGNORECASE)
    found = closing.search(text, opening.end())
    return found.end() if found else -1


def _stretches(text: str) -> list[tuple[int, int]]:
    """Where the fences stand whose code Python accepts."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return [
        (starts[f.first], starts[f.after] - 1)
        for f in fences(text, _is_code)
        if f.closed and _is_code(f.code)
    ]


def _is_code(text: str) -> bool:
    tree = parse(text)
    return isinstance(tree, ast.Module) and bool(tree.body)


def _note(new: str, old: str, steps: list[str], step: str) -> str:
    if new != old:
        steps.append(step)
    return new
