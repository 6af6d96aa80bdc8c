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
from pathlib import Path

from ge_engine.errors import ConfigError

_APART = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--cap-drop", "ALL"]
_MOST_WORDS = 9000
"""Arguments in all, those that `--args` reads from a file among them: MAX_ARGS in bubblewrap.c."""
_KERNEL = ("/proc", "/dev")
_SOCKET_FOLDERS = ("/tmp", "/var/tmp", "/run", "/var/run")


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
    readable: Iterable[str],
    writable: Iterable[str],
    folder: str,
    command: Sequence[str],
    hidden: Iterable[str] = (),
) -> list[str]:
    """`command` where only `readable` is to be seen, without what is `hidden` in it, only `writable` to be
    changed, and the GPUs are there; its working directory is `folder`. What is readable in something hidden
    is to be seen.

    Raises:
        ConfigError: that takes more arguments than bubblewrap has room for.
    """
    places = [path for path in readable if not path.startswith(_KERNEL)]
    files: list[str] = []
    if "/" not in places:
        files += ["--tmpfs", "/tmp", *_links(places)]
    covers = [path for path in hidden if os.path.lexists(path)]
    for path in sorted({*places, *covers}, key=len):
        files += _cover(path) if path in covers else []
        files += ["--ro-bind", path, path] if path in places else []
    for path in filter(os.path.isdir, covers):
        files += ["--remount-ro", path] if path not in places else []
    files += ["--dev", "/dev", "--proc", "/proc"]
    for device in sorted(name for name in os.listdir("/dev") if name.startswith(("nvidia", "dri", "kfd"))):
        files += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for path in writable:
        files += ["--bind", path, path]
    words = ["bwrap", *_APART, *files, "--chdir", folder, "--", *command]
    if len(words) > _MOST_WORDS:
        raise ConfigError(
            f"bubblewrap takes {_MOST_WORDS:,} arguments; what the seed model imports needs {len(words):,}.",
            "Take --sandbox landlock, or move the seed model out of the folder of that much code.",
        )
    return words


def socket_folders() -> list[str]:
    """Where daemons and agents have their sockets. To connect to one needs no right to write."""
    return [path for path in _SOCKET_FOLDERS if os.path.isdir(path) and not os.path.islink(path)]


def sockets(places: Iterable[str]) -> list[str]:
    """The sockets with a path that this process can see, those outside the folders of `socket_folders` or in
    `places`."""
    try:
        lines = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return []
    listed = dict.fromkeys(words[7] for line in lines if len(words := line.split(None, 7)) == 8)
    paths = [path for path in listed if path.startswith("/") and os.path.exists(path)]
    return [path for path in paths if below(path, places) or not below(path, socket_folders())]


def below(path: str, folders: Iterable[str]) -> bool:
    """Whether `path` lies in one of `folders`."""
    return any(path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _cover(path: str) -> list[str]:
    """An empty folder in place of a folder, an empty file in place of a file."""
    return ["--tmpfs", path] if os.path.isdir(path) else ["--ro-bind", "/dev/null", path]


def _links(places: Sequence[str]) -> list[str]:
    """The links of the system's root, such as /lib to /usr/lib, that lead into `places`."""
    links: list[str] = []
    for name in sorted(os.listdir("/")):
        path = f"/{name}"
        if os.path.islink(path) and os.path.realpath(path).startswith(tuple(places)):
            links += ["--symlink", os.readlink(path), path]
    return links
