"""What the body of a server's answer means: text and token figures, or its reason for none."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal

from ge_engine.places import shown

RETRIED = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
REFUSING = frozenset((401, 402, 403, 404, 405, 407, 410))
"""Statuses of a server that has no such key, account, model or path."""
PASSING = re.compile(r"rate.?limit|overload|unavailable|try again|timed? ?out", re.IGNORECASE)
"""Of an error that comes without a status."""
UNPAID = re.compile(r"insufficient[ _](quota|balance|credit|fund)", re.IGNORECASE)
FILTERED = re.compile(r"content[ _](filter|management)", re.IGNORECASE)
OUT_OF_ROOM = re.compile(r"output limit was reached", re.IGNORECASE)
PAGE = re.compile(r"(<\?xml[^>]*>|<!--.*?-->|\s)*<(!doctype|html|head|body)\b", re.IGNORECASE | re.DOTALL)
TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
TOLD_IN = ("error", "message", "detail", "msg", "errors", "error_description", "title")
"""Where servers put their reason: OpenAI's, FastAPI's, and others'."""
REASONING = ("reasoning_content", "reasoning")
"""Where servers put a model's thoughts as text."""
CODE_FIRST = re.compile(r"(```|~~~|@\w|class |def |async def |import |from |\d+[ \t]*[:|]|<<<<<)")
CODE_LAST = re.compile(r"(?:^|\n)[ \t]*(?:```|~~~|>>>>>.*)\Z")
MOST_TOKENS = 10**9
WEB_PAGE = "that URL is a web page, not an API"
Kind = Literal["refused", "unpaid", "unreachable", "broken off", "late", "malformed"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that came. `error`: why it cannot be used. Tokens that the server does not tell are None."""

    text: str
    cut: bool = False
    error: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a try gave no reply; "broken off": the server was there, and closed the connection. `final`: trying
    again cannot help. `wait`: the server's Retry-After, in seconds. `status` is HTTP's, 0 for none."""

    reason: str
    kind: Kind
    final: bool = False
    wait: float | None = None
    status: int = 0

    @property
    def is_servers_own(self) -> bool:
        """Whether another server of the same model may answer: the fault is not the request's."""
        about_server = self.status in REFUSING or 300 <= self.status < 400 or self.status >= 500
        return not self.final or self.kind != "refused" or about_server

    @property
    def is_web_page(self) -> bool:
        """Whether a page for people was answered, which no further try makes an API."""
        return WEB_PAGE in self.reason


def read_answer(body: str) -> Answer | Trouble:
    """The answer to a chat completion, whole or as the events of a stream."""
    stream = body.lstrip().startswith(("data:", "event:", ":"))
    data = _merged(body) if stream else _decoded(body)
    if not isinstance(data, dict):
        return Trouble(told(body) or "the server's answer is empty", "malformed")
    choice = _first_choice(data)
    if error := data.get("error") or choice.get("error"):
        return _error_within(error)
    if not choice:
        said = _reason(data) if any(data.get(name) for name in TOLD_IN) else "it holds no choice"
        return Trouble(f"the server's answer is no chat completion: {said}", "malformed")
    message = choice.get("message")
    if not isinstance(message, dict):
        return Trouble("the server's answer holds no message", "malformed")
    text, error = _text_of(message), ""
    cut = choice.get("finish_reason") == "length"
    if FILTERED.search(str(choice.get("finish_reason"))):
        text, error = "", "the server's content filter withheld the reply"
    elif not text and not cut:
        text = _misfiled(message)
        error = "" if text else _why_empty(message)
    usage = data.get("usage")
    read, written = _tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens")
    return Answer(text, cut, error, read, written)


def read_refusal(status: int, body: str, headers: Mapping[str, str]) -> Answer | Trouble:
    """What an answer with an error's status means. A filtered prompt and a reply that its own thoughts left
    no room for are answers: what the model has read or written is charged."""
    said = told(body) or _phrase(status)
    if status in RETRIED and PAGE.match(body):
        said = _title(body) or _phrase(status)
    if 300 <= status < 400:
        said = f"it sends on to {shown(headers.get('location', 'another address'))}"
    if FILTERED.search(body) and status in (400, 403, 422):
        return Answer("", error=f"the server's content filter refused the prompt: {said}")
    if OUT_OF_ROOM.search(said):
        return Answer("", cut=True)
    reason, wait = f"the server answered {status}: {said}", _retry_after(headers)
    if status == 402 or UNPAID.search(body):
        return Trouble(reason, "unpaid", True, wait, status)
    return Trouble(reason, "refused", status not in RETRIED, wait, status)


def told(body: str) -> str:
    """The reason in an error's body: JSON's message, plain text, or what a web page is called."""
    if PAGE.match(body):
        title = _title(body)
        return WEB_PAGE + (f' ("{title}")' if title else "")
    data = _decoded(body)
    if isinstance(data, str) and PAGE.match(data):
        return told(data)
    return _reason(data) if data is not None else body.strip()


def _title(page: str) -> str:
    found = TITLE.search(page)
    return found[1].strip() if found else ""


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "no reason is given"


def _reason(data: Any) -> str:
    if isinstance(data, list):
        return "; ".join(_reason(one) for one in data[:3])
    if not isinstance(data, dict):
        return str(data)
    place = ".".join(map(str, data["loc"])) + ": " if isinstance(data.get("loc"), list) else ""
    raw = data["metadata"].get("raw") if isinstance(data.get("metadata"), dict) else None
    found = next((_reason(data[name]) for name in TOLD_IN if data.get(name)), "")
    return place + (found or json.dumps(data)) + (f": {_reason(raw)}" if raw else "")


def _first_choice(data: Mapping[str, Any]) -> dict[str, Any]:
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _error_within(error: Any) -> Answer | Trouble:
    """An error in an answer whose status says that all went well."""
    text, code = json.dumps(error), str(error.get("code") if isinstance(error, dict) else "")
    if re.fullmatch("[45][0-9]{2}", code):
        return read_refusal(int(code), text, {})
    if FILTERED.search(text):
        return read_refusal(400, text, {})
    reason = f"the server answered with an error: {_reason(error)}"
    if UNPAID.search(text):
        return Trouble(reason, "unpaid", final=True)
    return Trouble(reason, "refused", final=not PASSING.search(text))


def _text_of(message: Mapping[str, Any]) -> str:
    """The reply's text, or the input of a custom tool: OpenAI's way for text that follows a grammar."""
    return _joined(message.get("content")) or "".join(
        _joined(call["custom"].get("input"))
        for call in _calls(message)
        if isinstance(call.get("custom"), dict)
    )


def _joined(content: Any) -> str:
    """Text that comes as such, as a part, or as a list of parts; what a model thought is no part of it."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(map(_joined, content))
    if isinstance(content, dict) and content.get("type", "text") in ("text", "output_text"):
        return _joined(content.get("text", content.get("parts")))
    return ""


def _misfiled(message: Mapping[str, Any]) -> str:
    """An answer that the server took for reasoning: a parser of reasoning does so to a model that wrote none
    (vllm-project/vllm#19222). Such a text begins or ends with code, and one of thoughts with words."""
    if message.get("refusal") or _calls(message):
        return ""
    text = next((said for name in REASONING if (said := _joined(message.get(name)).strip())), "")
    return text if CODE_FIRST.match(text) or CODE_LAST.search(text) else ""


def _why_empty(message: Mapping[str, Any]) -> str:
    if refusal := message.get("refusal"):
        return f"the model refused: {_joined(refusal)}"
    if calls := [*_calls(message), *filter(None, [message.get("function_call")])]:
        function = calls[0].get("function", calls[0]) if isinstance(calls[0], dict) else None
        name = function.get("name", "") if isinstance(function, dict) else ""
        return f"the model called the tool {name!r} in place of an answer"
    if any(message.get(name) for name in (*REASONING, "reasoning_details")):
        return "the model gave its reasoning and no answer"
    content = message.get("content")
    if content:
        return f"the reply has no text, only {json.dumps(content)}"
    return "the model's reply is empty"


def _calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    calls = message.get("tool_calls")
    return [one for one in calls if isinstance(one, dict)] if isinstance(calls, list) else []


def _tokens(usage: Any, name: str) -> int | None:
    """A server's figure, within what a run database counts in; None for one that cannot be."""
    figure = usage.get(name) if isinstance(usage, dict) else None
    if not isinstance(figure, (int, float)) or not figure >= 1:
        return None
    return int(min(figure, MOST_TOKENS))


def _merged(body: str) -> dict[str, Any] | None:
    """The answer that the events of a stream make together; None for a stream that broke off."""
    message: dict[str, Any] = {"content": ""}
    finish, usage, ended = None, None, False
    for event in _events(body):
        if event == "[DONE]":
            ended = True
        if not isinstance(event, dict):
            continue
        if event.get("error"):
            return event
        usage, choice = event.get("usage") or usage, _first_choice(event)
        finish = choice.get("finish_reason") or finish
        _add(message, choice.get("delta"))
    if not (finish or ended):
        return None
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def _add(message: dict[str, Any], delta: Any) -> None:
    for name, value in delta.items() if isinstance(delta, dict) else ():
        if name == "content" or (name in REASONING and isinstance(value, str)):
            message[name] = message.get(name, "") + _joined(value)
        elif value:
            message.setdefault(name, value)


def _events(body: str) -> Iterator[Any]:
    for line in body.split("\n"):
        if line.startswith("data:"):
            text = line.removeprefix("data:").strip()
            yield text if text == "[DONE]" else _decoded(text)


def _decoded(body: str) -> Any:
    try:
        return json.loads(body.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until another try is welcome, told as a number or as a date (RFC 9110, section 10.2.3)."""
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
