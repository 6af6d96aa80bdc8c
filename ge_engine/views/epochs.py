"""How one training in full reads while it goes on: a line for each part of it, on standard error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from ge_engine.views.console import err
from ge_engine.views.live import clock
from ge_engine.views.outcomes import counted


class EpochsView:
    """Prints the events of `Run.train`."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first = -1

    def observe(self, name: str, data: Mapping[str, Any]) -> None:
        """Take in one event."""
        match name:
            case "training":
                how = "going on" if data["going_on"] else "training"
                err.print(Text(f"{how}: {data['individual']}, {counted(data['epochs'], 'epoch')}"))
                err.print(Text(f"{data['data']}", style="dim"))
                for remark in data["remarks"]:
                    err.print(Text(remark, style="yellow"))
            case "epochs":
                err.print(Text(self._line(data)))
            case "retried":
                err.print(Text(f"again: {data['reason']}", style="yellow"))
            case "no_checkpoint":
                err.print(Text("its checkpoint is too large to keep: a kill costs all of it", style="yellow"))

    def _line(self, data: Mapping[str, Any]) -> str:
        epoch, epochs = data["epoch"], data["epochs"]
        told = f"epoch {epoch} of {epochs}: loss {data['loss']:.3g}"
        told += f", accuracy {100 * data['accuracy']:.1f} % in training"
        if "accuracy" in data["scored"]:
            told += f", {100 * data['scored']['accuracy']:.1f} % in validation"
        return told + self._left(epoch, epochs)

    def _left(self, epoch: int, epochs: int) -> str:
        """About how much time is left, from the second part on: the first one began by starting processes."""
        now = time.monotonic()
        if self._first < 0:
            self._first, self._began = epoch, now
            return ""
        if epoch >= epochs or epoch == self._first:
            return ""
        return f"; about {clock((now - self._began) * (epochs - epoch) / (epoch - self._first))} left"
