"""Runs one job in this process: a probe, a probe that also measures answers, sizes of variants, a training.

Generated code shares this interpreter, so it can lie about anything that is said here, except about what it
cannot know: the labels it is scored on are in another process. The engine takes the logits as answers, and
takes figures from functions that were bound before the genome was imported.
"""

from __future__ import annotations

import dataclasses
import errno
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType

import torch
from torch import Tensor, nn

from ge_engine.config import Recipe
from ge_engine.evaluation.data.batches import PREDICT_BATCH, Images
from ge_engine.evaluation.data.candidate_files import Candidate, candidate_files, import_files
from ge_engine.evaluation.data.given_files import opened
from ge_engine.evaluation.data.module_loader import error_line
from ge_engine.evaluation.measure.inference import costs_of
from ge_engine.evaluation.measure.witness import Witness
from ge_engine.evaluation.probe.coverage import covered_functions
from ge_engine.evaluation.probe.entries import entries_taken
from ge_engine.evaluation.probe.findings import ProbeFindings, TaskShape
from ge_engine.evaluation.probe.probe import probe
from ge_engine.evaluation.probe.proxies import proxies
from ge_engine.evaluation.probe.sizes import sizes_of
from ge_engine.evaluation.protocol.claims import GPU_LOST, GPU_MEMORY, finite
from ge_engine.evaluation.protocol.messages import JobSpec, SessionSpec, WorkerReport
from ge_engine.evaluation.train.divergence import Diverged, NotFinite
from ge_engine.evaluation.train.layout import layout
from ge_engine.evaluation.train.optimizers import optimizer_of
from ge_engine.evaluation.train.rung import Rung, TrainingData
from ge_engine.evaluation.train.step_timer import TooSlow
from ge_engine.evaluation.train.trainer import train
from ge_engine.evaluation.train.weights import packed_weights
from ge_engine.profile import rows_of
from ge_engine.source.values_read import values_read

SIZING_SHARE = 0.2
"""The processor's time after which a sizing job builds no further variant, as a part of its timeout."""
_now = time.monotonic


def run(
    spec: JobSpec,
    session: SessionSpec,
    data: Mapping[str, Tensor],
    start: bytes = b"",
    rank: int = 0,
) -> WorkerReport:
    """The report of the job `spec`: what was found or trained, or the candidate's own error. `start` is what
    `runner.stored_start` read. Of several processes that train together, only that of `rank` 0 measures and
    answers."""
    if spec.kind == "size":
        return _report_sizes(spec, session)
    candidate = _candidate(spec.sources, spec, session)
    if spec.kind == "probe":
        pixels = data["train"] if spec.proxies else None
        return _report_probe(session, candidate, lambda _: {}, pixels)
    if spec.kind == "again":
        return _report_probe(session, candidate, lambda model: _costs(model, session, data["validation"]))
    rung = Rung(spec.epochs, start, spec.keep, spec.step_seconds, spec.steps)
    if spec.inherits:
        rung = replace(rung, checkpoint=b"", parent=start)
    return _report_training(spec, session, data, candidate, rung, rank)


def pseudo_files(spec: JobSpec, session: SessionSpec) -> dict[str, str]:
    """What the code of the job's candidate calls its files, with the names that addresses carry."""
    return _named(_candidate(dict.fromkeys(session.files, ""), spec, session))


def _named(candidate: Candidate) -> dict[str, str]:
    return {one.address.file: one.name for one in candidate.code}


def _candidate(sources: Mapping[str, str], spec: JobSpec, session: SessionSpec) -> Candidate:
    held = {name: text.encode("latin-1") for name, text in sources.items()}
    return candidate_files(held, session.files, spec.digest, session.modules)


def _report_probe(
    session: SessionSpec,
    candidate: Candidate,
    measure: Callable[[nn.Module], Mapping[str, float]],
    pixels: Tensor | None = None,
) -> WorkerReport:
    """`pixels` are those of images by which proxies are computed as well."""
    findings = ProbeFindings()
    kind, named, files = "", _named(candidate), candidate.code
    started = _now()
    try:
        with covered_functions(named, findings.executed):
            probe(
                lambda: import_files(candidate),
                lambda module: _build(module, session.entry),
                lambda module: optimizer_of(module, session.recipe["optimizer"]),
                _shape(session),
                session.recipe,
                session.memory,
                findings,
                {address.name: one.name for one in files for address in one.modules},
                lambda model: findings.facts.update(measure(model)),
            )
        findings.executed |= values_read({one.name: one.source for one in files}, findings.executed)
        findings.executed |= entries_taken(candidate, opened(), session.modules)
        if pixels is not None:
            findings.facts.update(_proxies(candidate, session, pixels))
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a candidate are its errors too
        kind, findings.error = _kind(error), error_line(error, named)
    findings.facts["probe_seconds"] = _now() - started
    plain = {
        f.name: sorted(v) if isinstance(v := getattr(findings, f.name), (set, list)) else v
        for f in dataclasses.fields(findings)
        if f.name != "modules"
    }
    plain["modules"] = rows_of(findings.modules)
    return WorkerReport(findings.stage, kind, findings.error, facts=findings.facts, probe=plain)


