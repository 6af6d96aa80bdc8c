# ruff: noqa: E501
"""Habits of models that hid the code they meant, or brought in code that they did not mean."""

from __future__ import annotations

import pytest
from reply_shapes import fence
from test_reply import GENOME, meant, outcome
from transform_seed import FORWARD, SE_WIDE, genome_of, rewrite

from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, apply, parse_patch
from ge_engine.replies.editing import edited
from ge_engine.replies.extraction import Extraction, extract

SE = GENOME.blocks["SE"].code + "\n"
LINE = next(line for line in SE.split("\n") if "F.relu" in line)
NEW, OTHER = (SE.replace("F.relu", f"F.{name}") for name in ("silu", "mish"))
NEW_LINE, OTHER_LINE = (LINE.replace("F.relu", f"F.{name}") for name in ("silu", "mish"))
ABOVE, BELOW = (SE.split("\n")[SE.split("\n").index(LINE) + step] for step in (-1, 1))


def accepted(text: str, code: str, finish: str = "stop", address: str = "SE") -> None:
    result = outcome(text, finish, address)
    assert isinstance(result, Genome), result
    assert result.source == meant(code, address).source


# --- the model goes on as the one who asks ---------------------------------------------------------

TURNS = {
    "ChatML": "{}<|im_end|>\n<|im_start|>user\nNow another<|im_end|>\n<|im_start|>assistant\n{}<|im_end|>",
    "Llama 3": "{}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nagain<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{}",
    "Gemma": "{}<end_of_turn>\n<start_of_turn>user\nagain<end_of_turn>\n<start_of_turn>model\n{}",
    "Mistral": "{}</s>[INST] again [/INST]\n{}",
    "Zephyr": "{}</s>\n<|user|>\nagain</s>\n<|assistant|>\n{}",
    "DeepSeek": "{}<｜end▁of▁sentence｜><｜User｜>again<｜Assistant｜>{}",
    "plain text": "{}\n\nUser: now another\nAssistant:\n{}",
    "Human": "{}\n\nHuman: now another\n\nAssistant:\n{}",
    "Alpaca": "{}\n\n### Instruction:\nNow another\n\n### Response:\n{}",
}


@pytest.mark.parametrize("finish", ["stop", "length"])
@pytest.mark.parametrize("name", TURNS)
def test_an_answer_to_a_question_that_nobody_asked(name: str, finish: str) -> None:
    accepted(TURNS[name].format(fence(NEW), fence(OTHER)), NEW, finish)


@pytest.mark.parametrize("name", TURNS)
def test_an_edit_of_a_question_that_nobody_asked(name: str) -> None:
    edits = [f"<<<<<<< SEARCH\n{LINE}\n=======\n{new}\n>>>>>>> REPLACE\n" for new in (NEW_LINE, OTHER_LINE)]
    found = extract(TURNS[name].format(*edits), "stop", GENOME, "SE", edited)
    assert isinstance(found, Extraction), found
    assert found.code.strip("\n") == NEW.strip("\n")


@pytest.mark.parametrize("name", TURNS)
def test_a_prompt_that_comes_back_before_the_answer(name: str) -> None:
    """What stands before the next question changes nothing, so it is no answer."""
    accepted(TURNS[name].format(fence(SE), fence(NEW)), NEW)


@pytest.mark.parametrize("mark", ["<|im_start|>user", "User: hello", "### Instruction:"])
def test_a_question_in_a_string_of_the_code_that_ends_it(mark: str) -> None:
    code = NEW.replace('"""Gate."""', f'"""Gate.\n\n{mark}\n    """', 1)
    assert mark in code
    accepted(f"First:\n{fence(OTHER)}\nBetter:\n{fence(code)}", code)
    accepted(code, code)


# --- marks of chat templates -----------------------------------------------------------------------

