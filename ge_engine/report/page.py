"""A run's data and figures -> one HTML file that needs nothing but a browser.

Nothing that came from a model is ever markup: the data stands in the file as base64 of compressed JSON,
and the page's script puts it into text nodes alone. A content security policy lets only the two scripts
run whose hashes it names, and nothing be fetched.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from ge_engine import __version__
from ge_engine.outcome import shown_stage
from ge_engine.report import counts, figures, payload
from ge_engine.report.data import RunData
from ge_engine.report.theme import COLOURS, template

# plotly.js 4.1.1 with scatter and bar alone, as published: a quarter of the size of the whole library and
# a sixth of its start, which is most of the time until the first plot.
LIBRARY = "plotly-basic.min.js"
SCRIPTS = ("decode.js", "theme.js", "diff.js", "format.js", "charts.js", "lineage.js", "detail.js", "main.js")


def build_page(run: RunData, drawings: figures.Figures, stamp: str = "") -> str:
    """The whole file. With a `stamp` it is the page of `--follow`, which asks its server every two
    seconds whether the run has another stamp by now."""
    data = {"index": _index(run, drawings), "details": payload.details(run)}
    return assemble("report.html", SCRIPTS, f"{run.name} · ge report", data, stamp)


def assemble(
    page: str, scripts: Sequence[str], title: str, data: Mapping[str, Mapping[str, Any]], stamp: str = ""
) -> str:
    """The asset `page` with its `scripts`, the library for plots, and each of `data` under its name."""
    library = _asset(LIBRARY)
    script = "\n".join(_asset(name) for name in scripts)
    parts = {
        "title": html.escape(title),
        "version": html.escape(__version__),
        "policy": _policy((script, library), follow=bool(stamp)),
        "stamp": html.escape(stamp),
        "style": _asset("report.css"),
        "library": _compressed(library.encode()),
        "script": script,
        **{name: _packed(one) for name, one in data.items()},
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset(page))


def drawn(drawings: figures.Figures) -> Mapping[str, Any]:
    """Figures as the page's script takes them."""
    return {
        name: {"title": one.title, "summary": one.summary, "spec": one.figure.to_plotly_json()}
        for name, one in drawings.items()
    }


def themes() -> Mapping[str, Any]:
    """What plots look like, light and dark."""
    return {
        "templates": {"light": template("light"), "dark": template("dark")},
        "colours": {name: light for name, (light, _) in COLOURS.items()},
        "dark": dict(COLOURS.values()),
    }


def _index(run: RunData, drawings: figures.Figures) -> dict[str, Any]:
    """What the page needs before anyone clicks."""
    return {
        "run": payload.about(run),
        "objectives": payload.objectives(run),
        "besides": payload.besides(run),
        "rows": payload.rows(run),
        "reasons": [[shown_stage(r.stage), r.reason, r.count, r.example] for r in counts.reasons(run)],
        "figures": drawn(drawings),
        **themes(),
    }


def _asset(name: str) -> str:
    return resources.files("ge_engine.report").joinpath("assets", name).read_text("utf-8")


def _policy(scripts: tuple[str, ...], *, follow: bool) -> str:
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    directives: Mapping[str, str] = {
        "default-src": "'none'",
        "script-src": hashes,
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "connect-src": "'self'" if follow else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return html.escape("; ".join(f"{name} {value}" for name, value in directives.items()), quote=True)


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _packed(data: Mapping[str, Any]) -> str:
    return _compressed(json.dumps(data, separators=(",", ":"), allow_nan=False, default=_plain).encode())


def _compressed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()


def _plain(value: Any) -> Any:
    if hasattr(value, "to_plotly_json"):
        return value.to_plotly_json()
    raise TypeError(f"{value!r} is no plain data")
