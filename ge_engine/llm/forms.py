"""How servers take a grammar, and which of these forms a server understands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


def supported_form(client: Any, model: str, seconds: float) -> Form | None:
    """Try each form on a word that no model says by itself; None when the server follows none of them.

    A server that cannot be reached at all follows none: the first real request then says what is wrong.
    """
    import openai

    for form in FORMS:
        try:
            answer = client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "Say yes."}],
                max_tokens=16,
                timeout=seconds,
                **form.options(PROBE),
            )
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError):
            return None
        except openai.APIStatusError:
            continue
        except (openai.APIError, ValueError):
            return None
        if _said(answer) == WORD:
            return form
    return None


def _said(answer: Any) -> str:
    choices = getattr(answer, "choices", None)
    if not choices:
        return ""
    message = choices[0].message
    tools = [call.custom.input for call in message.tool_calls or () if getattr(call, "custom", None)]
    return (message.content or "".join(tools)).strip()
