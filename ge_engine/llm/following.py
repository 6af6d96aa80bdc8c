"""Follow a constraint through a reply, token by token, part by part (llguidance)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llguidance import LLMatcher, LLTokenizer

from ge_engine.contracts import Constraint


class Follower:
    """Holds one reply to its constraint.

    `tokens` are the reply so far. `take` and `start` return what was appended: the drawn token and all
    that the grammar forces behind it, also across the borders of parts. `done` once the answer is whole;
    `error` says why the constraint cannot be followed.
    """

    def __init__(
        self, constraint: Constraint, tokenizer: LLTokenizer, decode: Callable[[Sequence[int]], str]
    ) -> None:
        self._constraint = constraint
        self._tokenizer = tokenizer
        self._decode = decode
        self._ends = frozenset(tokenizer.eos_tokens)
        self.tokens: list[int] = []
        self.done = False
        self.error = ""
        self.matcher: LLMatcher | None = None

    def start(self) -> list[int]:
        """Open the first part; what it forces."""
        self._open_part()
        return self._forced()

    def take(self, token: int) -> list[int]:
        """Append a drawn token, which the matcher's mask allowed."""
        assert self.matcher is not None
        if token in self._ends:
            return self._close_part()
        if not self.matcher.consume_token(token):
            return self._fail(self.matcher.get_error())
        self.tokens.append(token)
        return [token, *self._forced()]

    def _forced(self) -> list[int]:
        forced: list[int] = []
        while self.matcher is not None:
            for token in self.matcher.compute_ff_tokens():
                if token in self._ends:
                    break
                if not self.matcher.consume_token(token):
                    return self._fail(self.matcher.get_error())
                forced.append(token)
                self.tokens.append(token)
            if self.matcher.is_error():
                return self._fail(self.matcher.get_error())
            if not self.matcher.is_stopped() and not self._only_end_left():
                break
            forced += self._close_part()
        return forced

    def _only_end_left(self) -> bool:
        """Whether the part is whole and nothing can follow: then no forward is needed to draw its end."""
        assert self.matcher is not None
        return self.matcher.is_accepting() and self.matcher.compute_ff_tokens()[:1] in (
            [end] for end in self._ends
        )

    def _close_part(self) -> list[int]:
        """Go on to the next part; what it forces. A grammar of no strings ends here, not in a loop."""
        assert self.matcher is not None
        if not self.matcher.is_accepting():
            return self._fail(self.matcher.get_error() or "the grammar allows no answer")
        self._open_part()
        return self._forced()

    def _open_part(self) -> None:
        text = self._constraint.part(self._decode(self.tokens))
        self.matcher = None
        if text is None:
            self.done = True
            return
        matcher = LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(text), log_level=0)
        if matcher.is_error():
            self._fail(matcher.get_error())
            return
        self.matcher = matcher

    def _fail(self, reason: str) -> list[int]:
        self.error = " ".join(reason.split())[:500] or "the grammar cannot be followed"
        self.matcher = None
        self.done = True
        return []
