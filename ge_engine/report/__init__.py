"""A run as one HTML page that opens from disk, and as figures for a paper."""

from ge_engine.report.data import RunData, read_run
from ge_engine.report.drawing import Drawing
from ge_engine.report.figures import Figures, draw
from ge_engine.report.page import build_page

__all__ = ["Drawing", "Figures", "RunData", "build_page", "draw", "read_run"]
