"""What one sees in a notebook while a run goes on: one display, changed in place, with progress and front.

IPython is imported only where its kernel is at work already, so that nothing depends on it.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ge_engine.config import RunConfig
from ge_engine.notation import front_title
from ge_engine.outcome import storable
from ge_engine.views.live import View, constants, heading_line, line_of, status_rows
from ge_engine.views.markup import table, text
from ge_engine.views.progress import Progress

PERIOD = 0.5
"""Seconds between two changes of the display."""
NEWS = 6
FRONT = 20
LASTING = frozenset({"seed_scored", "observer_failed"})
"""Events whose line stays; of the others, the last `NEWS` lines are shown."""


def in_notebook() -> bool:
    """Whether IPython runs this outside a terminal: in the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython
    from IPython.terminal.interactiveshell import TerminalInteractiveShell

    shell = get_ipython()
    return shell is not None and not isinstance(shell, TerminalInteractiveShell)


@contextmanager
def open_notebook(folder: Path, config: RunConfig, trains: bool = True) -> Iterator[View]:
    """A display that follows the run while the block runs; none where it ends before the first event."""
    view = NotebookView(folder, config, trains)
    done = threading.Event()
    cell = contextvars.copy_context()
    ticker = threading.Thread(target=cell.run, args=(view.follow, done), name="notebook", daemon=True)
    ticker.start()
    try:
        yield view
    except BaseException as error:
        view.cut_off(error)
        raise
    finally:
        done.set()
        ticker.join()
        view.refresh()


class NotebookView:
    """Takes events in the run's thread, and shows how it stands from another one every half second."""

    def __init__(self, folder: Path, config: RunConfig, trains: bool = True) -> None:
        self._heading = (heading_line(folder, config, trains).plain, constants(config, trains))
        self._progress = Progress()
        self._lasting: list[str] = []
        self._news: deque[str] = deque(maxlen=NEWS)
        self._lock = threading.Lock()
        self._handle: Any = None
        self._shown: Mapping[str, str] = {}

    def observe(self, name: str, data: Mapping[str, Any]) -> None:
        """Take in an event; the first one opens the display."""
        with self._lock:
            self._progress.update(name, data)
            line = line_of(name, data, self._progress.notations)
            if line is not None:
                (self._lasting if name in LASTING else self._news).append(line.plain)
            if name == "run_finished":
                self._lasting.append(f"{data['message']} The run ended: {data['stopped_because']}.")
                self._news.clear()
        if self._handle is None:
            from IPython.display import display

            self._shown = self.bundle()
            self._handle = display(self._shown, raw=True, display_id=True)

    def follow(self, done: threading.Event) -> None:
        """Change the display until `done`."""
        while not done.wait(PERIOD):
            self.refresh()

    def refresh(self) -> None:
        """Show how the run stands, where it has begun and anything is new."""
        if self._handle is None or (now := self.bundle()) == self._shown:
            return
        self._handle.update(now, raw=True)
        self._shown = now

    def cut_off(self, error: BaseException) -> None:
        """The run ended by an error, which the cell shows."""
        with self._lock:
            self._progress.phase = "cut off"
            self._news.append(f"cut off: {type(error).__name__}")

    def bundle(self) -> dict[str, str]:
        """The display by MIME type, as HTML and as plain text."""
        with self._lock:
            return {"text/plain": self._plain(), "text/html": self._html()}

    def _plain(self) -> str:
        rows = [f"{label:10}  {value}" for label, value in status_rows(self._progress)]
        front = ["  ".join(row) for row in self._front()]
        return storable("\n".join([self._heading[0], *rows, *front, *self._lasting, *self._news]))

    def _html(self) -> str:
        p = self._progress
        told, settings = map(text, self._heading)
        parts = [
            f"<div><b>{told}</b></div><div><small>{settings}</small></div>",
            f'<progress max="1" value="{p.share:.3f}" style="width: 24em" aria-label="done"></progress>',
            "<table>"
            + "".join(
                f'<tr><th scope="row">{text(label)}</th><td style="text-align: left">{text(value)}</td></tr>'
                for label, value in status_rows(p)
            )
            + "</table>",
        ]
        if p.front:
            head, *rows = self._front()
            parts.append(table(f"{front_title(p.notations)} of {len(p.front)}", head, rows))
        lines = "\n".join([*self._lasting, *self._news])
        return "".join([*parts, f'<pre style="white-space: pre-wrap">{text(lines)}</pre>'])

    def _front(self) -> list[list[str]]:
        """The front's table with its head; nothing before there is one."""
        p = self._progress
        rows = p.front_rows(FRONT)
        return [["id", *p.titles()], *rows] if rows else []
