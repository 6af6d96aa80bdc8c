"""Further shapes of replies, each with what must come of it in each form that may have been asked for.

The block is `SE`, of which the form `edits` asks for the lines 10 and 11 (`gate = ...` and `return ...`).
"""

# ruff: noqa: E501

from __future__ import annotations

import html
import json
from dataclasses import dataclass

from reply_shapes import DRAFT, SE_OLD, SE_SILU, SEARCH, UNIFIED, fence, numbered, shifted
from transform_seed import SE_WIDE, TEXT

NO = "extract"
"""Refused, whatever the reason."""


@dataclass(frozen=True)
class Variant:
    """`block`, `edits` and `diff` are the code that is meant where that form was asked for, or a part of the
    reason to refuse after an exclamation mark."""

    text: str
    block: str
    edits: str
    diff: str
    finish: str = "stop"


def same(text: str, code: str, finish: str = "stop") -> Variant:
    """The same in all forms."""
    return Variant(text, code, code, code, finish)


def of_edits(
    text: str, code: str, elsewhere: str = "!no code in the reply defines SE", finish: str = "stop"
) -> Variant:
    """An answer in the form `edits`, which is none where another form was asked for."""
    return Variant(text, elsewhere, code, elsewhere, finish)


def with_line(old: str, new: str, code: str = SE_WIDE) -> str:
    assert old in code
    return code.replace(old, new)


TEN = "10: gate = F.silu(self.down(x.mean((2, 3))))"
ELEVEN = "11: return x * torch.tanh(self.up(gate))[:, :, None, None]"
SE_TANH = SE_OLD.replace("torch.sigmoid", "torch.tanh")
SE_BOTH = SE_SILU.replace("torch.sigmoid", "torch.tanh")
WITH_DICT = SE_WIDE.replace(
    '    """Gate."""\n',
    '    """Gate."""\n\n    ACTIVATIONS = {\n        10: F.relu,\n        11: F.gelu,\n    }\n',
)
MARKS = SE_WIDE.replace(
    '    """Gate."""\n',
    '    """Gate."""\n\n    tokens = ["<eos>", "[INST]", "<|endoftext|>", "</s>", "<|im_end|>"]\n',
)
TAGGED = SE_WIDE.replace(
    '    """Gate."""\n', '    """Gate."""\n\n    stop = "</think>"\n    start = "<think>"\n'
)
TAG_IN_DOC = SE_WIDE.replace(
    '"""Gate."""', '"""Gate.\n\n    <think>\n    how it is\n    </think>\n    </analysis>\n    """'
)
PROMPT = SE_WIDE.replace(
    '    """Gate."""\n',
    '    """Gate."""\n\n    prompt = """<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"""\n',
)
LISTED = SE_WIDE.replace(
    "        gate = F",
    "        reflection = 0\n        gate = [x][\n            reflection\n        ]\n        [reflection] = [1]\n        gate = F",
)
DOC_OLD = SE_WIDE.replace(
    '"""Gate."""', '"""Gate.\n\n```python\n' + DRAFT.replace('    """Gate."""\n\n', "") + '```\n    """'
)
CALLED = "10: gate = F.silu(\n    self.down(\n        x.mean((2, 3))\n    )\n)"
SE_CALLED = SE_OLD.replace(
    "        gate = F.relu(self.down(x.mean((2, 3))))\n", shifted(CALLED[4:], "        ")
)
THINKING = "<think>\n10: gate = F.elu(self.down(x.mean((2, 3))))\n</think>\n"
HALF = SE_WIDE[: SE_WIDE.index("        gate")]
TAGS = {
    name: f"<{name}>\n{{}}</{name}>\n"
    for name in ("original", "improved", "draft", "final", "code", "rejected")
}


def tagged(name: str, code: str) -> str:
    return TAGS[name].format(code)


def org(code: str, language: str = "python") -> str:
    return f"#+BEGIN_SRC {language}\n{code}#+END_SRC\n"


def asciidoc(code: str, language: str = "python") -> str:
    return f"[source,{language}]\n----\n{code}----\n"


def directive(code: str, language: str = "python") -> str:
    return f".. code-block:: {language}\n\n{shifted(code, '   ')}\n"


