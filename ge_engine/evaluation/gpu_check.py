"""Whether CUDA starts in the sandbox: a process is confined as a training on a GPU is, and uses one.

This file is that process, too: `python -P -m ge_engine.evaluation.gpu_check`, with a line of JSON (the
session) and code on stdin. Code other than `USE_GPU` stands for a driver where there is none.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ge_engine.evaluation.data.module_loader import module_address
from ge_engine.evaluation.fork_server.starting import inside
from ge_engine.evaluation.protocol.messages import JobSpec, SessionSpec, session_from_json, to_json
from ge_engine.evaluation.sandbox import confinement
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.evaluation.sandbox.readable import readable_files

USE_GPU = "from ge_engine.evaluation.worker.gpu import require_gpu\nrequire_gpu()"
SECONDS = 120.0


def why_not(sandbox: str, code: str = USE_GPU) -> str:
    """Why a training in `sandbox` ("bwrap", "landlock", "network" or "none") cannot use a GPU, by running
    `code` as one; "" where it can. Takes some seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        os.makedirs(os.path.join(scratch, "jobs", "check"))
        session = _session(sandbox, scratch)
        try:
            done = subprocess.run(
                inside(session, [sys.executable, "-P", "-m", "ge_engine.evaluation.gpu_check"]),
                input=to_json(session) + b"\n" + code.encode(),
                env=clean_environment(),
                cwd=scratch,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it did not answer within {SECONDS:g} s"
    said = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
    return (said or [f"exit status {done.returncode}"])[-1] if done.returncode else ""


def _session(sandbox: str, scratch: str) -> SessionSpec:
    readable = readable_files(b"", module_address(Path(scratch, "model.py"), "0" * 64), (), gpu=True)
    return SessionSpec(
        seed_path=os.path.join(scratch, "model.py"),
        entry="",
        channels=3,
        size=32,
        classes=2,
        mirror=False,
        mean=(),
        std=(),
        recipe={},
        threads=1,
        memory=2**30,
        device="cuda",
        sandbox=sandbox,
        readable=readable.paths(),
        preload=(),
        scratch=scratch,
        places=readable.places,
        hidden=readable.hidden,
        listed=readable.listed,
    )


def main() -> None:
    session = session_from_json(sys.stdin.buffer.readline())
    code = sys.stdin.read()
    spec = JobSpec("check", "train", {}, "0" * 64, 0, "validation", SECONDS, "")
    steps = confinement.settle(spec, session, Path(session.scratch, "jobs", "check"), log=2)
    steps.files()
    steps.close()
    exec(compile(code, "driver", "exec"), {})


if __name__ == "__main__":
    main()
