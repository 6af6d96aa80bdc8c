"""What shows a run while it goes on, where nobody else observes it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.views.live import View, open_view
from ge_engine.views.notebook import in_notebook, open_notebook


def open_display(folder: Path, config: RunConfig, trains: bool) -> AbstractContextManager[View]:
    """A view on the run: one display in a notebook, a live panel on a terminal, lines elsewhere."""
    return (open_notebook if in_notebook() else open_view)(folder, config, trains)
