"""Command lines for bubblewrap, which gives a program a file system, processes and a network of its own.

https://github.com/containers/bubblewrap. A program inside sees no process outside, has no network but a
loopback, and dies with the one that started it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache

_APART = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent"]
_KERNEL = ("/proc", "/dev")


@cache
def why_not() -> str:
    """Why bubblewrap cannot be used here; "" where it can. Tried once, by running `true` in it."""
    program = shutil.which("bwrap")
    if program is None:
        return "there is no program `bwrap`"
    try:
        tried = subprocess.run(
            around(["/"], [], "/", ["true"]), capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = " ".join(tried.stderr.split())
    return "" if tried.returncode == 0 else said or f"it ended with status {tried.returncode}"


def around(
    readable: Iterable[str], writable: Iterable[str], folder: str, command: Sequence[str]
) -> list[str]:
    """`command` where only `readable` is to be seen, only `writable` to be changed, and the GPUs are there;
    its working directory is `folder`."""
    places = [path for path in readable if not path.startswith(_KERNEL)]
    files: list[str] = []
    if "/" not in places:
        files += ["--tmpfs", "/tmp", *_links(places)]
    for path in sorted(places, key=len):
        files += ["--ro-bind", path, path]
    files += ["--dev", "/dev", "--proc", "/proc"]
    for device in sorted(name for name in os.listdir("/dev") if name.startswith(("nvidia", "dri", "kfd"))):
        files += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for path in writable:
        files += ["--bind", path, path]
    return ["bwrap", *_APART, *files, "--chdir", folder, "--", *command]


def _links(places: Sequence[str]) -> list[str]:
    """The links of the system's root, such as /lib to /usr/lib, that lead into `places`."""
    links: list[str] = []
    for name in sorted(os.listdir("/")):
        path = f"/{name}"
        if os.path.islink(path) and os.path.realpath(path).startswith(tuple(places)):
            links += ["--symlink", os.readlink(path), path]
    return links
