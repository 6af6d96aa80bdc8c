"""Curves and figures for accelerate's trackers (TensorBoard, Weights & Biases, MLflow, ...).

Written in the engine's process from the events of a run, so that a candidate has no way to a tracker.
Every scored individual becomes a tracker's run of its own, "g0s3" or "g0s3 test": what made it as its
configuration, its training curve by epoch, its objectives and other figures at the last one; stages of a
training are left to the whole of it. The run as a whole is one more, "run", by generation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ge_engine.errors import ConfigError
from ge_engine.events import Observe
from ge_engine.outcome import figures_in

FOLDER = "tracking"
# The distribution to install, where it is not called as the tracker.
_PACKAGES = {"comet_ml": "comet-ml"}

Configuration = Mapping[str, str | int | float | bool]
Points = Sequence[tuple[int, Mapping[str, float]]]


@contextmanager
def tracked(names: Sequence[str], folder: Path, observe: Observe) -> Iterator[Observe]:
    """An observer that tells `observe` everything, and the trackers called `names` what they keep.

    A tracker that fails is told about once (event "observer_failed") and left out from then on.

    Raises:
        ConfigError: accelerate has no such tracker, or its package is not installed.
    """
    if not names:
        yield observe
        return
    tracking = _Tracking([_opener(name, folder) for name in names], observe)
    try:
        yield tracking.observe
    finally:
        tracking.close()


Open = Callable[[str], Any]


def _opener(name: str, folder: Path) -> Open:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    if name not in LOGGER_TYPE_TO_CLASS:
        raise ConfigError(
            f"There is no tracker {name!r}.", f"accelerate has {', '.join(sorted(LOGGER_TYPE_TO_CLASS))}."
        )
    kind = LOGGER_TYPE_TO_CLASS[name]
    if name not in [str(one) for one in get_available_trackers()]:
        package = _PACKAGES.get(name, name)
        raise ConfigError(f"The tracker {name!r} is not installed.", f"pip install {package}")

    def opened(run: str) -> Any:
        place = {"logging_dir": str(folder / FOLDER)} if kind.requires_logging_directory else {}
        tracker = kind(run if place else f"{folder.name}-{run}", **place)
        tracker.start()
        return tracker

    return opened


class _Tracking:
    """Gathers what belongs to one tracker's run from several events."""

    def __init__(self, openers: Sequence[Open], observe: Observe) -> None:
        self._openers = list(openers)
        self._observe = observe
        self._origins: dict[str, dict[str, str | int]] = {}
        self._generations: list[tuple[int, dict[str, float]]] = []

    def observe(self, name: str, data: Mapping[str, Any]) -> None:
        self._observe(name, data)
        match name:
            case "admitted":
                self._origins[data["individual"]] = _origin(data)
            case "outcome" if data["kind"] == "scored" and "epoch" not in data["split"]:
                self._write(*_scored(data, self._origins.get(data["individual"], {})))
            case "generation_finished":
                self._generations.append((int(data["generation"]), _generation(data)))

    def close(self) -> None:
        """Write the run's own figures, of the generations that this session finished."""
        if self._generations:
            self._write("run", {}, self._generations)

    def _write(self, run: str, configuration: Configuration, points: Points) -> None:
        for opener in tuple(self._openers):
            try:
                tracker = opener(run)
                if configuration:
                    tracker.store_init_configuration(dict(configuration))
                for step, values in points:
                    tracker.log(dict(values), step=step)
                tracker.finish()
            except Exception as error:
                self._openers.remove(opener)
                reason = f"a tracker failed and is left out from now on: {error!r}"
                self._observe("observer_failed", {"reason": reason})


def _origin(data: Mapping[str, Any]) -> dict[str, str | int]:
    return {
        "parents": ", ".join(data["parents"]),
        "operators": ", ".join(data["operators"]),
        "personas": ", ".join(data["personas"]),
        "intents": ", ".join(data["intents"]),
        "block": str(data["address"]),
    }


def _scored(data: Mapping[str, Any], origin: Configuration) -> tuple[str, Configuration, Points]:
    """The tracker's run of an individual: name, what made it, its curve with the objectives at the end."""
    split = str(data["split"])
    run = str(data["individual"]) if split == "validation" else f"{data['individual']} {split}"
    curve = [
        (int(point["epoch"]), {f"training/{key}": value for key, value in point.items() if key != "epoch"})
        for point in data["details"].get("curve", ())
        if isinstance(point, Mapping) and "epoch" in point
    ]
    objectives = {f"objective/{name}": float(value) for name, value in data["objectives"].items()}
    besides = figures_in(data["details"].get("figures"), data["objectives"])
    objectives |= {f"figure/{name}": value for name, value in besides.items()}
    last = curve[-1][0] if curve else 0
    return run.replace("/", " "), origin, [*curve, (last, objectives)]


def _generation(data: Mapping[str, Any]) -> dict[str, float]:
    figures = {
        "generation/admitted": float(data["admitted"]),
        "generation/scored": float(data["scored"]),
        "generation/front": float(len(data["front"])),
    }
    for stage, count in data["rejected"].items():
        figures[f"rejected/{stage}"] = float(count)
    best: dict[str, list[float]] = {}
    for _, objectives in data["front"]:
        for name, value in objectives.items():
            best.setdefault(name, []).append(float(value))
    for name, values in best.items():
        figures[f"front/{name} least"] = min(values)
        figures[f"front/{name} most"] = max(values)
    return figures