def _report_sizes(spec: JobSpec, session: SessionSpec) -> WorkerReport:
    sizes = sizes_of(
        [_candidate(variant, spec, session) for variant in spec.variants],
        lambda module: _build(module, session.entry),
        _shape(session),
        session.memory,
        SIZING_SHARE * spec.timeout,
    )
    return WorkerReport(probe={"sizes": sizes})


def _proxies(candidate: Candidate, session: SessionSpec, pixels: Tensor) -> Mapping[str, float]:
    """The proxies of networks built afresh, from modules in which the probe has left nothing."""
    return proxies(
        lambda: _build(import_files(candidate), session.entry), _images(pixels, session), session.classes
    )


def _costs(model: nn.Module, session: SessionSpec, pixels: Tensor) -> Mapping[str, float]:
    """The costs of answers to some of the images, with the threads of a training. A CPU's time says nothing
    about a GPU's."""
    torch.set_num_threads(session.threads)
    costs = costs_of(model, _images(pixels[:PREDICT_BATCH], session), session.classes)
    unknown = ("peak_memory", "latency") if session.device == "cuda" else ("peak_memory",)
    return {name: cost for name, cost in costs.items() if name not in unknown}


def _report_training(
    spec: JobSpec,
    session: SessionSpec,
    data: Mapping[str, Tensor],
    candidate: Candidate,
    rung: Rung,
    rank: int,
) -> WorkerReport:
    stage = "import"
    facts: dict[str, float] = {}
    try:
        random.seed(spec.rng_seed)
        module = import_files(candidate)
        stage = "train"
        result = train(
            lambda: _build(module, session.entry),
            optimizer_of(module, session.recipe["optimizer"]),
            _training_data(spec, session, data),
            Recipe(**session.recipe),
            spec.rng_seed,
            lambda: facts.update(start_seconds=_now() - spec.sent),
            rung,
            Witness,
        )
        if rank:
            return WorkerReport()
        stage = "measure"
        facts.update(result.facts, train_seconds=result.seconds, steps=float(result.steps))
        facts.update(step_seconds=result.step_seconds)
        logits = result.logits.contiguous().numpy().tobytes()
        kept = result.checkpoint if len(result.checkpoint) <= spec.room else b""
        return WorkerReport(
            facts=finite(facts),
            curve=tuple(result.curve),
            logits=logits,
            checkpoint=kept,
            weights=_weights(result.model, spec.weights),
        )
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a candidate are its errors too
        return _failed(error, stage, _named(candidate))


def _weights(network: nn.Module, room: int) -> bytes:
    """The trained weights where they are asked for, at most `room` bytes of them; b"" where they cannot be
    given, which costs no score."""
    if not room:
        return b""
    try:
        weights = packed_weights(network)
    except Exception:  # a type that safetensors does not hold, or no memory: the engine says so
        return b""
    return weights if len(weights) <= room else b""


def _failed(error: BaseException, stage: str, files: Mapping[str, str]) -> WorkerReport:
    for kind, own in (("not finite", NotFinite), ("diverged", Diverged), ("too slow", TooSlow)):
        if isinstance(error, own):
            return WorkerReport(stage="train", kind=kind, error=str(error))
    return WorkerReport(stage=stage, kind=_kind(error), error=error_line(error, files))


def _kind(error: BaseException) -> str:
    text = str(error)
    lacking = any(sign in text for sign in ("allocate memory", *GPU_MEMORY))
    if lacking or isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return "out of memory"
    lost = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return "infrastructure" if lost or any(sign in text for sign in GPU_LOST) else "error"


def _build(module: ModuleType, entry: str) -> nn.Module:
    return eval(entry, vars(module))  # type: ignore[no-any-return]


def _shape(session: SessionSpec) -> TaskShape:
    return TaskShape(session.channels, session.size, session.classes)


def _training_data(spec: JobSpec, session: SessionSpec, data: Mapping[str, Tensor]) -> TrainingData:
    names = ("validation", "test") if spec.split == "both" else (spec.split,)
    held_out = data[names[0]] if len(names) == 1 else torch.cat([data[name] for name in names])
    return TrainingData(
        train=_images(data["train"], session, spec.channels_last),
        labels=data["labels"],
        held_out=_images(held_out, session, spec.channels_last),
        classes=session.classes,
        mirror=session.mirror,
    )


def _images(pixels: Tensor, session: SessionSpec, channels_last: float = 0.0) -> Images:
    mean, std = torch.tensor(session.mean), torch.tensor(session.std)
    return Images(pixels, mean, std, session.size, layout(channels_last))
