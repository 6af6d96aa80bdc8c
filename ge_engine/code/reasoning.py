"""Removes what a model thought, and the marks of its chat template, from a reply."""

from __future__ import annotations

import re

_NAMES = "think|thinking|thoughts?|reason|reasoning|reflection|scratchpad|analysis|inner_monologue|seed:think"
MAX_TAGS = 5000
"""A reply with more brackets than this is not searched for pairs of tags, only for the last closing one."""

_UNQUOTED = r"(?<![\"'`])"
_PAIR = re.compile(
    rf"{_UNQUOTED}[<\[◁](?P<tag>{_NAMES})(?:\s[^>\]]*)?[>\]▷].*?[<\[◁]/(?P=tag)[>\]▷]",
    re.DOTALL | re.IGNORECASE,
)
_CLOSING = re.compile(rf"{_UNQUOTED}[<\[◁]/(?:{_NAMES})[>\]▷]", re.IGNORECASE)
_OPENING = re.compile(rf"(?:^|\n)[ \t]*[<\[◁](?:{_NAMES})(?:\s[^>\]]*)?[>\]▷]", re.IGNORECASE)
_CHANNEL = re.compile(r"<\|channel\|>\s*final\b[^<]*<\|message\|>")
_OTHER_CHANNEL = re.compile(r"<\|channel\|>\s*(?:analysis|commentary)\b.*?(?:<\|end\|>|\Z)", re.DOTALL)
_CONTROL = re.compile(
    r"<\|(?:im_end|im_start|endoftext|end_of_text|eot_id|eom_id|end|return|start|message|assistant|user|eos)\|>"
    r"|<(?:end_of_turn|start_of_turn|eos|bos)>|^\s*</?s>|</s>\s*$|\[/?INST\]"
    r"|<｜[^｜]{1,40}｜>",
)
_INVISIBLE = re.compile("^[\u200b\u200c\u200d\u2060\ufeff]+", re.MULTILINE)


def without_reasoning(text: str) -> tuple[str, list[str], bool]:
    """The reply less its reasoning, what was done, and whether the reasoning never ended."""
    steps: list[str] = []
    final = list(_CHANNEL.finditer(text))
    if final:
        text = text[final[-1].end() :]
        steps.append("took the final channel")
    text = _note(_OTHER_CHANNEL.sub("", text), text, steps, "dropped another channel")
    if _CLOSING.search(text) and text.count("<") + text.count("[") < MAX_TAGS:
        text = _note(_PAIR.sub("", text), text, steps, "dropped the reasoning")
    closings = list(_CLOSING.finditer(text))
    if closings:
        text = text[closings[-1].end() :]
        steps.append("dropped what stands before a closing reasoning tag")
    opening = _OPENING.search(text)
    if opening:
        text = text[: opening.start()]
        steps.append("dropped reasoning that never ends")
    text = _note(_CONTROL.sub("", text), text, steps, "dropped chat template marks")
    text = _note(_INVISIBLE.sub("", text), text, steps, "dropped invisible characters")
    return text, steps, opening is not None


def _note(new: str, old: str, steps: list[str], step: str) -> str:
    if new != old:
        steps.append(step)
    return new
