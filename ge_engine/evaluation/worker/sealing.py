"""Keeps the engine's modules, frames and objects out of a candidate's reach.

Both run in one process, so this is no security boundary: what reaches into torch, memory or the
interpreter's own files passes it. It removes what a few lines of Python would find.
"""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Collection, Sequence
from types import FrameType, ModuleType
from typing import Any

OWN = ("ge_engine", "ge_plugins", "ge_grammars")
_FRAMES = frozenset(
    ["sys._getframe", "sys._current_frames", "sys._current_exceptions", "sys.settrace", "sys.setprofile"]
)
_OBJECTS = frozenset(["gc.get_objects", "gc.get_referrers"])
_ATTRIBUTES = frozenset(["tb_frame", "gi_frame", "cr_frame", "ag_frame"])
_GO_BETWEEN = frozenset([inspect.__file__, traceback.__file__])
_frame = sys._getframe


class LooksAround(Exception):
    """A candidate asked for the frames or the objects of what runs it."""


def seal(files: Collection[str]) -> None:
    """From now on in this process: an import of the engine gives a copy that nothing here uses, and code in
    `files` (a candidate's), or outside Python's and its packages' folders, gets no frames."""
    own = [name for name in sys.modules if name.partition(".")[0] in OWN]
    kept = [sys.modules.pop(name) for name in own]
    sys.modules["__main__"] = ModuleType("__main__")
    sys.addaudithook(_Guard(frozenset(files), kept).hear)


class _Guard:
    """Judges who asks. An audit hook cannot be taken away."""

    def __init__(self, files: frozenset[str], kept: Sequence[ModuleType]) -> None:
        self._files = files
        self._kept = kept  # to take them apart would cost a fork copies of their pages
        self._thread = threading.local()

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "object.__getattr__":
            asked = args[1] in _ATTRIBUTES
        else:
            asked = event in _FRAMES or event in _OBJECTS
        if not asked or getattr(self._thread, "judging", False):
            return
        self._thread.judging = True
        try:
            trusted = self._trusts(_frame(1))
        finally:
            self._thread.judging = False
        if not trusted:
            raise LooksAround("a network may not look at what runs it (frames, traces, objects of others)")

    def _trusts(self, frame: FrameType | None) -> bool:
        while frame is not None and frame.f_code.co_filename in _GO_BETWEEN:
            frame = frame.f_back
        if frame is None:
            return True
        file = frame.f_code.co_filename
        return file not in self._files and file.startswith(_TRUSTED)


def _folders() -> tuple[str, ...]:
    """Where Python, its packages and this engine lie."""
    paths = sysconfig.get_paths()
    engine = os.path.abspath(os.path.join(__file__, *[os.pardir] * 3))
    places = {paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"], engine}
    places |= {entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))}
    return ("<frozen ", *sorted(place + os.sep for place in places))


_TRUSTED = _folders()
