"""A run's folder -> its page and its figures."""

from __future__ import annotations

from pathlib import Path

from ge_engine.atomic_file import write_whole
from ge_engine.ledger.history import History
from ge_engine.registry import Registry
from ge_engine.report.counts import check_order
from ge_engine.report.data import RunData, read_run
from ge_engine.report.figures import draw
from ge_engine.report.images import write_figures
from ge_engine.report.page import build_page


def page_of(run: Path, registry: Registry, stamp: str) -> str:
    """The page of a run as it stands; `stamp` tells a page that is served whether the run has gone on."""
    data = _read(run, registry)
    return build_page(data, draw(data), stamp)


def write_report(run: Path, registry: Registry, page: Path, figures: Path | None) -> list[Path]:
    """Write the page, and every plot as PNG and SVG into the folder `figures`; the files, the page first.

    Raises:
        LedgerError: there is no run. ConfigError: a file that cannot be written, or figures without kaleido.
    """
    data = _read(run, registry)
    drawings = draw(data)
    write_whole(page, build_page(data, drawings).encode())
    return [page, *(write_figures(drawings, figures) if figures else ())]


def _read(run: Path, registry: Registry) -> RunData:
    with History(run) as history:
        return read_run(history, check_order(registry.checks.values()))
