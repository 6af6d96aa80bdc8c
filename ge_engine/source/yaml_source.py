"""The text of YAML entries with the tree of what they mean, and how YAML writes numbers and truth values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from ge_engine.source.source_text import Source
from ge_engine.source.task_facts import decided_elsewhere
from ge_engine.source.yaml_tree import odd_parts, read

SWITCHES = (("true", "false"), ("yes", "no"), ("on", "off"))
"""How a truth value is written, in small letters."""
FACTORS = (0.1, 0.3, 0.5, 2, 3, 10)
_NAME = re.compile(r"[^\W\d][\w-]*")
_EXPONENT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?[0-9]+\.[0-9]*[eE][0-9]+")


class YamlSource(Source):
    """Entries of a mapping, of which none is odd."""

    @cached_property
    def tree(self) -> ast.Module:
        tree = read(self.text)
        assert isinstance(tree, ast.Module), tree
        return tree

    @property
    def statement(self) -> ast.Assign:
        """The first entry."""
        first = self.tree.body[0]
        assert isinstance(first, ast.Assign)
        return first

    def accepts(self, text: str) -> bool:
        """Whether another text has entries of the same keys, and no value that was no text has become one."""
        tree = read(text)
        if not isinstance(tree, ast.Module) or any(odd_parts(tree)):
            return False
        return keys_of(tree) == keys_of(self.tree) and _texts(tree) <= _texts(self.tree)

    def spelled(self, node: ast.expr, number: str) -> str:
        """A float as YAML reads one; an integer stays as it is."""
        return float_text(float(number)) if type(getattr(node, "value", None)) is float else number

    def fixes(self, name: str) -> bool:
        """Epochs, seeds and the like, which a configuration holds beside the model's own numbers."""
        return decided_elsewhere(name.replace("-", "_"))

    def choices(self) -> Iterator[tuple[ast.expr, tuple[str, ...]]]:
        """The other value of each truth value, and others of each number that is a text to YAML."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and (found := _others(node, self.of(node))):
                yield node, found


def keys_of(tree: ast.Module) -> list[str]:
    """The keys of the entries, "" for those that no address can name."""
    return [key_of(one) for one in tree.body]


def key_of(entry: ast.stmt) -> str:
    """The key of an entry, "" for one that no address can name."""
    target = entry.targets[0] if isinstance(entry, ast.Assign) else None
    return target.id if isinstance(target, ast.Name) else ""


def entry_name(entry: ast.stmt) -> str:
    """The key of an entry as an address names it, "" where none can."""
    key = key_of(entry)
    return key if _NAME.fullmatch(key) else ""


def float_text(value: float) -> str:
    """A float as `yaml.safe_load` reads one: with a point, and a sign before its exponent."""
    figures, _, exponent = f"{value!r}".partition("e")
    figures += "" if "." in figures else ".0"
    return f"{figures}e{exponent if exponent[0] in '+-' else '+' + exponent}" if exponent else figures


def is_exponent(value: object) -> bool:
    """Whether a value is a number such as 3e-4, which YAML 1.1 takes for a text: it wants a point in it and a
    sign before the exponent."""
    return isinstance(value, str) and _EXPONENT.fullmatch(value) is not None


def _others(node: ast.Constant, own: str) -> tuple[str, ...]:
    if isinstance(node.value, bool):
        pair = next((pair for pair in SWITCHES if own.lower() in pair), ())
        return tuple(_in_case(word, own) for word in pair if word != own.lower())
    if own == node.value and is_exponent(own):
        scaled = (f"{float(own) * factor:.0e}" for factor in FACTORS)
        return tuple(dict.fromkeys(one for one in scaled if is_exponent(one) and float(one) != float(own)))
    return ()


def _in_case(word: str, like: str) -> str:
    return word.upper() if like.isupper() else word.capitalize() if like[0].isupper() else word


def _texts(tree: ast.Module) -> frozenset[str]:
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(value for value in constants if isinstance(value, str) and not is_exponent(value))
