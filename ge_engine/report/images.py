"""Figures as PNG and SVG files for a paper, drawn by Kaleido in a headless Chrome or Chromium."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import plotly.graph_objects as go
import plotly.io as pio

from ge_engine.errors import ConfigError
from ge_engine.report.figures import Figures
from ge_engine.report.theme import template

WIDTH = 900
SCALES = {"svg": 1, "png": 2}


def write_figures(figures: Figures, folder: Path) -> list[Path]:
    """Write every figure as `folder`/NAME.svg and .png (900 wide, PNG at twice the pixels), light, on white.

    Raises:
        ConfigError: Kaleido or a browser is missing, or the folder cannot be written.
    """
    if importlib.util.find_spec("kaleido") is None:
        raise ConfigError(
            "Figures as files need Kaleido, which is not installed.", "pip install 'ge-engine[figures]'"
        )
    jobs = [(name, form) for name in figures for form in SCALES]
    paths = [folder / f"{name}.{form}" for name, form in jobs]
    white = {name: _on_white(drawing.figure) for name, drawing in figures.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pio.write_images([white[name] for name, _ in jobs], paths, scale=[SCALES[form] for _, form in jobs])
    except OSError as error:
        raise ConfigError(
            f"The figures cannot be written to {folder}: {error.strerror or error}.", "Choose another folder."
        ) from error
    except RuntimeError as error:
        if "Chrome" not in str(error):
            raise
        raise ConfigError(
            "Figures as files need Chrome or Chromium, and none was found.",
            "Install one (Debian: apt-get install chromium), or name it in BROWSER_PATH.",
        ) from error
    return paths


def _on_white(figure: go.Figure) -> go.Figure:
    return go.Figure(figure).update_layout(
        template=template("light"), paper_bgcolor="white", plot_bgcolor="white", width=WIDTH
    )
