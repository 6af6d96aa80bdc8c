"""Fewer places for bubblewrap: a Python package of which most is shown becomes one place, less the rest.

A seed model inside of a large library imports thousands of its files, and bubblewrap takes a limited number
of arguments. What is to be seen stays the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ge_engine.evaluation.sandbox.bubblewrap import below

MANY = 1000
"""Places up to which each is told."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is shown below a folder: `places`, less what is `hidden` in them."""

    places: tuple[str, ...]
    hidden: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.places) + len(self.hidden)


def folded(places: Sequence[str], hidden: Iterable[str]) -> tuple[list[str], list[str]]:
    """`places` and what is `hidden` in them, told by fewer paths where there are many places: by a package's
    folder in place of its files, where it takes fewer paths to hide the rest of it."""
    if len(places) <= MANY:
        return list(places), list(hidden)
    tree = _Tree(places)
    shown = [tree.shown_below(root) for root in tree.roots()]
    folders = [path for one in shown for path in one.places]
    rest = [path for one in shown for path in one.hidden]
    kept = [path for path in places if path not in tree.files]
    covers = [path for path in hidden if not (path in tree.above and below(path, folders))]
    return list(dict.fromkeys([*kept, *folders])), list(dict.fromkeys([*covers, *rest]))


class _Tree:
    """The folders that hold places. A link shows nothing of its own, but what is shown where it leads to."""

    def __init__(self, places: Iterable[str]) -> None:
        self._places = frozenset(places)
        self.files = frozenset(p for p in self._places if os.path.isfile(p) and not os.path.islink(p))
        self.above = frozenset(str(parent) for path in self._places for parent in PurePath(path).parents)

    def roots(self) -> list[str]:
        """The folders of files that lie in no other such folder."""
        folders = {os.path.dirname(path) for path in self.files}
        return sorted(one for one in folders if not folders & {str(up) for up in PurePath(one).parents})

    def shown_below(self, folder: str) -> _Shown:
        """The files below `folder`, by the fewest paths."""
        entries = _entries(folder)
        below = [self.shown_below(path) for path in entries if path in self.above]
        each = _Shown(
            (
                *(path for path in entries if path in self.files),
                *(place for one in below for place in one.places),
            ),
            tuple(path for one in below for path in one.hidden),
        )
        if os.path.join(folder, "__init__.py") not in self.files or self._is_shown(folder):
            return each
        whole = _Shown((folder,), tuple(self._rest_of(folder)))
        return whole if len(whole) < len(each) else each

    def _is_shown(self, folder: str) -> bool:
        """Whether it lies in a place, or is one."""
        return not self._places.isdisjoint([folder, *map(str, PurePath(folder).parents)])

    def _rest_of(self, folder: str) -> Iterator[str]:
        """What is not shown below `folder`."""
        for path in _entries(folder):
            if path in self._places:
                continue
            if path in self.above:
                yield from self._rest_of(path)
            else:
                yield path


def _entries(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.path for entry in entries if not entry.is_symlink())
