"""The data of a run in the compact form that the page's script reads: columns, numbers for names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ge_engine import __version__
from ge_engine.curves import Curve
from ge_engine.notation import front_title
from ge_engine.outcome import shown_stage
from ge_engine.report import counts
from ge_engine.report.data import RunData
from ge_engine.report.pareto import axes, notation_of, scale_of, view_of
from ge_engine.report.rows import Exchange, GenomeDelta
from ge_engine.report.theme import label


def about(run: RunData) -> Mapping[str, Any]:
    """What stands on top of the page."""
    return {
        "name": run.name,
        "seed": run.seed_name,
        "version": __version__,
        "settings": dict(run.settings),
        "generations": run.generations,
        "tokens": list(run.tokens),
        "stopped": run.stopped_because,
        "verdict": run.verdict,
        "front": front_title(run.directions),
    }


def objectives(run: RunData) -> list[Mapping[str, Any]]:
    """Each objective with its direction and how it is written, in the order of the run."""
    return [one for one in measured(run) if one["name"] in run.directions]


def besides(run: RunData) -> list[Mapping[str, Any]]:
    """The figures that are no objectives, in the same form; they have no direction."""
    return [one for one in measured(run) if one["name"] not in run.directions]


def measured(run: RunData) -> list[Mapping[str, Any]]:
    """All that individuals were measured by, the objectives first."""
    return [
        {
            "name": name,
            "label": label(name),
            "direction": axis.better,
            "title": axis.title,
            "ticks": axis.ticks,
            "hover": axis.hover,
            "share": notation_of(run, name).is_share,
            "written": notation_of(run, name).title(name),
            "scale": scale_of(run, name),
            "view": view_of(run, name),
        }
        for name, axis in axes(run).items()
    ]


def rows(run: RunData) -> Mapping[str, Any]:
    """All individuals, one list for each property. Parents are places in these lists."""
    place = {row.id: at for at, row in enumerate(run.rows)}
    every = {row.id: row for row in run.rows}
    return {
        "id": [row.id for row in run.rows],
        "generation": [row.generation for row in run.rows],
        "state": [row.state for row in run.rows],
        "parents": [[place[parent] for parent in row.parents] for row in run.rows],
        "steps": [
            [[s.operator, s.address, s.intent, s.persona, s.note] for s in row.steps] for row in run.rows
        ],
        "scores": {
            **{name: [_rounded(row.figures.get(name)) for row in run.rows] for name in run.figures},
            **{name: [row.objectives.get(name) for row in run.rows] for name in run.directions},
        },
        "errors": {name: [_rounded(row.errors.get(name)) for row in run.rows] for name in run.directions},
        "toSeed": {name: [row.to_seed.get(name) for row in run.rows] for name in run.directions},
        "toParent": {name: [row.to_parent.get(name) for row in run.rows] for name in run.directions},
        "test": {str(place[row.id]): dict(row.test) for row in run.rows if row.test},
        "testErrors": {str(place[row.id]): dict(row.test_errors) for row in run.rows if row.test},
        "further": {str(place[row.id]): row.further for row in run.rows if row.further},
        "front": [place[row.id] for row in run.front],
        "better": [place[row.id] for row in run.rows if row.better],
        "order": [place[name] for name in counts.depth_first(every)],
    }


def details(run: RunData) -> Mapping[str, Any]:
    """What a chosen individual shows: codes, prompts, replies, curves, reasons."""
    return {
        "sources": run.sources.as_data(),
        "seed": [[name, code] for name, code in run.seed_segments],
        "rows": [
            [
                shown_stage(row.stage),
                row.reason,
                _parts(row.parts),
                _curve(row.curve),
                [_exchange(e) for e in row.exchanges],
                row.feedback,
            ]
            for row in run.rows
        ],
    }


def _parts(parts: GenomeDelta | None) -> list[Any] | None:
    return None if parts is None else [list(parts.replaced), list(parts.helpers), list(parts.imports)]


def _curve(curve: Curve) -> Mapping[str, list[float | None]]:
    names = dict.fromkeys(name for point in curve for name in point)
    return {name: [_rounded(point.get(name)) for point in curve] for name in names}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _exchange(one: Exchange) -> list[Any]:
    return [
        one.system,
        one.user,
        one.reply,
        one.intent,
        one.address,
        one.model,
        one.finish,
        one.error,
        round(one.temperature, 3),
        one.prompt_tokens,
        one.completion_tokens,
        round(one.seconds, 2),
    ]
