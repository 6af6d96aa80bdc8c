"""How servers take a grammar, and which of these forms a server understands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ge_engine.contracts import Prompt, Sampling
from ge_engine.llm.answers import Trouble
from ge_engine.llm.endpoint import Endpoint

HELLO = Prompt("You answer in one word.", "Say yes."), Sampling(0.5, 16, 1)
"""What costs next to nothing, but has each part of a real request."""
WORD = "qzx7"
PROBE = f'start: ANSWER\nANSWER: ("{WORD}" | "qzx8") & ~("qzx8")\n'


@dataclass(frozen=True, slots=True)
class Form:
    """`options` turns Lark text into arguments of a chat completion. `counted`: the model reads them, so that
    they are charged."""

    name: str
    options: Callable[[str], Mapping[str, Any]]
    counted: bool = False


def _vllm(lark: str) -> Mapping[str, Any]:
    return {"extra_body": {"structured_outputs": {"grammar": lark}}}


def _llama_cpp(lark: str) -> Mapping[str, Any]:
    return {"extra_body": {"grammar": f"%llguidance {{}}\n{lark}"}}


def _custom_tool(lark: str) -> Mapping[str, Any]:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": lark}}
    custom = {"name": "answer", "description": "Give the answer.", "format": grammar}
    choice = {"type": "custom", "custom": {"name": "answer"}}
    return {"tools": [{"type": "custom", "custom": custom}], "tool_choice": choice}


FORMS = (
    Form("structured_outputs", _vllm),
    Form("grammar", _llama_cpp),
    Form("custom_tool", _custom_tool, counted=True),
)


def supported_form(endpoint: Endpoint, seconds: float) -> Form | None:
    """Try each form on a word that no model says by itself; None when the server follows none of them.

    A server that cannot be reached at all follows none: the first real request then says what is wrong.
    """
    for form in FORMS:
        outcome = endpoint.ask(*HELLO, seconds, form.options(PROBE))
        if isinstance(outcome, Trouble):
            if outcome.kind != "refused" or outcome.status in (401, 403, 404):
                return None
        elif outcome.text.strip() == WORD:
            return form
    return None