def pre(code: str, language: str = "python") -> str:
    return f'<pre><code class="language-{language}">{html.escape(code)}</code></pre>\n'


VARIANTS: dict[str, Variant] = {
    # --- blocks of other markups ---
    "an Org block": same(org(SE_WIDE), SE_WIDE),
    "an Org block in lower case between prose": same(
        f"Here:\n\n{org(SE_WIDE, 'python :results output').replace('BEGIN_SRC', 'begin_src').replace('END_SRC', 'end_src')}\nDone.", SE_WIDE
    ),
    "an Org block after a draft": same(f"{org(DRAFT)}\nBetter:\n\n{org(SE_WIDE)}", SE_WIDE),
    "an Org block that is indented": same(shifted(org(SE_WIDE), "  "), SE_WIDE),
    "an Org block cut off": same(org(SE_WIDE)[:200], "!cut off", "length"),
    "an Org block of a line": of_edits(org(f"{TEN}\n"), SE_SILU, "!"),
    "an Org block of a replacement": same(org(SEARCH, "diff"), SE_SILU),
    "an Org block of a diff": same(f"Smoother:\n{org(UNIFIED, 'diff')}", SE_SILU),
    "an AsciiDoc block": same(f"Here:\n\n{asciidoc(SE_WIDE)}\nDone.", SE_WIDE),
    "an AsciiDoc block of a line": of_edits(asciidoc(f"{TEN}\n"), SE_SILU, "!"),
    "an AsciiDoc block of a replacement": same(asciidoc(SEARCH, "diff"), SE_SILU),
    "a directive of reStructuredText": same(f"Here:\n\n{directive(SE_WIDE)}Done.\n", SE_WIDE),
    "a directive with options": same(f".. code:: python\n   :number-lines:\n\n{shifted(SE_WIDE, '   ')}", SE_WIDE),
    "a directive around a line": of_edits(f"Smoother:\n\n{directive(TEN)}Done.\n", SE_SILU, "!"),
    "a directive around a replacement": same(directive(SEARCH, "diff"), SE_SILU),
    "a directive in the docstring, bare": same(
        with_line('"""Gate."""', '"""Gate.\n\n    .. code-block:: python\n\n        gate = SE(8)\n    """'),
        with_line('"""Gate."""', '"""Gate.\n\n    .. code-block:: python\n\n        gate = SE(8)\n    """'),
    ),
    "code of HTML": same(f"<p>Here:</p>\n{pre(SE_WIDE)}<p>Done.</p>", SE_WIDE),
    "code of HTML without entities": same(f"<pre><code>\n{SE_WIDE}</code></pre>", SE_WIDE),
    "code of HTML around a line": of_edits(pre(TEN), SE_SILU, "!"),
    "code of HTML around a replacement": same(pre(SEARCH, "diff"), SE_SILU),
    # --- reasoning and the forms ---
    "lines within a thought": of_edits(THINKING + TEN, SE_SILU),
    "lines within a thought alone": same(THINKING + "I leave it as it is.", "!"),
    "lines within a thought that never ends": same("<think>\n" + TEN, "!reasoning never ended"),
    "a search within a thought": Variant(f"<think>\n{SEARCH.replace('F.silu', 'F.elu')}</think>\n{SEARCH}", SE_SILU, SE_SILU, SE_SILU),
    "a search within a thought alone": same(f"<think>\n{SEARCH}</think>\nNo change is better.", "!"),
    "a thought that the template opened, then a line": of_edits(f"10: gate = 3\nhm.</think>\n{TEN}", SE_SILU),
    "a line in the analysis channel": of_edits(
        f"<|channel|>analysis<|message|>10: gate = 3<|end|><|start|>assistant<|channel|>final<|message|>{TEN}<|return|>", SE_SILU
    ),
    "a thought that ends in a quote": same(f'<think>\nso it is "wider"</think>\n{fence(SE_WIDE)}', SE_WIDE),
    "a thought that ends in a quote, opened by the template": same(f"{fence(DRAFT)}\nso it is 'wider'</think>\n{fence(SE_WIDE)}", SE_WIDE),
    "a closing tag after the fence": same(f"{fence(SE_WIDE)}\n</think>", SE_WIDE),
    "a closing tag after the fence, and prose": same(f"{fence(SE_WIDE)}\n</think>\nThat is wider.", SE_WIDE),
    "a tag that prose speaks of": same(f"{fence(SE_WIDE)}\nIt no longer ends with `</think>` as before.", SE_WIDE),
    "a tag that prose speaks of without quotes": same(f"{fence(SE_WIDE)}\nA </think> is never printed.", SE_WIDE),
    "tags in strings, in a fence": same(fence(TAGGED), TAGGED),
    "tags in strings, bare": same(TAGGED, TAGGED),
    "tags in strings, after a thought": same(f"<think>\nhm\n</think>\n{TAGGED}", TAGGED),
    "tags in a docstring, in a fence": same(fence(TAG_IN_DOC), TAG_IN_DOC),
    "tags in a docstring, bare": same(TAG_IN_DOC, TAG_IN_DOC),
    "a heading in brackets": same(f"[Analysis]\nThe gate is narrow.\n\n[Reflection]\nWider.\n\n{fence(SE_WIDE)}", SE_WIDE),
    "a heading in brackets after the code": same(f"{fence(SE_WIDE)}\n\n[Reasoning]\nIt is wider.", SE_WIDE),
    "code that begins with a name in brackets": same(fence(LISTED), LISTED),
    "bare code that begins with a name in brackets": same(f"Here:\n\n{LISTED}", LISTED),
    "a thought between two fences": same(f"{fence(DRAFT)}\n<think>\nwas it right?\n{fence(SE_OLD)}\n</think>\n{fence(SE_WIDE)}", SE_WIDE),
    "a thought after the answer": same(f"{fence(SE_WIDE)}\n<think>\nwas it right? {TEN}\n</think>", SE_WIDE),
    "a thought after the answer that never ends": same(f"{fence(SE_WIDE)}\n<think>\nwas it right?", SE_WIDE),
    "a draft in a fence that a thought leaves open": same(f"try ```\n```python\n{HALF}\nno.\n</think>\n{fence(SE_WIDE)}", SE_WIDE),
    # --- marks of chat templates ---
    "marks in strings, in a fence": same(fence(MARKS), MARKS),
    "marks in strings, bare": same(MARKS, MARKS),
    "marks in strings, bare, within marks": same(f"<|im_start|>assistant\n{MARKS.rstrip()}<|im_end|>\n", MARKS),
    "marks on lines of a string, in a fence": same(f"[/INST] {fence(PROMPT)}</s>", PROMPT),
    "marks on lines of a string, bare": same(f"Here it is.\n\n{PROMPT}", PROMPT),
    "a mark glued to the fence": same(f"{fence(SE_WIDE)}<|im_end|>\n<|im_start|>user\nThanks<|im_end|>", SE_WIDE),
    "a mark before the fence": same(f"<|assistant|>{fence(SE_WIDE)}<|eot_id|>", SE_WIDE),
    "bare code, a mark and another turn": same(f"{SE_WIDE.rstrip()}<|im_end|>\n<|im_start|>user\nthanks", SE_WIDE),
    "a line within marks": of_edits(f"<|im_start|>assistant\n{TEN}<|im_end|>", SE_SILU),
    # --- the form edits ---
    "both lines": of_edits(f"{TEN}\n{ELEVEN}", SE_BOTH),
    "one of two lines": of_edits(ELEVEN, SE_TANH),
    "lines in a fence": of_edits(fence(f"{TEN}\n{ELEVEN}\n"), SE_BOTH),
    "lines in two fences": of_edits(f"{fence(TEN + chr(10))}\nand\n{fence(ELEVEN + chr(10))}", SE_BOTH),
    "lines with bars": of_edits(f"{TEN} \n{ELEVEN}".replace(":", " |", 1), SE_BOTH),
    "lines as inline code": of_edits(f"`{TEN}`\n\n11: `{ELEVEN[4:]}`", SE_BOTH),
    "lines in a list": of_edits(f"- {TEN}\n* {ELEVEN}", SE_BOTH),
    "lines with the word line": of_edits(f"Line {TEN}\n**Line 11:** {ELEVEN[4:]}", SE_BOTH),
    "lines between prose": of_edits(f"I use SiLU:\n\n{TEN}\n\nIt is smoother. Shapes stay.", SE_SILU),
    "prose right below a line": of_edits(f"{TEN}\nThis is smoother.", SE_SILU),
    "an explanation by numbers": of_edits(f"{fence(TEN + chr(10))}\nWhat I did:\n10: SiLU\n2: nothing else", SE_SILU),
    "an explanation by numbers without a fence": of_edits(f"{TEN}\n\nWhat I did:\n10: SiLU\n3: kept the rest", SE_SILU),
    "old and new text of a line": of_edits(f"{TEN.replace('silu', 'relu')}\nbecomes\n{TEN}", SE_SILU),
    "new and old text of a line": of_edits(f"{TEN}\nwhich was\n{TEN.replace('silu', 'relu')}", SE_SILU),
    "a draft and a corrected line": of_edits(f"{TEN.replace('silu', 'gelu')}\nNo, better:\n{TEN}", SE_SILU),
    "neighbours as they are": of_edits(f"9: def forward(self, x):\n{TEN}\n", SE_SILU),
    "a line that was not asked for": of_edits(f"6: self.down = nn.Linear(channels, channels)\n{TEN}", "!changes line 6, which was not asked for"),
    "only a line that was not asked for": of_edits("7: self.up = nn.Identity()", "!changes line 7, which was not asked for"),
    "a line that does not exist": of_edits("40: x = 1", "!the block has 11 lines"),
    "pass after a refusal": of_edits("I cannot improve it.\n2: pass", "!changes line 2"),
    "a numbered refusal": of_edits("1: I cannot help.\n2: Sorry.", "!no line of the form"),
    "a statement over several lines": of_edits(CALLED, SE_CALLED),
    "a statement over several lines in a fence": of_edits(fence(f"{CALLED}\n{ELEVEN}\n"), SE_CALLED.replace("sigmoid", "tanh")),
    "a statement over numbered lines, another line below": of_edits(
        "11: return x * torch.tanh(\n12:     self.up(gate)\n13: )[:, :, None, None]",
        SE_TANH.replace("torch.tanh(self.up(gate))", "torch.tanh(\n            self.up(gate)\n        )"),
    ),
    "a statement that is never finished": of_edits("10: gate = F.silu(self.down(", "!"),
    "a second statement under a line": of_edits(
        "10: gate = self.down(x.mean((2, 3)))\n    gate = F.silu(gate)",
        SE_OLD.replace("gate = F.relu(self.down(x.mean((2, 3))))", "gate = self.down(x.mean((2, 3)))\n        gate = F.silu(gate)"),
    ),
    "a statement with lines of its own": of_edits(
        fence("10: if x is None:\n        return x\n    else:\n        gate = F.silu(self.down(x.mean((2, 3))))\n"),
        SE_OLD.replace(
            "        gate = F.relu(self.down(x.mean((2, 3))))\n",
            "        if x is None:\n            return x\n        else:\n            gate = F.silu(self.down(x.mean((2, 3))))\n",
        ),
    ),
    "code without a number after a line": of_edits(f"{TEN}\n\nself.extra = nn.ReLU()", "!without the number of its line"),
    "a line cut off": of_edits("10: gate = F.silu(self.down(x", "!cut off", "!cut off", "length"),
    "a whole line, cut off": of_edits(f"{TEN}\n11: return x", "!cut off", "!cut off", "length"),
    "lines in a closed fence, prose cut off": of_edits(f"{fence(TEN + chr(10))}\nThis is", SE_SILU, "!cut off", "length"),
    "nothing but prose, cut off": same("I think that the gate", "!cut off", "length"),
    # --- whole blocks with numbers or with what looks like it ---
    "a dict with numbers, in a fence": same(fence(WITH_DICT), WITH_DICT),
    "a dict with numbers, bare": same(f"Here it is:\n\n{WITH_DICT}", WITH_DICT),
    "a block where lines were asked for": same(fence(SE_WIDE), SE_WIDE),
    "a bare block where lines were asked for": same(SE_WIDE, SE_WIDE),
    "a numbered block": same(numbered(SE_WIDE, ": "), SE_WIDE),
    "a numbered block in a fence": same(fence(numbered(SE_WIDE, ": ")), SE_WIDE),
    "a numbered block between prose": same(f"Here is all of it:\n\n{numbered(SE_WIDE, ': ')}\nIt is wider.", SE_WIDE),
    "a numbered block with bars": same(numbered(SE_WIDE, " | "), SE_WIDE),
    "a numbered block with dots": same(f"The block:\n{numbered(SE_WIDE, '. ')}", SE_WIDE),
    "a numbered block with blanks": same(f"The block:\n\n{numbered(SE_WIDE, ' ')}", SE_WIDE),
    "a numbered block with tabs": same(fence(numbered(SE_WIDE, "\t")), SE_WIDE),
    "a numbered block with arrows": same(fence(numbered(SE_WIDE, "\u2192")), SE_WIDE),
    "a numbered block, numbers of the file": same(
        fence("".join(f"{n:>4}: {line}\n" for n, line in enumerate(SE_WIDE.rstrip().split("\n"), 16))), SE_WIDE
    ),
    "a longer numbered block": same(fence(numbered(WITH_DICT, ": ")), WITH_DICT),
    "a shorter numbered block": same(
        numbered(SE_WIDE.replace('    """Gate."""\n\n', ""), ": "), SE_WIDE.replace('    """Gate."""\n\n', "")
    ),
    "a numbered block and a line after it": Variant(
        f"{TEN}\n\nAll of it:\n{fence(SE_WIDE)}", SE_WIDE, SE_SILU, SE_WIDE
    ),
    "a numbered block whose indents are gone": same(
        fence("".join(f"{n}: {line.strip()}\n" for n, line in enumerate(SE_WIDE.split("\n"), 1))), "!"
    ),
    "a numbered block cut off": same(numbered(SE_WIDE[:260], ": "), "!cut off", "length"),
    # --- the form diff ---
    "two replacements": same(SEARCH + SEARCH.replace("gate = F.relu(self.down(x.mean((2, 3))))", "return x * torch.sigmoid(self.up(gate))[:, :, None, None]").replace("gate = F.silu(self.down(x.mean((2, 3))))", "return x * torch.tanh(self.up(gate))[:, :, None, None]"), SE_BOTH),
    "a replacement and one that does not fit": same(SEARCH + SEARCH.replace("x.mean", "x.amax"), "!does not occur"),
    "the same line replaced twice": same(SEARCH + SEARCH.replace("F.silu", "F.gelu"), "!overlap"),
    "a replacement that is not finished": same(SEARCH + "<<<<<<< SEARCH\n        x\n=======\n", "!cannot be read"),
    "a replacement of what another brings in": same(
        SEARCH + SEARCH.replace("F.silu", "F.gelu").replace("F.relu", "F.silu"), SE_OLD.replace("F.relu", "F.gelu")
    ),
    "an indented replacement": same(shifted(SEARCH, "").replace("<<<<<<<", "  <<<<<<<").replace("=======", "  =======").replace(">>>>>>>", "  >>>>>>>"), SE_SILU),
    "a diff with prose around": same(f"I use SiLU.\n\n{UNIFIED}\nThat is smoother.", SE_SILU),
    "a replacement cut off after the first": same(SEARCH + SEARCH[:60], "!cut off", "length"),
    "a block where a diff was asked for, with a heading": same(f"### New code\n{fence(SE_WIDE)}", SE_WIDE),
    # --- two versions ---
    "tags original and improved": same(tagged("original", SE_OLD) + tagged("improved", SE_WIDE), SE_WIDE),
    "tags improved and original": same(tagged("improved", SE_WIDE) + tagged("original", SE_OLD), SE_WIDE),
    "tags draft and final": same(tagged("draft", DRAFT) + tagged("final", SE_WIDE), SE_WIDE),
    "tags final and draft": same(tagged("final", SE_WIDE) + tagged("draft", DRAFT), SE_WIDE),
    "tags final and rejected, with fences": same(f"<final>\n{fence(SE_WIDE)}\n</final>\n<rejected>\n{fence(DRAFT)}\n</rejected>", SE_WIDE),
    "the same tag twice": same(tagged("code", DRAFT) + "Better:\n" + tagged("code", SE_WIDE), SE_WIDE),
    "tags within tags": same(f"<answer>\n{tagged('draft', tagged('code', DRAFT))}{tagged('final', tagged('code', SE_WIDE))}</answer>", SE_WIDE),
    "a final tag, then a draft with a tag of its own": same(f"{tagged('final', SE_WIDE)}{tagged('draft', tagged('code', DRAFT))}", SE_WIDE),
    "only a rejected draft in tags": same(tagged("rejected", DRAFT), "!"),
    "JSON code and rejected draft": same(json.dumps({"code": SE_WIDE, "rejected_draft": DRAFT}), SE_WIDE),
    "JSON before and after": same(json.dumps({"before": SE_OLD, "after": SE_WIDE}), SE_WIDE),
    "JSON after and originalCode": same(json.dumps({"after": SE_WIDE, "originalCode": DRAFT}), SE_WIDE),
    "JSON draft and final": same(json.dumps({"draft": DRAFT, "final": SE_WIDE}), SE_WIDE),
    "JSON of versions": same(json.dumps([{"code": DRAFT}, {"code": SE_WIDE}]), SE_WIDE),
    "JSON of a version and the original": same(json.dumps([{"code": SE_WIDE}, {"code": SE_OLD}]), SE_WIDE),
    "JSON lines": same(json.dumps({"code": DRAFT}) + "\n" + json.dumps({"code": SE_WIDE}), SE_WIDE),
    "JSON lines in a fence": same(fence(json.dumps({"code": DRAFT}) + "\n" + json.dumps({"code": SE_WIDE}) + "\n", "json"), SE_WIDE),
    "JSON in the draft of a thought": same(json.dumps({"thought": DRAFT, "answer": {"code": SE_WIDE}}), SE_WIDE),
    "only an original in JSON": same(json.dumps({"original": DRAFT}), "!"),
    "Python strings": same(f"draft = '''\n{DRAFT}'''\ncode = '''\n{SE_WIDE}'''\n", SE_WIDE),
    "Python strings, the old one last": same(f"code = '''\n{SE_WIDE}'''\nold_code = '''\n{DRAFT}'''\n", SE_WIDE),
    "Python strings, in a dict": same(f"{{'final': '''\n{SE_WIDE}''', 'draft': '''\n{DRAFT}'''}}", SE_WIDE),
    "Python strings, as arguments": same(f"edit(new='''\n{SE_WIDE}''', old='''\n{DRAFT}''')", SE_WIDE),
    "two Python strings without names": same(f"'''\n{DRAFT}'''\n'''\n{SE_WIDE}'''\n", SE_WIDE),
    "a rejected draft under its heading, last": same(f"{fence(SE_WIDE)}\n\nRejected draft:\n{fence(DRAFT)}", SE_WIDE),
    "a first draft under its heading, last": same(f"## Final\n{fence(SE_WIDE)}\n\n### First draft (too narrow)\n{fence(DRAFT)}", SE_WIDE),
    "a heading that names the original": same(f"An improved version of the original:\n{fence(SE_WIDE)}", SE_WIDE),
    "only a draft under its heading": same(f"Draft:\n{fence(SE_WIDE)}", SE_WIDE),
    "original and new without fences": same(f"New:\n\n{SE_WIDE}\n\nOriginal:\n\n{DRAFT}", SE_WIDE),
    "a version in the docstring, bare": same(DOC_OLD, DOC_OLD),
    "a version in the docstring, bare, between prose": same(f"Here it is.\n\n{DOC_OLD}\nDone, and wider.", DOC_OLD),
    "a version in the docstring, in a fence": same(fence(DOC_OLD), DOC_OLD),
    "the whole file, bare": same(TEXT.replace(SE_OLD, SE_WIDE.rstrip("\n")), SE_WIDE),
}  # fmt: skip
