"""What the engine and its isolated workers say to each other: JSON and raw numbers, never pickles."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ge_engine.evaluation.protocol import claims

TOKEN_BYTES = 16
BEGUN = b"candidate begins"
"""Precedes a report that was made after the candidate's code had begun: what follows it may be the
candidate's word."""
WORKER_FAULT = 70
"""The exit status of a worker that failed outside the candidate's code."""
REPORT_LIMIT = 4 * 2**20
CHECKPOINT_LIMIT = 2**30
_HEAD = struct.Struct(">QQQQ")


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """An array in a shared-memory file: uint8 or int64, with its shape."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * (8 if self.dtype == "int64" else 1)


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What all jobs of one evaluation share.

    `arrays` are "train", "labels", "validation" and "test", whose files are sent in this order. `readable`
    are the paths that a candidate may read under the sandbox; `places`, `hidden`, `listed` and `modules` are
    those of `readable.Readable`. `processes` train one candidate together, each with `memory` bytes and
    `threads`. `start_method` is how workers begin: "fork" or "spawn". `files` are the paths of the seed
    model's files by name, the one at `seed_path` first.

    Only on this machine hold: `seed_path`, `files`, `scratch`, `readable`, `places`, `hidden`, `listed` and
    `modules` (paths), `sandbox`, `device`, `processes` and `start_method` (what was found here).
    """

    seed_path: str
    entry: str
    channels: int
    size: int
    classes: int
    mirror: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: Mapping[str, Any]
    threads: int
    memory: int
    device: str
    sandbox: str
    readable: tuple[str, ...]
    preload: tuple[str, ...]
    scratch: str
    arrays: Mapping[str, ArraySpec] = field(default_factory=dict)
    processes: int = 1
    start_method: str = "fork"
    places: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    modules: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def confined(self) -> bool:
        """Whether candidates cannot read what is not `readable`."""
        return self.sandbox in ("landlock", "bwrap")


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One job: `kind` is "probe", "train", "again" (a probe that also measures answers to real images,
    untrained), or "size" (building the `variants`, each like `sources`). `sources` are latin-1 texts of the
    bytes of the genome's files by name, in the session's order; `token` (hex) marks the report of this job,
    and comes to the worker through a pipe, not in here; `sent` is the engine's monotonic clock when it was
    submitted. `devices` is the CUDA_VISIBLE_DEVICES of a training, "" for none of its own.

    `split` is "validation", "test" or "both" (validation, then test). `epochs`, `keep`, `step_seconds` and
    `steps` are those of `train.rung.Rung`; `checkpoint` is the path of the file to continue from, "" for
    none, and `room` the most bytes of the one to keep. A job that `inherits` begins with the trained weights
    in the file at the path `parent`, "" where they are lost. `weights` are the most bytes of trained weights
    to give, as safetensors (0: none are asked for). `channels_last` is 1 where images and weights shall lie
    so in memory. A training that runs `alone` shares its GPU with no other. A probe with
    `proxies` computes those as well, by images of the training part.

    Only on this machine hold: `sent` (this machine's clock), `checkpoint`, `parent` (paths) and `devices`."""

    id: str
    kind: str
    sources: Mapping[str, str]
    digest: str
    rng_seed: int
    split: str
    timeout: float
    token: str
    sent: float = 0.0
    devices: str = ""
    epochs: int = 0
    keep: bool = False
    checkpoint: str = ""
    room: int = 0
    weights: int = 0
    step_seconds: float = 0.0
    steps: int = 0
    variants: tuple[Mapping[str, str], ...] = ()
    channels_last: float = 0.0
    inherits: bool = False
    parent: str = ""
    alone: bool = False
    proxies: bool = False

    @property
    def start(self) -> str:
        """The path of the file that the training starts from, "" for none."""
        return self.parent if self.inherits else self.checkpoint

    def started_from(self, path: str) -> JobSpec:
        """This job with the file that it starts from at `path`."""
        return replace(self, parent=path) if self.inherits else replace(self, checkpoint=path)


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker says at the end. `stage` is where it failed, "" if it did not; `kind` as in `Failed`."""

    stage: str = ""
    kind: str = ""
    error: str = ""
    facts: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[Mapping[str, float], ...] = ()
    probe: Mapping[str, Any] = field(default_factory=dict)
    logits: bytes = b""
    checkpoint: bytes = b""
    weights: bytes = b""


class BadReport(Exception):
    """Bytes on a result channel that are not exactly one report of this job."""


def to_json(record: Any) -> bytes:
    return json.dumps(dataclasses.asdict(record)).encode()


def session_from_json(data: bytes) -> SessionSpec:
    values = json.loads(data)
    arrays = {name: ArraySpec(tuple(b["shape"]), b["dtype"]) for name, b in values.pop("arrays").items()}
    for key in ("mean", "std", "readable", "preload", "places", "hidden", "listed"):
        values[key] = tuple(values[key])
    return SessionSpec(**values, arrays=arrays)


def job_from_json(data: bytes) -> JobSpec:
    return JobSpec(**json.loads(data))


def pack_report(report: WorkerReport, token: bytes) -> bytes:
    """token, four lengths, JSON, raw float32 logits, checkpoint, weights."""
    raw = report.logits, report.checkpoint, report.weights
    names = {f.name for f in dataclasses.fields(report)} - {"logits", "checkpoint", "weights"}
    text = json.dumps({name: getattr(report, name) for name in names}).encode()
    return token + _HEAD.pack(len(text), *map(len, raw)) + text + b"".join(raw)


def own_fault(error: BaseException) -> WorkerReport:
    """A fault of the worker itself, outside the candidate's code: the engine's, or the surroundings'."""
    kind = "infrastructure" if isinstance(error, (OSError, MemoryError)) else "engine"
    return WorkerReport(stage="worker", kind=kind, error=f"{type(error).__name__}: {error}")


def after_mark(data: bytes) -> tuple[bool, bytes]:
    """Whether the candidate's code had begun when `data` was written, and what follows the mark."""
    begun = data.startswith(BEGUN)
    return begun, data[len(BEGUN) :] if begun else data


def unpack_report(data: bytes, token: bytes) -> WorkerReport:
    """The one report that `data` is.

    Raises:
        BadReport: no bytes, a wrong token, other lengths than told, or fields of a wrong type or range.
    """
    head = TOKEN_BYTES + _HEAD.size
    if len(data) < head or data[:TOKEN_BYTES] != token:
        raise BadReport("it holds no report of this job")
    text_length, *raw_lengths = _HEAD.unpack(data[TOKEN_BYTES:head])
    if len(data) != head + text_length + sum(raw_lengths):
        raise BadReport("it holds more or less than one report")
    if text_length > REPORT_LIMIT:
        raise BadReport("it says more than a report has room for")
    logits = head + text_length
    checkpoint = logits + raw_lengths[0]
    weights = checkpoint + raw_lengths[1]
    try:
        values = claims.parsed(data[head:logits])
        return WorkerReport(
            stage=claims.one_of(values["stage"], claims.STAGES),
            kind=claims.one_of(values["kind"], claims.KINDS),
            error=claims.text(values["error"]),
            facts=claims.facts(values["facts"]),
            curve=claims.curve(values["curve"]),
            probe=claims.mapping(values["probe"]),
            logits=data[logits:checkpoint],
            checkpoint=data[checkpoint:weights],
            weights=data[weights:],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadReport(f"its report is malformed: {claims.text(repr(error), 200)}") from error
