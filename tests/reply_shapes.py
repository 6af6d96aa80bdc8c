"""Shapes in which models answer. Each: the text, what must come of it, and what a naive expression
(the first ```...```) makes of it: "right", "wrong" (other code, or code that does not compile) or
"nothing"."""

# ruff: noqa: E501

from __future__ import annotations

import json
from dataclasses import dataclass

from transform_seed import FORWARD, SE_WIDE, TEXT

SE_OLD = TEXT[TEXT.index("class SE") : TEXT.index("\n\n# --- Net")]
HELPER = "def swish(x):\n    return x * torch.sigmoid(x)\n"
SE_HELPED = SE_WIDE.replace("F.silu(", "swish(")
FENCED_DOC = SE_WIDE.replace(
    '"""Gate."""', '"""Gate.\n\n    Example:\n\n```python\ngate = SE(8)\n```\n    """'
)
DRAFT = SE_WIDE.replace("F.silu", "F.gelu")
BROKEN = SE_WIDE.replace("F.silu(self", "F.silu((self")
DEEP = "class SE(nn.Module):\n    x = " + "(" * 3000 + "1" + ")" * 3000 + "\n"


@dataclass(frozen=True)
class Shape:
    """`code` is what is meant, or `refused` a part of the reason."""

    text: str
    naive: str
    code: str = SE_WIDE
    refused: str = ""
    address: str = "SE"
    finish: str = "stop"
    stage: str = "extract"


def fence(code: str, info: str = "python", marks: str = "```") -> str:
    return f"{marks}{info}\n{code}{marks}"


def shifted(code: str, by: str) -> str:
    return "".join(f"{by}{line}\n" if line else "\n" for line in code.rstrip("\n").split("\n"))


def numbered(code: str, mark: str) -> str:
    return "".join(f"{n:>3}{mark}{line}\n" for n, line in enumerate(code.rstrip("\n").split("\n"), 1))


SEARCH = "<<<<<<< SEARCH\n        gate = F.relu(self.down(x.mean((2, 3))))\n=======\n        gate = F.silu(self.down(x.mean((2, 3))))\n>>>>>>> REPLACE\n"
SE_SILU = SE_OLD.replace("F.relu", "F.silu")
UNIFIED = (
    "--- a/model.py\n+++ b/model.py\n@@ -22,5 +22,5 @@ class SE(nn.Module):\n     def forward(self, x):\n"
    "-        gate = F.relu(self.down(x.mean((2, 3))))\n+        gate = F.silu(self.down(x.mean((2, 3))))\n"
    "         return x * torch.sigmoid(self.up(gate))[:, :, None, None]\n"
)
BEYOND = (
    "@@ -30,4 +30,4 @@\n         return x * torch.sigmoid(self.up(gate))[:, :, None, None]\n \n \n # --- Net ---\n"
    "@@ -20,2 +20,2 @@\n-        self.up = nn.Linear(channels // ratio, channels)\n+        self.up = nn.Linear(channels // ratio, channels, bias=False)\n"
    "@@ -26,5 +26,5 @@\n-        gate = F.relu(self.down(x.mean((2, 3))))\n+        gate = F.silu(self.down(x.mean((2, 3))))\n"
    "         return x * torch.sigmoid(self.up(gate))[:, :, None, None]\n \n \n # --- Net ---\n"
)
TYPO = SE_WIDE.replace('"""Gate."""', '"""Ga\u00a0te \u201cx\u201d."""').replace(
    "gate = F.silu(self.down(x.mean((2, 3))))", 'gate = getattr(F, "silu")(self.down(x.mean((2, 3))))'
)

