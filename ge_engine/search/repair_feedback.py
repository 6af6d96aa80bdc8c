"""What a language model may be told of a candidate that ran: known messages, numbers, and names it knows.

A candidate can read files that its own libraries need, and all that it says in an error, in a name of a
parameter or in a shape would go on to whoever serves the model. So nothing of it goes on as it is: a text is
made anew from the words of `known_messages`, from numbers, and from names that the model has read or that
torch has.
"""

from __future__ import annotations

import builtins
import re
import signal
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from types import FunctionType

from ge_engine.contracts import Probe
from ge_engine.outcome import Rejected
from ge_engine.search.known_messages import KNOWN, SIZES

BEFORE_A_RUN = frozenset(
    ("extract", "compile", "contract", "grammar", "constraint", "unchanged", "names", "duplicate")
)
"""Stages whose reasons come from a reply's text and from figures, not from a candidate that ran."""
STAGES = frozenset(
    ("import", "meta", "build", "forward", "backward", "optimizer", "train", "measure", "run", "timeout")
)
UNTOLD = "its own words are not passed on"
ELSEWHERE = "..."
"""Stands for a name that neither the code nor torch has."""
MOST_CHARACTERS = 2000
MOST_SIDES, LARGEST_SIDE, LONGEST_DIGITS = 8, 10**9, 4
ERROR = re.compile(
    r"(?P<kind>[A-Za-z_][\w.]*)(?:: (?P<message>.*?))?(?P<place> \(line \d{1,7}(?:, in [^()]*)?\))?"
)
STOPPED = re.compile(r"it stops at (?P<stage>\w+): (?P<error>.*)", re.DOTALL)
PLACE = re.compile(r" \(line (?P<line>\d{1,7})(?:, in (?P<name>[^()]*))?\)")
WEIGHTS = frozenset(
    {"weight", "bias", "in_proj_weight", "in_proj_bias", "out_proj", "q_proj_weight", "k_proj_weight"}
    | {"v_proj_weight", "bias_k", "bias_v", "original0", "original1", "parametrizations", "module"}
)
OF_PYTHON = frozenset(
    ("locals", "lambda", "module", "listcomp", "genexpr", "dictcomp", "setcomp", "NoneType")
)
SIGNALS = frozenset(one.name.removeprefix("SIG") for one in signal.Signals)
EXCEPTIONS = frozenset(name for name, one in vars(builtins).items() if isinstance(one, type))


def words_of(*codes: str) -> frozenset[str]:
    """The identifiers in `codes`, as a reader of them knows them."""
    return frozenset(word for code in codes for word in re.findall(r"[A-Za-z_]\w*", code))


def tellable(probe: Probe, words: frozenset[str]) -> Probe:
    """`probe` in which every text that the candidate has a hand in is made anew; `words` are names that the
    model has read. The fingerprint stays: it is compared, not told."""
    return replace(
        probe,
        stage=probe.stage if probe.stage in STAGES or not probe.stage else "run",
        error=error_text(probe.error, words),
        output_shape=_sides(probe.output_shape),
        without_gradient=frozenset(_path(name, words) for name in probe.without_gradient),
        unregistered=tuple(dict.fromkeys(_unregistered(one, words) for one in probe.unregistered)),
        executed=frozenset(_path(name, words) for name in probe.executed),
        class_parameters={_path(name, words): count for name, count in probe.class_parameters.items()},
        graph="",
    )


def error_text(error: str, words: frozenset[str]) -> str:
    """Type, message and place of an error, as far as they are known; "" stays ""."""
    error = error[:MOST_CHARACTERS]
    if not error:
        return ""
    if ending := _message(error, words):
        return ending
    parts = ERROR.fullmatch(error)
    if parts is None:
        return UNTOLD
    kind = parts["kind"] if is_known(parts["kind"], words) else "an error"
    message = _message(parts["message"] or "", words)
    said = f"{kind}: {message}" if message else kind
    told = said + _place(parts["place"] or "", words)
    return told if message or not parts["message"] else f"{told}; {UNTOLD}"


def reason_text(rejected: Rejected, words: frozenset[str]) -> str:
    """The reason of a rejection as far as it is known, on one line."""
    if rejected.stage in BEFORE_A_RUN:
        return " ".join(rejected.reason.split())
    stopped = STOPPED.fullmatch(rejected.reason)
    if stopped is None:
        return error_text(rejected.reason, words)
    stage = stopped["stage"] if stopped["stage"] in STAGES else "run"
    return f"it stops at {stage}: {error_text(stopped['error'], words)}"


def _message(message: str, words: frozenset[str]) -> str:
    """As much of a message as begins like a known one, with known names in it; "" for an unknown one."""
    for pattern in KNOWN:
        if found := pattern.match(message):
            return _with_names(found, words)
    return ""


def _with_names(found: re.Match[str], words: frozenset[str]) -> str:
    text, shift = found[0], found.start()
    for group in sorted(found.groupdict(), key=found.start, reverse=True):
        if not is_known(found[group], words):
            first, last = found.start(group) - shift, found.end(group) - shift
            text = text[:first] + ELSEWHERE + text[last:]
    return text


def _place(place: str, words: frozenset[str]) -> str:
    parts = PLACE.fullmatch(place)
    if parts is None:
        return ""
    inner = re.sub(r"[<>]", "", parts["name"] or "")
    named = f", in {parts['name']}" if inner and is_known(inner, words) else ""
    return f" (line {parts['line']}{named})"


def _path(name: str, words: frozenset[str]) -> str:
    return name if is_known(name, words) else ELSEWHERE


def _unregistered(text: str, words: frozenset[str]) -> str:
    """ "path (Kind, Kind)", or a tensor by its shape."""
    if re.fullmatch(rf"a trainable tensor of shape {SIZES}", text):
        return text
    found = re.fullmatch(r"([\w.]+) \(([\w, ]+)\)", text)
    if found is None:
        return ELSEWHERE
    return f"{_path(found[1], words)} ({', '.join(_path(one, words) for one in found[2].split(', '))})"


def _sides(shape: Iterable[int]) -> tuple[int, ...]:
    return tuple(min(max(side, 0), LARGEST_SIDE) for side in tuple(shape)[:MOST_SIDES])


def is_known(name: str, words: frozenset[str]) -> bool:
    """Whether each part of a dotted name is among `words`, a name of Python or torch, or a short number."""
    return all(
        (part.isdigit() and len(part) <= LONGEST_DIGITS) or part in words or part in _known()
        for part in name.split(".")
    )


@cache
def _known() -> frozenset[str]:
    """Names of Python's exceptions and types, and of torch's operators and layers."""
    import torch

    holders = (torch, torch.nn, torch.nn.functional, torch.Tensor, torch.nn.Module, torch.optim)
    names = frozenset(name for holder in holders for name in dir(holder))
    makers = (vars(one).get("__init__") if isinstance(one, type) else one for one in vars(torch.nn).values())
    called = (*makers, *vars(torch.nn.functional).values())
    codes = (one.__code__ for one in called if isinstance(one, FunctionType))
    names |= {
        name for code in codes for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    }
    return names | EXCEPTIONS | WEIGHTS | OF_PYTHON | SIGNALS
