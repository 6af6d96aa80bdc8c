"""The blocks of a genome as a list, and why some of them cannot be evolved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ge_engine.source.addresses import owner_of
from ge_engine.source.facts import Kind, Span
from ge_engine.source.segmenter import Blocked
from ge_engine.source.segments import Segment
from ge_engine.source.syntax import SyntaxFault, normalised


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Block:
    """A named definition; `lines` (first, last) count from 1 in the genome's file. `read` and `why` say its
    code and its reason, for which libcst prints the block: only those who ask pay for it."""

    address: str
    kind: Kind
    lines: tuple[int, int]
    digest: str
    read: Callable[[], str]
    why: Callable[[], str]
    language: str = "python"

    @property
    def code(self) -> str:
        """The source at column 0 with LF line ends, decorators included."""
        return self.read()

    @property
    def owner(self) -> str:
        """The address of the top-level block that holds it: a method's class, else its own."""
        return owner_of(self.address)

    @property
    def reason(self) -> str:
        """Why it is not evolvable, "" where it is."""
        return self.why()

    def __repr__(self) -> str:
        return f"Block({self.address!r}, {self.kind!r}, lines={self.lines}, reason={self.reason!r})"


def list_blocks(
    placed: Iterable[tuple[int, Segment]],
    blocked: Mapping[int, tuple[Blocked, ...]],
    reason: Callable[[str], str | None],
) -> Iterator[Block]:
    """The blocks of segments in the order of the file. `placed` gives each with its index in the seed model,
    `blocked` by such an index what cannot be evolved there, `reason` why an address cannot."""
    line = 1
    for at, segment in placed:
        for hidden in blocked.get(at, ()):
            yield _hidden_block(hidden, segment, line)
        if segment.name:
            yield from _segment_blocks(segment, line, reason)
        line += segment.newlines


def own_reason(segment: Segment) -> str:
    """Why the definition of a segment cannot be evolved, "" when it can."""
    return _of_block(segment.refusal) if segment.refusal else ""


def conditional_reason(segment: Segment | None, method: str) -> str | None:
    """Why a method that stands in an `if` cannot be evolved; None when there is no such method."""
    at = segment.facts.conditional.get(method) if segment else None
    return f"it is defined conditionally (line {at[0]} of its class)" if at else None


def method_reason(segment: Segment, method: str) -> str:
    """Why a method cannot be evolved, "" when it can."""
    lines = segment.facts.repeated.get(method)
    if lines:
        return f"the name occurs {len(lines)} times in its class (lines {', '.join(map(str, lines))} of it)"
    code = segment.method_code(method)
    return _of_block(code) if isinstance(code, SyntaxFault) else ""


def _segment_blocks(segment: Segment, line: int, reason: Callable[[str], str | None]) -> Iterator[Block]:
    outer = segment.facts.outer
    if outer is None:
        return
    for span in (outer, *_first_of_each(segment.facts.methods)):
        address = span.name if span is outer else f"{segment.name}.{span.name}"
        yield Block(
            address=address,
            kind=span.kind,
            lines=(line + span.first - 1, line + span.last - 1),
            digest=span.digest,
            read=_reader(segment, span),
            why=_why(reason, address),
            language=segment.language,
        )
    for name, (first, last, digest) in segment.facts.conditional.items():
        address = f"{segment.name}.{name}"
        hidden = Blocked(address, "method", first, last, digest, reason(address) or "")
        yield _hidden_block(hidden, segment, line)


def _of_block(fault: SyntaxFault) -> str:
    return f"{fault.reason} (line {fault.line} of the block)" if fault.line else fault.reason


def _first_of_each(spans: Iterable[Span]) -> list[Span]:
    return list({span.name: span for span in reversed(list(spans))}.values())[::-1]


def _why(reason: Callable[[str], str | None], address: str) -> Callable[[], str]:
    return lambda: reason(address) or ""


def _reader(segment: Segment, span: Span) -> Callable[[], str]:
    def read() -> str:
        if span.kind == "method":
            code = segment.method_code(span.name)
            if isinstance(code, str):
                return code
        first, last = segment.bounds(span)
        return normalised(segment.text[first:last])

    return read


def _hidden_block(hidden: Blocked, segment: Segment, line: int) -> Block:
    return Block(
        address=hidden.address,
        kind=hidden.kind,
        lines=(line + hidden.first - 1, line + hidden.last - 1),
        digest=hidden.digest,
        read=lambda: normalised("".join(segment.lines[hidden.first - 1 : hidden.last])),
        why=lambda: hidden.reason,
    )


def nothing_to_evolve(name: str, blocks: Iterable[Block]) -> tuple[str, str]:
    """Why a file is no seed model, none of whose blocks but values can be evolved; and what to do."""
    blocks = tuple(blocks)
    if any(block.language != "python" for block in blocks):
        message = f"{name} is a file of values, and no Python file that builds a model."
        return message, f"Give that one, and this beside it: --also {name}."
    first = next((block for block in blocks if block.kind != "values"), None)
    if first is None:
        return (
            f"There is no class and no function in {name}.",
            "A seed model is defined in a class or a function: put what stands at the top of the file into "
            "one, such as def build(): return nn.Sequential(...).",
        )
    return (
        f"No block of {name} can be evolved: {first.address} (line {first.lines[0]}): {first.reason}.",
        "See `ge blocks` for the reason of each block.",
    )