SHAPES: dict[str, Shape] = {
    # --- fences ---
    "one fence": Shape(fence(SE_WIDE), "right"),
    "fence with prose around": Shape(f"Here it is:\n\n{fence(SE_WIDE)}\n\nIt is wider.", "right"),
    "fence without a language": Shape(fence(SE_WIDE, ""), "right"),
    "fence of py": Shape(fence(SE_WIDE, "py"), "nothing"),
    "fence of Python3 with a title": Shape(fence(SE_WIDE, "Python3 title=model.py"), "nothing"),
    "fence of braces": Shape(fence(SE_WIDE, "{.python .numberLines}"), "nothing"),
    "fence of tildes": Shape(fence(SE_WIDE, "python", "~~~"), "nothing"),
    "fence of four backticks around three": Shape(fence(FENCED_DOC, "python", "````"), "wrong", FENCED_DOC),
    "fence in the docstring": Shape(fence(FENCED_DOC), "wrong", FENCED_DOC),
    "tildes around backticks": Shape(fence(FENCED_DOC, "python", "~~~"), "wrong", FENCED_DOC),
    "draft, corrected, usage": Shape(
        f"{fence(DRAFT)}\nBetter:\n{fence(SE_WIDE)}\nUse:\n{fence('model = SE(8)' + chr(10))}", "wrong"
    ),
    "shell first": Shape(f"{fence('pip install torch' + chr(10), 'bash')}\n{fence(SE_WIDE)}", "nothing"),
    "usage first": Shape(f"{fence('print(SE(8))' + chr(10))}\n{fence(SE_WIDE)}", "wrong"),
    "new first, then the original again": Shape(f"New:\n{fence(SE_WIDE)}\nOriginal was:\n{fence(SE_OLD)}", "right"),
    "original first, then new": Shape(f"Before:\n{fence(SE_OLD)}\nAfter:\n{fence(SE_WIDE)}", "wrong"),
    "two fences of other names": Shape(
        f"{fence('class A:' + chr(10) + '    x = 1' + chr(10))}\n{fence(SE_WIDE.replace('class SE', 'class SE_v2'))}",
        "wrong", refused="SE was asked for and the reply defines SE_v2",
    ),
    "another name": Shape(fence(SE_WIDE.replace("class SE", "class SEBlock")), "wrong", refused="the reply defines SEBlock"),
    "fence in a list item": Shape("1. The block:\n\n" + shifted(fence(SE_WIDE), "   "), "wrong"),
    "fence in a quotation": Shape("".join(f"> {line}\n" for line in fence(SE_WIDE).split("\n")), "wrong"),
    "code on the opening line": Shape("```python " + SE_WIDE + "```", "nothing"),
    "code glued to the marks": Shape("```" + SE_WIDE + "```", "nothing"),
    "closing marks longer": Shape(f"```python\n{SE_WIDE}`````", "right"),
    "closing marks with blanks": Shape(f"```python\n{SE_WIDE}   ```  \n", "right"),
    "no closing fence": Shape(f"```python\n{SE_WIDE}", "nothing"),
    "no closing fence, prose after": Shape(f"```python\n{SE_WIDE}\nThis widens the gate.\n", "nothing"),
    "no closing fence, token limit": Shape(f"```python\n{SE_WIDE}", "nothing", refused="cut off", finish="length"),
    "half a block, token limit": Shape(f"```python\n{SE_WIDE[:180]}", "nothing", refused="cut off", finish="length"),
    "closed fence, prose cut off": Shape(f"{fence(SE_WIDE)}\nThis widens the", "right", finish="length"),
    "draft, then the corrected one cut off": Shape(
        f"{fence(DRAFT)}\nBetter:\n```python\n{SE_WIDE[:200]}", "wrong", refused="cut off", finish="length"
    ),
    "only a closing fence": Shape(f"{SE_WIDE}```\n", "nothing"),
    "helper in its own fence": Shape(f"{fence(HELPER)}\nand\n{fence(SE_HELPED)}", "wrong", HELPER + "\n\n" + SE_HELPED),
    "helper after the block": Shape(f"{fence(SE_HELPED)}\nwith\n{fence(HELPER)}", "wrong", HELPER + "\n\n" + SE_HELPED),
    "empty fence": Shape("```python\n```", "wrong", refused="empty code block"),
    "fence of comments": Shape(fence("# nothing to change\n"), "wrong", refused="no code in the reply defines SE"),
    "windows line ends": Shape(fence(SE_WIDE).replace("\n", "\r\n"), "nothing"),
    "old mac line ends": Shape(fence(SE_WIDE).replace("\n", "\r"), "nothing"),
    "markdown in a fence of four": Shape(fence(f"Here:\n\n{fence(SE_WIDE)}\n\nDone.\n", "markdown", "````"), "right"),
    "markdown in a fence of three": Shape(fence(f"Here:\n\n{fence(SE_WIDE)}\n\nDone.\n", "markdown"), "right"),
    # --- no fences ---
    "bare code": Shape(SE_WIDE, "nothing"),
    "bare code between prose": Shape(f"Sure! Here is the block.\n\n{SE_WIDE}\nThis keeps the shapes.\nIt is wider.", "nothing"),
    "bare code, then a list": Shape(f"{SE_WIDE}\nChanges:\n  - wider\n  - SiLU\n", "nothing"),
    "language word above": Shape(f"python\n{SE_WIDE}", "nothing"),
    "bare code, token limit": Shape(SE_WIDE, "nothing", refused="cut off", finish="length"),
    "draft and corrected without fences": Shape(f"First:\n\n{DRAFT}\nBut better:\n\n{SE_WIDE}\nDone.", "nothing"),
    "import, prose, class": Shape(f"Here:\n\nimport math\n\n{SE_WIDE}\nfrom this on it is fine.", "nothing"),
    "indented by four": Shape(fence(shifted(SE_WIDE, "    ")), "wrong"),
    "indented by a tab": Shape(fence(shifted(SE_WIDE, "\t")), "wrong"),
    "bare and indented": Shape("The block:\n\n" + shifted(SE_WIDE, "    ") + "\nDone.\n", "nothing"),
    "prose with signs before code": Shape(f"Changes:\n- self.down = wider\n+ SiLU\n\n{SE_WIDE}", "nothing"),
    "a diff whose context is the header": Shape(
        " def make_norm(channels):\n-    return nn.BatchNorm2d(channels, eps=EPS)\n+    return nn.GroupNorm(1, channels)\n",
        "nothing", "def make_norm(channels):\n    return nn.GroupNorm(1, channels)\n", address="make_norm",
    ),
    "no code": Shape("I would make the gate wider and use SiLU.", "nothing", refused="no code in the reply defines SE"),
    "refusal": Shape("I cannot help with that.", "nothing", refused="no code in the reply defines SE"),
    "empty": Shape("", "nothing", refused="the reply is empty"),
    "blank": Shape(" \n\n", "nothing", refused="the reply is empty"),
    # --- reasoning ---
    "think": Shape(f"<think>\nTry this:\n{fence(DRAFT)}\n</think>\n{fence(SE_WIDE)}", "wrong"),
    "think without an opening": Shape(f"let me see\n{fence(DRAFT)}\nno.</think>\n{fence(SE_WIDE)}", "wrong"),
    "think twice": Shape(f"<think>a</think>{chr(10)}<think>\n{fence(DRAFT)}\n</think>\n{fence(SE_WIDE)}", "wrong"),
    "reasoning in capitals": Shape(f"<REASONING>\n{fence(DRAFT)}\n</REASONING>\n{fence(SE_WIDE)}", "wrong"),
    "think in brackets": Shape(f"[THINK]\n{fence(DRAFT)}\n[/THINK]\n{fence(SE_WIDE)}", "wrong"),
    "scratchpad": Shape(f"<scratchpad>\n{fence(DRAFT)}\n</scratchpad>\n{fence(SE_WIDE)}", "wrong"),
    "channels": Shape(
        f"<|channel|>analysis<|message|>try\n{fence(DRAFT)}<|end|><|start|>assistant<|channel|>final<|message|>{fence(SE_WIDE)}<|return|>",
        "wrong",
    ),
    "reasoning never ends": Shape(f"<think>\n{fence(DRAFT)}\nor maybe", "wrong", refused="reasoning never ended"),
    "all in reasoning, token limit": Shape("<think>\nfirst", "nothing", refused="cut off at the token limit", finish="length"),
    "empty, token limit": Shape("", "nothing", refused="cut off at the token limit", finish="length"),
    "chat template marks": Shape(f"<|im_start|>assistant\n{fence(SE_WIDE)}<|im_end|>", "right"),
    "a closing tag in a string": Shape(
        fence(SE_WIDE.replace('"""Gate."""', 'tag = "</think>"')), "right", SE_WIDE.replace('"""Gate."""', 'tag = "</think>"')
    ),
    # --- wrapped ---
    "json": Shape(json.dumps({"address": "SE", "code": SE_WIDE}), "nothing"),
    "json in a fence": Shape(fence(json.dumps({"code": SE_WIDE}, indent=2) + "\n", "json"), "nothing"),
    "json with prose": Shape("Here you go:\n" + json.dumps({"explanation": "wider", "new_code": SE_WIDE}) + "\nDone.", "nothing"),
    "json with a fence in it": Shape(json.dumps({"code": fence(SE_WIDE)}), "nothing"),
    "json list of lines": Shape(json.dumps({"lines": SE_WIDE.split("\n")}), "nothing"),
    "json string": Shape(json.dumps(SE_WIDE), "nothing"),
    "json with raw line ends": Shape('{"code": "' + SE_WIDE.replace('    """Gate."""\n\n', "").rstrip("\n") + '"}', "nothing", SE_WIDE.replace('    """Gate."""\n\n', "")),
    "nested json": Shape(json.dumps({"result": {"edits": [{"new": SE_WIDE}]}}), "nothing"),
    "python dict": Shape(repr({"code": SE_WIDE}), "nothing"),
    "code in a python string": Shape(fence("code = '''\n" + SE_WIDE + "'''\n"), "wrong"),
    "escaped line ends": Shape(fence(SE_WIDE.replace("\n", "\\n") + "\n"), "wrong"),
    "escaped line ends, bare": Shape(SE_WIDE.replace("\n", "\\n"), "nothing"),
    "tags": Shape(f"<code>\n{SE_WIDE}</code>", "nothing"),
    "answer tags around a fence": Shape(f"<answer>\n{fence(SE_WIDE)}\n</answer>", "right"),
    "tool call": Shape(f'<function=edit>\n<parameter name="code">\n{SE_WIDE}</parameter>\n</function>', "nothing"),
    "html": Shape("<pre><code>" + SE_WIDE.replace('"', "&quot;") + "</code></pre>", "nothing"),
    "cdata": Shape(f"<block><![CDATA[{SE_WIDE}]]></block>", "nothing"),
    "fence of single quotes": Shape("'''python\n" + SE_WIDE + "'''\n", "nothing"),
    "inline code": Shape("`def make_norm(channels): return nn.Identity()`", "nothing", "def make_norm(channels): return nn.Identity()\n", address="make_norm"),
    # --- characters and prefixes ---
    "no-break spaces": Shape(fence(SE_WIDE.replace("    ", "\u00a0\u00a0\u00a0\u00a0")), "wrong"),
    "curly quotes": Shape(fence(TYPO.replace('"silu"', "\u201csilu\u201d")), "wrong", TYPO),
    "curly single quotes": Shape(fence(TYPO.replace('"silu"', "\u2018silu\u2019")), "wrong", TYPO.replace('"silu"', "'silu'")),
    "en dash for minus": Shape(fence(SE_WIDE.replace("F.silu(", "\u2013F.silu(")), "wrong", SE_WIDE.replace("F.silu(", "-F.silu(")),
    "zero-width space": Shape(fence(SE_WIDE.replace("class SE", "class\u200b SE")), "wrong"),
    "byte order mark": Shape("\ufeff" + fence(SE_WIDE), "right"),
    "line numbers with bars": Shape(fence(numbered(SE_WIDE, " | ")), "wrong"),
    "line numbers with colons": Shape(fence(numbered(SE_WIDE, ": ")), "wrong"),
    "prompt of the interpreter": Shape(
        fence(">>> " + SE_WIDE.rstrip("\n").replace("\n", "\n... ") + "\n"), "wrong"
    ),
    "quotation without a fence": Shape("".join(f"> {line}\n" for line in SE_WIDE.rstrip("\n").split("\n")), "nothing"),
    # --- edits ---
    "search and replace": Shape(SEARCH, "nothing", SE_SILU),
    "search and replace in a fence": Shape(f"model.py\n{fence(SEARCH)}", "wrong", SE_SILU),
    "search and replace that matches nothing": Shape(SEARCH.replace("F.relu", "F.elu"), "nothing", refused="does not occur in SE"),
    "search and replace that matches twice": Shape(
        "<<<<<<< SEARCH\n        x = 1\n=======\n        x = 2\n>>>>>>> REPLACE\n", "nothing", refused="does not occur"
    ),
    "search and replace cut off": Shape(SEARCH + SEARCH[:80], "nothing", refused="cut off", finish="length"),
    "search and replace of no change": Shape(
        SEARCH.replace("F.silu", "F.relu"), "nothing", refused="the edit changes nothing"
    ),
    "unified diff": Shape(UNIFIED, "nothing", SE_SILU),
    "unified diff in a fence": Shape(fence(UNIFIED, "diff"), "nothing", SE_SILU),
    "unified diff without a header": Shape(fence(UNIFIED.split("\n", 3)[3], "diff"), "nothing", SE_SILU),
    "diff that reaches beyond the block": Shape(
        fence(BEYOND, "diff"), "nothing", SE_SILU.replace("ratio, channels)", "ratio, channels, bias=False)")
    ),
    "diff of another block": Shape(
        UNIFIED.replace("F.relu(self.down(x.mean((2, 3))))", "2").replace("    def forward", "    def twice"), "nothing",
        refused="does not occur in SE",
    ),
    "diff that only adds": Shape(fence("".join(f"+{line}\n" for line in SE_WIDE.rstrip("\n").split("\n")), "diff"), "nothing"),
    "apply_patch": Shape(
        "*** Begin Patch\n*** Update File: model.py\n@@ class SE\n-        gate = F.relu(self.down(x.mean((2, 3))))\n"
        "+        gate = F.silu(self.down(x.mean((2, 3))))\n*** End Patch\n", "nothing", SE_SILU,
    ),
    "diff of a method as it stands in the file": Shape(
        fence("@@ -44 +44 @@\n-        x = self.gate(self.norm(self.stem(x)))\n+        x = F.relu(self.norm(self.stem(x)))\n"
              "@@ -46 +46 @@\n-        return self.head(x.mean((2, 3)))\n+        return self.head(self.gate(x).mean((2, 3)))\n", "diff"),
        "nothing", FORWARD, address="Net.forward",
    ),
    # --- more than was asked, or less ---
    "the whole file": Shape(fence(TEXT.replace(SE_OLD, SE_WIDE.rstrip("\n"))), "right"),
    "a method alone": Shape(fence(FORWARD), "right", FORWARD, address="Net.forward"),
    "a method in its class": Shape(fence("class Net(nn.Module):\n" + shifted(FORWARD, "    ")), "right", FORWARD, address="Net.forward"),
    "a method as it stands in the file": Shape(fence(shifted(FORWARD, "    ")), "wrong", FORWARD, address="Net.forward"),
    "a method whose first line lost its indent": Shape(
        fence(shifted(FORWARD, "    ").lstrip()), "right", FORWARD.replace("\n    ", "\n        "), address="Net.forward"
    ),
    "decorated as it stands in the file": Shape(
        fence("    @staticmethod\n    def twice(x):\n        return x + x\n"), "wrong",
        "@staticmethod\ndef twice(x):\n    return x + x\n", address="Net.twice",
    ),
    "a method for a class": Shape(fence(FORWARD), "wrong", refused="the reply defines forward"),
    "a class for a function": Shape(fence("class make_norm:\n    x = 1\n"), "wrong", refused="the reply defines make_norm", address="make_norm"),
    # --- taken, and refused by a later check ---
    "elision": Shape(
        fence("class SE(nn.Module):\n    # ... rest unchanged\n    def forward(self, x): ...\n"), "wrong",
        refused="missing: __init__", stage="contract",
    ),
    "broken": Shape(fence(BROKEN), "wrong", refused="was never closed", stage="compile"),
    "broken, without a fence": Shape(f"Here:\n\n{BROKEN}", "nothing", refused="", stage="compile"),
    "3,000 parentheses": Shape(fence(DEEP), "wrong", refused="too many nested parentheses", stage="compile"),
    "inconsistent indent": Shape(
        fence("def forward(self, x):\n    y = x\n  return y\n"), "wrong", refused="unindent", stage="compile", address="Net.forward"
    ),
    "a line between that is no code": Shape(
        "def forward(self, x):\n    y = x\nand then\n    return y\n", "nothing", refused="", stage="compile", address="Net.forward"
    ),
    "unchanged": Shape(fence(SE_OLD), "wrong", SE_OLD),
}  # fmt: skip