MARKS = {
    "python tag": "<|python_tag|>{}<|eom_id|>",
    "begin of text": "<|begin_of_text|>{}",
    "fill in the middle": "<|fim_middle|>{}",
    "Granite": "<|start_of_role|>assistant<|end_of_role|>{}<|end_of_text|>",
    "Command R": "<|START_RESPONSE|>{}<|END_RESPONSE|>",
    "GLM": "<|begin_of_box|>{}<|end_of_box|>",
    "Llama 3": "<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>",
    "OpenThoughts": "<|begin_of_thought|>\nclass SE: a draft\n<|end_of_thought|>\n\n<|begin_of_solution|>\n{}<|end_of_solution|>",
}


@pytest.mark.parametrize("reply", [NEW, fence(NEW)])
@pytest.mark.parametrize("name", MARKS)
def test_a_mark_of_a_template_that_is_taken_for_code(name: str, reply: str) -> None:
    accepted(MARKS[name].format(reply), NEW)


# --- fences ---------------------------------------------------------------------------------------

GLUED = {
    "at the end": "```python\n{}```",
    "before prose": "```python\n{}```\nThat uses another activation.\n",
    "before prose on its line": "```python\n{}``` and that is it.\n",
    "before another fence": "```python\n{}```\nUse it:\n```python\nse = SE(8)\n```\n",
    "after prose": "Here you go: ```python\n{}``` done",
    "tildes": "~~~\n{}~~~\n",
    "two fences": "```python\nimport math```\nand\n```python\n{}```",
}


@pytest.mark.parametrize("address", ["SE", "Net.forward"])
@pytest.mark.parametrize("name", GLUED)
def test_marks_of_an_end_behind_the_last_line_of_code(name: str, address: str) -> None:
    code = NEW if address == "SE" else FORWARD.replace("return x", "return x * 1")
    accepted(GLUED[name].format(code.rstrip()), code, address=address)


MAGICS = [
    "%matplotlib inline\n",
    "!pip install einops\n\n",
    "%%time\n",
    "!pip install -q torch\n%load_ext autoreload\n",
]


@pytest.mark.parametrize("magic", MAGICS)
def test_commands_of_a_notebook_in_front_of_the_block(magic: str) -> None:
    accepted(fence(magic + NEW), NEW)


def test_a_modulo_at_the_start_of_a_line_that_is_taken_for_a_command() -> None:
    code = NEW.replace("return x", "y = (x\n% channels\n)\n        return x)", 1)
    assert isinstance(outcome(fence(code), "stop", "SE"), Rejected)


HEADINGS = [
    "Do not use this version, it is wrong:",
    "Don't use this:",
    "**Please don\u2019t use the following code (it fails):**",
    "Never use this one.",
]


@pytest.mark.parametrize("heading", HEADINGS)
def test_code_that_the_reply_says_not_to_use(heading: str) -> None:
    accepted(f"{fence(NEW)}\n{heading}\n\n{fence(OTHER)}", NEW)


def test_a_warning_that_is_no_heading() -> None:
    accepted(f"{fence(OTHER)}\nDo not use ReLU here, use this:\n\n{fence(NEW)}", NEW)


# --- diffs ----------------------------------------------------------------------------------------

DIFFS = {
    "context without its space": f"@@ -9,3 +9,3 @@\n{ABOVE}\n-{LINE}\n+{NEW_LINE}\n{BELOW}\n",
    "context above without its space": f"@@ @@\n{ABOVE}\n-{LINE}\n+{NEW_LINE}\n",
    "context below without its space": f"@@ @@\n-{LINE}\n+{NEW_LINE}\n{BELOW}\n",
    "one part without": f"@@ @@\n {ABOVE}\n-{LINE}\n@@ @@\n+{NEW_LINE}\n{BELOW}\n",
}


@pytest.mark.parametrize("name", DIFFS)
def test_a_diff_whose_context_lost_the_space_in_front(name: str) -> None:
    found = extract(f"```diff\n{DIFFS[name]}```\n", "stop", GENOME, "SE")
    assert isinstance(found, Extraction), found
    assert found.code.strip("\n") == NEW.strip("\n")


