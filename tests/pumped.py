"""Replies that repeat one piece until they are long: what a pattern that is not linear takes minutes for."""

from __future__ import annotations

from reply_shapes import DRAFT, fence
from transform_seed import SE_WIDE

LENGTH = 190_000
HEAD = "class SE(nn.Module):\n"


def pumped(piece: str, length: int = LENGTH) -> str:
    return piece * (length // len(piece))


PUMPED: dict[str, str] = {
    "a closing tag without an end": HEAD + "</" + "a" * LENGTH,
    "many closing tags without an end": HEAD + pumped("</a"),
    "opening tags": HEAD + pumped("<a>") + "</a>",
    "fences of quotes": HEAD + pumped("'''a\n", 39_000),
    "blanks before a sign": HEAD + "a" + " " * LENGTH + "!",
    "lines of blanks before a sign": HEAD + pumped("a" + " " * 4000 + "!\n"),
    "a numbered line of blanks": "10: a" + " " * LENGTH + "!",
    "one line many times": pumped("10: gate = F.silu(x)\n"),
    "brackets that many lines open": "\n".join(f"{n}: f(" for n in range(1, 9000)),
    "blank lines": HEAD + "\n" * 9000 + "x",
    "thoughts that never end": pumped("<think>"),
    "headings in brackets": pumped("[analysis]"),
    "thoughts that were not begun": HEAD + pumped("</think>\n", 80_000),
    "marks of a chat template": pumped("<|im_end|>"),
    "fences of broken code": pumped("```python\nclass SE(nn.Module):\n  x = 1\n (\n```\n"),
    "fences of blocks": pumped(fence(SE_WIDE) + "\n"),
    "a fence without an end before many ends": f"```python\n{SE_WIDE * 400}\n(\n" + "```\n" * 20,
    "searches without an end": pumped("<<<<<<< SEARCH\nx\n=======\n"),
    "replacements": pumped("<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n"),
    "blocks between prose": pumped("class SE(nn.Module):\n    x = 1\nprose here!\n"),
    "numbers": "1" + " " * LENGTH + "x",
    "rest and rest": fence(SE_WIDE.replace('"""Gate."""', "# " + "rest " * 30_000)),
    "Org blocks without an end": pumped("#+BEGIN_SRC python\nclass SE(nn.Module):\n"),
    "directives one within another": "\n".join(
        f"{' ' * (n % 40)}.. code-block:: python" for n in range(4000)
    ),
    "code of HTML without an end": HEAD + pumped("<pre><code>\n"),
    "headings": f"{fence(SE_WIDE)}\n{'the ' * 30_000}\n{fence(DRAFT)}",
    "JSON that begins again and again": HEAD + pumped('["\n', 29_000),
}