@pytest.mark.parametrize("end", ["  ", "\t", " \n"])
def test_blanks_at_the_end_of_a_line_that_is_searched(end: str) -> None:
    text = f"<<<<<<< SEARCH\n{LINE}{end}\n=======\n{NEW_LINE}\n>>>>>>> REPLACE\n"
    accepted(text, NEW)


def test_a_line_that_occurs_twice_but_for_the_blanks_at_its_end() -> None:
    genome = genome_of("def f(x):\n    x += 1 \n    y = 2\n    x += 1\t\n    return x + y\n")
    text = "<<<<<<< SEARCH\n    x += 1\n=======\n    x += 2\n>>>>>>> REPLACE\n"
    assert isinstance(extract(text, "stop", genome, "f"), Rejected)


# --- the block under its name, and something else under it later -----------------------------------

AGAIN = [
    "SE = torch.compile(SE)",
    "del SE",
    "for SE in (SE,):\n    pass",
    "SE, other = SE, 1",
    "if True:\n    SE = None",
]


@pytest.mark.parametrize("statement", AGAIN)
def test_a_block_that_its_reply_binds_to_something_else_afterwards(statement: str) -> None:
    result = outcome(fence(f"{NEW}\n\n{statement}\n"), "stop", "SE")
    assert isinstance(result, Rejected)
    assert "SE is bound again in line" in result.reason


def test_a_name_that_is_bound_before_the_block_or_as_the_file_does_it() -> None:
    accepted(fence(f"SE = None\n\n\n{NEW}"), NEW)
    accepted(fence(f"{SE_WIDE}\n\nmodel = SE(8)\n"), SE_WIDE)
    genome = genome_of("import torch\n\n\ndef f(x):\n    return 3\n\n\nf = torch.jit.ignore(f)\n")
    found = extract(fence(genome.text.replace("3", "4")), "stop", genome, "f")
    assert isinstance(found, Extraction)
    assert rewrite(genome, "f", found.code).text == genome.text.replace("3", "4")


# --- comments above the block ----------------------------------------------------------------------

METHOD = "    # {}\n    def forward(self, x):\n        return x\n"
OWN = {
    "another than the file's": ("# --- SE, wider ---\n" + SE_WIDE, "SE", "'# --- SE, wider ---'"),
    "two lines": ("# one\n# two\n" + SE_WIDE, "SE", "'# one' and 1 more"),
    "the file's and one more": ("# --- SE ---\n# wider\n" + SE_WIDE, "SE", "'# wider'"),
    "a blank line below": ("# wider\n\n" + SE_WIDE, "SE", "'# wider'"),
    "above a decorator": (
        "# quick\n@torch.no_grad()\ndef make_norm(channels):\n    return 1\n",
        "make_norm",
        "'# quick'",
    ),
    "above a method": ("# quick\n" + FORWARD, "Net.forward", "'# quick'"),
    "above a method in its class": ("class Net:\n" + METHOD.format("quick"), "Net.forward", "'# quick'"),
    "behind an import": ("import torch\n\n# wider\n" + SE_WIDE, "SE", "'# wider'"),
    "control characters": ("# \x1b[31mred\n" + SE_WIDE, "SE", "'# \\x1b[31mred'"),
}


@pytest.mark.parametrize("name", OWN)
def test_a_comment_above_the_block_that_goes_without_a_word(name: str) -> None:
    code, address, told = OWN[name]
    patch = parse_patch(GENOME, address, code)
    assert isinstance(patch, Patch), patch
    assert patch.notes == (f"the comment above {address} was left out: {told}",)
    child = apply(GENOME, patch)
    assert isinstance(child, Genome)
    assert child.text.count("# --- SE ---") == 1


@pytest.mark.parametrize(
    "above", ["", "# --- SE ---\n", "# --- SE ---\n\n", "import torch\n\n\n# --- SE ---\n"]
)
def test_a_comment_that_the_file_has_and_that_is_told_of(above: str) -> None:
    patch = parse_patch(GENOME, "SE", above + SE_WIDE)
    assert isinstance(patch, Patch)
    assert patch.notes == ()
